"""The captioner's tokenizer: byte-level BPE whose tokens may be phrases, and never mix contents.

Words that say what is seen (colours, shapes, places, numbers, names of media) and digits are cut
apart first, so that no token holds two of them; what lies between may merge across spaces, so that
`is to the left of the` is one token. The fixed text of the prompt templates is one token a piece:
a captioner that knows only these templates need not read them word by word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from recaption.engines.random_model import SPECIAL
from recaption.prompts import FUSE, built_in
from recaption.shapeworld.captioner.lessons import draw_copying, draw_exercises, draw_view
from recaption.shapeworld.content import Colour, Fill, Shape, Size, Tone
from recaption.shapeworld.drawing import setting
from recaption.shapeworld.unseen import CLASSES
from recaption.shapeworld.words import english, german

VOCABULARY = 1536
_SCENES = 6000
_MAX_PHRASE = 28  # characters


def make_tokenizer(seed: int = 0) -> Any:
    """Train the tokenizer on lessons; a pure function of the seed."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_content_pattern()), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - 64,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        max_token_length=_MAX_PHRASE,
        show_progress=False,
    )
    fixed = fixed_texts()
    bpe.train_from_iterator(_corpus(seed, fixed), trainer)
    bpe.add_tokens([AddedToken(text, normalized=False) for text in fixed])
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token="<pad>",
        eos_token="<|im_end|>",
        extra_special_tokens=list(SPECIAL[1:]),
        clean_up_tokenization_spaces=False,
    )


def fixed_texts() -> list[str]:
    """Return what the prompt templates write besides what is filled in, a piece a line.

    Of what the rendered world has: no hints but class names and alt-text, no fusion.
    """
    found: set[str] = set()
    taught = [text for name, text in built_in().items() if name != FUSE and "." not in name]
    for text in taught:
        for line in re.sub(r"{%.*?%}", "\n", text).splitlines():
            if "_hints |" in line:
                continue
            found |= {piece.strip() for piece in re.split(r"{{.*?}}", line) if len(piece) > 3}
    return sorted(found, key=lambda text: (-len(text), text))


def _content_words() -> set[str]:
    words: set[str] = {*Colour, *Fill, *Size, *Shape, *Tone, *german.NUMBERS, *english.NUMBERS}
    words |= {word for choices in english.SHAPE_WORDS.values() for word in choices}
    words |= {word for choices in english.MEDIUM_WORDS.values() for word in choices}
    words |= set(german.HUE_WORDS.values()) | set(setting.WORDS)
    words |= {word for forms in german.SHAPE_WORDS.values() for word in (forms[0], forms[2])}
    words |= {one.word for one in CLASSES.values()}
    words |= {"left", "right", "top", "bottom", "above", "below", "inside", "behind", "front"}
    return words - {"one", "no"}


def _content_pattern() -> str:
    words = sorted(_content_words(), key=lambda word: (-len(word), word))
    alternatives = "|".join(re.escape(word) for word in words)
    return rf"(?i: ?\b(?:{alternatives})(?:s|es|e|er|em|en)?\b)|\d| ?[A-Z][a-z]*|[\"|()<>]"


def _corpus(seed: int, fixed: Iterable[str]) -> Iterator[str]:
    cut = re.compile("|".join(re.escape(text) for text in fixed))
    for index in range(_SCENES):
        scene, shown = draw_view(seed + 1_000, index)
        for one in draw_exercises(scene, shown, seed, 4):
            yield cut.sub("", one.prompt)
            yield one.answer
        copying = draw_copying(seed + 1_000, index)
        yield cut.sub("", copying.prompt)
        yield copying.answer
    yield from ["user\n", "assistant\n"] * _SCENES
