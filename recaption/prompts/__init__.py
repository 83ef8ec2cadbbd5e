"""Prompts: versioned jinja2 templates, one per style, and what makes hints safe to show.

A style may have templates of its own for images of one subject, STYLE.SUBJECT.j2: what is to be
said of a plant is not what is to be said of a street.

The text goes behind the image, so that all prompts of an image share its prefix. Hints are data:
each stands in a fence that nothing inside it can close, see `fence_safe`.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import resources
from pathlib import Path

import jinja2
import jinja2.meta
import jinja2.sandbox

from recaption import keyed
from recaption.config import RecipeError, nearest
from recaption.sample import SHOWN_KINDS, Hint, HintKind, Hints

VERSION = "v1"
CLAIM, FUSE = "_claim", "_fuse"
"""The templates of the question whether a claim is true, and of the request to put facts in."""
_MAX_HINT_CHARS = 1000
_MAX_CLASS_CHARS = 200
_MAX_CLASS_NAMES = 32
# Angle brackets, and what Unicode's normal forms (some tokenizers apply one) make into one.
_LOOKALIKES = str.maketrans(
    {
        **dict.fromkeys("<＜﹤≮", "‹"),
        **dict.fromkeys(">＞﹥≯", "›"),
        "［": "[",
        "］": "]",
        "﹇": "[",
        "﹈": "]",
        "｜": "|",
    }
)
_BRACKET_TOKEN = re.compile(
    r"\[([^\[\]\s]{1,40})\]"
)  # [INST], [IMG] of Mistral's, [gMASK] of GLM's
_BAR_TOKEN = re.compile(r"\|([^|\s]{4,40})(?=\|)")  # |ENDOFTEXT| of Fuyu's and Persimmon's
_CAPITALS = re.compile(r"[A-Z]{4,}")
_HIDDEN = {"Cc", "Cf", "Zl", "Zp", "Cs", "Co"}  # control, format (bidi, zero width), line ends


def fence_safe(text: str, limit: int = _MAX_HINT_CHARS) -> str:
    """Make a hint one harmless line: it cannot close its fence nor write chat tokens.

    Angle brackets, of which every fence and most chat tokens are made, become ‹ and ›; the square
    ones around a word with capitals, and bars around one, become round; combining marks go from the
    start; control and format characters and line breaks
    become spaces; at most `limit` characters are kept. Doing it twice changes nothing.
    """
    start = text[: 4 * limit]
    plain = "".join(" " if unicodedata.category(c) in _HIDDEN else c for c in start)
    plain = _BRACKET_TOKEN.sub(_rounded, " ".join(plain.translate(_LOOKALIKES).split()))
    plain = _without_leading_marks(_BAR_TOKEN.sub(_unbarred, plain))
    is_whole = len(plain) <= limit and len(start) == len(text)
    return plain if is_whole else plain[: limit - 1] + "…"


def _rounded(match: re.Match[str]) -> str:
    """Return a word in square brackets with round ones, where a model may take it for a token."""
    is_token = re.search(r"[A-Z|]", unicodedata.normalize("NFKC", match[1]))
    return f"({match[1]})" if is_token else match[0]


def _unbarred(match: re.Match[str]) -> str:
    """Return a word behind a bar in round brackets, where a model may take it for a token."""
    is_token = _CAPITALS.fullmatch(unicodedata.normalize("NFKC", match[1]))
    return f"({match[1]})" if is_token else match[0]


def _without_leading_marks(text: str) -> str:
    """Cut combining marks off the start: one would merge with the end of the opening tag."""
    start = 0
    while start < len(text) and (
        text[start] == " " or unicodedata.category(text[start]).startswith("M")
    ):
        start += 1
    return text[start:]


def fenced(hints: Hints) -> Hints:
    """Return the hints as a prompt shows them: harmless, and of each kind the first 32."""
    names = (fence_safe(name, _MAX_CLASS_CHARS) for name in hints.class_names[:_MAX_CLASS_NAMES])
    count: Counter[HintKind] = Counter()
    others = []
    for hint in hints.others:
        text = fence_safe(hint.text, _MAX_CLASS_CHARS)
        count[hint.kind] += 1
        if text and hint.kind in SHOWN_KINDS and count[hint.kind] <= _MAX_CLASS_NAMES:
            others.append(replace(hint, text=text))
    return replace(
        hints,
        alt_text=fence_safe(hints.alt_text),
        class_names=tuple(name for name in names if name),
        others=tuple(others),
    )


@dataclass(frozen=True, eq=False)
class PromptSet:
    """The templates of a recipe's styles, as text: they travel to the workers with it."""

    styles: tuple[str, ...]
    sources: dict[str, str]
    """Templates by name, those that others include (their names start with _) among them."""
    language: str = "English"
    """What the captions are to be written in."""
    subject: str = ""
    """What the images are of; a style without templates for it has its general one."""

    @cached_property
    def _environment(self) -> jinja2.Environment:
        return jinja2.sandbox.ImmutableSandboxedEnvironment(
            loader=jinja2.DictLoader({f"{name}.j2": text for name, text in self.sources.items()}),
            autoescape=False,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    @cached_property
    def hashes(self) -> dict[str, str]:
        """The hash of each style's template, with all that it includes."""
        return {
            s: keyed.hexdigest("template", *self._reach(self.template_of(s))) for s in self.styles
        }

    def template_of(self, style: str) -> str:
        """Return the name of a style's template."""
        special = f"{style}.{self.subject}"
        return special if special in self.sources else style

    def _reach(self, template: str) -> list[tuple[str, str]]:
        """Return the templates, by name, that one may include; all if it computes a name."""
        found: dict[str, str] = {}
        wanted = [template]
        while wanted:
            name = wanted.pop()
            if name in found or name not in self.sources:
                continue
            found[name] = self.sources[name]
            for other in jinja2.meta.find_referenced_templates(
                self._environment.parse(found[name])
            ):
                if other is None:
                    return sorted(self.sources.items())
                wanted.append(other.removesuffix(".j2"))
        return sorted(found.items())

    def __getstate__(self) -> dict[str, object]:
        kept = ("styles", "sources", "language", "subject")
        return {name: getattr(self, name) for name in kept}

    @property
    def digest(self) -> str:
        """One hash of all templates."""
        return keyed.hexdigest("prompts", sorted(self.hashes.items()))

    def render(self, style: str, hints: Hints) -> str:
        """Return the prompt of a style for an image with these hints."""
        shown = fenced(hints)
        text = self._environment.get_template(f"{self.template_of(style)}.j2").render(
            alt_text=shown.alt_text,
            class_names=list(shown.class_names),
            language=self.language,
            **{f"{kind}_hints": shown.texts(kind) for kind in sorted(SHOWN_KINDS)},
        )
        return _one_line(text)

    def ask(self, claim: str) -> str:
        """Return the prompt that asks whether a claim is true of the image: yes or no."""
        template = self._environment.get_template(f"{CLAIM}.j2")
        return _one_line(template.render(claim=fence_safe(claim)))

    def fuse(self, caption: str, facts: Sequence[str]) -> str:
        """Return the prompt that asks for a caption again, with facts that it lacks."""
        template = self._environment.get_template(f"{FUSE}.j2")
        shown = [fence_safe(fact, _MAX_CLASS_CHARS) for fact in facts]
        return _one_line(template.render(caption=fence_safe(caption), facts=shown))


def _one_line(text: str) -> str:
    return " ".join(line.strip() for line in text.splitlines() if line.strip())


def built_in() -> dict[str, str]:
    """Return the built-in templates by style."""
    folder = resources.files(__package__) / "templates" / VERSION
    found = {f.name.removesuffix(".j2"): f.read_text("utf-8") for f in folder.iterdir()}
    return dict(sorted(found.items()))


def load_prompts(
    styles: list[str], folder: str = "", language: str = "English", subject: str = ""
) -> PromptSet:
    """Return the templates of `styles`. Raises RecipeError for one that does not exist."""
    known = built_in() | (_read_folder(Path(folder).expanduser()) if folder else {})
    choices = [name for name in known if not name.startswith("_") and "." not in name]
    for style in styles:
        if style not in choices:
            close = nearest(style, choices)
            raise RecipeError(
                f"caption.styles: no style {style!r}{close} (styles: {', '.join(choices)})"
            )
    subjects = sorted({end for name in known if (end := name.partition(".")[2])})
    if subject and subject not in subjects:
        raise RecipeError(
            f"caption.subject: no template is for {subject!r}{nearest(subject, subjects)}"
            f" (subjects: {', '.join(subjects)})"
        )
    prompts = PromptSet(tuple(styles), known, language, subject)
    _check(prompts)
    return prompts


def _read_folder(folder: Path) -> dict[str, str]:
    found = {}
    try:
        for file in sorted(folder.iterdir()):
            if file.suffix == ".j2":
                found[file.stem] = file.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError) as e:
        message = f"caption.templates: expected a folder of STYLE.j2 files, got {folder}"
        raise RecipeError(message) from e
    except OSError as e:
        raise RecipeError(f"caption.templates: {e.filename}: {e.strerror}") from e
    except UnicodeDecodeError as e:
        raise RecipeError(f"caption.templates: {file}: cannot be read as UTF-8: {e}") from e
    return found


def _check(prompts: PromptSet) -> None:
    """Render each template with and without hints: what is wrong with it shows before the run."""
    for style in prompts.styles:
        file = f"{prompts.template_of(style)}.j2"
        others = tuple(Hint(kind, "c") for kind in sorted(SHOWN_KINDS))
        for hints in (Hints(), Hints(alt_text="a", class_names=("b",), others=others)):
            try:
                text = prompts.render(style, hints)
            except Exception as e:  # a template can raise anything
                line = f" line {e.lineno}" if isinstance(e, jinja2.TemplateSyntaxError) else ""
                what = f"{type(e).__name__}: {' '.join(str(e).split())}"
                raise RecipeError(f"caption.templates: {file}{line}: {what}") from e
            if not text:
                raise RecipeError(f"caption.templates: {file}: the prompt comes out empty")
