"""ImageNet-21K, release winter21, untarred once: a tar of JPEGs for each class, and word lists.

    winter21_whole/<wnid>.tar                members <wnid>_<n>.JPEG; n is the scene's index
    imagenet_synset_to_lemma.txt             <wnid> TAB <words>
    imagenet_synset_to_definition.txt        <wnid> TAB <gloss>

The class is the scene's own, always right. A wnid is `n` and eight digits; these lie beyond all
offsets of WordNet, so that no list of real synsets knows them.
"""

from __future__ import annotations

from collections import defaultdict

from recaption.shapeworld.scenes import draw_scene
from recaption.shapeworld.sets.layouts.base import Batch, Layout, Rendered
from recaption.shapeworld.sets.rendered_set import RenderedSet
from recaption.shapeworld.sets.samples import draw_sample, image_of
from recaption.shapeworld.unseen import CLASSES, ClassName
from recaption.tars import tar_bytes

FOLDER = "winter21_whole"
LEMMAS, DEFINITIONS = "imagenet_synset_to_lemma.txt", "imagenet_synset_to_definition.txt"

_BEYOND_WORDNET = 90_000_000


def wnid_of(one: ClassName) -> str:
    """Return the id that stands for a class."""
    return f"n{_BEYOND_WORDNET + int(one.class_id[1:]):08d}"


def _by_class(rendered: RenderedSet) -> list[Batch]:
    """Return a batch for each class that has images; draws every scene of the set to know."""
    found: dict[str, list[int]] = defaultdict(list)
    for index in range(rendered.images):
        found[wnid_of(draw_scene(rendered.seed, index).unseen.class_name)].append(index)
    return [Batch(wnid, found[wnid]) for wnid in sorted(found)]


def _render(rendered: RenderedSet, batch: Batch) -> Rendered:
    members = (
        (f"{batch.name}_{index}.JPEG", image_of(draw_sample(rendered, index), rendered))
        for index in batch.indices
    )
    return Rendered({f"{FOLDER}/{batch.name}.tar": tar_bytes(members)})


def _word_lists(rendered: RenderedSet) -> dict[str, str]:
    classes = CLASSES.values()
    return {
        LEMMAS: "".join(f"{wnid_of(one)}\t{one.word}\n" for one in classes),
        DEFINITIONS: "".join(f"{wnid_of(one)}\t{one.gloss}\n" for one in classes),
    }


LAYOUT = Layout(_render, batches=_by_class, heads=_word_lists)
