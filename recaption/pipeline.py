"""[Ray] The main path: read -> decode -> prompt -> caption -> check -> write.

One part is one row is one block, from the reader to the receipt, so that what Ray retries is a
part. The corpus's commit records, not Ray, say what is done: a pass that ends with parts missing
(a worker died too often, an engine was lost) is followed by another pass over just those.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import ray
import ray.data

from recaption import runtime
from recaption.attributes import AttributeStage
from recaption.captioner import Captioner
from recaption.coordinator import Snapshot, start_coordinator
from recaption.corpus.ledger import Committed
from recaption.corpus.writer import Provenance, commit_part
from recaption.engines.preflight import look_ahead
from recaption.extent import Bulk, Extent, images_in_shard
from recaption.job import Job
from recaption.notices import take_notices
from recaption.parts import HANDED_BACK, CaptionedPart, PreparedPart, Receipt
from recaption.prepare import Preparer
from recaption.progress import Progress
from recaption.reachable import check_reachable
from recaption.replay import ShardReplay, plan_replay
from recaption.sample import Part, Shard
from recaption.status import last_boot_s, was_rejected
from recaption.storage import StorageError
from recaption.summary import RunFailedError, Summary, Tally, write_summary

log = logging.getLogger(__name__)

# Bytes reserved per reader. It also keeps Ray Data from fusing the reader into the engine's actor,
# which it does where two stages ask for the same resources: then one engine would read all shards.
# A reader's own process takes 210 MB (measured: what it imports), the encoded images it holds 64 MB
# (`ahead.MOST_BYTES`, or one image of 256), an image decoded in it 160 MB (`cost.HERE`), its helper
# 512 MB while it decodes one (`apart.MEDIUM`). Larger images are decoded one at a time on a machine
# and take 1.3 GB (PNG, TIFF, WebP), at most 4 GB (`apart.MOST`), beside what is reserved.
_READ_MEMORY = 2**30
_READ_SHARE = 0.4  # of the largest node's memory at most: a small machine reads all the same
_READ_STARTS = 4  # deaths of a shard's reader after which it is left to another pass


def run_job(job: Job, progress: Progress) -> Summary:
    """Caption what is not captioned yet. Raises RunFailedError if it cannot go on.

    Ctrl-C ends it in order: what was committed stays, and the same command continues.
    """
    committed = job.ledger.committed()
    tally = Tally(parts_before=committed.count())
    tally.shards_done = len(job.shards) - len(job.pending(committed))

    def tasks() -> list[ShardTask]:
        pending = [s for s in job.pending(committed) if not _is_broken(s, tally)]
        return [ShardTask(s, committed.of(s.name), job.parts_of(s, committed)) for s in pending]

    extent = extent_of(job, committed)
    return _run(job, tasks, committed, tally, progress, job.recipe.run.reject_limit, extent)


def run_replay(
    job: Job, reasons: frozenset[str], progress: Progress, limit: int | None = None
) -> Summary:
    """Ask again what was rejected, for these reasons (none given: for any).

    At most about `limit` samples; the others' rejects stand.
    """
    committed = job.ledger.committed()
    tally = Tally()
    wanted = plan_replay(job, committed, reasons, limit)
    extent = Extent(exact=sum(replay.images for replay in wanted))

    def tasks() -> list[ShardTask]:
        left, wanted[:] = list(wanted), []  # one pass: what fails again stays a reject
        return [ShardTask(replay.shard, replay=replay) for replay in left]

    return _run(job, tasks, committed, tally, progress, 1.0, extent)


def extent_of(job: Job, committed: Committed) -> Extent:
    """Return how many images a job has, as far as it is known before anything is read."""
    if job.trial:
        return Extent(exact=job.trial)
    pending = job.pending(committed)
    unfinished = {shard.name for shard in pending}
    parts = sum(len(committed.of(shard.name)) for shard in pending)
    return Extent(
        shards=Bulk.of(job.shards),
        done=Bulk.of(shard for shard in job.shards if shard.name not in unfinished),
        part_images=parts * job.recipe.source.part_samples,
    )


@dataclass(frozen=True, slots=True)
class ShardTask:
    """What one reading task does: read a shard but for the parts in `skip`, or replay rejects."""

    shard: Shard
    skip: frozenset[int] = frozenset()
    count: int | None = None
    replay: ShardReplay | None = None

    def parts(self, preparer: Preparer) -> Iterator[PreparedPart]:
        """Read the shard."""
        if self.replay is not None:
            return self.replay.prepared(preparer)
        return preparer.parts(self.shard, self.skip, self.count)


def _run(
    job: Job,
    tasks: Callable[[], list[ShardTask]],
    committed: Committed,
    tally: Tally,
    progress: Progress,
    reject_limit: float,
    extent: Extent,
) -> Summary:
    state = "complete"
    failure: RunFailedError | None = None
    timeline: list[tuple[float, int]] = []
    engines_seen = Snapshot()
    first = tasks()
    if first:
        progress.tell(look_ahead(job.recipe.engine, is_dry=False))
        boot_s = last_boot_s(job.made_by.corpus)
        with progress.showing(), runtime.session(progress.doing):
            check_reachable("corpus.path", job.made_by.corpus)
            beside = runtime.Share(cpus=job.recipe.run.read_cpus + runtime.WRITE_CPUS)
            engines = runtime.plan_engines(job.recipe.engine, beside)
            coordinator = start_coordinator(engines.replicas)
            with progress.watching(job, tally, coordinator, extent, boot_s):
                try:
                    _run_passes(
                        job, first, tasks, committed, tally, coordinator, engines, reject_limit
                    )
                except KeyboardInterrupt:
                    state = "stopped"
                except RunFailedError as e:
                    state, failure = "failed", e
            _pass_notices(coordinator)  # what the driver noted itself
            engines_seen = _ask(coordinator.snapshot)
            timeline = _ask(coordinator.timeline)
    if state == "complete" and tally.failed:
        state = "incomplete"
    notices = engines_seen.notices or take_notices()
    deaths, boot_s = engines_seen.deaths, engines_seen.boot_s
    summary = tally.close(job, state, deaths, timeline, notices, boot_s).held_to(reject_limit)
    if state == "complete" and not summary.read and was_rejected(job, reject_limit):
        summary = replace(summary, state="rejected")
    if failure is None:
        write_summary(summary)
        return summary
    with contextlib.suppress(StorageError):  # the corpus may be what cannot be written
        write_summary(summary)
    raise failure


def _run_passes(
    job: Job,
    tasks: list[ShardTask],
    more: Callable[[], list[ShardTask]],
    committed: Committed,
    tally: Tally,
    coordinator: Any,
    engines: runtime.EnginePlan,
    reject_limit: float,
) -> None:
    for number in range(1, job.recipe.run.passes + 1):
        tally.passes = number
        tally.forget(HANDED_BACK)  # they are tried again now
        for receipt in caption(job, tasks, coordinator, engines):
            tally.add(receipt)
            if receipt.is_fatal:
                raise RunFailedError(receipt.fault)
            if tally.is_hopeless and reject_limit < 1:
                raise RunFailedError(_hopeless(tally))
            if not receipt.fault and not receipt.retry:
                committed.add(receipt.part)
        tasks = more()
        if not tasks:
            return
        log.warning("pass %d ended with %d shards unfinished", number, len(tasks))
        engines = engines.without(_ask(coordinator.snapshot).lost)
        _ask(coordinator.new_pass, engines.replicas)
    for task in tasks:
        tally.failed.setdefault(task.shard.name, "lost to crashes of its workers; see Ray's logs")


def _hopeless(tally: Tally) -> str:
    reasons = ", ".join(f"{reason} {n:,}" for reason, n in tally.rejects.most_common(3))
    return (
        f"the first {tally.read:,} samples were all rejected ({reasons}): stopped, since the rest"
        " would hardly fare better; run.reject_limit=1 goes on all the same"
    )


def caption(
    job: Job, tasks: list[ShardTask], coordinator: Any, engines: runtime.EnginePlan
) -> Iterator[Receipt]:
    """Stream shards through the pipeline; yield a receipt per part as it is committed."""
    whole_parts: dict[str, Any] = {"batch_size": None, "batch_format": "pyarrow"}
    with runtime.data_context():
        parts = ray.data.from_items(
            list(range(len(tasks))), override_num_blocks=len(tasks)
        ).map_batches(
            _reader(job, ray.put(tasks), coordinator),
            num_cpus=job.recipe.run.read_cpus,
            memory=_read_memory(),
            **whole_parts,
        )
        if job.recipe.attributes.model:
            parts = _with_attributes(parts, job, whole_parts)
        receipts = parts.map_batches(
            Captioner,
            fn_constructor_args=(job.recipe, job.preparer.prompts, coordinator),
            compute=engines.pool(job.recipe.engine.parts_in_flight),
            **engines.resources(),
            **whole_parts,
        ).map_batches(_writer(job.made_by, coordinator), num_cpus=runtime.WRITE_CPUS, **whole_parts)
        blocks: Iterable[Any] = receipts.iter_batches(prefetch_batches=0, **whole_parts)
        for block in blocks:
            for i in range(block.num_rows):
                yield Receipt.from_row(block.slice(i, 1))


def _read_memory() -> int:
    """Return what a reader reserves: what it may take, or less where no node has that much."""
    nodes = [node["Resources"].get("memory", 0) for node in ray.nodes() if node["Alive"]]
    return min(_READ_MEMORY, int(_READ_SHARE * max(nodes, default=0)) or _READ_MEMORY)


def _with_attributes(parts: Any, job: Job, whole_parts: dict[str, Any]) -> Any:
    """Add the stage that hints at attributes by image-text similarity."""
    config = job.recipe.attributes
    return parts.map_batches(
        AttributeStage,
        fn_constructor_args=(config, job.preparer),
        compute=ray.data.ActorPoolStrategy(size=config.replicas),
        num_cpus=config.num_cpus,
        num_gpus=config.num_gpus,
        **whole_parts,
    )


def _reader(job: Job, tasks: Any, coordinator: Any) -> Callable[[pa.Table], Iterator[pa.Table]]:
    preparer, part_samples = job.preparer, job.recipe.source.part_samples

    def read(block: pa.Table) -> Iterator[pa.Table]:
        listed = ray.get(tasks)
        for index in block["item"].to_pylist():
            shard = listed[index].shard
            starts = _ask(coordinator.begin_reading, shard.name)
            if starts >= _READ_STARTS:
                why = f"{HANDED_BACK}the worker died {starts} times while it read this shard"
                yield PreparedPart(shard, Part(shard.name, 0), fault=why).to_row()
            else:
                for part in listed[index].parts(preparer):
                    _pass_notices(coordinator)
                    if shard.images is None and not part.retry:
                        images = images_in_shard(part, part_samples)
                        coordinator.looked_into.remote(shard.name, shard.size or 0, images)
                    yield part.to_row()
            _pass_notices(coordinator)  # what only a shard's end shows
            _ask(coordinator.end_reading, shard.name)

    return read


def _writer(made_by: Provenance, coordinator: Any) -> Callable[[pa.Table], pa.Table]:
    def write(block: pa.Table) -> pa.Table:
        receipt = commit_part(CaptionedPart.from_row(block), made_by)
        _pass_notices(coordinator)
        return receipt.to_row()

    return write


def _pass_notices(coordinator: Any) -> None:
    """Send what this process noted to where the run's progress and summary find it."""
    if notices := take_notices():
        _ask(coordinator.note, notices)


def _ask(method: Any, *arguments: object) -> Any:
    """Call the coordinator and wait for its answer."""
    return ray.get(method.remote(*arguments))


def _is_broken(shard: Shard, tally: Tally) -> bool:
    """Whether the shard itself is at fault, so that another pass would not help."""
    return any(
        part.rpartition("-")[0] == shard.name and not why.startswith(HANDED_BACK)
        for part, why in tally.failed.items()
    )
