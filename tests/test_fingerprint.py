"""The fingerprint of a recipe: it changes with all that decides a caption, and with nothing else.

A change it misses would mix two kinds of captions into one version of a corpus; a change it sees
for nothing would make a finished corpus of a million captions "made by another recipe".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recaption import safeguards
from recaption.engines.identity import model_hash
from recaption.fingerprint import fingerprint
from recaption.job import resolve_job
from recaption.recipe_file import apply_overrides, parse_recipe
from recaption.safeguards.verdict import Asked, Verdict
from recaption.sample import Caption


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A model folder, a template folder and one shard."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "_tone.j2").write_text("Be kind.")
    (tmp_path / "templates" / "tags.j2").write_text("{% include '_tone.j2' %} List tags.")
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "0.tar").write_bytes(bytes(10_240))
    return tmp_path


def print_of(world: Path, *overrides: str) -> str:
    """Return the fingerprint that a run of this recipe would have."""
    base: dict[str, Any] = {
        "source": {"path": str(world / "shards")},
        "caption": {"styles": ["short", "tags"], "templates": str(world / "templates")},
        "engine": {"kind": "vllm", "model": str(world / "model")},
        "corpus": {"path": str(world / "corpus")},
    }
    return resolve_job(parse_recipe(apply_overrides(base, overrides))).made_by.fingerprint


DECISIVE = [
    "engine.model=OWNER/OTHER",
    "engine.revision=v2",
    "engine.kind=echo",
    "engine.args.dtype=float32",
    "engine.args.quantization=fp8",
    "engine.args.mm_processor_kwargs={max_pixels: 1}",
    "sampling.temperature=0.1",
    "sampling.top_p=0.5",
    "sampling.top_k=5",
    "sampling.repetition_penalty=1.1",
    "sampling.max_tokens=64",
    "sampling.min_tokens=2",
    "image.short_side=224",
    "image.min_side=32",
    "image.max_pixels=1000000",
    "caption.styles=[short]",
    "caption.per_style=2",
    "caption.language=German",
    "caption.subject=street",
    "safeguards.least_logprob=-0.5",
    "caption.use_alt_text=false",
    "caption.use_class_names=false",
    "source.alt_text_column=title",
    "source.class_column=label",
    "source.class_from_folder=true",
    "source.image_column=photo",
    "source.id_column=uid",
    "seed=1",
]
INDIFFERENT = [
    "corpus.path=/elsewhere",
    "corpus.on_change=new",
    "caption.styles=[tags, short]",
    "source.part_samples=7",
    "source.dataset=other",
    "source.kind=webdataset",
    "run.progress_s=1",
    "run.reject_limit=0.5",
    "run.read_cpus=2",
    "run.passes=9",
    "engine.args.hf_token=abc",
    "engine.replicas=8",
    "engine.num_gpus=1",
    "engine.num_cpus=3",
    "engine.concurrency=5",
    "engine.parts_in_flight=2",
    "engine.timeout_s=9",
    "engine.boot_attempts=1",
    "engine.args.max_num_seqs=7",
    "engine.args.tensor_parallel_size=4",
    "engine.args.gpu_memory_utilization=0.5",
    "engine.args.enforce_eager=true",
    "safeguards.clip.least=0.3",  # the gate is off without a model
    "safeguards.clip.device=cpu",
]


@pytest.mark.parametrize("override", DECISIVE)
def test_what_decides_a_caption_changes_it(world: Path, override: str) -> None:
    assert print_of(world, override) != print_of(world)


def test_the_gate_of_similarity_decides_where_it_is_on() -> None:
    def print_with(**gate: object) -> str:
        data = {"source": {"path": "x"}, "engine": {"kind": "echo"}, "corpus": {"path": "y"}}
        return fingerprint(parse_recipe(data | {"safeguards": {"clip": gate}}), "p", "m")

    on = print_with(model="OWNER/CLIP")
    assert on != print_with() and print_with(model="OWNER/CLIP", device="cpu") == on
    others = {print_with(model="OWNER/CLIP", **{key: value}) for key, value in CHANGED_GATE}
    assert len(others | {on}) == len(CHANGED_GATE) + 1


@pytest.mark.parametrize("section", ["attributes", "safeguards.clip"])
def test_a_similarity_model_in_a_folder_is_known_by_its_content(
    tmp_path: Path, section: str
) -> None:
    def print_with(folder: Path) -> str:
        data: dict[str, Any] = {"source": {"path": "x"}, "engine": {"kind": "echo"}}
        gate = {"model": str(folder)}
        attributes = {"attributes": gate | {"descriptions": ["a cat"]}}
        guarded = {"safeguards": {"clip": gate}} if "." in section else attributes
        return fingerprint(parse_recipe(data | {"corpus": {"path": "y"}} | guarded), "p", "m")

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(b"weights")
    assert print_with(tmp_path / "a") == print_with(tmp_path / "b")
    (tmp_path / "b" / "model.safetensors").write_bytes(b"others!")
    assert print_with(tmp_path / "a") != print_with(tmp_path / "b")


CHANGED_GATE: list[tuple[str, object]] = [("least", 0.3), ("revision", "v2")]


def test_two_decisive_changes_never_agree(world: Path) -> None:
    prints = [print_of(world, override) for override in DECISIVE]
    assert len(set(prints)) == len(prints)


@pytest.mark.parametrize("override", INDIFFERENT)
def test_what_moves_or_speeds_the_work_does_not(world: Path, override: str) -> None:
    assert print_of(world, override) == print_of(world)


def test_shards_and_their_place_do_not(world: Path) -> None:
    before = print_of(world)
    (world / "shards").rename(world / "moved")
    (world / "moved" / "1.tar").write_bytes(bytes(10_240))
    assert print_of(world, f"source.path={world}/moved") == before


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json"])
def test_the_model_is_its_files_content(world: Path, file: str) -> None:
    before = print_of(world)
    (world / "model" / file).write_bytes(b"changed")
    assert print_of(world) != before


def test_a_renamed_weight_file_is_another_model(world: Path) -> None:
    before = print_of(world)
    (world / "model" / "model.safetensors").rename(world / "model" / "other.safetensors")
    assert print_of(world) != before


def test_a_copy_of_the_model_elsewhere_is_the_same_model(world: Path) -> None:
    """A cluster's nodes and next month's disk have it at another path."""
    before = print_of(world)
    (world / "model").rename(world / "weights")
    (world / "weights" / "README.md").write_text("notes")
    assert print_of(world, f"engine.model={world}/weights") == before


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("tags.j2", "{% include '_tone.j2' %} List tags!"),
        ("_tone.j2", "Be rude."),
        ("short.j2", "Say it short."),  # replaces the built-in one
        ("_hints.j2", ""),  # which the built-in templates include
    ],
)
def test_the_text_of_the_templates_changes_it(world: Path, file: str, text: str) -> None:
    before = print_of(world)
    (world / "templates" / file).write_text(text)
    assert print_of(world) != before


def test_a_template_that_is_included_by_another_style_changes_it(world: Path) -> None:
    (world / "templates" / "tags.j2").write_text("{% include 'long.j2' %} List tags.")
    (world / "templates" / "long.j2").write_text("In many words.")
    before = print_of(world)
    (world / "templates" / "long.j2").write_text("In few words.")
    assert print_of(world) != before


def test_a_template_of_a_style_that_is_not_used_does_not(world: Path) -> None:
    before = print_of(world)
    (world / "templates" / "poem.j2").write_text("Write a poem.")
    assert print_of(world) == before


def test_the_safeguards_change_it(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def another(caption: Caption, asked: Asked) -> Verdict:
        return Verdict("another")

    before = print_of(world)
    monkeypatch.setattr(safeguards, "CHECKS", (*safeguards.CHECKS, another))
    assert print_of(world) != before


def test_its_value_is_frozen() -> None:
    """A refactoring that changes this value disowns every corpus made before: bump it knowingly."""
    recipe = parse_recipe(
        {"source": {"path": "x"}, "engine": {"kind": "echo"}, "corpus": {"path": "y"}}
    )
    assert model_hash(recipe.engine) == "@default"
    assert fingerprint(recipe, "prompts", "model") == "99f39bd087cb7a3c"
