"""What README, docs, recipes and --help say to type is typed: through bash, then for real.

Each block of commands runs in order in a folder of its own that holds what they speak of: photos,
shards of rendered scenes, a corpus of each. What would need a GPU, a cluster, a bucket, a data set
or minutes runs smaller (`SMALLER`), or is named with the reason (`NOT_HERE`).
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import typer
from typer.testing import CliRunner

from recaption.corpus.reader import CorpusReader
from recaption.shapeworld.sets.rendered_set import RenderedSet
from recaption.shapeworld.sets.writing import write_set
from tests import command_line
from tests.corpora import jpeg, make_corpus
from tests.report.pages import says
from tests.test_documented_commands import APPS, COMMAND, RECIPES, ROOT, run_in_a_shell

PAGES = ["README.md", "CONTRIBUTING.md", "docs/*.md", "cluster/*.md", "examples/*.md"]
TEXTS = [text for page in PAGES for text in sorted(ROOT.glob(page))]
OTHERS = re.compile(
    r"(?:\w+=\S+ )*(?:(?:make|ray|pip|uv|git|docker|kubectl|vllm|tensorboard|export|pre-commit) \S"
    r"|(?:\S*/)?python (?:-m (?!(?:recaption|train)(?: |$))|\S+\.py)).*"
)

_LARGE = "minutes to hours"
_CLUSTER = "needs a Ray cluster, which it starts, stops or asks"
_BUCKET = "needs a bucket of that name; tests/storage and tests/corpus run on a real S3 server"
_DATA = "needs the data set; tests/datasets run on files of its layout"
NOT_HERE = {
    r"recaption (demo|retry)": f"{_LARGE}, on Ray and vLLM: tests/crash, tests/test_replay.py",
    r"train (sample|weights|crops|compare) ": f"{_LARGE}: tests/train run smaller ones",
    r"for seed in ": f"{_LARGE}: tests/train/test_compare.py runs smaller ones",
    r"configs/train/scenes.yaml": f"{_LARGE}: its corpus of 2,048 scenes",
    r"configs/train/shapes.yaml": f"{_LARGE}: its set of 40,000 scenes",
    r"^(RAY_\S+ )?ray (?!job submit)|^export RAY_|ray job submit": _CLUSTER,
    r"s3://": _BUCKET,
    r"=\S*/data/|FOLDER|'images/train_|\.bz2": _DATA,
    r"python -m (tests\.|pytest)|recaption\.shapeworld\.captioner": f"{_LARGE}; a measurement",
    r"--install-completion": "changes the settings of the shell",
    r"^pip (install|wheel)": "changes what is installed",
    r"vllm serve": "boots a server: tests/engines/test_openai_vllm_serve.py",
    r"\.templates=prompts": "needs the reader's own template: tests/test_prompts.py has one",
}
"""By an expression over a command: why it is not run. Its words and its recipe are checked all the
same (tests/test_documented_commands.py)."""

_PLAIN = ("recaption.is_live=false", "--dry-run")
_ECHO = ("engine.kind=echo", "engine.args={}")
SMALLER: dict[str, tuple[str, ...]] = {
    "recaption caption": (*_ECHO, "--dry-run"),
    "recaption plan": _ECHO,
    "recaption shapeworld render": ("--shards", "1", "--per-shard", "2"),
    "recaption train": _PLAIN,
    "train run": _PLAIN,
}
"""What is added to a command, so that it takes less than a second."""

Block = list[str]


def whole_lines(lines: list[str]) -> Iterator[str]:
    """Yield lines without notes, those that go on behind a backslash made whole."""
    rest = iter(lines)
    for line in rest:
        line = re.sub(r"^\s*(?:[a-z]+:)?\s*", "", line)
        while line.endswith("\\"):
            line = line[:-1].rstrip() + " " + next(rest).lstrip("# ").strip()
        yield re.sub(r"\s{2,}[(#].*$", "", line)


def commands(lines: list[str]) -> Block:
    return [one for one in whole_lines(lines) if COMMAND.match(one) or OTHERS.match(one)]


def spans(text: str) -> Iterator[Block]:
    for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", text):
        yield commands([" ".join(span.split()).replace("\\|", "|")])


def blocks() -> Iterator[tuple[str, Block]]:
    for text in TEXTS:
        content = text.read_text()
        code = re.compile(r"^```(?:|bash|sh|console)\n(.*?)^```", re.DOTALL | re.MULTILINE)
        for found in [*(commands(b.splitlines()) for b in code.findall(content)), *spans(content)]:
            yield text.name, found
    for recipe in RECIPES:
        header = [line[1:].strip() for line in recipe.read_text().splitlines() if line[:1] == "#"]
        yield recipe.name, commands(header)
    for name, told in helps():
        lines = [line for line in told.splitlines() if re.match(r"\s*(python|recaption) ", line)]
        for found in [commands(lines), *spans(told)]:
            yield name, found


def helps() -> Iterator[tuple[str, str]]:
    """Yield what each command's --help says."""
    left: list[tuple[str, Any]] = [(n, typer.main.get_command(app)) for n, app in APPS.items()]
    while left:
        name, command = left.pop()
        left += [(f"{name} {sub}", one) for sub, one in getattr(command, "commands", {}).items()]
        options = [getattr(one, "help", "") or "" for one in command.params]
        yield f"{name} --help", "\n".join([command.help or "", command.epilog or "", *options])


def documented() -> dict[str, Block]:
    """Return what is to be run, by a name; a block that stands twice is there once."""
    found: dict[tuple[str, ...], str] = {}
    for where, block in blocks():
        if block:
            found.setdefault(tuple(block), f"{where}: {block[0][:60]}")
    return {f"{name} [{i}]": list(block) for i, (block, name) in enumerate(found.items())}


DOCUMENTED = documented()


def why_not(command: str) -> str:
    return next((why for what, why in NOT_HERE.items() if re.search(what, command)), "")


RUN = {name: left for name, b in DOCUMENTED.items() if (left := [c for c in b if not why_not(c)])}


def test_each_reason_is_one_of_a_command() -> None:
    every = [command for block in DOCUMENTED.values() for command in block]
    unused = [what for what in NOT_HERE if not any(re.search(what, one) for one in every)]
    assert unused == []
    assert len(RUN) > 20


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the texts speak of, under the names that they have there."""
    world = tmp_path_factory.mktemp("world")
    shards, demo = world / "SHARDS", world / "out" / "demo"
    write_set(RenderedSet(1, 1, 24, 48, "jpg", False), "webdataset", str(shards), 1, lambda _: None)
    (world / "PHOTOS").mkdir()
    for i in range(3):
        (world / "PHOTOS" / f"{i}.jpg").write_bytes(jpeg(size=(300 + i, 200)))
        (world / "PHOTOS" / f"{i}.txt").write_text(f"photo {i}")
    shutil.copytree(world / "PHOTOS", world / "images")
    answer = says("A red circle on a plain blue background.")
    make_corpus(world / "CORPUS", shards, answer=answer)
    make_corpus(world / "out" / "captions", world / "PHOTOS", answer=answer)
    shutil.copytree(shards, demo / "shards")
    make_corpus(demo / "corpus", demo / "shards", answer=answer)
    for name in ("shapeworld", "scenes"):
        shutil.copytree(demo, world / "out" / name)
    shutil.copytree(world / "out" / "captions", world / "out" / "captions-PHOTOS")
    (world / "configs").symlink_to(ROOT / "configs")
    (world / "RECIPE").write_text(
        "source: {path: PHOTOS}\nengine: {kind: echo}\ncorpus: {path: out/captions}\n"
    )
    return world


@pytest.fixture
def world(things: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = shutil.copytree(things, tmp_path / "world", symlinks=True)
    monkeypatch.chdir(place)
    return place


@pytest.mark.parametrize("name", RUN)
def test_a_documented_command_runs(name: str, world: Path) -> None:
    for command in RUN[name]:
        if COMMAND.match(command):
            for program, *words in run_in_a_shell(command):
                for given in alternatives(words):
                    run_ours(program, given)
        else:
            run_another(command)


def alternatives(words: list[str]) -> list[list[str]]:
    """Return the words once for each of the choices `a|b|c` among them; FORMAT is any of them."""
    words = ["jsonl" if word == "FORMAT" else word for word in words]
    for at, word in enumerate(words):
        if re.fullmatch(r"\w+(\|\w+)+", word):
            return [[*words[:at], one, *words[at + 1 :]] for one in word.split("|")]
    return [words]


def run_ours(program: str, words: list[str]) -> None:
    """Run one of our commands; one that a sentence merely names is asked for its --help."""
    if program == "train" or words[:1] == ["train"]:
        words = ["configs/train/demo.yaml" if word == "RECIPE" else word for word in words]
    name, rest = command_of(program, words)
    if words[-1:] == ["PATH"]:
        shutil.rmtree("PATH", ignore_errors=True)
        if name in ("recaption move", "recaption init"):
            shutil.copytree("SHARDS", "PATH")
    if name == "recaption shapeworld render":
        shutil.rmtree(words[words.index("--out") + 1], ignore_errors=True)
    given = [*words, *SMALLER.get(name, ())] if rest else [*words, "--help"]
    if program == "recaption":
        result = command_line.recaption(*given)
        code, told = result.code, result.out + result.err
    else:
        ran = CliRunner().invoke(APPS["train"], given)
        code, told = ran.exit_code, f"{ran.output}{ran.exception or ''}"
    assert code == 0 and told, f"{program} {' '.join(given)}\n{told}"


def command_of(program: str, words: list[str]) -> tuple[str, list[str]]:
    """Return a command's whole name, and what stands behind it."""
    group: Any = typer.main.get_command(APPS[program])
    if program == "train" and words and words[0] not in group.commands:
        words = ["run", *words]
    while words and words[0] in getattr(group, "commands", {}):
        group, program, words = group.commands[words[0]], f"{program} {words[0]}", words[1:]
    return program, words


def run_another(command: str) -> None:
    """See that a target is one of the Makefile's; nothing else is run."""
    assert command.startswith("make "), f"neither run nor in NOT_HERE: {command}"
    asked = subprocess.run(
        ["bash", "-c", command.replace("make", "make -n", 1)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 0, asked.stderr


def snippets(language: str) -> list[tuple[str, str]]:
    """Those of docs/api.md run in tests/api/test_documented.py, one after another, on Ray."""
    code = re.compile(rf"^```{language}\n(.*?)^```", re.DOTALL | re.MULTILINE)
    texts = [text for text in TEXTS if text.name != "api.md"]
    return [(text.name, one) for text in texts for one in code.findall(text.read_text())]


@pytest.mark.parametrize(("where", "code"), snippets("python"))
def test_python_in_the_docs_runs(where: str, code: str, world: Path) -> None:
    exec(compile(code, where, "exec"), {"__name__": where})


@pytest.mark.parametrize(("where", "code"), snippets("sql"))
def test_sql_in_the_docs_runs(where: str, code: str, world: Path) -> None:
    fingerprint = CorpusReader("out/captions").fingerprint
    found = duckdb.connect().execute(code.replace("FINGERPRINT", fingerprint)).fetchall()
    assert found
