"""[Ray] Whether all nodes of the cluster see one folder: asked before anything is written there."""

from __future__ import annotations

import time
import uuid
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from recaption import storage
from recaption.config import RecipeError
from recaption.storage.paths import TEMPORARY_SUFFIX

_WAIT_S = 120.0  # for a node that is busy; one that has not answered by then is let pass
_LOOKS = 5  # network file systems may be late by seconds


def check_reachable(key: str, place: str) -> None:
    """Raise RecipeError where a local folder is not the same on every node. Needs a Ray session.

    A node that does not see it would write to a disk of its own, where nobody looks. `key` is the
    recipe's name for the place.
    """
    others = {} if storage.is_remote(place) else _other_nodes()
    if not others:
        return
    url = storage.join(place, f"probe-{uuid.uuid4().hex}{TEMPORARY_SUFFIX}")
    storage.write_bytes(url, b"")
    try:
        blind = _blind(others, url)
    finally:
        storage.delete([url])
    if blind:
        raise RecipeError(
            f"{key}: {place} is not seen by {len(blind)} of {len(others) + 1} nodes, such as"
            f" {blind[0]}: what they write there would be lost; give a folder that all nodes share,"
            " or s3://"
        )


def _other_nodes() -> dict[str, str]:
    """Return name by id of the nodes that run tasks, but for this one."""
    here = ray.get_runtime_context().get_node_id()
    return {
        node["NodeID"]: str(node["NodeManagerHostname"])
        for node in ray.nodes()
        if node["Alive"] and node["NodeID"] != here and node["Resources"].get("CPU")
    }


def _blind(nodes: dict[str, str], url: str) -> list[str]:
    """Return the names of the nodes that do not find the file."""
    look: Any = ray.remote(_sees)
    asked = {}
    for node, name in nodes.items():
        there = NodeAffinitySchedulingStrategy(node, soft=False)
        task = look.options(num_cpus=0, max_retries=0, scheduling_strategy=there)
        asked[task.remote(url)] = name
    ready, _ = ray.wait(list(asked), num_returns=len(asked), timeout=_WAIT_S)
    return sorted(asked[answer] for answer in ready if _says_no(answer))


def _says_no(answer: Any) -> bool:
    try:
        return not ray.get(answer)
    except ray.exceptions.RayTaskError:
        raise
    except ray.exceptions.RayError:
        return False  # the node is gone


def _sees(url: str) -> bool:
    for _ in range(_LOOKS):
        if storage.exists(url):
            return True
        time.sleep(1)
    return False
