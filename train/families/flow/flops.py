"""What training costs in floating-point operations: the numerator of model FLOPs utilisation."""

from __future__ import annotations

from train.families.flow.config import FlowConfig, Size
from train.families.flow.layers import hidden_width
from train.families.flow.model import TIME_WAVES


def training_flops(config: FlowConfig, channels: int, side: int) -> int:
    """Return the operations of one image, forward and backward, of all that is trained.

    The backward pass takes twice those of the forward pass: one product for the gradient of the
    input, one for that of the weights (Kaplan et al. 2020, section 2.1, where it is 6 N per token).
    Not counted, as usual: the recomputation of checkpointing, frozen encoders, all but products.
    """
    text = config.text
    forward = denoiser_flops(config, channels, side)
    if text.kind == "trainable":
        width = text.width or config.size.width
        forward += text.depth * block_flops(Size(width, 1, 1), text.length)
    return 3 * forward


def denoiser_flops(config: FlowConfig, channels: int, side: int) -> int:
    """Return the operations of the denoiser's forward pass for one image.

    With a frozen text encoder its width is taken for the denoiser's: one layer of small import.
    """
    size, text = config.size, config.text
    image_tokens, patch = (side // config.patch) ** 2, channels * config.patch**2
    text_width = text.width or size.width
    once = (6 * size.depth + 2 + 1) * size.width**2  # modulation of blocks and output; time
    once += (2 * TIME_WAVES + text_width) * size.width
    ends = 2 * patch * size.width * image_tokens + text_width * size.width * text.length
    blocks = size.depth * block_flops(size, image_tokens + text.length)
    return 2 * (once + ends) + blocks


def block_flops(size: Size, tokens: int) -> int:
    """Return the operations of attention and MLP of one block on all tokens of an image."""
    weights = 4 * size.width**2 + 3 * size.width * hidden_width(size.width)
    # Chowdhery et al. 2022 (PaLM), appendix B: 2 N per token, and 4 * width * tokens for attention
    return tokens * (2 * weights + 4 * size.width * tokens)
