"""Sets of rendered images in a layout, whole and cropped."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from recaption.shapeworld.crops import draw_crop
from recaption.shapeworld.scenes import Scene, draw_scene
from recaption.shapeworld.sets.rendered_set import RenderedSet
from recaption.shapeworld.sets.writing import write_set

Drawn = tuple[Path, list[tuple[Scene, Scene]]]
"""Where the set is, and of each image the scene and what is shown of it."""


@pytest.fixture(scope="module", params=[False, True], ids=["whole", "crops"])
def written(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Drawn]]:
    """Write three shards of forty images in a layout, once for each module."""
    done: dict[str, Drawn] = {}

    def write(layout: str) -> Drawn:
        if layout not in done:
            folder = tmp_path_factory.mktemp(layout)
            write_set(RenderedSet(11, 3, 40, 48, crops=request.param), layout, str(folder), 1)
            scenes = [draw_scene(11, index) for index in range(120)]
            shown = [draw_crop(scene) if request.param else scene for scene in scenes]
            done[layout] = folder, list(zip(scenes, shown, strict=True))
        return done[layout]

    yield write
