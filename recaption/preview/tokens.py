"""How many tokens a prompt and its image take, by the model's own processor where it is at hand."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from recaption.config import EngineConfig
from recaption.decode import to_rgb
from recaption.engines.identity import looks_like_path, resolve_model
from recaption.engines.preflight import OURS, is_cached
from recaption.text import describe_error

log = logging.getLogger(__name__)

_CHARS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of a prompt with its chat template, and of its image; None: not known."""

    text: int
    image: int | None = None

    def describe(self) -> str:
        """Say so in a few words."""
        if self.image is None:
            return f"about {self.text:,} tokens of text"
        return f"{self.text:,} tokens of text, {self.image:,} of the image"


class TokenCounter:
    """Counts tokens; without a processor it estimates those of the text."""

    def __init__(self, processor: Any = None) -> None:
        self._processor = processor

    @classmethod
    def load(cls, config: EngineConfig) -> TokenCounter:
        """Load a model's processor from this machine, if it is here; nothing is downloaded."""
        if config.kind == "echo" or not _is_here(config):
            return cls()
        from transformers import AutoProcessor

        try:
            return cls(
                AutoProcessor.from_pretrained(
                    resolve_model(config.model),
                    revision=config.revision or None,
                    local_files_only=True,
                    trust_remote_code=False,
                )
            )
        except Exception as e:  # of whatever kind: some models have none that is read so
            log.info("no processor of %s: %s", config.model, describe_error(e))
            return cls()

    def count(self, prompt: str, image: bytes) -> Tokens:
        """Count the tokens of a prompt behind an encoded image."""
        if self._processor is not None:
            try:
                return self._count(prompt, image)
            except Exception as e:  # as above
                log.info("tokens are estimated: %s", describe_error(e))
                self._processor = None
        return Tokens(-(-len(prompt) // _CHARS_PER_TOKEN))

    def _count(self, prompt: str, image: bytes) -> Tokens:
        content = [{"type": "image"}, {"type": "text", "text": prompt}]
        chat = self._processor.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
        plain = len(self._processor.tokenizer(chat)["input_ids"])  # with one for the image
        whole = self._processor(text=[chat], images=[to_rgb(image)])["input_ids"][0]
        return Tokens(plain - 1, len(whole) - plain + 1)


def _is_here(config: EngineConfig) -> bool:
    model = config.model
    if model.startswith(OURS) or looks_like_path(model):
        return True
    try:
        return is_cached(model, config.revision or None, config.args.get("download_dir"))
    except ValueError:  # no name that a hub could have
        return False
