"""Prompts: versioned jinja2 templates, one per style, and what makes hints safe to show.

The text goes behind the image, so that all prompts of an image share its prefix. Hints are data:
each stands in a fence that nothing inside it can close, see `fence_safe`.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path

import jinja2

from recaption import keyed
from recaption.config import RecipeError, nearest
from recaption.sample import Hints

VERSION = "v1"
_MAX_HINT_CHARS = 1000
_ANGLES = str.maketrans({"<": "‹", ">": "›", "＜": "‹", "＞": "›"})


def fence_safe(text: str, limit: int = _MAX_HINT_CHARS) -> str:
    """Make a hint one harmless line: it cannot close its fence nor write chat tokens.

    Angle brackets, of which every fence and chat token here is made, become ‹ and ›; control and
    format characters and line breaks become spaces; at most `limit` characters are kept.
    """
    plain = "".join(
        " " if unicodedata.category(c) in {"Cc", "Cf", "Zl", "Zp", "Cs", "Co"} else c for c in text
    )
    plain = " ".join(plain.translate(_ANGLES).split())
    return plain if len(plain) <= limit else plain[: limit - 1] + "…"


@dataclass(frozen=True, eq=False)
class PromptSet:
    """The templates of a recipe's styles, as text: they travel to the workers with it."""

    styles: tuple[str, ...]
    sources: dict[str, str]
    """Templates by name, those that others include (their names start with _) among them."""

    @cached_property
    def _environment(self) -> jinja2.Environment:
        return jinja2.Environment(
            loader=jinja2.DictLoader({f"{name}.j2": text for name, text in self.sources.items()}),
            autoescape=False,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    @cached_property
    def hashes(self) -> dict[str, str]:
        """The hash of each style's template, with all that it may include."""
        shared = sorted((k, v) for k, v in self.sources.items() if k.startswith("_"))
        return {s: keyed.hexdigest("template", self.sources[s], shared) for s in self.styles}

    def __getstate__(self) -> dict[str, object]:
        return {"styles": self.styles, "sources": self.sources}

    @property
    def digest(self) -> str:
        """One hash of all templates."""
        return keyed.hexdigest("prompts", sorted(self.hashes.items()))

    def render(self, style: str, hints: Hints) -> str:
        """Return the prompt of a style for an image with these hints."""
        text = self._environment.get_template(f"{style}.j2").render(
            alt_text=fence_safe(hints.alt_text),
            class_names=[fence_safe(name, 200) for name in hints.class_names],
        )
        return " ".join(line.strip() for line in text.splitlines() if line.strip())


def built_in() -> dict[str, str]:
    """Return the built-in templates by style."""
    folder = resources.files(__package__) / "templates" / VERSION
    found = {f.name.removesuffix(".j2"): f.read_text("utf-8") for f in folder.iterdir()}
    return dict(sorted(found.items()))


def load_prompts(styles: list[str], folder: str = "") -> PromptSet:
    """Return the templates of `styles`. Raises RecipeError for one that does not exist."""
    known = built_in()
    if folder:
        own = Path(folder)
        if not own.is_dir():
            raise RecipeError(f"caption.templates: expected a folder of STYLE.j2 files, got {own}")
        known |= {f.stem: f.read_text("utf-8") for f in sorted(own.glob("*.j2"))}
    choices = [name for name in known if not name.startswith("_")]
    for style in styles:
        if style not in choices:
            raise RecipeError(
                f"caption.styles: no style {style!r}{nearest(style, choices)} (styles: {', '.join(choices)})"
            )
    prompts = PromptSet(tuple(styles), known)
    _check(prompts)
    return prompts


def _check(prompts: PromptSet) -> None:
    for style in prompts.styles:
        for hints in (Hints(), Hints(alt_text="a", class_names=("b",))):
            try:
                prompts.render(style, hints)
            except jinja2.TemplateError as e:
                raise RecipeError(f"caption.templates: {style}.j2: {e}") from e
