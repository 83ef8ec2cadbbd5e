"""Small batches, a debug family, and tiny random checkpoints of the frozen parts."""

from __future__ import annotations

from pathlib import Path

import torch

from train.batch import Batch
from train.families.flow.config import FlowConfig
from train.families.flow.family import FlowFamily
from train.families.flow.tokenizer import TextTokenizer

SIZE = 16  # pixels
CAPTIONS = ("A red circle.", "", "Two blue squares above a green star.", "A pink moon.")


def make_family(**settings: object) -> FlowFamily:
    """Make a debug family for images of 16 pixels."""
    given: dict[str, object] = {"preset": "debug", "text": {"length": 8}, "steps": 3}
    return FlowConfig.model_validate(given | settings).create(SIZE, seed=0)


def make_batch(family: FlowFamily, size: int = SIZE) -> Batch:
    """Make a batch of four images, one of them without a caption."""
    token, mask = family.tokenizer(CAPTIONS)
    image = torch.randint(0, 256, (4, 3, size, size), generator=torch.Generator().manual_seed(0))
    return Batch(
        image_BCHW=image.to(torch.uint8),
        token_BT=torch.from_numpy(token).long(),
        mask_BT=torch.from_numpy(mask),
        noise_key_B=torch.arange(4) + 100,
    )


def perturb(family: FlowFamily) -> FlowFamily:
    """Move all weights off the zeros of a fresh model, which let no gradient through."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in family.nets.parameters():
            weight += 0.05 * torch.randn(weight.shape, generator=generator)
    return family


def save_clip(folder: Path) -> str:
    """Save a tiny random CLIP text encoder whose end of text is the built-in tokenizer's."""
    from transformers import CLIPTextConfig, CLIPTextModel

    with torch.random.fork_rng():
        torch.manual_seed(0)
        CLIPTextModel(
            CLIPTextConfig(
                vocab_size=TextTokenizer("", 8).vocabulary,
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=2,
                max_position_embeddings=12,
                eos_token_id=7,
                bos_token_id=1,
                pad_token_id=0,
            )
        ).save_pretrained(folder)
    return str(folder)


def save_t5(folder: Path) -> str:
    """Save a tiny random T5 encoder."""
    from transformers import T5Config, T5EncoderModel

    with torch.random.fork_rng():
        torch.manual_seed(0)
        T5EncoderModel(
            T5Config(
                vocab_size=TextTokenizer("", 8).vocabulary,
                d_model=48,
                d_kv=16,
                d_ff=64,
                num_layers=2,
                num_heads=2,
            )
        ).save_pretrained(folder)
    return str(folder)


def save_tokenizer(folder: Path) -> str:
    """Save a tiny BPE that ends a text with a token of its own, as CLIP's does."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE(unk_token="<unk>"))
    bpe.pre_tokenizer = pre_tokenizers.Whitespace()
    special = ["<unk>", "<start>", "<end>"]
    bpe.train_from_iterator(CAPTIONS, trainers.BpeTrainer(vocab_size=80, special_tokens=special))
    bpe.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", 1), ("<end>", 2)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=bpe, unk_token="<unk>", bos_token="<start>", eos_token="<end>"
    ).save_pretrained(folder)
    return str(folder)


def save_vae(folder: Path) -> str:
    """Save a tiny random autoencoder: half the size, four channels."""
    from diffusers import AutoencoderKL

    with torch.random.fork_rng():
        torch.manual_seed(0)
        AutoencoderKL(
            block_out_channels=(8, 8),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            latent_channels=4,
            norm_num_groups=4,
            scaling_factor=0.5,
            shift_factor=0.1,
        ).save_pretrained(folder)
    return str(folder)
