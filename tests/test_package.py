"""What a user installs: the wheel holds all that runs need, and captioning little to train with."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.command_line import recaption

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NOT_SHIPPED = {".png"}  # pictures of the README


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy, as an installer does but without any network; unpack it."""
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
    for name in ("recaption", "train", "configs"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    build = f"from setuptools import build_meta; build_meta.build_wheel({str(out)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=tree, check=True, capture_output=True)
    (wheel,) = out.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(out / "site")
    return out / "site"


def run(site: Path, cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python on the unpacked wheel, in a folder that is no checkout."""
    environment = os.environ | {"PYTHONPATH": str(site), "PYTHONSAFEPATH": "1"}
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True
    )


def files_below(folder: Path) -> dict[str, bytes]:
    """Return every file but compiled code, by path, through links."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for place, _, names in os.walk(folder, followlinks=True)
        for file in (Path(place, name) for name in names)
        if "__pycache__" not in file.parts
    }


def test_the_wheel_holds_every_file_of_the_packages(site: Path) -> None:
    for package in ("recaption", "train"):
        ours = files_below(ROOT / package)
        shipped = {name: ours[name] for name in ours if Path(name).suffix not in NOT_SHIPPED}
        assert files_below(site / package) == shipped
    assert (site / "recaption/configs/caption/photos.yaml").is_file()
    assert sorted(p.name for p in site.iterdir() if p.suffix != ".dist-info") == [
        "recaption",
        "train",
    ]


def test_the_wheel_says_what_may_be_done_with_it(site: Path) -> None:
    (info,) = site.glob("*.dist-info")
    metadata = (info / "METADATA").read_text()
    assert "\nLicense-Expression: Apache-2.0\n" in metadata
    assert "Apache License" in (info / "licenses/LICENSE").read_text()
    assert "recaption = recaption.cli:main" in (info / "entry_points.txt").read_text()


def test_the_wheel_runs_outside_a_checkout(site: Path, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    shutil.copy(ROOT / "configs/study/captions-plot.png", tmp_path / "images")
    plan = ["source.path=images", "engine={kind: echo}", "--dry-run"]
    told = run(site, tmp_path, "-m", "recaption", "caption", "photos", *plan)
    assert told.returncode == 0, told.stderr
    assert "nothing written: without --dry-run 1 shards" in told.stdout
    told = run(site, tmp_path, "-m", "recaption", "train", "demo", "images=1000", "--dry-run")
    assert told.returncode == 2 and f"{tmp_path}/out/demo/corpus: not a corpus" in told.stderr


WITHOUT = """
import importlib, pkgutil, sys
from recaption import training

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {*training.EXTRA, "tensorboardX", "webdataset", "datasets"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
import recaption
for one in pkgutil.walk_packages(recaption.__path__, "recaption."):
    if one.name != "recaption.__main__":
        importlib.import_module(one.name)
"""


def test_captioning_needs_nothing_of_the_training_extra(site: Path, tmp_path: Path) -> None:
    told = run(site, tmp_path, "-c", WITHOUT)
    assert told.returncode == 0, told.stderr
    names = {re.split(r"[\[=<>]", line)[0] for line in PROJECT["dependencies"]}
    extra = {re.split(r"[\[=<>]", one)[0] for one in PROJECT["optional-dependencies"]["train"]}
    assert extra - {"ray"} == {"diffusers", "matplotlib", "tensorboard", "torchmetrics"}
    assert not names & (extra - {"ray"})


def test_training_without_its_extra_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("recaption.training.EXTRA", ("torch", "no_such_module"))
    told = recaption("train", "demo", "--dry-run")
    assert told.code == 2
    assert "needs no_such_module, not installed here: pip install" in told.complaint


@pytest.mark.parametrize("name", ["train.py", "train/__init__.py"])
def test_a_file_that_hides_our_training_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("")
    monkeypatch.chdir(tmp_path)
    assert f"{tmp_path / name} hides" in recaption("train", "demo").complaint


def test_each_dependency_has_its_reason() -> None:
    table = (ROOT / "pyproject.toml").read_text().partition("[project.scripts]")[0]
    asked = re.findall(r'^    "([\w-]+)(?:\[[\w,]+\])?[=<>][^"]*",(.*)$', table, re.MULTILINE)
    assert len(asked) > 25
    assert [name for name, rest in asked if not re.match(r" +# \S.{7}", rest)] == []
