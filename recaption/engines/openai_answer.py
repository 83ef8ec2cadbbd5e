"""Reads chat completions: whatever a server may send becomes captions, or one request's failure.

Every number is checked, every text is cleaned of what is no text, and an answer without text
says why: all went into reasoning, a filter withheld it, the model refused.
"""

from __future__ import annotations

import contextlib
import math
import reprlib
from collections.abc import Iterator, Mapping
from typing import Any

from recaption.engines.base import RequestFailed, caption_text
from recaption.engines.choices import weigh
from recaption.engines.openai_blame import Trouble, cut
from recaption.sample import Caption, Reason, Request

_MOST = 2**31 - 1  # of tokens: what the corpus can hold
_FILTERS = ("filter", "safety", "recitation", "prohibited", "blocklist", "sensitive", "spii")
_REASONING = ("reasoning_content", "reasoning", "thinking")
_MORE_ROOM = (
    "raise sampling.max_tokens, or turn thinking off by engine.args, such as"
    " chat_template_kwargs: {enable_thinking: false} or reasoning_effort: low"
)


class NoText(RequestFailed):
    """The server answered, but with no text; the message says why."""


def read_captions(answer: Any, first_seed: int, n: int, max_tokens: int) -> list[Caption]:
    """Return the captions of an answer, in the order of their seeds.

    Raises Trouble where it is no such answer, RequestFailed naming n where there are too few, and
    where one is longer than `max_tokens` can be, NoText where none has any and it is known why.
    """
    with _trouble_where_it_is_none(answer):
        captions = _read(answer, first_seed, n, max_tokens)
        if not any(caption.text for caption in captions):
            _tell_why_empty(answer, n)
        return captions


@contextlib.contextmanager
def _trouble_where_it_is_none(answer: Any) -> Iterator[None]:
    try:
        yield
    except (TypeError, KeyError, ValueError, AttributeError, IndexError) as e:
        what = cut(reprlib.repr(answer))
        text = f"not a chat completion ({type(e).__name__}: {cut(str(e))}): {what}"
        raise Trouble(text, is_answer=True) from e


def _read(answer: Any, first_seed: int, n: int, max_tokens: int) -> list[Caption]:
    usage = _dict(answer.get("usage"))
    choices = _choices(answer, n)
    captions = [_caption(c, usage, first_seed + i, n) for i, c in enumerate(choices)]
    if len(captions) < n:
        why = f"asked for n = {n} captions, got {len(captions)} choices"
        raise RequestFailed(Reason.REQUEST_FAILED, why)
    longest = max(len(caption.text) for caption in captions)
    if longest > most_characters(max_tokens):
        why = f"an answer of {longest:,} characters, which {max_tokens} tokens cannot be"
        raise RequestFailed(Reason.REQUEST_FAILED, why)
    return captions


def most_characters(max_tokens: int) -> int:
    """Return how long a caption may be: more than any real one, less than would stall a check."""
    return min(max(4_000, 128 * max_tokens), 100_000)


def read_choices(answer: Any, request: Request) -> list[Caption]:
    """Return what the answer to a question makes of each choice.

    Of a server that tells no log-probabilities, the word it said counts for all. Raises Trouble,
    RequestFailed.
    """
    with _trouble_where_it_is_none(answer):
        (said,) = _read(answer, request.seed, 1, 1)
        tokens = _first_tokens(answer)
        if not tokens and not said.text:
            _tell_why_empty(answer, 1)
    return weigh(request, tokens or [(said.text, 0.0)], said.prompt_tokens)


def _first_tokens(answer: Any) -> list[tuple[str, float]]:
    """Return the candidates of the first token with their log-probabilities."""
    steps = _tokens(_choices(answer, 1)[0])
    candidates = steps[0].get("top_logprobs") if steps and isinstance(steps[0], dict) else None
    return [
        (str(one.get("token")), logprob)
        for one in (candidates if isinstance(candidates, list) else [])
        if isinstance(one, dict) and (logprob := _logprob(one)) is not None
    ]


def _choices(answer: Any, n: int) -> list[Any]:
    return sorted(answer["choices"], key=_index)[:n]


def _caption(choice: Any, usage: Mapping[str, Any], seed: int, n: int) -> Caption:
    """Of `n` captions without log-probabilities no server tells the tokens of each: 0 then."""
    logprobs = [_logprob(token) for token in _tokens(choice)]
    known = [logprob for logprob in logprobs if logprob is not None]
    total = _count(usage.get("completion_tokens"))
    text = caption_text(_content(_message(choice)))
    finish = cut(str(choice.get("finish_reason") or ""))
    why = "" if text else _why_empty(choice, usage)
    return Caption(
        text=text,
        seed=seed,
        finish_reason=f"{finish}: {why}".removeprefix(": ") if why else finish,
        prompt_tokens=_count(usage.get("prompt_tokens")),
        caption_tokens=len(logprobs) or (total if n == 1 else 0),
        mean_logprob=sum(known) / len(known) if known and len(known) == len(logprobs) else None,
    )


def _message(choice: Any) -> Mapping[str, Any]:
    """What was said; one that a filter withheld may be missing, but then it says how it ended."""
    message = choice.get("message")
    if not isinstance(message, dict) and not choice.get("finish_reason"):
        raise TypeError("a choice without message and finish_reason")
    return _dict(message)


def _content(message: Mapping[str, Any]) -> str:
    """The text of a message, in one piece or in parts."""
    content = message.get("content")
    if isinstance(content, list):
        parts = [p.get("text") for p in content if isinstance(p, dict) and p.get("type") == "text"]
        content = "".join(part for part in parts if isinstance(part, str))
    if content is not None and not isinstance(content, str):
        raise TypeError(f"content is a {type(content).__name__}")
    return content or ""


def _tell_why_empty(answer: Any, n: int) -> None:
    """Raise NoText if any choice tells why it is empty."""
    for choice in _choices(answer, n):
        why = _why_empty(choice, _dict(answer.get("usage")))
        if why:
            is_refused = bool(_message(choice).get("refusal"))
            reason = Reason.REFUSAL if is_refused else Reason.REQUEST_FAILED
            raise NoText(reason, f"no text: {why}")


def _why_empty(choice: Any, usage: Mapping[str, Any]) -> str:
    """Say why a choice has no text; nothing where the model just said nothing."""
    message, finish = _message(choice), str(choice.get("finish_reason") or "")
    if message.get("refusal"):
        return f"the model refused: {cut(str(message['refusal'])) or 'without a word'}"
    if any(word in finish.casefold() for word in _FILTERS):
        return f"the server's filter withheld the answer (finish_reason {cut(finish)})"
    if isinstance(choice.get("error"), dict):
        return f"the server failed in mid-answer: {cut(str(choice['error'].get('message'))) or '?'}"
    total = _count(usage.get("completion_tokens"))
    hidden = _count(_dict(usage.get("completion_tokens_details")).get("reasoning_tokens"))
    has_thought = hidden or any(message.get(name) for name in _REASONING)
    if has_thought and finish == "length":
        of = f"all of its {total} tokens" if total else "all its tokens"
        return f"{of} went into reasoning (finish_reason length): {_MORE_ROOM}"
    if has_thought:
        return f"the answer is reasoning only (finish_reason {cut(finish)}): {_MORE_ROOM}"
    if finish == "length" and not message.get("content"):
        of = f"its {total} tokens" if total else "its tokens"
        return f"{of} are not shown, maybe reasoning (finish_reason length): {_MORE_ROOM}"
    if message.get("tool_calls") or message.get("function_call"):
        return "the model called a tool in the place of an answer"
    return ""


def _index(choice: Any) -> int:
    """A choice's place; where it is no number, that in which it came."""
    return _count(choice.get("index"))


def _tokens(choice: Any) -> list[Any]:
    content = _dict(choice.get("logprobs")).get("content")
    return content if isinstance(content, list) else []


def _logprob(token: Any) -> float | None:
    """A log-probability, None where it is none; some servers round to just above 0."""
    value = token.get("logprob") if isinstance(token, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return min(number, 0.0) if math.isfinite(number) and number < 0.01 else None


def _count(value: Any) -> int:
    """A number of tokens, 0 where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return int(value) if 0 <= value <= _MOST else 0


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
