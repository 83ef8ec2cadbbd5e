"""ImageNet-21K's layout, read back with tarfile alone."""

import re
import tarfile

import pytest

from recaption.config import SourceConfig
from recaption.shapeworld.unseen import CLASSES
from recaption.sources import list_shards, read_parts
from tests.shapeworld.sets.layouts.pictures import shows

MEMBER = re.compile(r"(n\d{8})_(0|[1-9]\d*)\.JPEG")


@pytest.fixture(scope="module")
def made(written):
    return written("imagenet")


def read_table(file):
    """Return the lines `<wnid> TAB <text>` of a word list, by wnid."""
    pairs = [line.split("\t") for line in file.read_text("ascii").splitlines()]
    assert all(len(pair) == 2 and re.fullmatch(r"n\d{8}", pair[0]) for pair in pairs)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def test_the_tree(made):
    folder, _ = made
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    tars = {name for name in files if name.startswith("winter21_whole/")}
    assert all(re.fullmatch(r"winter21_whole/n\d{8}\.tar", name) for name in tars)
    assert files - tars == {
        "rendered.json",
        "imagenet_synset_to_lemma.txt",
        "imagenet_synset_to_definition.txt",
    }


def test_every_image_is_in_the_tar_of_its_class_once(made):
    folder, drawn = made
    lemmas = read_table(folder / "imagenet_synset_to_lemma.txt")
    glosses = read_table(folder / "imagenet_synset_to_definition.txt")
    seen = set()
    for path in (folder / "winter21_whole").iterdir():
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                match = MEMBER.fullmatch(member.name)
                assert match and match[1] == path.stem
                scene, shown = drawn[int(match[2])]
                own = scene.unseen.class_name
                assert (lemmas[path.stem], glosses[path.stem]) == (own.word, own.gloss)
                assert shows(tar.extractfile(member).read(), shown)
                seen.add(int(match[2]))
    assert seen == set(range(120))


def test_the_word_lists_have_all_classes_and_some_words_twice(made):
    folder, _ = made
    lemmas = read_table(folder / "imagenet_synset_to_lemma.txt")
    glosses = read_table(folder / "imagenet_synset_to_definition.txt")
    assert lemmas.keys() == glosses.keys()
    pairs = {(lemmas[wnid], glosses[wnid]) for wnid in lemmas}
    assert pairs == {(one.word, one.gloss) for one in CLASSES.values()}
    assert len(set(lemmas.values())) < len(lemmas)


def test_our_own_reader_reads_it(made):
    folder, _ = made
    source = SourceConfig(path=str(folder))
    parts = [part for shard in list_shards(source) for part in read_parts(shard, source)]
    assert sum(1 for part in parts for sample in part.samples if sample.image) == 120
