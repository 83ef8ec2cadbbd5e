"""Tokenizers and text encoders: the built-in one, CLIP's and T5's."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from tests.train.families.flow_fakes import (
    CAPTIONS,
    make_batch,
    make_family,
    perturb,
    save_clip,
    save_t5,
    save_tokenizer,
)
from train.families.flow.text import FrozenText, TrainableText, last_token, mean_token
from train.families.flow.tokenizer import TextTokenizer


def test_tokens_are_padded_and_cut_and_the_empty_text_has_none():
    tokenizer = TextTokenizer("", 6)
    token, mask = tokenizer(["red", "", "  \n", "red " * 20])
    assert token.shape == mask.shape == (4, 6)
    assert token.dtype == np.int32 and mask.dtype == np.bool_
    assert mask.sum(1).tolist() == [1, 0, 0, 6]
    assert (token[~mask] == tokenizer.padding).all()
    assert tokenizer([])[0].shape == (0, 6)


def test_a_tokenizer_is_pickled_by_name():
    tokenizer = TextTokenizer("", 6)
    expected = tokenizer(CAPTIONS)
    raw = pickle.dumps(tokenizer)
    assert len(raw) < 300
    found = pickle.loads(raw)(CAPTIONS)
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


def test_a_tokenizer_with_an_end_of_text_and_no_padding(tmp_path):
    tokenizer = TextTokenizer(save_tokenizer(tmp_path), 5)
    token, mask = tokenizer([*CAPTIONS, "A pink moon. " * 4])
    assert mask[1].sum() == 0
    assert mask[4].all() and token[4, 0] == 1 and token[4, -1] == 2  # cut, the end kept
    assert (token[1] == tokenizer.padding).all()


def test_padding_changes_no_vector_of_a_token():
    encoder = TrainableText(vocabulary=20, length=6, width=32, depth=2)
    token = torch.tensor([[3, 4, 5, 0, 0, 0]])
    mask = torch.tensor([[True, True, True, False, False, False]])
    other = torch.tensor([[3, 4, 5, 9, 9, 9]])
    (one, pooled), (two, pooled_two) = encoder(token, mask), encoder(other, mask)
    torch.testing.assert_close(one[:, :3], two[:, :3])
    torch.testing.assert_close(pooled, pooled_two)


def test_pooling():
    x = torch.arange(12.0).reshape(2, 3, 2)
    mask = torch.tensor([[True, True, False], [False, False, False]])
    assert mean_token(x, mask).tolist() == [[1.0, 2.0], [0.0, 0.0]]
    assert last_token(x, mask)[0].tolist() == [2.0, 3.0]


def test_clip_reads_as_transformers_does(tmp_path):
    encoder = FrozenText("clip", save_clip(tmp_path))
    token = torch.tensor([[1, 20, 30, 7, 7, 7], [1, 40, 7, 7, 7, 7]])  # padded with the end
    mask = torch.tensor([[True] * 4 + [False] * 2, [True] * 3 + [False] * 3])
    text, pooled = encoder(token, mask)
    expected = encoder.encoder(input_ids=token)  # causal: what follows the end changes nothing
    torch.testing.assert_close(text[0, :4], expected.last_hidden_state[0, :4])
    torch.testing.assert_close(pooled, expected.pooler_output)


@pytest.mark.parametrize(("kind", "save", "width"), [("clip", save_clip, 32), ("t5", save_t5, 48)])
def test_frozen_encoders_are_neither_trained_nor_saved(tmp_path, kind, save, width):
    settings = {"kind": kind, "model": save(tmp_path / "model"), "length": 8}
    settings["tokenizer"] = save_tokenizer(tmp_path / "tokenizer")
    family = perturb(make_family(text=settings))
    family.nets.train()
    frozen = family._frozen_text
    assert isinstance(frozen, FrozenText) and not frozen.encoder.training
    assert frozen.width == width
    assert list(family.nets) == ["denoiser"] and family.phases[0].nets == ("denoiser",)
    loss = family.phases[0].loss(make_batch(family)).total
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is None for p in frozen.parameters())
    assert all(p.grad.abs().sum() > 0 for p in family.nets.parameters())
    assert family.sample(["", "A pink moon."], [1, 2]).shape == (2, 3, 16, 16)


def test_the_tokenizer_of_a_frozen_encoder_is_its_own_by_default(tmp_path):
    model = save_t5(tmp_path)
    save_tokenizer(tmp_path)  # beside it, as checkpoints have it
    family = make_family(text={"kind": "t5", "model": model, "length": 8})
    assert family.tokenizer == TextTokenizer(model, 8)


def test_wrong_encoders_are_explained(tmp_path):
    from transformers import T5Config, T5EncoderModel

    clip = save_clip(tmp_path / "clip")
    with pytest.raises(ValueError, match=r"text\.length=20, but .* has 12 places: set text\.len"):
        make_family(
            text={"kind": "clip", "model": clip, "length": 20, "tokenizer": tokenizer(tmp_path)}
        )
    with pytest.raises(
        ValueError, match=r"text\.model=.*nowhere: no such .*expected a clip encoder"
    ):
        make_family(text={"kind": "clip", "model": str(tmp_path / "nowhere")})
    config = T5Config(vocab_size=10, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    T5EncoderModel(config).save_pretrained(tmp_path / "small")
    with pytest.raises(ValueError, match=r"makes \d+ different tokens, but .* reads 10: leave"):
        make_family(
            text={
                "kind": "t5",
                "model": str(tmp_path / "small"),
                "tokenizer": tokenizer(tmp_path),
            }
        )


def tokenizer(folder) -> str:
    return save_tokenizer(folder / "tokenizer")
