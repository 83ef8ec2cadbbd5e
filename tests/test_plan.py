"""The plan of a run: near enough to the truth to decide on a budget, for each kind of shard."""

from __future__ import annotations

import gzip
import io
import json
import random
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from recaption import storage
from recaption.job import resolve_job
from recaption.plan import Plan, describe_plan, make_plan
from recaption.recipe_file import apply_overrides, parse_recipe
from tests.command_line import recaption
from tests.corpora import write_tar
from tests.corpus.build import BUCKET, caption, files_of, needs_s3, write_photos

NEAR = 0.20  # of the truth


def photo(seed: int) -> bytes:
    """Return a noisy JPEG of 1 to 9 KB, as different in size as photos are."""
    rng = np.random.default_rng(seed)
    side = int(rng.integers(24, 88))
    out = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (side, side, 3), np.uint8)).save(out, "JPEG", quality=70)
    return out.getvalue()


def photos(shard: int, count: int) -> Iterator[tuple[str, bytes]]:
    return ((f"{i:05d}", photo(shard * 100_000 + i)) for i in range(count))


def write_plain_tar(path: Path, shard: int, count: int) -> None:
    write_tar(path, ((f"{key}.jpg", data) for key, data in photos(shard, count)))


def write_rich_tar(path: Path, shard: int, count: int) -> None:
    """As img2dataset writes it, with an embedding beside that no reader looks at."""
    members = []
    for key, data in photos(shard, count):
        text = json.dumps({"caption": f"photo {key}", "url": f"https://example.com/{key}" * 9})
        rest = [("txt", f"photo {key}".encode()), ("json", text.encode()), ("npy", bytes(3000))]
        members += [(f"{key}.jpg", data), *((f"{key}.{name}", body) for name, body in rest)]
    write_tar(path, members)


def write_packed_tar(path: Path, shard: int, count: int) -> None:
    write_plain_tar(path, shard, count)
    path.write_bytes(gzip.compress(path.read_bytes(), 1))


def write_zip(path: Path, shard: int, count: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for key, data in photos(shard, count):
            archive.writestr(f"{key}.jpg", data)


def write_parquet(path: Path, shard: int, count: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = dict(photos(shard, count))
    table = pa.table({"image": pa.array(list(rows.values()), pa.binary()), "caption": list(rows)})
    pq.write_table(table, path, row_group_size=100)


def write_folder(path: Path, shard: int, count: int) -> None:
    path.mkdir(parents=True)
    for key, data in photos(shard, count):
        (path / f"{key}.jpg").write_bytes(data)
        (path / f"{key}.txt").write_text("a photo")


KINDS: dict[str, tuple[str, Callable[[Path, int, int], None]]] = {
    "plain tar": (".tar", write_plain_tar),
    "rich tar": (".tar", write_rich_tar),
    "packed tar": (".tar.gz", write_packed_tar),
    "parquet": (".parquet", write_parquet),
    "zip": (".zip", write_zip),
    "folder": ("", write_folder),
}


def write(folder: Path, kind: str, counts: list[int]) -> Path:
    suffix, write_shard = KINDS[kind]
    for shard, count in enumerate(counts):
        write_shard(folder / f"{shard:03d}{suffix}", shard, count)
    return folder


def plan_of(source: Path | str, corpus: Path, *overrides: str) -> Plan:
    base = {
        "source": {"path": str(source), "part_samples": 32},
        "engine": {"kind": "echo"},
        "corpus": {"path": str(corpus)},
    }
    return make_plan(resolve_job(parse_recipe(apply_overrides(base, overrides))))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [20, 150], ids=["whole in a part", "many parts"])
def test_images_are_estimated_for_each_kind(tmp_path: Path, kind: str, count: int) -> None:
    """Whether the probe sees a shard's end or only its first fifth."""
    counts = [count - shard for shard in range(5)]
    plan = plan_of(write(tmp_path / "in", kind, counts), tmp_path / "corpus")
    assert abs(plan.images - sum(counts)) <= NEAR * sum(counts)
    assert (plan.shards, plan.pending) == (5, 5)
    assert plan.probed_images in ({96} if count == 150 else range(51, 61)), "of three shards"
    assert files_of(tmp_path / "corpus") == [], "a plan writes nothing"


@pytest.mark.parametrize("kind", ["rich tar", "parquet"])
def test_shards_of_different_sizes_are_weighed(tmp_path: Path, kind: str) -> None:
    """The last shard of a data set is often short, and crawls have some that are huge."""
    counts = random.Random(5).choices([8, 60, 200], k=12)
    plan = plan_of(write(tmp_path / "in", kind, counts), tmp_path / "corpus")
    assert abs(plan.images - sum(counts)) <= NEAR * sum(counts), (plan.images, sum(counts))


def test_the_whole_is_exact_where_all_of_it_is_probed(tmp_path: Path) -> None:
    plan = plan_of(
        write_photos(tmp_path / "in", shards=2, images=7),
        tmp_path / "corpus",
        "caption.styles=[short, dense]",
        "caption.per_style=3",
        "sampling.max_tokens=50",
    )
    assert (plan.images, plan.requests, plan.captions) == (14, 28, 84)
    assert plan.caption_tokens == 84 * 50
    assert (plan.probed_images, plan.probed_rejects, plan.faults) == (14, 0, ())
    files = [file.stat().st_size for file in (tmp_path / "in").iterdir()]
    assert plan.bytes == sum(files)


def test_prompt_tokens_are_about_right(tmp_path: Path) -> None:
    """English has about four characters to a token: within a third of 14 prompts' words."""
    plan = plan_of(write_photos(tmp_path / "in", images=7), tmp_path / "corpus")
    job = caption(tmp_path / "corpus", tmp_path / "in")
    parts = [part for shard in job.shards for part in job.preparer.parts(shard)]
    prompts = [r.prompt for part in parts for sample in part.samples for r in sample.requests]
    words = sum(len(prompt.split()) for prompt in prompts)
    assert words < plan.prompt_tokens < 2 * words


def test_what_is_done_is_not_planned_again(tmp_path: Path) -> None:
    source, corpus = write_photos(tmp_path / "in", shards=3, images=10), tmp_path / "corpus"
    parts = ("source.part_samples=4",)
    caption(corpus, source, *parts, parts=2)
    plan = plan_of(source, corpus, *parts)
    assert (plan.pending, plan.images) == (3, 6), "two parts of four of each shard are done"
    (source / "00002.tar").rename(tmp_path / "later.tar")
    caption(corpus, source, *parts)
    (tmp_path / "later.tar").rename(source / "00002.tar")
    plan = plan_of(source, corpus, *parts)
    assert (plan.shards, plan.pending, plan.images) == (3, 1, 2)


def test_nothing_is_left_to_plan(tmp_path: Path) -> None:
    source, corpus = write_photos(tmp_path / "in"), tmp_path / "corpus"
    caption(corpus, source)
    plan = plan_of(source, corpus, "source.part_samples=256")
    assert (plan.pending, plan.images, plan.captions, plan.bytes) == (0, 0, 0, 0)
    assert describe_plan(plan, None)[0] == "shards    0 of 2 to do"


def test_broken_shards_are_named_and_do_not_spoil_the_estimate(tmp_path: Path) -> None:
    source = write(tmp_path / "in", "plain tar", [40] * 6)
    for shard in range(5):  # of six, so that the probe meets some
        file = source / f"{shard:03d}.tar"
        if shard % 2:
            file.write_bytes(b"\xff" * file.stat().st_size)
    plan = plan_of(source, tmp_path / "corpus")
    assert len(plan.faults) in {1, 2} and all("not a tar file" in f for f in plan.faults)
    assert abs(plan.images - 240) <= NEAR * 240
    assert sum(line.startswith("BROKEN") for line in describe_plan(plan, None)) == len(plan.faults)


def test_shards_that_are_all_broken_give_no_images(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"x" * 9999)
    plan = plan_of(tmp_path, tmp_path / "corpus")
    assert plan.images == 0 and len(plan.faults) == 1


def test_rejects_of_the_probe_are_counted(tmp_path: Path) -> None:
    members = [(f"{i}.jpg", photo(i) if i % 3 else b"not an image") for i in range(9)]
    write_tar(tmp_path / "a.tar", members)
    plan = plan_of(tmp_path, tmp_path / "corpus")
    assert (plan.probed_images, plan.probed_rejects) == (9, 3)
    assert "9 images, 3 of them rejected" in describe_plan(plan, None)[1]


def test_time_and_cost_follow_the_rate(tmp_path: Path) -> None:
    source = write_photos(tmp_path / "in", images=9)
    job = resolve_job(
        parse_recipe(
            {
                "source": {"path": str(source)},
                "engine": {"kind": "echo"},
                "corpus": {"path": str(tmp_path / "corpus")},
            }
        )
    )
    plan = make_plan(job, images_per_second=0.5)
    assert plan.engine_hours == 18 / 0.5 / 3600
    assert describe_plan(plan, 36.0)[-2:] == [
        "time      0.01 engine-hours at 0.5 images/s",
        "cost      0.36 at 36 per engine-hour",
    ]
    unknown = make_plan(job)
    assert unknown.engine_hours is None and "unknown" in describe_plan(unknown, 36.0)[-1]


def test_the_rate_of_the_last_run_is_taken(tmp_path: Path) -> None:
    source, corpus = write_photos(tmp_path / "in"), tmp_path / "corpus"
    job = caption(corpus, source)
    (file,) = (corpus / "runs").glob("*.json")
    run = json.loads(file.read_text()) | {"images_per_second": 12.5}
    file.write_text(json.dumps(run))
    assert plan_of(source, corpus, "source.part_samples=256").images_per_second == 12.5
    other = run | {"fingerprint": "other", "images_per_second": 99, "run_id": "99999999"}
    (corpus / "runs" / "99999999.json").write_text(json.dumps(other))
    assert make_plan(job).images_per_second == 12.5, "of the same recipe, not of a faster one"


@pytest.mark.s3
@needs_s3
@pytest.mark.parametrize("kind", ["rich tar", "packed tar", "parquet", "folder"])
def test_a_plan_of_shards_on_s3(tmp_path: Path, kind: str) -> None:
    url = f"s3://{BUCKET}/test-plan/{tmp_path.name}"
    write(tmp_path / "in", kind, [24, 20, 16, 12])
    try:
        for name in files_of(tmp_path / "in"):
            storage.write_bytes(storage.join(url, name), (tmp_path / "in" / name).read_bytes())
        plan = plan_of(url, tmp_path / "corpus", "source.part_samples=8")
        assert abs(plan.images - 72) <= NEAR * 72
    finally:
        storage.delete(file.url for file in storage.list_tree(url))


def test_the_command_prints_it_and_dry_run_the_recipe_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_photos(tmp_path / "[red]in", images=3)
    recipe = tmp_path / "r.yaml"
    recipe.write_text(f"source: {{path: '{source}'}}\nengine: {{kind: echo}}\n")
    corpus = f"corpus.path={tmp_path}/corpus"
    result = recaption("plan", recipe, corpus, "--images-per-second", "10", "--price", "2.5")
    assert result.code == 0
    assert "shards    2 of 2 to do" in result.out and "images    about 6 " in result.out
    dry = recaption("caption", recipe, corpus, "--dry-run")
    assert dry.code == 0 and "[red]in" in dry.out and "fingerprint " in dry.out
    assert "images    about 6 " in dry.out
    assert dry.out.endswith(f"--dry-run 2 shards are captioned into {tmp_path}/corpus\n")
    monkeypatch.chdir(source)
    dry = recaption("caption", recipe, "corpus.path=../My set #3", "source.path=*.tar", "--dry-run")
    assert dry.out.endswith(f"--dry-run 2 shards are captioned into {tmp_path}/My set #3\n")
    assert not (tmp_path / "corpus").exists(), "neither writes anything"


@pytest.mark.parametrize("command", ["plan", "caption"])
def test_a_plan_of_nothing_but_broken_shards_fails(command: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.tar").write_bytes(b"x" * 9999)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"source: {{path: {tmp_path}/in}}\nengine: {{kind: echo}}\n"
        f"corpus: {{path: {tmp_path}/corpus}}\n"
    )
    dry_run = ["--dry-run"] if command == "caption" else []
    result = recaption(command, recipe, *dry_run)
    assert result.code == 1 and "BROKEN" in result.out and "NOTHING" in result.out
    write_tar(tmp_path / "in" / "b.tar", [("a.jpg", b"<html>")])
    result = recaption(command, recipe, *dry_run)
    assert result.code == 1 and "REJECTED  not_an_image: b/a" in result.out
    write_plain_tar(tmp_path / "in" / "c.tar", 0, 3)
    result = recaption(command, recipe, *dry_run)
    assert result.code == 0 and "BROKEN" in result.out, "some of it can be captioned"
