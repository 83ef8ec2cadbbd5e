"""The columns of the corpus, fixed and versioned: variants are rows, never new columns.

One row per caption, one row per reject. Changing a column means a new SCHEMA_VERSION.
"""

from __future__ import annotations

import pyarrow as pa

SCHEMA_VERSION = 1

POLICY = "policy"
"""The check whose verdict says what became of a caption; its score: how often it was asked."""

_SAMPLE = [
    ("dataset", pa.string()),
    ("sample_id", pa.string()),  # unique in the data set
    ("shard", pa.string()),  # path below the source's root
    ("part", pa.int32()),  # index of the part in the shard
    ("ordinal", pa.int64()),  # index of the sample in the shard
    ("key", pa.string()),  # the shard's own name for the sample
    ("image_name", pa.string()),
    ("image_sha256", pa.string()),  # of the encoded image as found; null if there was none
    ("image_format", pa.string()),
    ("width", pa.int32()),  # pixels, upright, as found
    ("height", pa.int32()),
    ("alt_text", pa.string()),  # as found
    ("class_names", pa.list_(pa.string())),
]
_REQUEST = [
    ("region", pa.string()),  # "full", or the crop that the caption describes
    ("style", pa.string()),
    ("slot", pa.int16()),  # 0 .. samples - 1 within the style
    ("seed", pa.int64()),
    ("template", pa.string()),
    ("template_hash", pa.string()),
    ("prompt", pa.string()),  # as asked, hints and all
]
_MADE_BY = [
    ("engine", pa.string()),
    ("engine_version", pa.string()),
    ("model", pa.string()),
    ("model_revision", pa.string()),
    ("model_hash", pa.string()),
    ("sampling", pa.string()),  # JSON
    ("fingerprint", pa.string()),  # of the recipe
    ("run_id", pa.string()),
]
_VERDICTS = pa.list_(
    pa.struct([("check", pa.string()), ("verdict", pa.string()), ("score", pa.float32())])
)
# kind: class, alt_text or a HintKind; source: the adapter that read it, and its trust (`web low`)
_HINTS = pa.list_(
    pa.struct([("kind", pa.string()), ("text", pa.string()), ("source", pa.string())])
)
_METADATA = {"recaption.schema": str(SCHEMA_VERSION)}

CAPTIONS = pa.schema(
    [
        *_SAMPLE,
        *_REQUEST,
        ("caption", pa.string()),
        ("finish_reason", pa.string()),
        ("prompt_tokens", pa.int32()),
        ("caption_tokens", pa.int32()),
        ("mean_logprob", pa.float32()),  # natural log, mean over the caption's tokens
        ("hints", _HINTS),  # what the prompt showed; besides: whom to credit, notes on the file
        ("verdicts", _VERDICTS),  # of the safeguards
        *_MADE_BY,
    ],
    metadata=_METADATA,
)

REJECTS = pa.schema(
    [
        *_SAMPLE,
        *_REQUEST,  # null where the whole sample was rejected
        ("stage", pa.string()),
        ("reason", pa.string()),  # one of recaption.sample.Reason
        ("message", pa.string()),
        ("attempts", pa.int32()),
        *_MADE_BY,
    ],
    metadata=_METADATA,
)
