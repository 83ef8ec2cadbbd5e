"""What recaption adds to every process of vLLM, through its `vllm.general_plugins` entry point.

vLLM calls `register()` in the process that creates an engine, in each engine core and in each
worker, before a model is loaded. `VLLM_PLUGINS=` (an empty list) in the environment turns it off.
"""

import multiprocessing
import os
import signal
import threading
from multiprocessing.process import BaseProcess

from recaption.engines import torchvision_compat

_POLL_S = 0.5
# multiprocessing's names for vLLM's own children; a child of the user's that runs vLLM has others.
_CHILDREN = ("EngineCore", "VllmWorker")


def register() -> None:
    """Mend torchvision's import on CPU, and tie the life of vLLM's processes to their parents'."""
    torchvision_compat.install()
    parent = multiprocessing.parent_process()
    if parent is not None and multiprocessing.current_process().name.startswith(_CHILDREN):
        die_with_parent(parent)


def die_with_parent(parent: BaseProcess) -> None:
    """Start a thread that kills this process once the one that started it is gone.

    vLLM 0.29 does not: when an engine's owner is killed with SIGKILL (out of memory, a node's
    reaper, `ray.kill`), its engine core waits for requests for ever and keeps the GPU's memory
    (vllm-project/vllm#55510). Workers do notice the end of their core, but may hang on their way
    out. A core whose owner dies in the few seconds before this runs gives up by itself after
    vLLM's handshake timeout of five minutes, before it has touched a GPU.

    Not prctl(PR_SET_PDEATHSIG): that fires when the *thread* which forked the child ends, and an
    engine may well be created in a thread (an executor's, an actor's) that ends long before it.
    """
    adopted_from = os.getppid()

    def watch() -> None:
        # The pipe behind `parent` tells at once, but a process that the parent forked may hold
        # it open; the kernel giving us to another process (init, a subreaper) tells for sure.
        while parent.is_alive() and os.getppid() == adopted_from:
            parent.join(_POLL_S)
        # SIGKILL, since nobody is left to answer to, and a busy engine may ignore the rest.
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="die-with-parent", daemon=True).start()
