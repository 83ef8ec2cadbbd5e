"""What an endpoint may answer: whatever it is, it becomes captions or that request's failure."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from recaption.engines.base import RequestFailed
from recaption.engines.openai_answer import NoText, most_characters, read_captions, read_choices
from recaption.engines.openai_blame import Denied, Trouble, judge, parse
from recaption.sample import Caption, Reason, Request
from recaption.text import printable

SEED = 14
EXTRA_FORBIDDEN = b'{"detail": [{"loc": ["body", "seed"], "msg": "extra", "input": {"n": 1}}]}'


def answer(message: dict[str, Any] | None = None, **choice: Any) -> dict[str, Any]:
    content = {"content": "a red cat"} if message is None else message
    usage = {"prompt_tokens": 5, "completion_tokens": 3}
    return {"choices": [{"index": 0, "message": content, "finish_reason": "stop"} | choice]} | {
        "usage": usage
    }


def read(given: Any, n: int = 1) -> list[Caption]:
    return read_captions(given, 7, n, 256)


def check_captions(captions: list[Caption]) -> None:
    """They can be kept: Arrow takes them, every number is one, the text is text."""
    for c in captions:
        pa.array([c.prompt_tokens, c.caption_tokens], pa.int32())
        pa.array([c.text, c.finish_reason]).cast(pa.large_string())
        assert c.mean_logprob is None or (math.isfinite(c.mean_logprob) and c.mean_logprob <= 0)
        assert printable(c.text.replace("\n", " ")) == " ".join(c.text.split())
        assert len(c.text) <= most_characters(256)


@pytest.mark.parametrize(
    "number", [math.inf, -math.inf, math.nan, 10**30, 2**33, -1, "7", True, {}]
)
def test_a_count_that_is_none_is_0(number: Any) -> None:
    (c,) = read(answer() | {"usage": {"prompt_tokens": number, "completion_tokens": number}})
    check_captions([c])
    assert (c.prompt_tokens, c.caption_tokens) == (0, 0)


@pytest.mark.parametrize("number", [math.inf, math.nan, 10**400, "x", None, [], -5])
def test_an_index_that_is_none_keeps_the_order(number: Any) -> None:
    choices = [
        {"index": number, "message": {"content": text}, "finish_reason": "stop"} for text in "ab"
    ]
    assert [c.text for c in read({"choices": choices}, 2)] == ["a", "b"]


@pytest.mark.parametrize(
    "number", [math.nan, math.inf, -math.inf, 10**400, 0.5, "x", None, True, {"a": 1}]
)
def test_a_log_probability_that_is_none_is_not_known(number: Any) -> None:
    tokens = [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": number}]
    (c,) = read(answer(logprobs={"content": tokens}))
    assert c.mean_logprob is None and c.caption_tokens == 2
    question = Request("claim", "?", "t", "h", 1, 7, choices=("Yes", "No"))
    top = [{"token": "Yes", "logprob": -0.1}, {"token": "No", "logprob": number}]
    given = answer({"content": "Yes"}, logprobs={"content": [{"top_logprobs": top}]})
    assert read_choices(given, question)[0].mean_logprob == 0.0


def test_log_probabilities_that_were_rounded_are_taken() -> None:
    (c,) = read(answer(logprobs={"content": [{"logprob": 0.0001}, {"logprob": -1}]}))
    assert c.mean_logprob == -0.5


def test_what_drives_a_terminal_is_no_part_of_a_caption() -> None:
    text = "a \x1b[31mred\x1b[0m\x00\x07 \u202ecat\ufeff \ud800 on a mat"
    (c,) = read(answer({"content": text}, finish_reason="sto\x1b[2Jp"))
    check_captions([c])
    assert c.text == "a red cat ? on a mat" and c.finish_reason == "stop"


def test_a_caption_of_a_megabyte_is_none() -> None:
    with pytest.raises(RequestFailed, match="1,000,000 characters, which 256 tokens cannot be"):
        read(answer({"content": "x" * 1_000_000}))


def test_a_text_in_parts_is_put_together() -> None:
    parts = [
        {"type": "text", "text": "a red "},
        {"type": "thinking"},
        {"type": "text", "text": "cat"},
    ]
    assert read(answer({"content": parts}))[0].text == "a red cat"


@pytest.mark.parametrize(
    ("given", "reason", "words"),
    [
        (
            answer({"content": None, "reasoning_content": "Okay, so"}, finish_reason="length"),
            Reason.REQUEST_FAILED,
            "all of its 3 tokens went into reasoning (finish_reason length): raise sampling.max",
        ),
        (
            answer({"content": "", "reasoning": "Okay, so"}),
            Reason.REQUEST_FAILED,
            "reasoning only (finish_reason stop)",
        ),
        (
            answer({"content": ""}, finish_reason="length")
            | {"usage": {"completion_tokens_details": {"reasoning_tokens": 9}}},
            Reason.REQUEST_FAILED,
            "went into reasoning",
        ),
        (
            answer({"content": None}, finish_reason="length"),
            Reason.REQUEST_FAILED,
            "maybe reasoning (finish_reason length): raise sampling.max_tokens, or turn thinking",
        ),
        (
            answer({"content": None}, finish_reason="content_filter"),
            Reason.REQUEST_FAILED,
            "filter withheld the answer (finish_reason content_filter)",
        ),
        ({"choices": [{"finish_reason": "SAFETY"}]}, Reason.REQUEST_FAILED, "finish_reason SAFETY"),
        (
            answer({"content": None, "refusal": "I can't help\x1b[2J with that."}),
            Reason.REFUSAL,
            "the model refused: I can't help with that.",
        ),
        (
            answer({"content": None, "tool_calls": [{"id": "1"}]}),
            Reason.REQUEST_FAILED,
            "called a tool",
        ),
        (
            answer({"content": ""}, error={"message": "provider gone"}, finish_reason="error"),
            Reason.REQUEST_FAILED,
            "provider gone",
        ),
    ],
)
def test_an_answer_without_text_says_why(given: Any, reason: Reason, words: str) -> None:
    with pytest.raises(NoText) as failure:
        read(given)
    assert words in failure.value.message and failure.value.reason is reason


def test_of_several_captions_one_without_text_says_why_and_the_others_stay() -> None:
    filtered = {"index": 1, "message": {"content": None}, "finish_reason": "content_filter"}
    given = answer()
    given["choices"].append(filtered)
    good, bad = read(given, 2)
    assert good.text == "a red cat" and bad.text == "" and "filter withheld" in bad.finish_reason


def test_a_model_that_just_says_nothing_gave_an_empty_caption() -> None:
    assert read(answer({"content": " \n"}, finish_reason="length"))[0].text == ""
    assert read(answer({"content": ""}))[0].finish_reason == "stop"


@pytest.mark.parametrize(
    ("raw", "kind", "is_hopeless"),
    [
        (b"<!DOCTYPE html><title>Welcome</title>", "text/html", True),
        (b"  <html>", "application/json", True),
        (b'data: {"choices": []}\n\n', "text/event-stream", True),
        (b'{"choices": [', "application/json", False),
        (b"[" * 100_000, "application/json", False),
        (b'{"a":' * 100_000, "application/json", False),
        (b"\xff\xfe\x00", "application/json", False),
        (b"9" * 100_000, "application/json", False),
        (b"", "application/json", False),
    ],
)
def test_a_body_that_is_no_answer(raw: bytes, kind: str, is_hopeless: bool) -> None:
    with pytest.raises(Trouble) as trouble:
        parse(raw, kind)
    assert trouble.value.is_hopeless is is_hopeless and len(str(trouble.value)) < 700


def test_an_error_with_status_200_is_judged_by_what_it_says() -> None:
    with pytest.raises(Denied, match="HTTP 402: Insufficient credits"):
        parse(b'{"error": {"code": 402, "message": "Insufficient credits"}}', "")
    with pytest.raises(Trouble, match="went wrong"):
        parse(b'{"error": "something went wrong"}', "")


@pytest.mark.parametrize(
    ("status", "raw", "kind", "words"),
    [
        (429, b'{"error": {"message": "quota", "code": "insufficient_quota"}}', Denied, "quota"),
        (402, b"Payment Required", Denied, "HTTP 402"),
        (429, b'{"error": {"message": "slow down"}}', Trouble, "slow down"),
        (429, b'{"error": {"message": "Request too large for it"}}', RequestFailed, "too large"),
        (529, b'{"error": {"type": "overloaded_error"}}', Trouble, "overloaded"),
        (503, b'{"error": {"message": "Loading model"}}', Trouble, "Loading model"),
        (403, b'{"error": {"message": "flagged"}}', Denied, "flagged"),
        (502, b"<html>Bad Gateway</html>", Trouble, "Bad Gateway"),
        (400, b'[{"error": {"message": "Unknown name seed"}}]', RequestFailed, "400: Unknown name"),
        (400, EXTRA_FORBIDDEN, RequestFailed, "HTTP 400: body.seed: extra"),
        (400, b"[" * 100_000, RequestFailed, "HTTP 400"),
        (400, b'{"error": ' * 30_000 + b"1" + b"}" * 30_000, RequestFailed, "HTTP 400"),
        (400, b"\x1b[2J\x07red\x1b[0m", RequestFailed, "HTTP 400: red"),
    ],
)  # fmt: skip
def test_every_way_to_say_no(status: int, raw: bytes, kind: type[Exception], words: str) -> None:
    error = judge(status, {}, raw)
    assert type(error) is kind and words in str(error)
    assert printable(str(error)) == str(error) and len(str(error)) < 600


@pytest.mark.parametrize(
    ("retry_after", "least", "most"),
    [("3", 3, 3), ("Fri, 31 Dec 2100 23:59:59 GMT", 600, 600), ("nan", 1, 1), ("soon", 1, 1),
     ("-5", 0, 0), ("1e400", 600, 600), ("Sun, 06 Nov 1994 08:49:37 GMT", 0, 0)],
)  # fmt: skip
def test_how_long_a_server_asks_to_wait(retry_after: str, least: float, most: float) -> None:
    error = judge(429, {"Retry-After": retry_after}, b"")
    assert isinstance(error, Trouble) and least <= error.wait_s <= most


VALUES: list[Callable[[random.Random], Any]] = [
    lambda r: None,
    lambda r: r.choice([True, math.nan, math.inf, -math.inf, 10**30, -1, 0, 2**33, 0.5, 1e308]),
    lambda r: r.choice(["", "x", "\ud800", "\x1b[2J", "9" * 50, "a\x00b"]),
    lambda r: r.choice([[], {}, [[]], [None], {"a": 1}, [{"index": 1}]]),
]


def mutate(value: Any, rng: random.Random) -> Any:
    """Return a copy with something changed somewhere."""
    if rng.random() < 0.15:
        return rng.choice(VALUES)(rng)
    if isinstance(value, dict):
        kept = {k: mutate(v, rng) for k, v in value.items() if rng.random() > 0.05}
        return kept | ({"refusal": rng.choice(VALUES)(rng)} if rng.random() < 0.1 else {})
    if isinstance(value, list):
        copies = [mutate(v, rng) for v in value for _ in range(rng.choice([1, 1, 1, 0, 2]))]
        rng.shuffle(copies)
        return copies
    return value


def flip(raw: bytes, rng: random.Random) -> bytes:
    """Change some bytes, or cut."""
    changed = bytearray(raw)
    for _ in range(rng.choice([0, 0, 1, 3])):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed[: rng.randrange(len(changed))] if rng.random() < 0.1 else changed)


def fuzz(seed: int, rounds: int) -> int:
    """Feed the seam; return how many answers were captions."""
    rng = random.Random(seed)
    token = {"token": "a", "logprob": -0.5, "top_logprobs": [{"token": "Yes", "logprob": -0.1}]}
    good = answer(logprobs={"content": [token] * 3})
    good["choices"] *= 2
    question = Request("claim", "?", "t", "h", 1, 7, choices=("Yes", "No"))
    taken = 0
    for _ in range(rounds):
        raw = flip(json.dumps(mutate(good, rng)).encode(), rng)
        try:
            given = parse(raw, rng.choice(["application/json", "text/plain", ""]))
            for captions in (read(given, rng.choice([1, 2])), read_choices(given, question)):
                check_captions(captions)
            taken += 1
        except (Trouble, Denied, RequestFailed) as e:
            assert (printable(str(e)), len(str(e)) < 2_000) == (str(e), True)
        error = judge(rng.randrange(300, 600), {"Retry-After": rng.choice(["1", "x"])}, raw)
        assert printable(str(error)) == str(error)
    return taken


def test_fuzz() -> None:
    assert fuzz(SEED, 3000) > 100
