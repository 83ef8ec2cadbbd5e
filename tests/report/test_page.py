"""The report: its counts are the corpus's, hostile text is inert, nothing missing makes it fail."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from pathlib import Path

import pyarrow as pa
import pytest

from recaption.config import RecipeError
from recaption.corpus.reader import CorpusReader
from recaption.engines.base import Job
from recaption.report import census, gather, write_report
from recaption.sample import Caption
from tests.corpora import jpeg, make_corpus, replay_corpus, write_tar
from tests.report.pages import refuse, report, says, shard

HOSTILE = "</p></script><script>alert(1)</script><img src=x onerror=alert(2)>\"'& {{ 7*7 }}"


def test_counts_are_those_of_the_corpus(tmp_path: Path) -> None:
    shard(tmp_path / "in" / "a.tar", 10, broken=b"nonsense", cut=jpeg()[:200], void=b"")
    shard(tmp_path / "in" / "b.tar", 7)
    settings = "caption.per_style=3", "source.part_samples=4", "engine.args.fail_on=[a/s003]"
    make_corpus(tmp_path / "c", tmp_path / "in", *settings)
    reader = CorpusReader(str(tmp_path / "c"))
    page = report(tmp_path / "c")
    assert sum(record.captioned for record in reader.records()) == 16
    assert "20 images read 16 captioned 80.0% 4 rejected 20.0% 96 captions" in page.text
    assert "20 read = 16 captioned + 4 rejected" in page.text
    assert reader.captions().num_rows == 96 and "Of all 96 captions." in page.text
    assert "6 parts of 2 shards" in page.text and "complete 6 20 4 96" in page.text
    assert "short 48 50.0%" in page.text and "dense 48 50.0%" in page.text
    assert "engine request_failed 6 5.9% of captions" in page.text
    assert "decode empty_file 1 5.0% of images" in page.text
    assert len(page.all("article")) == 16 + 4
    assert len(page.all("li")) == 5 + 96  # of the navigation, of the cards


def test_it_tells_what_the_safeguards_did(tmp_path: Path) -> None:
    shard(tmp_path / "in" / "a.tar", 6, alt="Nimbus No. 18 in Hobart")

    def write(job: Job) -> list[Caption]:
        if job.request.choices:
            chance = -3.0 if "zebra" in job.request.prompt else -0.01
            return [Caption("Yes", 0, "stop", 1, 1, chance), Caption("No", 0, "stop", 1, 1, None)]
        text = "A red field lies on the left."
        is_second = job.sample_id.endswith("2")
        return says(f"{text} There is a zebra on it." if is_second else text)(job)

    asked = ("safeguards.claims=true", "caption.styles=[dense]")
    make_corpus(tmp_path / "c", tmp_path / "in", *asked, answer=write)
    text = report(tmp_path / "c").text
    assert "What the safeguards did accept accept 5 · 83.3% pruned pruned 1 · 16.7%" in text
    assert "least yes median 0.99" in text and "facts kept median 0.00" in text
    make_corpus(tmp_path / "plain", tmp_path / "in", answer=says("A field."))
    assert "least yes" not in report(tmp_path / "plain").text


def test_counts_after_a_replay_are_what_stands(tmp_path: Path) -> None:
    def answer(job: Job) -> list[Caption]:
        is_late = job.sample_id in ("a/s001", "a/s002") or job.request.style == "dense"
        return refuse(job) if is_late else says("seen at once")(job)

    job = make_corpus(tmp_path / "c", shard(tmp_path / "a.tar", 6, void=b""), answer=answer)
    page = report(tmp_path / "c")
    assert "7 read = 4 captioned + 3 rejected" in page.text
    assert "engine timeout 8 66.7% of captions" in page.text
    assert "timeout dense 0: too slow for a/s003" in page.text  # on the card of the sample

    replay_corpus(job, lambda j: (refuse if j.sample_id == "a/s001" else says("seen again"))(j))
    page = report(tmp_path / "c")
    assert "7 read = 5 captioned + 2 rejected" in page.text and " 10 captions" in page.text
    assert "engine timeout 2 16.7% of captions" in page.text
    assert "decode empty_file 1 14.3% of images" in page.text
    assert "seen at once" in page.text and "seen again" in page.text


def test_hostile_text_is_inert(tmp_path: Path) -> None:
    calm = report(_calm(tmp_path / "calm"))
    members = [(f"{k}.jpg", jpeg()) for k in ("a", "<b onclick=x>k")]
    members += [("a.txt", HOSTILE.encode()), ("a.cls", HOSTILE.encode()), ("c.jpg", b"<script>")]
    source = write_tar(tmp_path / "hostile" / "<script>.tar", sorted(members))
    make_corpus(
        tmp_path / "c", source, f"source.dataset={json.dumps(HOSTILE)}", answer=says(HOSTILE + "\0")
    )
    page = report(tmp_path / "c")
    assert HOSTILE in page.text  # a caption
    assert page.text.count(HOSTILE) >= 1 + 4 + 2  # data set, captions, hints
    assert "\0" not in page.html
    assert {name for name, _ in page.elements} <= {name for name, _ in calm.elements} | {"div"}
    assert len(page.all("script")) == 1 and page.raw["script"] == calm.raw["script"]
    assert not [name for _, a in page.elements for name in a if name.startswith("on")]
    assert all(i["src"].startswith("data:image/webp;base64,") for i in page.all("img"))


def _calm(folder: Path) -> Path:
    make_corpus(folder / "c", shard(folder / "a.tar", 3, void=b""))
    return folder / "c"


def test_the_browser_may_run_the_pages_own_script_only(tmp_path: Path) -> None:
    page = report(_calm(tmp_path))
    (policy,) = [m["content"] for m in page.all("meta") if "http-equiv" in m]
    assert "default-src 'none'" in policy
    for kind, content in page.raw.items():
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


def test_nothing_is_loaded_from_elsewhere(tmp_path: Path) -> None:
    source = shard(tmp_path / "a.tar", 3, alt="https://example.org/a.jpg")
    make_corpus(tmp_path / "c", source, answer=says("see http://example.org"))
    page = report(tmp_path / "c")
    loading = ("src", "href", "srcset", "data", "poster", "action", "background", "style")
    urls = [a[name] for _, a in page.elements for name in loading if name in a]
    assert urls and all(url.startswith(("data:image/webp;", "#")) for url in urls)
    assert "url(" not in page.raw["style"] and "@import" not in page.raw["style"]
    assert not page.all("link") and not page.all("iframe")


def test_a_corpus_without_captions(tmp_path: Path) -> None:
    corpus = tmp_path / "c"
    job = make_corpus(corpus, shard(tmp_path / "a.tar", 3), answer=refuse)
    page = report(corpus)
    assert "There is no caption: every image was rejected." in page.text
    assert "3 read = 0 captioned + 3 rejected" in page.text and "engine timeout 6" in page.text
    assert sorted(page.ids()) == ["a/s000", "a/s001", "a/s002"] and 'id="gallery"' not in page.html

    for record in (Path(job.ledger.folder) / "commits").iterdir():
        record.unlink()
    assert "No part has been committed yet" in report(corpus).text
    for recipe in (corpus / "recipes").iterdir():
        recipe.unlink()
    assert "This corpus is empty" in report(corpus).text


def test_an_unfinished_corpus_says_so(tmp_path: Path) -> None:
    settings = tmp_path / "c", shard(tmp_path / "a.tar", 10), "source.part_samples=3"
    make_corpus(*settings, parts=2)
    page = report(tmp_path / "c")
    assert "No run has ended in order yet" in page.text and "6 images read" in page.text
    beat = {"run_id": "r", "host": "node-7", "time": time.time(), "line": "40 images/s"}
    live = tmp_path / "c" / "runs" / "r.live.json"
    live.parent.mkdir()
    live.write_text(json.dumps(beat))
    assert report(tmp_path / "c").state == "A run is under way on node-7: 40 images/s"
    os.utime(live, (0, 0))
    assert "No run has ended" in report(tmp_path / "c").state
    live.unlink()

    make_corpus(*settings)
    page = report(tmp_path / "c")
    assert not page.state and "10 images read" in page.text
    (run,) = (tmp_path / "c" / "runs").iterdir()
    run.write_text(run.read_text().replace('"complete"', '"stopped"'))
    assert "The newest run is stopped" in report(tmp_path / "c").text
    run.write_text("{")
    assert f"Not readable: {run.name}" in report(tmp_path / "c").text


def test_the_choice_depends_on_the_seed_only(tmp_path: Path) -> None:
    make_corpus(tmp_path / "c", shard(tmp_path / "a.tar", 40), "source.part_samples=8")
    first, again, other = (report(tmp_path / "c", 5, seed=seed).ids() for seed in (0, 0, 1))
    more = report(tmp_path / "c", 10).ids()
    assert len(first) == 5 and first == again != other
    assert set(first) < set(more) and more == sorted(more)
    assert not report(tmp_path / "c", samples=0).ids()


def test_a_large_corpus_is_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_corpus(tmp_path / "c", shard(tmp_path / "a.tar", 40), "source.part_samples=4")
    read: list[int] = []

    def captions(self: CorpusReader, records: list[object]) -> pa.Table:
        read.append(len(records))
        return whole(self, records)  # type: ignore[arg-type]

    whole = CorpusReader.captions
    monkeypatch.setattr(CorpusReader, "captions", captions)
    monkeypatch.setattr(gather, "PARTS", 3)
    monkeypatch.setattr(census, "COUNTED", 6)
    page = report(tmp_path / "c", samples=5)
    assert len(read) == 3
    assert "≈ 40 images read" in page.text and "10 parts of 1 shard " in page.text
    assert "24 read = 24 captioned + 0 rejected in the 6 parts that were counted" in page.text
    assert "Of 24 captions in 3 of 10 parts, chosen at random." in page.text
    assert "short ≈ 40" in page.text


def test_very_long_texts_are_cut(tmp_path: Path) -> None:
    source = shard(tmp_path / "a.tar", 6, alt="word " * 100_000)
    make_corpus(tmp_path / "c", source, "caption.per_style=4", answer=says("token " * 20_000))
    page = report(tmp_path / "c")
    assert len(page.html) < 900_000  # 6 x (8 captions of 4 KB, 2 prompts, an alt-text)
    assert "more characters)" in page.text


def test_a_version_is_asked_for_where_there_are_two(tmp_path: Path) -> None:
    corpus, source = tmp_path / "c", shard(tmp_path / "a.tar", 3)
    make_corpus(corpus, source, answer=says("first version"))
    newer = make_corpus(corpus, source, "seed=1", "corpus.on_change=new", answer=says("second"))
    with pytest.raises(RecipeError, match="name one with --version"):
        report(corpus)
    page = report(corpus, version=newer.made_by.fingerprint[:6])
    assert "second" in page.text and "first version" not in page.text
    assert "other versions" in page.text
    with pytest.raises(RecipeError, match="not a corpus"):
        report(tmp_path / "nowhere")


def test_the_recipe_is_shown_without_secrets(tmp_path: Path) -> None:
    corpus = tmp_path / "c"
    make_corpus(corpus, shard(tmp_path / "a.tar", 3), "engine.model=echo/large")
    (recipe,) = (corpus / "recipes").iterdir()
    text = recipe.read_text().replace("args: {}", "args: {hf_token: hf_abc, max_model_len: 7}")
    recipe.write_text(text)
    page = report(corpus)
    assert "hf_abc" not in page.html and "hf_token: (not shown)" in page.text
    assert "max_model_len: 7" in page.text and "echo/large" in page.text
    assert "max_tokens: 256" in page.text and "api_key_env: OPENAI_API_KEY" in page.text
    recipe.write_text(text.replace("caption:", "captoin:"))
    page = report(corpus)
    assert page.text.count("the version's recipe cannot be read") == 3


def test_where_the_page_goes(tmp_path: Path) -> None:
    corpus = _calm(tmp_path)
    (tmp_path / "out").mkdir()
    assert write_report(str(corpus)) == str(corpus / "report.html")
    assert write_report(str(corpus), str(tmp_path / "out")) == str(tmp_path / "out/report.html")
    path = str(tmp_path / "new" / "page.html")
    assert write_report(str(corpus), path) == path and Path(path).is_file()


def test_an_engine_that_tells_no_probabilities(tmp_path: Path) -> None:
    make_corpus(tmp_path / "c", shard(tmp_path / "a.tar", 3), answer=says("yes", logprob=None))
    page = report(tmp_path / "c")
    assert "Confidence" not in page.text and "Length words" in page.text
