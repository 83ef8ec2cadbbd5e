"""What the shell is offered at a press of the tab key, as bash and zsh ask for it; the versions."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest
from typer.testing import CliRunner

from recaption.cli import app


def offered(words: list[str], shell: str = "bash") -> list[str]:
    """Ask as the script does that `--install-completion` installs; the last word is begun."""
    env = {"_RECAPTION_COMPLETE": f"complete_{shell}"}
    if shell == "bash":
        env |= {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    else:
        env["_TYPER_COMPLETE_ARGS"] = " ".join(words)
    told = CliRunner().invoke(app, [], env=env, prog_name="recaption")
    return told.stdout.removesuffix("\n").split("\n")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("mine.yaml", "more.YML", "notes.txt", "deep/photos.yaml", ".hidden.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_recipes_and_the_folders_that_may_hold_them(folder: Path) -> None:
    assert offered(["recaption", "caption", "m"]) == ["mine.yaml", "more.YML"]
    assert offered(["recaption", "caption", "d"]) == ["deep/", "demo"]
    assert offered(["recaption", "plan", "deep/p"]) == ["deep/photos.yaml"]
    assert offered(["recaption", "retry", f"{folder}/mi"]) == [f"{folder}/mine.yaml"]
    assert offered(["recaption", "caption", "nowhere/x"]) == [""]


def test_keys_of_a_recipe_and_their_choices() -> None:
    begun = ["recaption", "caption", "a.yaml"]
    assert offered([*begun, "source.ad"]) == ["source.adapter="]
    assert offered([*begun, "safeguards.clip.l"]) == ["safeguards.clip.least="]
    assert offered([*begun, "seed=1", "engine.k"]) == ["engine.kind="]
    assert offered([*begun, "source.follow_links="]) == [
        "source.follow_links=true",
        "source.follow_links=false",
    ]
    assert offered([*begun, "no.such.key="]) == [""]
    assert "caption.styles=[dense]" in offered([*begun, "caption.styles=[d"])


def test_bash_makes_three_words_of_an_override() -> None:
    begun = ["recaption", "caption", "a.yaml", "seed", "=", "1", "engine.kind"]
    assert offered([*begun, "=", "o"]) == ["openai"]
    assert offered([*begun, "="]) == ["vllm", "openai", "echo"]
    assert offered([*begun[:-1], "engine.num_gpus", "=", ""]) == ["auto"]


def test_zsh_is_offered_the_same() -> None:
    told = "".join(offered(["recaption", "caption", "a.yaml", "source.adapter=ya"], "zsh"))
    assert "source.adapter=yfcc100m" not in told
    told = "".join(offered(["recaption", "caption", "a.yaml", "source.adapter=yf"], "zsh"))
    assert "source.adapter=yfcc100m" in told


def test_versions_are_told_without_importing_anything() -> None:
    told = CliRunner().invoke(app, ["--version"])
    assert told.exit_code == 0
    lines = dict(line.split(maxsplit=1) for line in told.stdout.splitlines())
    assert lines["Ray"] == importlib.metadata.version("ray")
    assert lines["recaption"] == importlib.metadata.version("recaption")
    assert list(lines) == ["recaption", "vLLM", "Ray", "torch", "transformers", "Python"]
