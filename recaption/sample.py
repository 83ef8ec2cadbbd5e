"""The values that flow through the system.

Everything here is frozen and knows nothing of Ray, Arrow or vLLM. An image is a `Sample`; what is
known of it beforehand are its `Hints`; what the model is asked is a `Request`; what it answers is
a `Caption`; what went wrong is a `Rejection`, whose reason comes from a closed set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

FULL_IMAGE = "full"
"""The region of a caption that describes the whole image."""


class Stage(StrEnum):
    """Where in the pipeline a sample was rejected."""

    READ = "read"
    DECODE = "decode"
    PROMPT = "prompt"
    ENGINE = "engine"
    CHECK = "check"


class Reason(StrEnum):
    """Why a sample, or one of its captions, was rejected. A closed set."""

    # any stage
    FAILED = "failed"  # an error that nobody foresaw, at this sample alone
    TIMEOUT = "timeout"  # it took longer than one sample may
    # read
    NO_IMAGE = "no_image"
    DUPLICATE_KEY = "duplicate_key"
    UNREADABLE = "unreadable"
    # decode
    EMPTY_FILE = "empty_file"
    NOT_AN_IMAGE = "not_an_image"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_SMALL = "too_small"
    # prompt
    PROMPT_FAILED = "prompt_failed"
    # engine
    REQUEST_FAILED = "request_failed"
    REQUEST_TOO_LONG = "request_too_long"
    KILLED_ENGINE = "killed_engine"
    # check
    EMPTY_CAPTION = "empty_caption"
    CUT_OFF = "cut_off"
    REPETITION = "repetition"
    REFUSAL = "refusal"
    BOILERPLATE = "boilerplate"
    MARKUP = "markup"
    PROMPT_LEAK = "prompt_leak"
    WRONG_LANGUAGE = "wrong_language"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    COPIED_ALT_TEXT = "copied_alt_text"
    META_TEXT = "meta_text"
    CLASS_CONTRADICTED = "class_contradicted"
    ABSENT_MENTIONED = "absent_mentioned"
    INVENTED = "invented"
    UNSURE = "unsure"
    UNLIKE_IMAGE = "unlike_image"
    PERSONAL_DATA = "personal_data"
    FACTS_LOST = "facts_lost"


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a sample or a caption is not in the corpus."""

    stage: Stage
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Shard:
    """One input file or folder, as listed.

    `name` is the shard's identity in the corpus: its path below the source's root, with `/`.
    `size` is in bytes (of a folder: unknown, None). `images` is how many it has, where listing it
    told that (a folder).
    """

    name: str
    url: str
    kind: str
    size: int | None = None
    images: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Part:
    """The unit of commit: samples [index * n, (index + 1) * n) of a shard, n = `part_samples`.

    `is_last` is true of the part that holds the end of the shard; only reading tells which it is.
    """

    shard: str
    index: int
    is_last: bool = False

    @property
    def name(self) -> str:
        """The part's name in the corpus."""
        return f"{self.shard}-{self.index:05d}"


@dataclass(frozen=True, slots=True)
class Sample:
    """One image with what lies beside it in its shard.

    `sample_id` is unique in the data set; `key` is the shard's own name for the sample;
    `ordinal` counts from 0 through the shard. `image` holds the encoded bytes as found, or None
    where the sample has a `rejection`. `fields` maps lower-case extensions or column names to
    what was found there: text decoded where it is text, parsed JSON under "json".
    """

    sample_id: str
    key: str
    ordinal: int
    image: bytes | None
    image_name: str = ""
    fields: Mapping[str, object] = field(default_factory=dict)
    rejection: Rejection | None = None

    @property
    def stem(self) -> str:
        """The name of the image's file without folders and extensions."""
        return (self.image_name or self.key).rpartition("/")[2].partition(".")[0]


class Trust(StrEnum):
    """How far a hint is believed: a verified label, a likely one, what strangers wrote."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class HintKind(StrEnum):
    """What a hint besides alt-text and class names says. A closed set.

    LABEL comes from a machine, ABSENT was verified not to be there, OBJECT tells count and place
    out of boxes, TAG is a user's, CONTEXT is where or when and cannot be seen, ATTRIBUTE comes from
    image-text similarity, NOTE is about the file. The last three say whom to credit.
    """

    LABEL = "label"
    ABSENT = "absent"
    OBJECT = "object"
    TAG = "tag"
    CONTEXT = "context"
    ATTRIBUTE = "attribute"
    NOTE = "note"
    LICENCE = "licence"
    AUTHOR = "author"
    PAGE = "page"


SHOWN_KINDS = frozenset(
    (
        *(HintKind.LABEL, HintKind.ABSENT, HintKind.OBJECT),
        *(HintKind.TAG, HintKind.CONTEXT, HintKind.ATTRIBUTE),
    )
)
"""What a prompt may show; the rest goes into the corpus only."""


@dataclass(frozen=True, slots=True)
class Hint:
    """One thing that is known of an image, and how far it is to be believed."""

    kind: HintKind
    text: str
    trust: Trust = Trust.MEDIUM


@dataclass(frozen=True, slots=True)
class Hints:
    """What is known of an image before it is captioned, as data and never as instruction.

    `alt_text` is of LOW trust, `class_names` of `class_trust`. `source` names who read them: the
    data set's adapter.
    """

    alt_text: str = ""
    class_names: tuple[str, ...] = ()
    others: tuple[Hint, ...] = ()
    class_trust: Trust = Trust.MEDIUM
    source: str = "generic"

    def texts(self, kind: HintKind) -> list[str]:
        """Return what the hints of a kind say."""
        return [hint.text for hint in self.others if hint.kind is kind]


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt about one image, to be answered `n` times with seeds `seed`, `seed` + 1, ...

    Its captions take the slots `first_slot`, `first_slot` + 1, ... of their style. One with
    `choices` is a question: it is answered by a Caption for each of them, in order, whose
    `mean_logprob` is the log of its share of the chance that the model gives to all of them (None:
    it gives none to any). One that `is_extra` was not in the recipe's plan: a question, a repair.
    """

    style: str
    prompt: str
    template: str
    template_hash: str
    n: int
    seed: int
    region: str = FULL_IMAGE
    first_slot: int = 0
    choices: tuple[str, ...] = ()
    is_extra: bool = False


@dataclass(frozen=True, slots=True)
class Caption:
    """One answer of the model, with what the engine knows of it.

    `mean_logprob` is the mean over the caption's tokens of the natural log-probability of the
    sampled token, or None where the engine does not tell.
    """

    text: str
    seed: int
    finish_reason: str
    prompt_tokens: int
    caption_tokens: int
    mean_logprob: float | None
