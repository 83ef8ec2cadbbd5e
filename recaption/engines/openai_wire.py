"""The chat-completions protocol, our side of it: a job becomes the body of a request.

Plain functions of plain values; nothing here talks to a server.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from recaption.config import EngineConfig, RecipeError, SamplingConfig
from recaption.engines.base import Job
from recaption.engines.openai_dialect import Dialect

_OURS = ("messages", "model", "n", "seed", "stream")
_CAN_BE_NULL = ("n", "seed")
_VLLM_ONLY = ("top_k", "min_tokens", "repetition_penalty")
_LIMITS = ("max_tokens", "max_completion_tokens")
_LONG_SEED, _SHORT_SEED = 2**63, 2**31  # what vLLM takes (the in-process engine cuts there, too)

_MIMES = (
    (b"\xff\xd8", "image/jpeg"),
    (b"\x89PNG", "image/png"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II", "image/tiff"),
    (b"MM", "image/tiff"),
)


def check_arguments(config: EngineConfig) -> None:
    """Check that `engine.args` leave alone what is set for each request. Raises RecipeError."""
    for name, value in config.args.items():
        if name in _OURS and not (value is None and name in _CAN_BE_NULL):
            null = f"; null leaves it out: engine.args.{name}=null" if name in _CAN_BE_NULL else ""
            raise RecipeError(
                f"engine.args.{name}: set by recaption for each request; expected another key of"
                f" the server's chat completions, such as chat_template_kwargs{null}"
            )


def parameters(
    job: Job, seed: int, n: int, config: EngineConfig, sampling: SamplingConfig, dialect: Dialect
) -> dict[str, Any]:
    """Return what is sent beside model and messages, `engine.args` aside.

    Of a question, a single token is asked for, with the chances of others in its place.
    """
    fields: dict[str, Any] = {
        "seed": seed % (_LONG_SEED if dialect.has_long_seeds else _SHORT_SEED),
        **_sampling(sampling, dialect),
        "logprobs": True,
    }
    if n > 1:
        fields["n"] = n
    if dialect.says_completion_tokens and "max_tokens" in fields:
        fields["max_completion_tokens"] = fields.pop("max_tokens")
    if job.request.choices:
        fields |= {"temperature": 0.0, "top_logprobs": dialect.candidates}
    if "logprobs" in dialect.left_out:
        fields.pop("top_logprobs", None)
    unwanted = dialect.left_out | config.args.keys()
    return {name: value for name, value in fields.items() if name not in unwanted}


def chat_body(
    job: Job, seed: int, n: int, config: EngineConfig, sampling: SamplingConfig, dialect: Dialect
) -> bytes:
    """Return the JSON of a request. The image comes first, for the captions to share its prefix.

    `engine.args` are merged in last; one that is null takes its key out.
    """
    image = {"type": "image_url", "image_url": {"url": _data_uri(job.image.data)}}
    text = {"type": "text", "text": job.request.prompt}
    body: dict[str, Any] = {
        "model": config.model,
        "messages": [{"role": "user", "content": [image, text]}],
        **parameters(job, seed, n, config, sampling, dialect),
    }
    body |= {name: value for name, value in config.args.items() if value is not None}
    if job.request.choices:
        _shorten(body)
        body |= {"temperature": 0.0} if "temperature" in body else {}
    return json.dumps(body).encode()


def shortest(body: bytes) -> bytes:
    """Return the same request for a single token."""
    fields = json.loads(body)
    _shorten(fields)
    return json.dumps(fields).encode()


def _shorten(fields: dict[str, Any]) -> None:
    fields.pop("min_tokens", None)
    for limit in _LIMITS:
        if limit in fields:
            fields[limit] = 1


def _sampling(sampling: SamplingConfig, dialect: Dialect) -> dict[str, Any]:
    """To a vLLM all of it: what is left out it takes from the model's generation_config.json.

    Qwen's set top_k and repetition_penalty there, by which seeds may cease to matter.
    """
    fields = sampling.model_dump()
    for name in _VLLM_ONLY:
        if not dialect.is_vllm and fields[name] == SamplingConfig.model_fields[name].default:
            del fields[name]
    return fields


def _data_uri(data: bytes) -> str:
    return f"data:{_mime(data)};base64,{base64.b64encode(data).decode('ascii')}"


def _mime(data: bytes) -> str:
    for signature, mime in _MIMES:
        if data.startswith(signature):
            return mime
    if data[8:12] == b"WEBP":
        return "image/webp"
    return "image/avif" if data[4:8] == b"ftyp" else "application/octet-stream"
