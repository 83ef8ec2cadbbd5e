"""The recipe of a caption run: what to read, how to caption it, where the corpus goes.

It checks itself: a `RecipeError` names each wrong key or value, what was expected, and the nearest
valid choice. How it is read from a file: `recipe_file.py`.
"""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from recaption.config_errors import nearest as nearest
from recaption.config_urls import check_base_url
from recaption.sample import Reason
from recaption.storage.spelling import one_spelling

STORED = {"stored": True}
"""Validation context of a recipe that was resolved when it was stored: a $ in it is a $."""


class RecipeError(ValueError):
    """The recipe is wrong; the message says where and what to do."""


def _spelt(place: str, info: ValidationInfo) -> str:
    return one_spelling(place, variables=not (info.context or {}).get("stored"))


def _spelt_pattern(place: str, info: ValidationInfo) -> str:
    variables = not (info.context or {}).get("stored")
    return one_spelling(place, variables, is_pattern=True)


def _spelt_if_path(model: str, info: ValidationInfo) -> str:
    is_path = model.startswith(("/", ".", "~", "$", "file:")) or os.path.exists(model)  # noqa: PTH110 (says no to any text)
    return _spelt(model, info) if is_path or model.count("/") > 1 else model


PlacePath = Annotated[str, AfterValidator(_spelt)]
"""A path or url in its one spelling: absolute, the same in any worker."""
PlacePattern = Annotated[str, AfterValidator(_spelt_pattern)]
"""The same, or a pattern of them with wildcards and brace ranges."""
ModelName = Annotated[str, AfterValidator(_spelt_if_path)]
"""A model by its name on a hub, or by a path in its one spelling."""


class Section(BaseModel):
    """A part of a recipe: immutable, and closed to unknown keys."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False
    )

    @field_validator("*", mode="before")
    @classmethod
    def _no_boolean_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        field = cls.model_fields[info.field_name or ""]
        if isinstance(value, bool) and _is_number(field.annotation):
            raise ValueError(f"expected a number, got {str(value).lower()}")
        return value


class SourceConfig(Section):
    """Where the images are and how their shards are laid out."""

    path: PlacePattern | list[PlacePattern] = Field(
        description="path, URL, glob, brace range {00000..00999}, or a .txt file that lists them"
    )
    kind: Literal["auto", "webdataset", "parquet", "zip", "folder"] = "auto"
    adapter: Literal[
        "generic",
        "imagenet",
        "openimages",
        "yfcc100m",
        "sa1b",
        "places365",
        "osv5m",
        "inaturalist",
        "plantnet",
        "web",
    ] = Field(default="generic", description="what the shards are, so what their hints mean")
    tables: dict[str, PlacePattern] = Field(
        default_factory=dict, description="the adapter's own tables: name to path or URL"
    )
    min_label_score: float = Field(
        default=0.7, ge=0, le=1, description="a machine's labels below this score are left out"
    )
    dataset: str = Field(default="", description="name of the data set; default: its root's name")
    root: PlacePath = Field(
        default="", description="shard names are paths below it; default: the fixed part of path"
    )
    follow_links: bool = Field(
        default=False,
        description="follow symbolic links that lead out of the source; for data of your own",
    )
    part_samples: int = Field(
        default=256, ge=1, le=65_536, description="samples per part, the unit of commit"
    )
    image_column: str = Field(default="", description="Parquet: the image's column; default: found")
    alt_text_column: str = Field(default="", description="column or .json key with the alt-text")
    class_column: str = Field(default="", description="column or .json key with the class name")
    id_column: str = Field(default="", description="Parquet: column with the sample's id")
    class_from_folder: bool = Field(
        default=False, description="folder: the parent folder's name is the class name"
    )


class ImageConfig(Section):
    """What an image is reduced to before it travels to the engine."""

    short_side: int = Field(default=448, ge=16, le=8192, description="pixels; never upscaled")
    min_side: int = Field(default=1, ge=1, description="pixels; smaller images are rejected")
    max_pixels: int = Field(
        default=178_956_970, ge=1, description="larger images are rejected, as decompression bombs"
    )


class CaptionConfig(Section):
    """What is asked of the model for each image: styles x per_style captions."""

    styles: list[str] = Field(
        default=["short", "dense"],
        min_length=1,
        description="kinds of caption: short, dense, attributes, spatial, or templates of yours",
    )
    per_style: int = Field(default=1, ge=1, le=64, description="captions per style")
    use_alt_text: bool = Field(default=True, description="show the alt-text to the model, fenced")
    use_class_names: bool = Field(default=True, description="show the class names, fenced")
    clean_alt_text: bool = Field(
        default=True, description="clean the alt-text, and leave it out where it is junk"
    )
    language: str = Field(
        default="English", min_length=1, description="what the captions are written in"
    )
    subject: str = Field(
        default="",
        description="what the images are of, where templates tell it apart: species, scene, street,"
        " blurred",
    )
    templates: PlacePath = Field(
        default="",
        description="folder of STYLE.j2 or STYLE.SUBJECT.j2 files that add to or replace the"
        " built-in ones",
    )

    @field_validator("styles")
    @classmethod
    def _distinct(cls, styles: list[str]) -> list[str]:
        if len(set(styles)) != len(styles):
            raise ValueError(f"each style once, got {styles}")
        return styles


class AttributesConfig(Section):
    """Hints for images without labels: which of a list of descriptions fit, by a similarity model.

    Off where `model` is empty.
    """

    model: ModelName = Field(default="", description="CLIP or SigLIP of transformers, name or path")
    revision: str = Field(default="", description="branch, tag or commit of the model")
    descriptions: list[str] = Field(default=[], description="what may occur in the data set")
    template: str = Field(default="a photo of {}", description="what a description is put into")
    empty_template: str = Field(
        default="a photo", description="the same with nothing in it: what a description must exceed"
    )
    margin: float = Field(default=0.0, description="by how much, in cosine")
    most: int = Field(default=8, ge=1, description="attributes per image, at most")
    batch: int = Field(default=64, ge=1, description="images that go through the model at once")
    replicas: int = Field(default=1, ge=1, description="models in the pool")
    num_gpus: float = Field(default=0.0, ge=0, description="GPUs per model, a fraction allowed")
    num_cpus: float = Field(default=1.0, ge=0, description="CPUs reserved per model")

    @model_validator(mode="after")
    def _is_whole(self) -> AttributesConfig:
        if self.model and not self.descriptions:
            raise ValueError("attributes.model is set: attributes.descriptions needs a list")
        if self.template.count("{}") != 1:
            raise ValueError(f"attributes.template: expected one {{}}, got {self.template!r}")
        return self


class EngineConfig(Section):
    """Which captioner runs, on what, and how hard it is driven."""

    kind: Literal["vllm", "openai", "echo"] = "vllm"
    model: str = Field(default="", description="Hugging Face name or local path of the model")
    revision: str = Field(default="", description="branch, tag or commit of a Hugging Face model")
    args: dict[str, Any] = Field(
        default_factory=dict,
        description="passed through: vLLM's EngineArgs, or keys of a request to an endpoint, where"
        " null leaves one out: {seed: null}",
    )
    replicas: int | Literal["auto"] = Field(
        default="auto", description="engines in the pool; auto: as many as the GPUs hold, or one"
    )
    num_gpus: Annotated[float, Field(ge=0)] | Literal["auto"] = Field(
        default="auto", description="GPUs per engine, a fraction allowed; auto: tensor parallelism"
    )
    num_cpus: float = Field(default=1.0, ge=0, description="CPUs reserved per engine")
    concurrency: int = Field(default=0, ge=0, description="requests in flight; 0: the engine's own")
    parts_in_flight: int = Field(
        default=4, ge=1, le=64, description="parts an engine works on at once"
    )
    timeout_s: float = Field(default=600.0, gt=0, description="seconds of one request")
    boot_timeout_s: float = Field(
        default=300.0,
        gt=0,
        description="openai: seconds to wait for a server that is not there",
    )
    boot_attempts: int = Field(default=3, ge=1, description="boots of an engine that may fail")
    url: str = Field(default="", description="openai: base URL, such as http://host:8000/v1")
    api_key_env: str = Field(
        default="OPENAI_API_KEY", description="openai: environment variable with the key"
    )
    confirm_builtin: bool = Field(
        default=False,
        description="use a built-in captioner, which knows rendered scenes only, on other images"
        " all the same",
    )

    @field_validator("model")
    @classmethod
    def _absolute(cls, model: str, info: ValidationInfo) -> str:
        return _spelt_if_path(model, info) if info.data.get("kind") == "vllm" else model

    @field_validator("replicas")
    @classmethod
    def _positive(cls, replicas: int | str) -> int | str:
        if isinstance(replicas, int) and replicas < 1:
            raise ValueError(f"expected at least 1 or auto, got {replicas}")
        return replicas

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> EngineConfig:
        if self.kind != "echo" and not self.model:
            raise ValueError(f"engine.kind={self.kind} needs engine.model, a name or a path")
        if self.kind == "openai" and not self.url:
            raise ValueError(
                "engine.kind=openai needs engine.url, such as http://localhost:8000/v1"
            )
        return self

    @field_validator("url")
    @classmethod
    def _is_base_url(cls, url: str) -> str:
        return check_base_url(url) if url else url


class SamplingConfig(Section):
    """How tokens are drawn; passed on to the engine."""

    temperature: float = Field(default=0.7, ge=0, le=5, description="0: always the likeliest token")
    top_p: float = Field(
        default=1.0, gt=0, le=1, description="of the likeliest tokens, this share of the chance"
    )
    top_k: int = Field(default=0, ge=0, description="0: all tokens")
    repetition_penalty: float = Field(default=1.0, gt=0, description="1: none; above: less of it")
    max_tokens: int = Field(default=256, ge=1, description="of a caption, at most")
    min_tokens: int = Field(default=0, ge=0, description="of a caption, at least")

    @model_validator(mode="after")
    def _has_room(self) -> SamplingConfig:
        if self.min_tokens > self.max_tokens:
            raise ValueError(
                f"sampling.min_tokens={self.min_tokens} is above"
                f" sampling.max_tokens={self.max_tokens}: no caption can be both"
            )
        return self


class ClipConfig(Section):
    """The gate of image-text similarity. Off where `model` is empty."""

    model: ModelName = Field(default="", description="CLIP or SigLIP of transformers, name or path")
    revision: str = Field(default="", description="branch, tag or commit of the model")
    least: float = Field(
        default=0.2,
        ge=-1,
        le=1,
        description="cosine of image and caption below which they do not belong together",
    )
    device: str = Field(default="auto", description="cpu, cuda, cuda:1; auto: a GPU if it has one")


class SafeguardsConfig(Section):
    """What becomes of a caption that a check finds fault with."""

    actions: dict[str, Literal["accept", "repair", "prune", "reject"]] = Field(
        default_factory=dict,
        description="by reason, over the defaults: accept it, repair (ask again), prune (cut the"
        " sentence), reject it",
    )
    repairs: int = Field(
        default=1, ge=0, le=8, description="times a caption at fault is asked for again, seed anew"
    )
    claims: bool = Field(
        default=False, description="ask the captioner of each claim of a caption whether it is true"
    )
    min_yes: float = Field(
        default=0.5, ge=0, le=1, description="chance of yes below which a claim counts as invented"
    )
    least_logprob: float | None = Field(
        default=None,
        le=0,
        description="mean log-probability per token below which a caption counts as unsure; costs"
        " nothing",
    )
    clip: ClipConfig = Field(
        default=ClipConfig(), description="ask a similarity model whether caption and image agree"
    )
    fuse: bool = Field(
        default=False, description="ask once more for facts of the alt-text that no caption kept"
    )
    fallback: Literal["none", "alt_text", "class_name"] = Field(
        default="none", description="what stands in for an image none of whose captions passed"
    )

    @field_validator("actions")
    @classmethod
    def _known_reasons(cls, actions: dict[str, str]) -> dict[str, str]:
        known = [str(reason) for reason in Reason]
        for reason in actions:
            if reason not in known:
                raise ValueError(f"no reason {reason!r}{nearest(reason, known)}")
        return actions


class CorpusConfig(Section):
    """Where the captions go."""

    path: PlacePath = Field(min_length=1, description="folder or s3:// URL of the caption corpus")
    on_change: Literal["error", "new"] = Field(
        default="error",
        description="a corpus made by another recipe: stop, or add a version beside the old",
    )


class RunConfig(Section):
    """How a run behaves; changes no caption."""

    reject_limit: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="share of rejected samples above which a run ends with exit code 1; below 1, a"
        " run that captions none of its first 1,000 samples is stopped",
    )
    progress_s: float = Field(default=10.0, gt=0, description="seconds between lines in a log")
    show_captions: bool | Literal["auto"] = Field(
        default="auto",
        description="show a caption just made now and then; auto: in a terminal, not in a log",
    )
    read_cpus: float = Field(default=0.5, gt=0, description="CPUs reserved per reading task")
    passes: int = Field(default=3, ge=1, description="times a part lost to a crash is tried")


class Recipe(Section):
    """A whole caption run."""

    source: SourceConfig
    image: ImageConfig = ImageConfig()
    attributes: AttributesConfig = AttributesConfig()
    caption: CaptionConfig = CaptionConfig()
    engine: EngineConfig
    sampling: SamplingConfig = SamplingConfig()
    safeguards: SafeguardsConfig = SafeguardsConfig()
    corpus: CorpusConfig
    run: RunConfig = RunConfig()
    seed: int = Field(default=0, description="another seed, other captions")

    @model_validator(mode="after")
    def _captions_can_differ(self) -> Recipe:
        if self.caption.per_style > 1 and self.sampling.temperature == 0:
            raise ValueError(
                f"caption.per_style={self.caption.per_style} with sampling.temperature=0 gives the"
                " same caption each time: set caption.per_style=1 or a temperature above 0"
            )
        return self

    @property
    def captions_per_image(self) -> int:
        """The captions that each image gets."""
        return len(self.caption.styles) * self.caption.per_style


def _is_number(annotation: Any) -> bool:
    """Whether a field's type is a number, or a union with one."""
    return annotation in (int, float) or any(_is_number(one) for one in get_args(annotation))
