"""Distributed recaptioning of image data sets on Ray and vLLM.

As a library: `caption` runs a recipe, `open_corpus` reads what it wrote, `caption_images` captions
images in memory. See docs/api.md. What is named here is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from recaption.engines import torchvision_compat

if TYPE_CHECKING:
    from recaption.api.corpus import Corpus, Counts, open_corpus
    from recaption.api.images import ImageCaptioner, caption_images
    from recaption.api.run import caption, load_recipe
    from recaption.api.samples import CaptionedImage, CaptionRow, HintRow, RejectRow
    from recaption.config import Recipe, RecipeError
    from recaption.storage import StorageError
    from recaption.summary import RunFailedError, Summary

__version__ = "0.1.0"

__all__ = [
    "CaptionRow",
    "CaptionedImage",
    "Corpus",
    "Counts",
    "HintRow",
    "ImageCaptioner",
    "Recipe",
    "RecipeError",
    "RejectRow",
    "RunFailedError",
    "StorageError",
    "Summary",
    "__version__",
    "caption",
    "caption_images",
    "load_recipe",
    "open_corpus",
]

_MODULES = {
    "api.corpus": ("Corpus", "Counts", "open_corpus"),
    "api.images": ("ImageCaptioner", "caption_images"),
    "api.run": ("caption", "load_recipe"),
    "api.samples": ("CaptionRow", "CaptionedImage", "HintRow", "RejectRow"),
    "config": ("Recipe", "RecipeError"),
    "storage": ("StorageError",),
    "summary": ("RunFailedError", "Summary"),
}


def __getattr__(name: str) -> Any:
    """Load the module of a name when it is first used."""
    for module, names in _MODULES.items():
        if name in names:
            value = getattr(import_module(f"{__name__}.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


torchvision_compat.install()
