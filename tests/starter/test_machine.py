"""The model that fits the GPUs: what nvidia-smi says, what is chosen, what README says of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from recaption.starter import machine
from recaption.starter.machine import Gpu, choose_engine, find_gpus, read_gpus
from recaption.starter.models import CAPTIONERS, table

TOLD = """0, GPU-8f1e, NVIDIA GeForce RTX 4090, 24564
1, GPU-77aa, NVIDIA H100 80GB HBM3, 81559
2, GPU-0c3d, NVIDIA GB10, [N/A]
"""


def test_gpus_as_nvidia_smi_tells_them() -> None:
    assert [gpu.name for gpu in read_gpus(TOLD, None)] == [
        "NVIDIA GeForce RTX 4090",
        "NVIDIA H100 80GB HBM3",
    ]
    assert [round(gpu.gib) for gpu in read_gpus(TOLD, "1")] == [80]
    assert [round(gpu.gib) for gpu in read_gpus(TOLD, "GPU-8f1e")] == [24]
    assert read_gpus(TOLD, "") == []
    assert read_gpus("No devices were found\n", None) == []


def test_a_machine_without_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_ASK", ("no-such-program",))
    assert find_gpus() == []
    monkeypatch.setattr(machine, "_ASK", ("false",))
    assert find_gpus() == []
    monkeypatch.setattr(machine, "_ASK", ("printf", "%s", TOLD))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert find_gpus() == [Gpu("NVIDIA GeForce RTX 4090", 24564 / 1024)]


@pytest.mark.parametrize(
    ("gib", "model"), [(8, "2B"), (12, "2B"), (16, "4B"), (24, "8B"), (80, "8B"), (141, "8B")]
)
def test_the_largest_usual_model_that_fits(gib: float, model: str) -> None:
    engine = choose_engine([Gpu("a card", gib), Gpu("a card", 200)], "", "")
    assert engine.settings["model"] == f"Qwen/Qwen3-VL-{model}-Instruct"
    assert any("32B" in line for line in engine.why) == (gib >= 80)


def test_too_small_a_gpu_and_none_at_all() -> None:
    small = choose_engine([Gpu("a card", 4)], "", "")
    assert "quantization" in small.settings["args"]
    assert "4 GiB" in small.why[0] and "url:" in small.instead[-1]
    none = choose_engine([], "", "")
    assert "no NVIDIA GPU" in none.why[0] and "url:" in none.instead[-1]
    assert choose_engine([], "my/model", "").settings["model"] == "my/model"


def test_readme_quotes_the_table() -> None:
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text().splitlines()
    rows = [line for line in readme if line.startswith("| `Qwen/")]
    assert rows == table()
    assert [c.billions for c in CAPTIONERS] == sorted(c.billions for c in CAPTIONERS)
