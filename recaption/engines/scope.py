"""What the built-in captioners know: rendered scenes, and nothing of what a photograph shows."""

from __future__ import annotations

from recaption import storage
from recaption.config import EngineConfig, RecipeError
from recaption.engines.random_model import PREFIX as RANDOM
from recaption.notices import note
from recaption.storage.paths import scheme_of

BUILT_IN = "builtin:"
"""How the names of built-in captioners begin."""

RENDERED_LABEL = "rendered.json"
"""The file that lies in the folder of every set that `recaption shapeworld render` wrote."""

KNOWS = "knows rendered scenes only: what it says of other images is made up"

_FOLDERS_UP = 3  # from the root of what is captioned to where a layout's label may lie


def check_scope(engine: EngineConfig, root: str) -> None:
    """Refuse to caption other images than rendered scenes with a built-in captioner.

    `root` is the folder of the source's shards. Raises RecipeError unless the recipe confirms it;
    then it is noted, as it is of a model with random weights.
    """
    _note_random(engine)
    if not engine.model.startswith(BUILT_IN) or is_rendered(root):
        return
    if not engine.confirm_builtin:
        raise RecipeError(
            f"engine.model={engine.model} {KNOWS}, and {root} holds no set that `recaption"
            " shapeworld render` wrote. For photographs name a model that knows them, such as"
            " engine.model=Qwen/Qwen3-VL-2B-Instruct (configs/caption/photos.yaml); to try it all"
            " the same, engine.confirm_builtin=true"
        )
    note(f"a built-in captioner was confirmed for images that are not rendered; it {KNOWS}", root)


def note_scope(engine: EngineConfig) -> None:
    """Note of which models captions mean little, where nobody can tell what the images are."""
    _note_random(engine)
    if engine.model.startswith(BUILT_IN) and not engine.confirm_builtin:
        note(f"a built-in captioner is asked; it {KNOWS}", engine.model)


def _note_random(engine: EngineConfig) -> None:
    if engine.model.startswith(RANDOM):
        note("captions by a model with random weights, which mean nothing", engine.model)


def is_rendered(root: str) -> bool:
    """Say whether a folder is one of rendered scenes, or lies in the folder of such a set."""
    if scheme_of(root) == "shapeworld":
        return True
    folder = root.rstrip("/")
    for _ in range(_FOLDERS_UP):
        if storage.exists(storage.join(folder, RENDERED_LABEL)):
            return True
        folder = folder.rpartition("/")[0]
        if not folder or folder.endswith((":", "/")):
            return False
    return False
