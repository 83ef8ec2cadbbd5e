"""What the engine's own processes log: how far a boot has come, and what they died of.

vLLM's engine core is a child that writes into our standard output and error; in a worker of Ray
these are files. What was written since the boot began is searched: for the last stage that it
tells, and for the last error, which is in no exception of ours.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

from recaption.config import EngineConfig
from recaption.text import printable

_TAIL = 256 * 1024  # bytes that are searched
_GROWING_S = 60.0  # since a file grew that is being downloaded
_ERROR = re.compile(r"(?:^|\s)((?:\w+\.)*\w*(?:Error|Exception|Interrupt)): (\S.*)$", re.M)
_NOTHING_NEW = re.compile(r"initialization failed|EngineDeadError|root cause|[Ss]ee stack trace")
_STAGES = {
    "Resolved architecture": "starting its processes",
    "Initializing a V1 LLM engine": "starting its processes",
    "Starting to load model": "loading the model",
    "Loading weights took": "setting up the model",
    "Using cache directory": "compiling",
    "Dynamo bytecode transform time": "compiling",
    "Compiling a graph": "compiling",
    "Warming up model for the compilation": "compiling and warming up",
    "Encoder cache will be initialized": "compiling and warming up",
    "KV cache size": "warming up",
    "Capturing CUDA graphs": "capturing CUDA graphs",
    "Graph capturing finished": "warming up",
    "init engine (profile": "captioning a test image",
}
"""What vLLM does from the line on that has these words (0.29)."""
_STAGE = re.compile("|".join(map(re.escape, _STAGES)))
_LOADED = re.compile(r"Loading [a-z ]{1,40}checkpoint shards: {1,4}(\d{1,3})% Completed")


class BootLog:
    """Remembers where the log stood when it was made."""

    def __init__(self) -> None:
        self._starts = {path: path.stat().st_size for path in _files()}

    def stage(self) -> str:
        """Return what a boot is at, as far as its log tells."""
        texts = [_read(path, start) for path, start in self._starts.items()]
        found = [_STAGE.findall(text) for text in texts]
        stage = next((_STAGES[words[-1]] for words in found if words), "importing vLLM")
        loaded = [share for text in texts for share in _LOADED.findall(text)]
        if stage == "loading the model" and loaded:
            return f"{stage} ({loaded[-1]}%)"
        return stage

    def cause(self) -> str:
        """Return the last error that was written since, in one line; empty if there is none."""
        for path, start in self._starts.items():
            found = [
                f"{kind.rpartition('.')[2]}: {what}"
                for kind, what in _ERROR.findall(_read(path, start))
                if not _NOTHING_NEW.search(what)
            ]
            if found:
                return printable(found[-1])
        return ""


def bytes_downloading(config: EngineConfig) -> int:
    """Return how much of a hub's model is there of files that grew lately and are not whole yet."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    cache = Path(str(config.args.get("download_dir") or constants.HF_HUB_CACHE))
    name = repo_folder_name(repo_id=config.model.partition(":")[0], repo_type="model")
    found = [_stat(path) for path in (cache / name / "blobs").glob("*.incomplete")]
    return sum(s.st_size for s in found if s and time.time() - s.st_mtime < _GROWING_S)


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:  # whole by now, and renamed
        return None


def _files() -> list[Path]:
    """The files behind standard error and output, where they are files and can be read."""
    paths = []
    for fd in (2, 1):
        try:
            path = Path(f"/proc/self/fd/{fd}").readlink()
            if path.is_file() and os.access(path, os.R_OK):
                paths.append(path)
        except OSError:  # no /proc here, or it was closed
            continue
    return list(dict.fromkeys(paths))


def _read(path: Path, start: int) -> str:
    try:
        with path.open("rb") as f:
            end = f.seek(0, os.SEEK_END)
            f.seek(max(start, end - _TAIL))
            return f.read().decode("utf-8", "replace")
    except OSError:
        return ""
