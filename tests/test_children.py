"""Programs that were started end with the one that started them, whatever ends that."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from recaption.children import Children

CHILD = """
import sys, time
from pathlib import Path
from recaption.children import end_in_order, end_with_parent
end_in_order(); end_with_parent()
Path(sys.argv[1], "began").write_text("x")
try:
    time.sleep(120)
except KeyboardInterrupt:
    Path(sys.argv[1], "ended").write_text("in order")
"""

PARENT = """
import os, sys
from recaption.children import Children, end_in_order
end_in_order()
children = Children()
print(os.getpid(), flush=True)
children.run([sys.executable, sys.argv[1], sys.argv[2]], captures=True)
"""


def _hears_all() -> None:
    for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(one, signal.SIG_DFL)


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.02)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGKILL"])
def test_a_child_ends_in_order_with_its_parent(tmp_path: Path, name: str) -> None:
    for file, code in (("child.py", CHILD), ("parent.py", PARENT)):
        (tmp_path / file).write_text(code)
    command = [sys.executable, tmp_path / "parent.py", tmp_path / "child.py", tmp_path]
    parent = subprocess.Popen(
        command,
        start_new_session=True,
        stderr=subprocess.DEVNULL,
        preexec_fn=_hears_all,  # also where the tests run under nohup
    )
    try:
        wait_for(tmp_path / "began")
        (child,) = psutil.Process(parent.pid).children()
        parent.send_signal(getattr(signal, name))
        assert parent.wait(timeout=60) != 0
        psutil.wait_procs([child], timeout=60)
        assert not child.is_running()
        assert (tmp_path / "ended").read_text() == "in order"
    finally:
        parent.kill()


def test_a_child_whose_parent_is_gone_already_does_nothing(tmp_path: Path) -> None:
    (tmp_path / "child.py").write_text(CHILD)
    gone = {"RECAPTION_PARENT": "1", "PATH": os.environ["PATH"]}
    command = [sys.executable, str(tmp_path / "child.py"), str(tmp_path)]
    environment = gone | {"PYTHONPATH": os.environ.get("PYTHONPATH", str(Path.cwd()))}
    assert subprocess.run(command, env=environment, timeout=60).returncode == 1
    assert not (tmp_path / "began").exists()


def test_what_a_child_says_and_its_exit_code_are_returned() -> None:
    done = Children().run([sys.executable, "-c", "print('x'); exit(3)"], captures=True)
    assert (done.returncode, done.stdout, done.stderr) == (3, "x\n", "")


def test_nothing_is_started_after_the_end() -> None:
    children = Children()
    children.end()
    with pytest.raises(KeyboardInterrupt):
        children.run([sys.executable, "-c", "print('x')"])
