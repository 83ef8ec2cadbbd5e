"""The layouts of data sets, with rendered images in them: adapters are tested against these.

A layout is one file with a `LAYOUT`, and a line here. File names, columns and encodings are those
of the data set; ids, labels and boxes are those of the scenes.
"""

from __future__ import annotations

from recaption.config import RecipeError, nearest
from recaption.shapeworld.sets.layouts import export, imagenet, openimages, webdataset, yfcc
from recaption.shapeworld.sets.layouts.base import Layout
from recaption.shapeworld.sets.rendered_set import RenderedSet

LAYOUTS: dict[str, Layout] = {
    "webdataset": webdataset.LAYOUT,
    "imagenet": imagenet.LAYOUT,
    "openimages": openimages.LAYOUT,
    "yfcc": yfcc.LAYOUT,
    "export": export.LAYOUT,
}


def layout_for(name: str, rendered: RenderedSet) -> Layout:
    """Return a layout by name. Raises RecipeError for a wrong name, or images that it has not."""
    if name not in LAYOUTS:
        choices = f"{', '.join(LAYOUTS)}{nearest(name, LAYOUTS)}"
        raise RecipeError(f"got layout {name!r}, expected one of {choices}")
    layout = LAYOUTS[name]
    if rendered.image_format not in layout.formats:
        raise RecipeError(
            f"got format {rendered.image_format!r}, expected {' or '.join(layout.formats)}: the"
            f" layout {name} has no other images"
        )
    return layout
