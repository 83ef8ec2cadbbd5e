"""Which captioner needs which GPU: the table that `recaption init` chooses from and README quotes.

Calculated, not measured: parameters as the model cards on Hugging Face give them, two bytes each in
bf16, one in fp8, where vision tower and embeddings stay in bf16; keys and values of `_TOKENS`
tokens by the layers, heads and head sizes in the models' config.json; `_BESIDE_GIB` for
activations, CUDA graphs and the driver. vLLM takes nine tenths of a GPU.
"""

from __future__ import annotations

from dataclasses import dataclass

_GIB = 2**30
_TOKENS = 8192  # two requests as long as max_model_len=4096 allows, or a dozen of usual length
_BESIDE_GIB = 2.0
_SHARE = 0.9  # of a GPU: vLLM's gpu_memory_utilization
_CARDS = (8, 12, 16, 24, 32, 48, 80, 141)  # GB
_IMAGE_TOKENS = 14 * 19  # of a 4:3 photo whose shorter side is 448, 32 x 32 pixels each


@dataclass(frozen=True, slots=True)
class Captioner:
    """A model by its name on the hub; `kv_kib` is what a token's keys and values take."""

    name: str
    billions: float
    kv_kib: int
    is_usual: bool = True  # false: better captions at several times the cost

    def gpu_gib(self, is_fp8: bool = False) -> float:
        """Return the memory of the smallest GPU that holds it."""
        weights = self.billions * (1.1e9 if is_fp8 else 2e9) / _GIB
        return (weights + self.kv_kib * _TOKENS / 2**20 + _BESIDE_GIB) / _SHARE

    def card(self, is_fp8: bool = False) -> int:
        """Return the GB of the smallest card there is that holds it."""
        return next(card for card in _CARDS if card >= self.gpu_gib(is_fp8))


CAPTIONERS = (
    Captioner("Qwen/Qwen3-VL-2B-Instruct", 2.13, 112),
    Captioner("Qwen/Qwen3-VL-4B-Instruct", 4.44, 144),
    Captioner("Qwen/Qwen3-VL-8B-Instruct", 8.77, 144),
    Captioner("Qwen/Qwen3-VL-30B-A3B-Instruct", 31.07, 96, is_usual=False),
    Captioner("Qwen/Qwen3-VL-32B-Instruct", 33.36, 256, is_usual=False),
)
"""From small to large."""


def fitting(gib: float) -> list[Captioner]:
    """Return those that a GPU of this memory holds in bf16, from small to large."""
    return [one for one in CAPTIONERS if one.gpu_gib() <= gib]


def table() -> list[str]:
    """Return the rows of README's table."""
    return [
        f"| `{one.name}` | {one.billions:.1f} B | {2 * one.billions:.1f} GB"
        f" | {one.billions:.1f} GB | {one.card()} GB | {one.card(is_fp8=True)} GB"
        f" | {_IMAGE_TOKENS} |"
        for one in CAPTIONERS
    ]
