"""What helps to read the page: pictures first, small ones enlarged, scores, words, truth."""

from __future__ import annotations

from pathlib import Path

import pytest

from recaption.engines.base import Job
from recaption.report import cards
from recaption.report.words import ADVICE
from recaption.sample import Caption, Reason
from recaption.shapeworld.sets.rendered_set import RenderedSet
from recaption.shapeworld.sets.writing import write_set
from tests.command_line import recaption
from tests.corpora import jpeg, make_corpus, write_tar
from tests.report.pages import Page, refuse, report, says, shard

STYLES = "caption.styles=[short]"


def test_pictures_come_first_and_small_ones_are_enlarged(tmp_path: Path) -> None:
    sizes = {"a": (64, 48), "b": (160, 100), "c": (161, 100), "d": (900, 600)}
    members = [(f"{key}.jpg", jpeg(size=size)) for key, size in sizes.items()]
    make_corpus(tmp_path / "c", write_tar(tmp_path / "x.tar", members))
    page = report(tmp_path / "c")
    shown = [(i["width"], i["height"], i.get("class", "")) for i in page.all("img")]
    small = [("320", "240", "small"), ("320", "200", "small")]
    assert shown == [*small, ("161", "100", ""), ("320", "213", "")]
    assert "pixelated" in page.raw["style"]
    order = [page.html.index(f'id="{name}"') for name in ("gallery", "rejects", "distributions")]
    assert order == sorted(order) and page.html.index("<svg") > page.html.index("<img")


def test_captions_can_be_sorted_and_picked(tmp_path: Path) -> None:
    def write(job: Job) -> list[Caption]:
        is_odd = job.sample_id.endswith("1")
        odd = says("I'm sorry, but I cannot describe this image.", -1.5)
        return (odd if is_odd else says("A red field.", None))(job)

    make_corpus(tmp_path / "c", shard(tmp_path / "a.tar", 3), STYLES, answer=write)
    page = report(tmp_path / "c")
    captions = [li for li in page.all("li") if "data-style" in li]
    assert [li.get("data-logprob") for li in captions] == [None, "-1.5000", None]
    orders = [o["value"] for o in page.all("option") if o.get("value", "").endswith("1")]
    assert orders == ["logprob 1", "logprob -1"]
    assert [li["data-marks"] for li in captions[::2]] == ["no objection"] * 2
    assert "form.refusal: refusal" in captions[1]["data-marks"].split("|")
    picked = [o["value"] for o in page.all("option") if "value" in o]
    assert {"no objection", "form.refusal: refusal"} < set(picked)


def test_a_sample_of_very_many_captions_shows_some(tmp_path: Path) -> None:
    many = "caption.per_style=50", "caption.styles=[short, dense]"
    make_corpus(tmp_path / "c", shard(tmp_path / "a.tar", 1), *many, answer=says("A field."))
    page = report(tmp_path / "c")
    shown = [li["data-style"] for li in page.all("li") if "data-style" in li]
    assert shown.count("short") == shown.count("dense") == cards.MOST // 2
    assert f"and {100 - cards.MOST} more captions" in page.text


def test_each_word_and_each_reason_is_explained(tmp_path: Path) -> None:
    assert set(ADVICE) == set(Reason)
    make_corpus(tmp_path / "c", shard(tmp_path / "a.tar", 2, void=b""), answer=refuse)
    make_corpus(tmp_path / "d", shard(tmp_path / "a.tar", 2))
    page = report(tmp_path / "c")
    assert ADVICE[Reason.TIMEOUT] in page.text and ADVICE[Reason.EMPTY_FILE] in page.text
    for one in (page, report(tmp_path / "d")):
        asked = {a["data-word"] for _, a in one.elements if "data-word" in a}
        explained = {a["id"].removeprefix("w-") for _, a in one.elements if "id" in a}
        assert asked and asked <= explained
        links = {a["href"][1:] for a in one.all("a")}
        assert links <= {a["id"] for _, a in one.elements if "id" in a}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes of one large thing each."""
    folder = tmp_path_factory.mktemp("rendered")
    simple = RenderedSet(3, 1, 2, 48, "png", False, most_things=1, only_large=True)
    write_set(simple, "webdataset", str(folder / "shards"), 1, lambda done: None)
    return folder


def test_it_tells_which_claims_are_true(rendered: Path, tmp_path: Path) -> None:
    from recaption.shapeworld.score import read_truths

    shards, corpus = rendered / "shards", tmp_path / "c"
    (thing, _) = (truth.scene.things[0] for truth in read_truths(str(shards)).values())
    wrong = "triangle" if thing.shape != "triangle" else "square"
    answer = says(f"A {thing.colour} {wrong} on a plain pink background.")
    make_corpus(corpus, shards, STYLES, answer=answer)
    result = recaption("report", corpus, "--truth", shards)
    assert result.code == 0, result.err
    page = Page(str(corpus / "report.html"))
    assert "of claims true" in page.text and f"shape: {thing.colour} {wrong}" in page.text
    first, *_ = [li for li in page.all("li") if "data-style" in li]
    assert 0 < float(first["data-precision"]) < 1 and float(first["data-recall"]) < 1
    assert "truth: a false claim" in first["data-marks"]
    assert "of claims true" not in report(corpus).text


def test_shards_of_other_images_are_no_truth(rendered: Path, tmp_path: Path) -> None:
    make_corpus(tmp_path / "c", shard(tmp_path / "a.tar", 2))
    others = recaption("report", tmp_path / "c", "--truth", tmp_path / "a.tar")
    assert others.code == 2 and "the .json of a rendered scene" in others.complaint
    wrong = recaption("report", tmp_path / "c", "--truth", rendered / "shards")
    assert wrong.code == 2 and "give the shards that it was made of" in wrong.complaint
