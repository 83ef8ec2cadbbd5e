"""Which tests `make test-fast` runs: `pytest --fast`.

What is marked slow, boots an engine or needs Ray, S3 or a card is left out, and of the rest the
files that take seconds (fuzzing, rendering, training, programs of their own).
"""

from __future__ import annotations

from pathlib import Path

FOLDERS = (
    "alt_text", "corpus", "datasets", "decode", "engines", "safeguards", "shapeworld/reading",
    "sources", "storage",
)  # fmt: skip
FILES = (
    "test_config.py", "test_docs.py", "test_fingerprint.py", "test_notices.py", "test_prepare.py",
    "test_prompts.py", "test_recipe_schema.py", "test_recipe_yaml.py", "test_recipes.py",
    "test_summary.py", "test_text.py", "train/test_checkpoints.py", "train/test_config.py",
    "train/test_crops.py", "train/test_order.py", "train/test_rotation.py",
)  # fmt: skip
SECONDS = {
    "corpus/test_damage.py", "corpus/test_export.py", "corpus/test_export_targets.py",
    "corpus/test_resume.py", "corpus/test_sift.py",
    "decode/test_apart.py", "decode/test_prepared.py", "safeguards/test_apart.py",
    "safeguards/test_in_the_corpus.py", "datasets/test_index.py", "engines/test_openai_outage.py",
    "engines/test_openai_vllm_serve.py", "engines/test_vllm_chat.py", "engines/test_built_in.py",
    "engines/test_contract.py", "engines/test_attacks.py", "storage/test_local_writes.py",
    "storage/test_messages.py", "shapeworld/reading/test_parser.py",
}  # fmt: skip
MARKS = ("gpu", "slow", "vllm", "s3")
ROOT = Path(__file__).parent


def is_fast(file: Path) -> bool:
    """Whether a file of tests is among the fast ones."""
    name = file.relative_to(ROOT).as_posix()
    if name in SECONDS or "fuzz" in name or name.startswith("storage/s3/"):
        return False
    return name in FILES or name.startswith(tuple(f"{folder}/" for folder in FOLDERS))
