"""The text of a first recipe, and what is told of it in the terminal."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from typing import Any

import jinja2

from recaption.config import SourceConfig
from recaption.notices import describe_notices, take_notices
from recaption.output import STDOUT
from recaption.prompts import built_in
from recaption.recipe_schema import schema_file
from recaption.starter.look import MOST_FILES, Look
from recaption.starter.machine import choose_engine, find_gpus
from recaption.starter.recognise import Recognised
from recaption.starter.texts import Texts
from recaption.storage.shown import fit_to_print
from recaption.storage.spelling import one_spelling

_STYLES = ["short", "dense"]
_PLAIN = re.compile(r"[A-Za-z_/][\w/.:@+-]*(?: [\w/.@+-]+)*")
_YAML_WORDS = re.compile(r"(?i)y|n|yes|no|true|false|on|off|null")
_NOUNS = {
    "webdataset": "WebDataset tars",
    "parquet": "Parquet files",
    "zip": "zip archives",
    "folder": "folders of images",
}
_MOST_FOLDERS = 4


@dataclass(frozen=True, slots=True)
class Wishes:
    """What whoever gives the command wants: all may be empty."""

    model: str = ""
    url: str = ""
    corpus: str = ""


def render(
    source: SourceConfig, file: str, wishes: Wishes, look: Look, known: Recognised, texts: Texts
) -> str:
    """Return the recipe as commented YAML."""
    template = resources.files(__package__).joinpath("recipe.yaml.j2").read_text("utf-8")
    environment = jinja2.Environment(  # of YAML: values come as _scalar or _line
        trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.keep_trailing_newline = True
    engine = choose_engine(find_gpus(), wishes.model, wishes.url)
    settings = {
        key: value if key == "args" else _scalar(value) for key, value in engine.settings.items()
    }
    values: dict[str, Any] = {
        "schema": schema_file("caption"),
        "what": f"{_count(look)} in {_line(_name(look))}: captions by {_engine_name(settings)}.",
        "seen": _seen(look, texts),
        "notices": [_line(line) for line in describe_notices(take_notices())],
        "file": shell_word(file),
        "styles": _STYLES,
        "all_styles": [n for n in built_in() if n[0] != "_" and "." not in n],
        "path": _scalar(str(source.path)),
        "kind": look.kind,
        "adapter": known.adapter,
        "why": known.why,
        "columns": list(_columns(source, known, texts)),
        "tables": [(name, _scalar(path)) for name, path in known.tables.items()],
        "missing": list(known.missing.items()),
        "subject": known.subject,
        "hints": _hints(known, texts),
        "engine": {"why": engine.why, "settings": settings, "instead": engine.instead},
        "corpus": _scalar(one_spelling(wishes.corpus or f"out/captions-{_slug(look)}")),
    }
    return environment.from_string(template).render(values)


def _columns(source: SourceConfig, known: Recognised, texts: Texts) -> Iterable[str]:
    """Yield the lines about columns: those that have to be named, and what else could be."""
    if source.image_column:
        yield "# the first of its columns with images"
        yield f"image_column: {_scalar(source.image_column)}"
    if known.adapter != "generic":
        return
    if texts.column:
        yield "# it holds text, and its name says so"
        yield f"alt_text_column: {_scalar(texts.column)}"
    elif texts.others and not texts.alt_texts:
        named = ", ".join(map(_line, texts.others[:3]))
        yield f"# alt_text_column: one of {named}, if it says what is in the image"
    if source.kind == "folder" and len(texts.folders) > 1 and not texts.class_names:
        some = ", ".join(map(_line, texts.folders[:_MOST_FOLDERS]))
        yield f"# class_from_folder: true   # if these are what the images show: {some}"


def _hints(known: Recognised, texts: Texts) -> list[str]:
    if known.adapter not in ("generic", "web"):
        return [
            "what the data set knows of an image is shown to the model as a hint, fenced as data"
        ]
    if not (texts.alt_texts or texts.class_names):
        return ["nothing is written beside the images, so the captions are made of pixels alone"]
    return ["what is written beside an image is shown to the model as a hint, fenced as data"]


def describe(look: Look, known: Recognised, texts: Texts) -> list[str]:
    """Return what was found, in lines."""
    rejects = [one for one in look.samples if one.rejection is not None]
    lines = [
        f"found     {_count(look)} in {_line(look.root)}",
        f"          {_seen(look, texts)}",
        f"data set  {known.adapter}{f': {known.why}' if known.why else ''}",
        *(f"table     {name}: {_line(path)}" for name, path in known.tables.items()),
    ]
    if rejects and (first := rejects[0].rejection) is not None:
        told = f"{_line(rejects[0].sample_id)}: {_line(first.message)}"
        lines.append(f"rejected  {len(rejects)} of {len(look.samples)} read, first: {told}")
    return lines + ([f"broken    {_line(look.fault)}"] if look.fault else [])


def _count(look: Look) -> str:
    count, more = len(look.shards), "" if look.is_all else "at least "
    noun = _NOUNS[look.kind]
    return f"{more}{count:,} {noun if count > 1 else _singular(noun)}"


def _singular(noun: str) -> str:
    return "folder of images" if noun.startswith("folders") else noun[:-1]


def _seen(look: Look, texts: Texts) -> str:
    told = [f"{texts.alt_texts} with alt-text" * bool(texts.alt_texts)]
    told.append(f"{texts.class_names} with a class name" * bool(texts.class_names))
    beside = ", ".join(filter(None, told)) or "nothing written beside them"
    limit = "" if look.is_all else f" (of the first {MOST_FILES:,} files, or of a few named ones)"
    return f"{texts.samples} image{'s' * (texts.samples != 1)} read{limit}: {beside}"


def _engine_name(settings: dict[str, str]) -> str:
    return settings["model"].strip('"')


def _name(look: Look) -> str:
    return look.root.rstrip("/").rpartition("/")[2] or look.root


def _slug(look: Look) -> str:
    only = look.shards[0].url if len(look.shards) == 1 and look.kind != "folder" else ""
    name = only.rpartition("/")[2].partition(".")[0] or _name(look)
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:60] or "images"


def _line(text: str) -> str:
    """Return a stranger's text as part of a comment: one line, nothing that drives a terminal."""
    shown = fit_to_print(" ".join(text.split()))
    return shown if len(shown) <= 200 else f"{shown[:199]}…"


def _scalar(text: str) -> str:
    """Return text as a YAML value, in quotes where it could be anything else."""
    if not _PLAIN.fullmatch(text) or _YAML_WORDS.fullmatch(text) or text.endswith(":"):
        return json.dumps(text, ensure_ascii=not text.isprintable())
    return text


def shell_word(text: str) -> str:
    """Return a file's name as one word of a shell; of stdout, the usual one."""
    text = "recipe.yaml" if text == STDOUT else text
    return shlex.quote(_line(text))
