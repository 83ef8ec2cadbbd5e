"""The workers of a run and what they do together: gradients, means, gathering; alone as well.

DDP: each phase's loss is the forward of a module of its own, so that DDP's hooks see it. FSDP2:
blocks and nets are sharded in place, and the loss calls them as ever. Without torch.distributed
the one worker there is does the same with nobody to talk to.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.nn.parallel import DistributedDataParallel

from train.batch import Batch
from train.config import ComputeConfig
from train.doing import tell_how_far
from train.family import Family, Loss, Phase

T = TypeVar("T")


_CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Workers:
    """All workers of a run, seen from one of them."""

    rank: int = 0
    count: int = 1
    device: torch.device = _CPU

    @classmethod
    def of_process_group(cls, device: torch.device) -> Workers:
        """Return the workers of torch's process group; one alone where there is none."""
        if not dist.is_initialized():
            return cls(device=device)
        return cls(dist.get_rank(), dist.get_world_size(), device)

    @property
    def is_first(self) -> bool:
        """Whether this is the worker that writes the run's outputs."""
        return self.rank == 0

    def mean(self, values: Mapping[str, Tensor]) -> dict[str, float]:
        """Return the means over all workers, which must have values of the same names."""
        if not values:
            return {}
        names = sorted(values)
        stacked = torch.stack([values[name].detach().double().cpu() for name in names])
        stacked = stacked.to(self.device, torch.float64)
        if self.count > 1:
            dist.all_reduce(stacked)
        return dict(zip(names, (stacked / self.count).tolist(), strict=True))

    def collect(self, value: T) -> list[T]:
        """Return everybody's value, in order of rank; picklable, small."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        dist.all_gather_object(values, value)
        return values

    def gather(self, tensor: Tensor) -> Tensor:
        """Return everybody's tensors, all of one shape, joined along the first dimension."""
        if self.count == 1:
            return tensor
        parts = [torch.empty_like(tensor) for _ in range(self.count)]
        dist.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)

    def from_first(self, make: Callable[[], T]) -> T:
        """Return what the first worker makes; a ValueError it meets is raised by all."""
        told: list[Any] = [None, None]
        if self.is_first:
            try:
                told[0] = make()
            except ValueError as e:
                told[1] = e
        if self.count > 1:
            dist.broadcast_object_list(told, src=0)
        if told[1] is not None:
            raise told[1]
        value: T = told[0]
        return value

    def share(self, items: Sequence[T]) -> list[T]:
        """Return this worker's part of a list, of the same length for all: the end is repeated."""
        each = -(-len(items) // self.count)
        padded = [*items, *[items[-1]] * (each * self.count - len(items))] if items else []
        return padded[self.rank * each : (self.rank + 1) * each]

    def wait(self) -> None:
        """Wait until all workers are here."""
        if self.count > 1:
            dist.barrier()


class Team:
    """A family spread over the workers: computes the losses of its phases."""

    def __init__(self, family: Family, workers: Workers, compute: ComputeConfig) -> None:
        self.family = family
        self.workers = workers
        self._precision = compute.precision
        if compute.compile:
            _compile(family)
        if workers.count > 1 and compute.parallel == "fsdp":
            _shard(family, workers)
        family.move_to(str(workers.device))
        is_ddp = workers.count > 1 and compute.parallel == "ddp"
        self._losses = {
            phase.name: _replicate(family, phase, workers) if is_ddp else _PhaseLoss(family, phase)
            for phase in family.phases
        }

    def loss(self, phase: Phase, batch: Batch) -> Loss:
        """Return a phase's loss of this worker's batch."""
        with self.autocast():
            total, parts = self._losses[phase.name](batch)
        return Loss(total, parts)

    def autocast(self) -> torch.autocast:
        """Compute in the recipe's precision within; weights and sums stay fp32."""
        is_bf16 = self._precision == "bf16"
        return torch.autocast(self.workers.device.type, torch.bfloat16, enabled=is_bf16)

    @contextlib.contextmanager
    def syncing(self, phase: Phase, is_last: bool) -> Iterator[None]:
        """Average gradients over the workers only in the backward pass of a step's last piece."""
        module = self._losses[phase.name]
        if isinstance(module, DistributedDataParallel) and not is_last:
            with module.no_sync():
                yield
        else:
            yield

    @contextlib.contextmanager
    def training_only(self, phase: Phase) -> Iterator[None]:
        """Within, no net but the phase's gets gradients; all start without any."""
        self.family.nets.zero_grad(set_to_none=True)
        others = [net for name, net in self.family.nets.items() if name not in phase.nets]
        frozen = [p for net in others for p in net.parameters() if p.requires_grad]
        for parameter in frozen:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            # A net whose weights were gathered for a pass without gradients keeps them else.
            release_gathered(self.family.nets)
            for parameter in frozen:
                parameter.requires_grad_(True)

    def sample(self, captions: Sequence[str], seeds: Sequence[int], at_once: int = 64) -> Tensor:
        """Return images for captions, uint8 (B, 3, H, W), each worker making its share."""
        pairs = self.workers.share(list(zip(captions, seeds, strict=True)))
        made = []
        for start in range(0, len(pairs), at_once):
            tell_how_far(start, len(pairs))
            texts, numbers = zip(*pairs[start : start + at_once], strict=True)
            with torch.no_grad(), self.autocast():
                made.append(self.family.sample(texts, numbers))
        return self.workers.gather(torch.cat(made))[: len(captions)].cpu()


class _PhaseLoss(nn.Module):
    """A phase's loss as a module that owns the nets it trains."""

    def __init__(self, family: Family, phase: Phase) -> None:
        super().__init__()
        self.trained = nn.ModuleDict({name: family.nets[name] for name in phase.nets})
        self._loss = phase.loss

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss and its parts."""
        loss = self._loss(batch)
        return loss.total, {name: part.detach() for name, part in loss.parts.items()}


def _replicate(family: Family, phase: Phase, workers: Workers) -> nn.Module:
    # DDP makes new buckets behind its first step, and with three workers or more the order of a
    # sum, so its last bit, depends on the buckets: a resumed run would differ. It keeps them
    # where it looks for unused parameters.
    keeps_buckets = workers.device.type == "cpu" and workers.count > 2
    module = _PhaseLoss(family, phase).to(workers.device)
    return DistributedDataParallel(module, find_unused_parameters=keeps_buckets)


def _shard(family: Family, workers: Workers) -> None:
    mesh = init_device_mesh(workers.device.type, (workers.count,))
    for module in (*family.shard_units(), *family.nets.values()):
        if any(True for _ in module.parameters()) and not isinstance(module, FSDPModule):
            fully_shard(module, mesh=mesh)


def _compile(family: Family) -> None:
    """Compile block by block, in place: equal blocks share their code, names stay."""
    for module in family.shard_units() or family.nets.values():
        module.compile()


def release_gathered(nets: nn.Module) -> None:
    """Let FSDP drop gathered weights, so that the next pass gathers what the shards hold then."""
    for module in nets.modules():
        if isinstance(module, FSDPModule):
            module.reshard()
