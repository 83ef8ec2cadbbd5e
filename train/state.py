"""All that changes in a run: weights, their averages, the optimizers' moments, images seen."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.tensor import DTensor

from recaption.config import RecipeError
from train.config import OptimizerConfig
from train.family import Phase
from train.parallel import Team, release_gathered


class TrainState:
    """The state of a run, on the workers of a team; each phase's set of nets has an optimizer."""

    def __init__(self, team: Team, config: OptimizerConfig) -> None:
        self.images = 0
        self._team = team
        self._nets = team.family.nets
        self._optimizers = {key: _adamw(nets, config) for key, nets in _sets_of_nets(team).items()}
        self._parameters = list(self._nets.parameters())
        self._average = [weights.clone() for weights in self._weights()]

    def clip_gradients(self, phase: Phase, limit: float) -> Tensor:
        """Scale a phase's gradients down to a norm, 0 for no limit; return the norm they had."""
        nets = [self._nets[name] for name in phase.nets]
        parameters = [p for net in nets for p in net.parameters() if p.grad is not None]
        grads = [p.grad for p in parameters if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(grads)
        if isinstance(norm, DTensor):
            norm = norm.full_tensor()
        if limit:
            torch.nn.utils.clip_grads_with_norm_(parameters, limit, norm)
        return norm

    def step(self, phase: Phase, rate: float) -> None:
        """Change a phase's nets along their gradients."""
        optimizer = self._optimizers[_key(phase)]
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()

    @torch.no_grad()
    def average(self, share: float) -> None:
        """Move the averaged weights towards the weights, keeping a share of what they were."""
        torch._foreach_lerp_(self._average, self._weights(), 1 - share)

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """Put the averaged weights in place of the weights, for sampling and evaluation."""
        modes = {name: net.training for name, net in self._nets.items()}
        self._swap()
        self._nets.eval()
        try:
            yield
        finally:
            for name, net in self._nets.items():
                net.train(modes[name])
            self._swap()

    def state_dict(self) -> dict[str, Any]:
        """Return everything, whole and on the CPU, on the first worker; little on the others.

        Its tensors may be those of the run: write or copy them before the next step.
        """
        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        nets = get_model_state_dict(self._nets, options=options)
        with self.averaged():
            average = copy.deepcopy(get_model_state_dict(self._nets, options=options))
        optimizers = {
            key: get_optimizer_state_dict(self._module(key), optimizer, options=options)
            for key, optimizer in self._optimizers.items()
        }
        return {"images": self.images, "nets": nets, "ema": average, "optimizers": optimizers}

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Restore everything from what the first worker gives; the others may give nothing.

        Tensors of `saved` may become those of the run.
        """
        self.images = self._team.workers.from_first(lambda: int(saved["images"]))
        self.start_from(saved.get("ema", {}))
        self._load_nets(saved.get("nets", {}))
        for key, optimizer in self._optimizers.items():
            state = saved["optimizers"][key] if self._team.workers.is_first else {}
            set_optimizer_state_dict(self._module(key), optimizer, state, options=self._loading)

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        """Take weights, and as their averages, from what the first worker gives."""
        self._load_nets(weights)
        for average, there in zip(self._average, self._weights(), strict=True):
            average.copy_(there)

    @property
    def _loading(self) -> StateDictOptions:
        is_shared = self._team.workers.count > 1
        return StateDictOptions(full_state_dict=True, broadcast_from_rank0=is_shared)

    def _load_nets(self, weights: Mapping[str, Any]) -> None:
        set_model_state_dict(self._nets, dict(weights), options=self._loading)

    def _module(self, key: str) -> nn.Module:
        return nn.ModuleDict({name: self._nets[name] for name in key.split("+")})

    def _weights(self) -> list[Tensor]:
        return [_local(parameter).detach() for parameter in self._parameters]

    @torch.no_grad()
    def _swap(self) -> None:
        release_gathered(self._nets)
        for weights, average in zip(self._weights(), self._average, strict=True):
            kept = weights.clone()
            weights.copy_(average)
            average.copy_(kept)


def check_fits(weights: Mapping[str, Tensor], nets: nn.Module, name: str) -> None:
    """Raise RecipeError that names the first weight which differs in name or shape."""
    here = {key: tuple(tensor.shape) for key, tensor in nets.state_dict().items()}
    there = {key: tuple(tensor.shape) for key, tensor in weights.items()}
    for key in (*here, *there):
        if here.get(key) != there.get(key):
            raise RecipeError(
                f"{name} is of another architecture: {key}: got {there.get(key, 'nothing')},"
                f" expected {here.get(key, 'nothing')}; check the recipe's model section and"
                " data.image_size, or give another out"
            )


def _sets_of_nets(team: Team) -> dict[str, nn.ModuleList]:
    nets = team.family.nets
    return {
        _key(phase): nn.ModuleList(nets[name] for name in phase.nets)
        for phase in team.family.phases
    }


def _key(phase: Phase) -> str:
    """Phases that train the same nets share their moments."""
    return "+".join(sorted(phase.nets))


def _adamw(nets: nn.Module, config: OptimizerConfig) -> torch.optim.AdamW:
    """Make the optimizer; only matrices decay, not norms and biases."""
    parameters = [p for p in nets.parameters() if p.requires_grad]
    matrices = [p for p in parameters if p.ndim > 1]
    others = [p for p in parameters if p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    present = [group for group in groups if group["params"]]
    return torch.optim.AdamW(present, lr=config.rate, betas=config.betas, fused=True)


def _local(tensor: Tensor) -> Tensor:
    """Return this worker's shard of a tensor, or the tensor."""
    if not isinstance(tensor, DTensor):
        return tensor
    shard: Tensor = tensor.to_local()
    return shard
