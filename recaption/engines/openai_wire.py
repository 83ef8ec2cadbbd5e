"""The chat-completions protocol: a job to a request body, an answer to captions, an error to blame.

Plain functions of plain values; nothing here talks to a server.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from recaption.config import EngineConfig, RecipeError, SamplingConfig
from recaption.engines.base import Job, RequestFailed
from recaption.engines.choices import CANDIDATES, weigh
from recaption.sample import Caption, Reason, Request

_OURS = ("messages", "model", "n", "seed", "stream")
_VLLM_ONLY = ("top_k", "min_tokens", "repetition_penalty")
_MAX_SEED = 2**63  # what vLLM takes; the in-process engine cuts there too

_MIMES = (
    (b"\xff\xd8", "image/jpeg"),
    (b"\x89PNG", "image/png"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II", "image/tiff"),
    (b"MM", "image/tiff"),
)
_TOO_LONG = re.compile(
    r"context[ _-]?(length|window|size)|model length|max_model_len|too long|too large", re.I
)
_NAMES_N = re.compile(r"(?<![\w-])n(?![\w-])")  # the parameter, not the letter of a word
_BUSY_WAIT_S = 1.0  # where the server does not say how long
_LONGEST_WAIT_S = 600.0
_WORDS = 500  # characters of a server's message that are kept


class Trouble(Exception):
    """An attempt without an answer, which may get one later.

    `was_sent`: the server had the request, so that the request itself may be the cause.
    `is_answer`: the server is there and has said so itself. `wait_s`: how long it asks to wait.
    """

    def __init__(
        self, text: str, *, was_sent: bool = True, is_answer: bool = False, wait_s: float = 0.0
    ) -> None:
        super().__init__(text)
        self.was_sent = was_sent
        self.is_answer = is_answer
        self.wait_s = wait_s


class Denied(Exception):
    """The server will not serve us: wrong key, address or model. No request would fare better."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a server understands beyond the bare protocol, as far as it is known."""

    logprobs: bool = True
    n: bool = True
    is_vllm: bool = False

    def without(self, refusal: str, n: int) -> Dialect | None:
        """Return the dialect less the feature that the refusal of a request for `n` names, or None.

        None: it names none that the request had.
        """
        if self.logprobs and "logprobs" in refusal:
            return replace(self, logprobs=False)
        if self.n and n > 1 and _NAMES_N.search(refusal):
            return replace(self, n=False)
        return None


def check_arguments(config: EngineConfig) -> None:
    """Check that `engine.args` leave alone what is set for each request. Raises RecipeError."""
    for name in config.args:
        if name in _OURS:
            raise RecipeError(
                f"engine.args.{name}: set by recaption for each request; expected another key of"
                " the server's chat completions, such as chat_template_kwargs"
            )


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
        "seed": seed % _MAX_SEED,
        **_sampling(sampling, dialect),
    }
    if n > 1:
        body["n"] = n
    if dialect.logprobs:
        body["logprobs"] = True
    body |= config.args
    return json.dumps({k: v for k, v in body.items() if v is not None}).encode()


def shortest(body: bytes) -> bytes:
    """Return the same request for a single token."""
    fields = json.loads(body)
    fields.pop("min_tokens", None)
    for limit in ("max_tokens", "max_completion_tokens"):
        if limit in fields:
            fields[limit] = 1
    return json.dumps(fields).encode()


def question_body(body: bytes, dialect: Dialect) -> bytes:
    """Return the same request for the chances of its first token."""
    fields = json.loads(shortest(body)) | {"temperature": 0.0}
    if dialect.logprobs:
        fields["top_logprobs"] = CANDIDATES
    return json.dumps(fields).encode()


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


def read_captions(answer: Any, first_seed: int, n: int) -> list[Caption]:
    """Return the captions of an answer, in the order of their seeds.

    Raises Trouble where it is no such answer, RequestFailed naming n where there are too few.
    """
    try:
        choices = sorted(answer["choices"], key=lambda choice: int(choice["index"]))
        usage = answer.get("usage") or {}
        captions = [_caption(c, usage, first_seed + i, n) for i, c in enumerate(choices[:n])]
    except (TypeError, KeyError, ValueError, AttributeError) as e:
        why = f"{type(e).__name__}: {e}"
        text = f"not a chat completion ({why}): {_cut(str(answer))}"
        raise Trouble(text, is_answer=True) from e
    if len(captions) < n:
        why = f"asked for n = {n} captions, got {len(captions)} choices"
        raise RequestFailed(Reason.REQUEST_FAILED, why)
    return captions


def read_choices(answer: Any, request: Request) -> list[Caption]:
    """Return what the answer to a question makes of each choice.

    Of a server that tells no log-probabilities, the word it said counts for all. Raises Trouble.
    """
    (said,) = read_captions(answer, request.seed, 1)
    steps = (answer["choices"][0].get("logprobs") or {}).get("content") or []
    candidates = (steps[0].get("top_logprobs") or []) if steps else []
    tokens = [(str(one["token"]), float(one["logprob"])) for one in candidates]
    return weigh(request, tokens or [(said.text, 0.0)], said.prompt_tokens)


def _caption(choice: Any, usage: Mapping[str, Any], seed: int, n: int) -> Caption:
    """Of `n` captions without log-probabilities no server tells the tokens of each: 0 then."""
    tokens = (choice.get("logprobs") or {}).get("content") or []
    logprobs = [float(token["logprob"]) for token in tokens]
    total = int(usage.get("completion_tokens") or 0)
    return Caption(
        text=(choice["message"].get("content") or "").strip(),
        seed=seed,
        finish_reason=str(choice.get("finish_reason") or ""),
        prompt_tokens=int(usage.get("prompt_tokens") or 0),
        caption_tokens=len(logprobs) or (total if n == 1 else 0),
        mean_logprob=sum(logprobs) / len(logprobs) if logprobs else None,
    )


def judge(status: int, headers: Mapping[str, str], raw: bytes) -> Exception:
    """Return the error that a status other than 200 stands for."""
    text = f"HTTP {status}: {_message(raw)}"
    if status in (429, 503):  # 503 is also vLLM's full queue
        wait_s = _seconds(headers.get("Retry-After", ""))
        return Trouble(text, was_sent=False, is_answer=True, wait_s=wait_s)
    if status == 502:  # a proxy whose server is gone
        return Trouble(text)
    if status >= 500 or status in (408, 409, 425):
        return Trouble(text, is_answer=True)
    if status in (401, 403, 404, 405) or status < 400:
        return Denied(text)
    is_too_long = status == 413 or _TOO_LONG.search(text)
    return RequestFailed(Reason.REQUEST_TOO_LONG if is_too_long else Reason.REQUEST_FAILED, text)


def _message(raw: bytes) -> str:
    """The server's own words, with the parameter it names."""
    try:
        answer = json.loads(raw)
        error = answer.get("error") or answer.get("detail") or answer.get("message") or answer
    except (ValueError, AttributeError):
        error = raw.decode("utf-8", "replace")
    if isinstance(error, dict):
        name = error.get("param")
        error = error.get("message") or json.dumps(error)
        error = f"{error} (param {name})" if name else error
    return _cut(str(error)) or "no message"


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _WORDS else text[: _WORDS - 1] + "…"


def _seconds(retry_after: str) -> float:
    """Retry-After in seconds; its other form, a date, is not used by these servers."""
    try:
        return min(max(0.0, float(retry_after)), _LONGEST_WAIT_S)
    except ValueError:
        return _BUSY_WAIT_S
