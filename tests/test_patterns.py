"""No text can keep a regular expression busy: of each in the code, its time grows with the text.

The expressions are those of the source, found by their names and their calls, so that a new one is
tried without being added here. RECAPTION_FUZZ_S=1 tries all of what may be repeated (minutes).
"""

from __future__ import annotations

import ast
import importlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.pumped import Pump, pumps, seconds_of, texts

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for package in ("recaption", "train")
    for file in (ROOT / package).rglob("*.py")
    if re.search(r"^import re$", file.read_text("utf-8"), re.MULTILINE)
)
# Made of what the program reads: of words without their marks, which they escape.
MADE_OF_DATA = {
    "recaption.safeguards.absent": "_pattern",
    "recaption.safeguards.copied": "_in_quotes",
    "recaption.alt_text.dates": "_FORMS",  # a loop over forms, which are tried by this name
    "recaption.engines.openai_dialect": "_NAMES",  # likewise, of names that stand there
    "recaption.shapeworld.captioner.tokens": "_corpus",
    "recaption.starter.recognise": "_TABLES",  # likewise; against names of files, which are short
}
# Read what the operator writes, in which nothing of a stranger's can make a match begin.
OWN_TEXTS = ("recaption.safeguards.form._FENCED", "recaption.shapeworld.captioner.tokens")
PUMPS = 25  # tried of an expression, where RECAPTION_FUZZ_S is not set
SIZE, GROWN = 300, 8  # characters; the second text is so many times longer
LOOK, MOST = 0.0001, 0.5  # seconds of the processor from which growth is looked at; the end


@dataclass(frozen=True)
class Used:
    """An expression, where it stands, and what is asked of it."""

    where: str
    pattern: re.Pattern[Any]
    is_whole: bool

    def sweep(self, text: str) -> None:
        is_bytes = isinstance(self.pattern.pattern, bytes)
        subject = text.encode("latin-1", "replace") if is_bytes else text
        if self.is_whole:
            self.pattern.fullmatch(subject)
            self.pattern.match(subject)
            return
        for _ in self.pattern.finditer(subject):
            pass


def _patterns_in(value: object) -> Iterator[re.Pattern[str]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, (tuple, list, set, frozenset)):
        for one in value:
            yield from _patterns_in(one)
    elif isinstance(value, dict):
        yield from _patterns_in(list(value.values()))


def _is_only_matched(source: str, name: str) -> bool:
    """Whether an expression is tried at the start of texts only, and not at each place."""
    calls = set(re.findall(rf"\b{name}\.(\w+)\(", source))
    return bool(calls) and calls <= {"match", "fullmatch"}


def _named(module: ModuleType, source: str) -> Iterator[Used]:
    for name, value in vars(module).items():
        for pattern in _patterns_in(value):
            yield Used(f"{module.__name__}.{name}", pattern, _is_only_matched(source, name))


def _called(module: ModuleType, source: str) -> Iterator[Used | ast.Call]:
    """Yield the expressions in calls of `re`, or a call whose expression is made of data."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr=called)) if (
                called != "escape"
            ):
                try:
                    first, flags = _value(node.args[0], module), _flags(node, module)
                except NameError:
                    yield node
                    continue
                where = f"{module.__name__}, line {node.lineno}"
                is_whole = called in ("match", "fullmatch")
                if called != "compile":
                    yield Used(where, re.compile(first, flags), is_whole)


def _value(node: ast.expr, module: ModuleType) -> Any:
    return eval(compile(ast.Expression(node), "<test>", "eval"), vars(module))


def _flags(node: ast.Call, module: ModuleType) -> re.RegexFlag:
    given = [k.value for k in node.keywords if k.arg == "flags"] + node.args[1:]
    named = [one for one in given if re.search(r"\bre\.|_I\b", ast.unparse(one))]
    return _value(named[0], module) if named else re.RegexFlag(0)


def _of(name: str) -> list[Used]:
    module = importlib.import_module(name)
    source = Path(str(module.__file__)).read_text("utf-8")
    called = [one for one in _called(module, source) if isinstance(one, Used)]
    return [*_named(module, source), *called]


def _fault(used: Used) -> str | None:
    """Return a text that takes longer and longer, and how it grows; None where there is none."""
    for pump in _some(pumps(used.pattern)):
        for text, longer in zip(texts(pump, SIZE), texts(pump, GROWN * SIZE), strict=True):
            took = seconds_of(used.sweep, text, MOST)
            if took >= MOST or (took > LOOK and _grows(used.sweep, text, longer)):
                return f"{used.where}: {text[:60]!r} ... {text[-5:]!r}"
    return None


def _some(found: list[Pump]) -> list[Pump]:
    """Return some of many, from all over the expression; all where there is time for it."""
    step = 1 if os.environ.get("RECAPTION_FUZZ_S") else max(1, len(found) // PUMPS)
    return found[::step]


def _grows(sweep: Callable[[str], object], text: str, longer: str) -> bool:
    took = min(seconds_of(sweep, text, MOST) for _ in range(3))
    return min(seconds_of(sweep, longer, MOST) for _ in range(2)) > 3 * GROWN * took


@pytest.mark.parametrize("name", MODULES)
def test_no_text_keeps_an_expression_busy(name: str) -> None:
    tried = [used for used in _of(name) if not used.where.startswith(OWN_TEXTS)]
    faults = [fault for used in tried if (fault := _fault(used))]
    assert not faults, "\n".join(faults)


def test_what_is_made_of_data_is_known() -> None:
    made = {}
    for name in MODULES:
        module = importlib.import_module(name)
        source = Path(str(module.__file__)).read_text("utf-8")
        if any(isinstance(one, ast.Call) for one in _called(module, source)):
            made[name] = module
    assert set(made) == set(MADE_OF_DATA)
    assert all(hasattr(made[name], function) for name, function in MADE_OF_DATA.items())


@pytest.mark.parametrize(
    "pattern",
    [r"(a+)+b", r"\s+and", r"0\d(?:-?\d{2,})+(?!\w)", r"[\w+]+@", r"<\s*/?\s*b", r"(x*y*)*z"],
)
def test_the_trial_finds_what_goes_back(pattern: str) -> None:
    assert _fault(Used("here", re.compile(pattern), is_whole=False)) is not None


@pytest.mark.parametrize("pattern", [r"a+", r"\s{1,9}and", r"(?<![\w+])[\w+]++@", r"\bcat\b"])
def test_and_nothing_where_there_is_nothing(pattern: str) -> None:
    assert _fault(Used("here", re.compile(pattern), is_whole=False)) is None
