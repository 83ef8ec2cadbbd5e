"""The image that every engine has to caption before it is given others."""

from __future__ import annotations

import asyncio
import io

from recaption.config import EngineConfig
from recaption.engines.base import CaptionEngine, EngineBootError, Job, JobImage
from recaption.keyed import hexdigest
from recaption.sample import Request

TEST_PROMPT = "Describe the image."
"""What is asked at boot, and of a server in doubt."""

_SIDE = 64  # pixels; some models refuse less than 28
_SEED = 2**62 + 7  # as long as seeds of samples are: some servers take 31 bits only


def trial_job() -> Job:
    """A grey image: shows that an engine takes images and our parameters."""
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (_SIDE, _SIDE), "grey").save(file, "PNG")
    data = file.getvalue()
    request = Request("test", TEST_PROMPT, "test", "", n=1, seed=_SEED, is_extra=True)
    return Job("test", JobImage(data, hexdigest(data)), request)


async def prove(engine: CaptionEngine, config: EngineConfig) -> None:
    """Have a test image captioned. Raises EngineBootError where the engine cannot, closed then."""
    try:
        await asyncio.wait_for(engine.answer(trial_job()), config.timeout_s)
    except Exception as e:  # of whatever kind: its other answers would be no better
        await engine.close()
        why = str(e) or type(e).__name__
        if isinstance(e, TimeoutError):
            why = f"no answer within engine.timeout_s={config.timeout_s:g}"
        text = f"engine.model {config.model}: it cannot caption a test image: {why}"
        raise EngineBootError(text, is_final=True) from e
