"""The card of a data set on the hub: what is in it, who made it how, under which licences."""

from __future__ import annotations

import re
from collections import Counter
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import yaml

from recaption.config import Recipe
from recaption.corpus.export.licences import hub_licence
from recaption.corpus.export.walk import Walk
from recaption.storage.shown import without_secrets
from recaption.text import printable

_MARK = "<!-- by recaption export, which writes this card anew while this line stands in it -->"
_SIZES = (("n<1K", 10**3), ("1K<n<10K", 10**4), ("10K<n<100K", 10**5), ("100K<n<1M", 10**6))
_LARGER = (("1M<n<10M", 10**7), ("10M<n<100M", 10**8), ("100M<n<1B", 10**9), ("n>1B", 10**99))
_LANGUAGES = dict(
    name.split("=")
    for name in "english=en german=de french=fr spanish=es italian=it portuguese=pt dutch=nl"
    " polish=pl russian=ru turkish=tr chinese=zh japanese=ja korean=ko arabic=ar hindi=hi".split()
)
_MOST_ROWS = 30
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~])")
_COLUMNS = """\
| column | what |
|---|---|
| `image` | the image |
| `text` | one caption: the first of `captions` |
| `captions`, `styles` | the captions, and the style that each was asked for in |
| `alt_text`, `class_names` | what lay beside the image before it was captioned |
| `width`, `height` | of the upright image as it was found, in pixels |
| `licence`, `author`, `page` | whom to credit, as far as the source told |
| `sample_id` | the image's name in its source |"""


def is_own_card(data: bytes) -> bool:
    """Whether a README.md is a card that `write_card` wrote, and nobody took over since."""
    return _MARK.encode() in data


def write_card(walk: Walk, recipe: Recipe) -> str:
    """Return the README.md of a data set."""
    tally, name = walk.tally, printable(walk.reader.manifest.dataset) or "images"
    head = yaml.safe_dump(_head(walk, recipe, name), sort_keys=False, allow_unicode=True)
    counts = f"{tally.images:,} images with {tally.captions:,} captions"
    sections = [
        f"---\n{head}---\n{_MARK}\n\n# {_plain(name)}, recaptioned",
        f"{counts} written by {_model(recipe)}, not by people: they can be wrong. Made with"
        " recaption.",
        _COLUMNS,
        "## How the captions were made\n\n" + _table(_making(walk, recipe)),
        "## How they were checked\n\n" + _checking(walk, recipe),
        "## Licences of the images\n\n" + _licences(tally.licences),
    ]
    return "\n\n".join(sections) + "\n"


def _head(walk: Walk, recipe: Recipe, name: str) -> dict[str, Any]:
    images = walk.tally.images
    found = {hub_licence(text) for text in walk.tally.licences}
    known = {"license": found.pop() if len(found) == 1 else "other"} if found != {""} else {}
    language = _LANGUAGES.get(recipe.caption.language.lower())
    return {
        "pretty_name": f"{name}, recaptioned",
        **known,
        **({"language": [language]} if language else {}),
        "size_categories": [next(n for n, most in (*_SIZES, *_LARGER) if images < most)],
        "task_categories": ["text-to-image", "image-to-text"],
        "tags": ["recaption", "synthetic-captions"],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": "train", "path": "data/train-*.parquet"}],
            }
        ],
    }


def _making(walk: Walk, recipe: Recipe) -> list[tuple[str, str]]:
    sampling, caption = recipe.sampling, recipe.caption
    shown = [("alt-text", caption.use_alt_text), ("class names", caption.use_class_names)]
    hints = ", ".join(name for name, is_shown in shown if is_shown) or "none"
    return [
        ("", ""),
        ("model", _model(recipe)),
        ("served by", recipe.engine.kind),
        ("prompts", _listed(walk.tally.templates)),
        ("sampling", f"temperature {sampling.temperature:g}, top_p {sampling.top_p:g}"),
        ("hints shown, where there were any", hints),
        ("recipe fingerprint", f"`{walk.reader.fingerprint}`"),
        ("captions chosen", walk.selection.describe()),
        ("recaption", _own_version()),
    ]


def _checking(walk: Walk, recipe: Recipe) -> str:
    guards = recipe.safeguards
    actions = ", ".join(f"{reason}: {action}" for reason, action in guards.actions.items())
    asked = [
        "Each caption was checked for its form (cut off, loops, refusals, markup, wrong language),"
        " for copied alt-text and for personal data; what was at fault was cut, asked again or"
        " refused.",
        f"Set apart from that: {_plain(actions)}." if actions else "",
        "The model was asked of each claim whether it is true." if guards.claims else "",
        ""
        if guards.least_logprob is None
        else f"Captions with a mean log-probability below {guards.least_logprob:g} were refused.",
        f"Captions whose cosine with the image by {_short(guards.clip.model)} is below"
        f" {guards.clip.least:g} were refused."
        if guards.clip.model
        else "",
    ]
    read, captioned, reasons = _counts(walk)
    told = f"Of {read:,} images read, {captioned:,} were captioned."
    rows = [(f"`{reason}`", f"{n:,}") for reason, n in reasons.most_common(_MOST_ROWS)]
    refused = "\n\n" + _table([("refused for", "captions"), *rows]) if rows else ""
    return " ".join(one for one in [*asked, told] if one) + refused


def _counts(walk: Walk) -> tuple[int, int, Counter[str]]:
    """Return images read, images captioned, and what was rejected by reason, as committed."""
    read = captioned = 0
    reasons: Counter[str] = Counter()
    for record in walk.reader.records():
        read += 0 if record.retry else record.read
        captioned += record.recovered if record.retry else record.captioned
        reasons.update({} if record.retry else record.rejects)
    return read, captioned, reasons


def _licences(licences: Counter[str]) -> str:
    if set(licences) <= {""}:
        return (
            "The source told no licence. The images belong to their authors; find out what you may"
            " do with them before you pass them on."
        )
    rows = [
        (_plain(text) or "not known", f"{count:,}")
        for text, count in licences.most_common(_MOST_ROWS)
    ]
    others = sum(licences.values()) - sum(n for _, n in licences.most_common(_MOST_ROWS))
    last = [("others", f"{others:,}")] if others else []
    return _table([("licence, as the source tells it", "images"), *rows, *last])


def _table(rows: list[tuple[str, str]]) -> str:
    lines = [f"| {left} | {right} |" for left, right in rows]
    return "\n".join([lines[0], "|---|---|", *lines[1:]])


def _model(recipe: Recipe) -> str:
    engine = recipe.engine
    named = _short(engine.model) or engine.kind
    return named + (f" at revision `{_plain(engine.revision)}`" if engine.revision else "")


def _short(model: str) -> str:
    """Return a model's name; of a path on somebody's disk only the last part."""
    shown = printable(without_secrets(model))
    if shown.startswith(("/", "~", ".")):
        shown = shown.rstrip("/").rpartition("/")[2]
    return f"`{shown.replace('`', '')}`" if shown else ""


def _listed(templates: set[tuple[str, str, str]]) -> str:
    told = [f"{style}: {template} ({hashed})" for style, template, hashed in sorted(templates)]
    return _plain(", ".join(told))


def _own_version() -> str:
    try:
        return version("recaption")
    except PackageNotFoundError:
        return "from a checkout"


def _plain(text: str) -> str:
    """Return text that stays text in Markdown."""
    return _MARKDOWN.sub(r"\\\1", printable(text))
