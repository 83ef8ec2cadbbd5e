"""YAML as its writers mean it: each value read by the type of its key, nothing lost in silence.

PyYAML reads YAML 1.1, where `010` is 8, `1:30` is 90, `1e3` is text, a day is a date and of a key
given twice the last one counts. Here numbers are those of YAML 1.2 (and 1_000_000), text is what
stands there, whatever it looks like, and a key given twice is an error.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel

_MOST_VALUES = 100_000
_DEEPEST = 64
_TAG = "tag:yaml.org,2002:"
_PLAIN = f"{_TAG}plain"

_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = re.compile(r"(?:yes|no|true|false|on|off)", re.IGNORECASE)
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*|[1-9][0-9]{0,2}(?:_[0-9]{3})+)")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(rf"(?:{_INT.pattern}(?:\.[0-9]*)?|[-+]?\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_BEYOND = re.compile(r"([-+]?)\.(inf|nan)", re.IGNORECASE)
_LONGEST_NUMBER = 4000  # characters; Python reads no more than 4300


class RecipeYamlError(ValueError):
    """It is not YAML, or not of the YAML that recipes are made of; the message is one line."""


def read_yaml(text: str, kind: Any = Any) -> Any:
    """Read a YAML document whose values are of this type (a pydantic model, `dict[str, str]`...).

    Raises RecipeYamlError, with the line.
    """
    try:
        node = yaml.compose(text, Loader=_Loader)
    except RecursionError:
        raise RecipeYamlError(f"nested more than {_DEEPEST} deep") from None
    except yaml.YAMLError as e:
        raise RecipeYamlError(_why(e)) from e
    except ValueError as e:  # an escape of no character
        raise RecipeYamlError(str(e)) from e
    return None if node is None else _Reader().read(node, kind, ())


def read_value(raw: str, kind: Any = Any) -> Any:
    """Read what stands behind `key=` on a command line, which the shell has unquoted already.

    Text is taken as it is, in whatever characters; lists and sections are YAML.
    """
    text = raw.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return _quoted(raw, text)
    if is_text(kind):
        listed = _list_of(kind)
        if listed and text.startswith("[") and text.endswith("]"):
            return _or_raw(raw, text, listed)
        return raw
    if text[:1] + text[-1:] in ("[]", "{}") or _is_container(kind):
        return read_yaml(raw, kind)
    if text == "":
        return ""
    value = _scalar(text)
    return raw if isinstance(value, str) else value


def is_text(kind: Any) -> bool:
    """Say whether a field takes text (besides lists of it, or nothing), so never a number."""
    found = [k for k in _branches(kind) if get_origin(k) is not list and k is not type(None)]
    return bool(found) and all(_is_one_text(one) for one in found)


def field_of(kind: Any, key: str) -> Any:
    """Return the type of what a key of this type holds; Any where that is not known."""
    for one in _branches(kind):
        if isinstance(one, type) and issubclass(one, BaseModel) and key in one.model_fields:
            return one.model_fields[key].annotation
        if get_origin(one) is dict:
            return get_args(one)[1]
    return Any


def _is_one_text(kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return all(isinstance(choice, str) for choice in get_args(kind))
    return kind is str


def _branches(kind: Any) -> Iterator[Any]:
    """Yield the alternatives of a type, without what Annotated says of them."""
    origin = get_origin(kind)
    if origin is Annotated:
        yield from _branches(get_args(kind)[0])
    elif origin in (Union, types.UnionType):
        for one in get_args(kind):
            yield from _branches(one)
    else:
        yield kind


def _list_of(kind: Any) -> Any:
    return next((one for one in _branches(kind) if get_origin(one) is list), None)


def _is_container(kind: Any) -> bool:
    return any(
        get_origin(one) in (list, dict, tuple)
        or (isinstance(one, type) and issubclass(one, BaseModel))
        for one in _branches(kind)
    )


def _quoted(raw: str, text: str) -> str:
    """Return what stands between quotes that the shell left; the text itself if they are no pair"""
    return str(_or_raw(raw, text, str))


def _or_raw(raw: str, text: str, kind: Any) -> Any:
    try:
        return read_yaml(text, kind)
    except RecipeYamlError:
        return raw


def _scalar(text: str) -> Any:
    """Read a value that is not in quotes and whose type nothing tells."""
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text.lower() in ("yes", "true", "on")
    if len(text) > _LONGEST_NUMBER:
        return text
    if _INT.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    beyond = _BEYOND.fullmatch(text)
    return float("".join(beyond.groups())) if beyond else text


class _Loader(yaml.SafeLoader):
    """Composes nodes; what type a scalar without quotes or tag has is left open."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        """Return the tag of a node that has none."""
        if kind is yaml.ScalarNode:
            return _PLAIN if implicit[0] else f"{_TAG}str"
        return f"{_TAG}map" if kind is yaml.MappingNode else f"{_TAG}seq"


class _Reader:
    """Turns nodes into values, a bounded number of them."""

    def __init__(self) -> None:
        self._values = 0
        self._open: list[yaml.Node] = []

    def read(self, node: yaml.Node, kind: Any, path: tuple[str, ...]) -> Any:
        """Read a node by the type of its key. Raises RecipeYamlError."""
        self._values += 1
        where = f" in line {node.start_mark.line + 1}"
        if self._values > _MOST_VALUES:
            raise RecipeYamlError(f"more than {_MOST_VALUES:,} values: anchors that multiply?")
        if any(node is one for one in self._open):
            raise RecipeYamlError(f"an anchor that holds itself{where}")
        if len(self._open) >= _DEEPEST:
            raise RecipeYamlError(f"nested more than {_DEEPEST} deep{where}")
        if isinstance(node, yaml.ScalarNode):
            return self._one(node, kind, where)
        _check_tag(node, where, "map" if isinstance(node, yaml.MappingNode) else "seq")
        self._open.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self._section(node, kind, path)
            item = next(iter(get_args(_list_of(kind))), Any)
            return [self.read(one, item, (*path, str(i))) for i, one in enumerate(node.value)]
        finally:
            self._open.pop()

    def _one(self, node: yaml.ScalarNode, kind: Any, where: str) -> Any:
        _check_tag(node, where, "plain", "str", "int", "float", "bool", "null")
        text = str(node.value)
        if node.tag == f"{_TAG}str" or (is_text(kind) and not _NULL.fullmatch(text)):
            return text
        return _scalar(text)

    def _section(self, node: yaml.MappingNode, kind: Any, path: tuple[str, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        lines: dict[str, int] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise RecipeYamlError(f"expected a word before the colon in line {line}")
            key = str(key_node.value)
            here = (*path, key)
            if key in lines:
                both = f"lines {lines[key]} and {line}" if line != lines[key] else f"line {line}"
                raise RecipeYamlError(f"{'.'.join(here)} is given twice ({both})")
            lines[key] = line
            if key == "<<" and key_node.style is None:
                merged = self._merge(value_node, kind, path)
            else:
                found[key] = self.read(value_node, field_of(kind, key), here)
        return merged | found

    def _merge(self, node: yaml.Node, kind: Any, path: tuple[str, ...]) -> dict[str, Any]:
        """Read what `<<: *anchor` takes over: earlier sections win, and the section's own keys."""
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        found: dict[str, Any] = {}
        for one in nodes:
            value = self.read(one, kind, path)
            if not isinstance(value, dict):
                line = node.start_mark.line + 1
                raise RecipeYamlError(f"<<: expected a section to take over in line {line}")
            found = value | found
        return found


def _check_tag(node: yaml.Node, where: str, *known: str) -> None:
    if node.tag not in {f"{_TAG}{name}" for name in known}:
        shown = node.tag.replace(_TAG, "!!")
        raise RecipeYamlError(f"the tag {shown} is not taken here{where}")


def _why(error: yaml.YAMLError) -> str:
    """Say in one line what YAML dislikes, and where."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    if "found another document" in problem:
        problem = "several documents separated by ---: expected one"
    elif r"'\t'" in problem:
        problem = "a tab: indent with spaces"
    elif "undefined alias" in problem or "an alias" in str(getattr(error, "context", "")):
        problem += "; put quotes around a value that begins with *"
    elif "that cannot start any token" in problem:
        problem += "; put quotes around the value"
    return " ".join(problem.split()) + (f" in line {mark.line + 1}" if mark else "")


class _Dumper(yaml.SafeDumper):
    """Puts quotes around text that this reader or another would take for something else."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Write text; what ends a line to YAML stands escaped in double quotes."""
    style = '"' if any(end in text for end in "\x85\u2028\u2029") else None
    return dumper.represent_scalar(f"{_TAG}str", text, style=style)


_Dumper.add_representer(str, _text)

for _tag, _pattern in (
    ("int", f"(?:{_INT.pattern}|{_BASED.pattern})"),
    ("float", f"(?:{_FLOAT.pattern})"),
    ("float", f"(?i:{_BEYOND.pattern})"),
    ("bool", f"(?i:{_BOOL.pattern})"),
):
    _Dumper.add_implicit_resolver(
        f"{_TAG}{_tag}", re.compile(f"^{_pattern}$"), list("+-.0123456789nNyYtTfFoO")
    )


def write_yaml(data: Any) -> str:
    """Write plain data as YAML that `read_yaml` reads back the same, and PyYAML too."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
