"""Who is to blame for an answer that is none: the request, the server for now, or for good.

Plain functions of plain values; nothing here talks to a server.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from recaption.engines.base import RequestFailed
from recaption.sample import Reason
from recaption.text import printable

_TOO_LONG = re.compile(
    r"context[ _-]?(length|window|size)|model length|max_model_len|too long|too large", re.I
)
_NO_MONEY = re.compile(
    r"insufficient[ _](quota|balance|credit|fund)|billing_hard_limit|credit balance is too low"
    r"|payment[ _]required",
    re.I,
)
_NO_SUCH = re.compile(r"unexpected endpoint|not found|no such|does not exist", re.I)
_BUSY = (429, 503, 529)  # 503 is also vLLM's full queue and a model that loads, 529 is Anthropic's
_BUSY_WAIT_S = 1.0  # where the server does not say how long
_LONGEST_WAIT_S = 600.0
_WORDS = 500  # characters of a server's message that are kept
_READ = 20_000  # bytes of a body that are looked at for a message


class Trouble(Exception):
    """An attempt without an answer, which may get one later.

    `was_sent`: the server had the request, so that the request itself may be the cause.
    `is_answer`: the server is there and has said so itself. `wait_s`: how long it asks to wait.
    `is_hopeless`: what answers there is no such server, so that a boot need not wait for it.
    `status`: of HTTP, 0 where there was none.
    """

    def __init__(
        self,
        text: str,
        *,
        was_sent: bool = True,
        is_answer: bool = False,
        wait_s: float = 0.0,
        is_hopeless: bool = False,
        status: int = 0,
    ) -> None:
        super().__init__(text)
        self.was_sent = was_sent
        self.is_answer = is_answer
        self.wait_s = wait_s
        self.is_hopeless = is_hopeless
        self.status = status


class Denied(Exception):
    """The server will not serve us: wrong key, address or model, or no money left.

    Where it does serve others, it will not serve this request: then no other is touched by it.
    """

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


def judge(status: int, headers: Mapping[str, str], raw: bytes) -> Exception:
    """Return the error that a status other than 200 stands for."""
    code, words = message_of(raw)
    text = f"HTTP {status}: {words}"
    if 300 <= status < 400:
        return Denied(f"{text} -> {printable(headers.get('Location', '?'))[:_WORDS]}", status)
    if status in (402, 429) and (status == 402 or _NO_MONEY.search(f"{code} {words}")):
        return Denied(text, status)
    if status == 429 and "request too large" in words.casefold():
        return RequestFailed(Reason.REQUEST_TOO_LONG, text)
    if status in _BUSY:
        wait_s = _seconds(headers.get("Retry-After", ""))
        return Trouble(text, was_sent=False, is_answer=True, wait_s=wait_s, status=status)
    if status >= 500 or status in (408, 409, 425):
        # 502 is of a proxy whose server is gone: a doubt about the server, at once
        return Trouble(text, is_answer=status != 502, status=status)
    if status in (401, 403, 404, 405) or status < 400:
        return Denied(text, status)
    is_too_long = status == 413 or _TOO_LONG.search(words)
    return RequestFailed(Reason.REQUEST_TOO_LONG if is_too_long else Reason.REQUEST_FAILED, text)


def parse(raw: bytes, content_type: str) -> Any:
    """Return the JSON of an answer with status 200. Raises Trouble where it is none, or an error.

    Errors that some servers send with status 200 are judged by the status that they name.
    """
    start = raw[:100].lstrip().lower()
    if "event-stream" in content_type or start.startswith((b"data:", b"event:")):
        raise _other("it sends a stream of events", "one answer", raw)
    if start.startswith(b"<"):
        raise _other("it sends a web page", "JSON: engine.url ends in /v1, as a rule", raw)
    try:
        answer = json.loads(raw)
    except (ValueError, RecursionError) as e:
        text = f"not JSON ({type(e).__name__}): {cut(repr(raw[:100]))}"
        raise Trouble(text, is_answer=True) from e
    if isinstance(answer, dict) and answer.get("error") and not answer.get("choices"):
        raise _error_in_answer(answer["error"], raw)
    return answer


def _other(what: str, expected: str, raw: bytes) -> Trouble:
    text = f"{what}, expected {expected}: {cut(repr(raw[:100]))}"
    return Trouble(text, is_answer=True, is_hopeless=True)


def _error_in_answer(error: Any, raw: bytes) -> Exception:
    code = error.get("code") if isinstance(error, dict) else None
    if isinstance(code, int) and 400 <= code < 600:
        return judge(code, {}, raw)
    words = message_of(raw)[1]
    is_hopeless = bool(_NO_SUCH.search(words))  # LM Studio's answer to a URL without its /v1
    return Trouble(f"HTTP 200 with an error: {words}", is_answer=True, is_hopeless=is_hopeless)


def message_of(raw: bytes) -> tuple[str, str]:
    """Return an error's code or type, and the server's own words with the parameter they name."""
    try:
        answer = json.loads(raw)
        if isinstance(answer, list) and answer:  # Gemini's
            answer = answer[0]
        error = answer.get("error") or answer.get("detail") or answer.get("message") or answer
    except (ValueError, AttributeError, RecursionError):
        return "", cut(raw[:_READ].decode("utf-8", "replace")) or "no message"
    try:
        return _code(error), cut(_words(error)) or "no message"
    except RecursionError:
        return "", "a message without end"


def _code(error: Any) -> str:
    return f"{error.get('code')} {error.get('type')}" if isinstance(error, dict) else ""


def _words(error: Any) -> str:
    if isinstance(error, list):  # FastAPI's, one for each field at fault; "input" echoes all of it
        return "; ".join(_words(one) for one in error[:10])
    if not isinstance(error, dict):
        return str(error)
    if "loc" in error:
        where = error["loc"] if isinstance(error["loc"], list) else [error["loc"]]
        return f"{'.'.join(map(str, where))}: {error.get('msg', '')}"
    name = error.get("param")
    words = error.get("message") or error.get("msg") or json.dumps(error)
    return f"{words} (param {name})" if name else str(words)


def cut(text: str) -> str:
    """Return the start of a stranger's text, on one line."""
    text = printable(text[:_READ])
    return text if len(text) <= _WORDS else text[: _WORDS - 1] + "…"


def _seconds(retry_after: str) -> float:
    """Retry-After in seconds, from now where it is a date (RFC 9110, 10.2.3)."""
    try:
        wait_s = float(retry_after)
    except ValueError:
        try:
            wait_s = parsedate_to_datetime(retry_after).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return _BUSY_WAIT_S
    return min(max(0.0, wait_s), _LONGEST_WAIT_S) if wait_s == wait_s else _BUSY_WAIT_S
