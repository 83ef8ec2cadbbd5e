"""What a server understands of the protocol, learned from what it refuses.

Servers that speak chat completions differ in the parameters they take, and in the words in which
they refuse one: "Unsupported parameter: 'max_tokens'", "body.seed: Extra inputs are not
permitted", "logprobs is not supported by this model", "Only one completion choice is allowed".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from recaption.engines.choices import CANDIDATES

_FEW_CANDIDATES = 5  # what those tell that do not tell 20
_BAD_REQUEST = ("HTTP 400", "HTTP 422")
_ALL_AT_ONCE = ("logprobs", "seed", "top_p", "top_k", "min_tokens", "repetition_penalty")


def _name(*names: str) -> re.Pattern[str]:
    """A pattern of parameters by name: not of letters in other words, nor of a written \\n."""
    return re.compile(rf"(?<![\w\\-])(?:{'|'.join(names)})(?![\w-])", re.I)


_NAMES = {
    "top_logprobs": _name("top_?log_?probs?"),
    "logprobs": _name("(?:top_?)?log_?probs?", "log[ -]prob\\w*", "response_?logprobs"),
    "seed": _name("seeds?"),
    "n": _name(
        "n",
        "candidate_?count",
        "best_of",
        "(?:one|1|single|multiple|several) (?:completion|choice|candidate|response|output)s?",
        "number of (?:completion|choice|candidate|response|output)s?",
    ),
    "top_k": _name("top_?k"),
    "min_tokens": _name("min_?(?:new_?)?tokens"),
    "repetition_penalty": _name("repe(?:tition|at)_?penalty"),
    "top_p": _name("top_?p"),
    "temperature": _name("temperature"),
    "max_tokens": _name("max_?tokens"),
}
"""Parameters that can be done without, the most harmless first, and how they are called."""

_HARMLESS = ("top_logprobs", "logprobs", "seed", "n")
"""Those that are done without also where only their value is refused."""

# A value is refused, not the parameter: to leave it out would hide a mistake of the recipe's.
_OF_VALUE = re.compile(
    r"between|maximum|minimum|less than|greater|at (?:most|least)|[<>]|above|below|range|exceed"
    r"|too (?:large|long|high|low|small)",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a server understands beyond the bare protocol, as far as it is known.

    `left_out`: parameters it is not sent. `has_long_seeds`: seeds may have 63 bits, else 31.
    `is_n_proven`: it gave several captions at once before.
    """

    left_out: frozenset[str] = frozenset()
    has_long_seeds: bool = True
    candidates: int = CANDIDATES
    says_completion_tokens: bool = False
    is_vllm: bool = False
    is_n_proven: bool = False

    @property
    def has_n(self) -> bool:
        """Whether several captions can be asked for at once."""
        return "n" not in self.left_out

    def without(self, refusal: str, sent: Collection[str]) -> Dialect | None:
        """Return the dialect less what a refusal names of the parameters sent, None: nothing.

        Where it names none, the request for several captions may be it.
        """
        for name, pattern in _NAMES.items():
            if name not in sent or not pattern.search(refusal):
                continue
            if name in _HARMLESS or not _OF_VALUE.search(refusal):
                return self._less(name)
        may_be_n = "n" in sent and not self.is_n_proven  # and to ask n times means the same
        if may_be_n and refusal.startswith(_BAD_REQUEST):
            return self._less("n")
        return None

    def guesses(self, sent: Collection[str]) -> Iterator[Dialect]:
        """Yield dialects to try where a refusal names nothing: less one parameter, then many."""
        for name in _NAMES:
            if name in sent:
                yield self._less(name)
                yield self._less(name)._less(name)
        yield replace(self, left_out=self.left_out | set(_ALL_AT_ONCE))

    def _less(self, name: str) -> Dialect:
        if name == "seed" and self.has_long_seeds:
            return replace(self, has_long_seeds=False)
        if name == "top_logprobs" and self.candidates > _FEW_CANDIDATES:
            return replace(self, candidates=_FEW_CANDIDATES)
        if name == "max_tokens":  # never without a limit
            return replace(self, says_completion_tokens=True)
        return replace(self, left_out=self.left_out | {name})

    def __str__(self) -> str:
        """Say what it does without."""
        told = [name for name in _NAMES if name in self.left_out]
        told += [] if self.has_long_seeds or "seed" in told else ["seeds of more than 31 bits"]
        told += ["max_tokens (it is max_completion_tokens)"] if self.says_completion_tokens else []
        if self.candidates < CANDIDATES and "top_logprobs" not in told:
            told.append(f"top_logprobs above {self.candidates}")
        return ", ".join(told) or "nothing"
