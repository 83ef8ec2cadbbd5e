"""The captioner through plain transformers: the reference that the served one is held against."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image


class Asker:
    """A checkpoint with its processor, as transformers loads them, in float32 on the CPU."""

    def __init__(self, checkpoint: str | Path) -> None:
        from transformers import AutoModelForImageTextToText, AutoProcessor

        self.processor: Any = AutoProcessor.from_pretrained(checkpoint)
        self.processor.tokenizer.padding_side = "left"
        self.model: Any = AutoModelForImageTextToText.from_pretrained(
            checkpoint, dtype=torch.float32
        ).eval()

    def captions(
        self, images: Sequence[Image.Image], prompts: Sequence[str], max_tokens: int = 200
    ) -> list[str]:
        """Return the most likely answers, token by token."""
        inputs = self._inputs(images, prompts)
        with torch.no_grad():
            out = self.model.generate(**inputs, max_new_tokens=max_tokens, do_sample=False)
        answers = out[:, inputs["input_ids"].shape[1] :]
        decoded: list[str] = self.processor.batch_decode(answers, skip_special_tokens=True)
        return [text.strip() for text in decoded]

    def yes_chances(
        self, images: Sequence[Image.Image], prompts: Sequence[str]
    ) -> npt.NDArray[np.float64]:
        """Return P(yes) of each question [N]: of the chances of yes and no, the share of yes."""
        inputs = self._inputs(images, prompts)
        with torch.no_grad():
            logits = self.model(**inputs, logits_to_keep=1).logits[:, -1]
        tokens = [self.processor.tokenizer(word).input_ids[0] for word in ("Yes", "No")]
        chances: npt.NDArray[np.float64] = logits[:, tokens].double().softmax(-1)[:, 0].numpy()
        return chances

    def _inputs(self, images: Sequence[Image.Image], prompts: Sequence[str]) -> Any:
        texts = [self._chat(prompt) for prompt in prompts]
        return self.processor(images=list(images), text=texts, return_tensors="pt", padding=True)

    def _chat(self, prompt: str) -> str:
        content = [{"type": "image"}, {"type": "text", "text": prompt}]
        messages = [{"role": "user", "content": content}]
        chat: str = self.processor.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
        return chat
