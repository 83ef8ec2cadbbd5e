"""How vLLM is given an image and a prompt, in whatever way a model's chat template takes them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from recaption.config import EngineConfig
from recaption.engines.boot_log import BootLog
from recaption.engines.vllm import _boot_failure, chat_prompt, engine_arguments
from recaption.shapeworld.captioner import BUILT_IN

pytestmark = pytest.mark.vllm

IN_PARTS = (
    "{% for m in messages %}{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ c['text'] }}{% endif %}{% endfor %}{% endfor %}{{ '!' }}"
)
AS_STRING = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}{% endfor %}"
WITHOUT_TEXT = "{% for m in messages %}{{ m['role'] }}{% endfor %}"
PLACEHOLDER = "<|vision_start|><|image_pad|><|vision_end|>"


def chat(folder: Path, template: str) -> Any:
    """Return the function that writes prompts for a checkpoint with a template; boots nothing."""
    from vllm import AsyncEngineArgs
    from vllm.renderers import renderer_from_config

    model = folder / "model"
    shutil.copytree(BUILT_IN["builtin:shapeworld"], model)
    (model / "chat_template.jinja").write_text(template)
    args = {"dtype": "float32", "enforce_eager": True, "max_model_len": 512}
    config = EngineConfig(kind="vllm", model=str(model), args=args)
    made = AsyncEngineArgs(**engine_arguments(config)).create_engine_config()
    return chat_prompt(SimpleNamespace(vllm_config=made, renderer=renderer_from_config(made)))


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        (IN_PARTS, f"{PLACEHOLDER}see {{this}}!"),
        (AS_STRING, f"user: {PLACEHOLDER}\nsee {{this}}"),
    ],
)
def test_a_template_gets_the_message_as_it_takes_it(
    tmp_path: Path, template: str, wanted: str
) -> None:
    assert chat(tmp_path, template)("see {this}") == wanted


def test_a_template_that_leaves_the_text_out_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="leaves out the user's text"):
        chat(tmp_path, WITHOUT_TEXT)


def test_what_vllm_says_of_a_wrong_argument_is_one_final_line() -> None:
    from vllm import AsyncEngineArgs

    args = {"dtype": "float33"}
    config = EngineConfig(kind="vllm", model="builtin:shapeworld", args=args)
    with pytest.raises(Exception, match="float33") as error:
        AsyncEngineArgs(**engine_arguments(config)).create_engine_config()
    failure = _boot_failure(error.value, config, told(""))
    assert failure.is_final and "dtype" in str(failure) and "\n" not in str(failure)


def test_threads_of_the_cpu_worker_sleep_while_they_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    from vllm.platforms import current_platform

    if not current_platform.is_cpu():
        pytest.skip("a GPU does the work here")
    monkeypatch.delenv("KMP_BLOCKTIME", raising=False)
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")  # a user's own word stands
    engine_arguments(EngineConfig(kind="vllm", model="builtin:shapeworld"))
    assert (os.environ["KMP_BLOCKTIME"], os.environ["OMP_WAIT_POLICY"]) == ("0", "ACTIVE")


def told(cause: str) -> BootLog:
    """A log in which the engine's process left a cause."""
    log: Any = SimpleNamespace(cause=lambda: cause)
    return cast("BootLog", log)


@pytest.mark.parametrize(
    ("cause", "is_final"),
    [
        ("", False),
        ("ValueError: To serve at least one request, 4 GiB KV cache is needed", True),
        ("ValueError: Free memory on device (1 GiB) is less than desired", False),
        ("OutOfMemoryError: CUDA out of memory", False),
    ],
)
def test_what_its_own_process_died_of_is_told_with_the_model(cause: str, is_final: bool) -> None:
    config = EngineConfig(kind="vllm", model="a/b")
    error = RuntimeError("Engine core initialization failed. See root cause above.")
    failure = _boot_failure(error, config, told(cause))
    assert failure.is_final is is_final
    assert str(failure).startswith(f"engine.model a/b: vLLM: {cause or 'Engine core'}")
