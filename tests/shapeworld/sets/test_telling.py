"""The progress of rendering: plain lines in a log, nothing left behind in a terminal."""

import io
import re
import time

from rich.console import Console

from recaption.shapeworld.sets.telling import telling

LINE = re.compile(r"\d\d:\d\d:\d\d  images (\d+)/300  [\d.,]+ images/s  left (0:\d\d:\d\d|\?)")


def test_a_log_gets_plain_lines_now_and_then():
    log = io.StringIO()
    with telling(Console(file=log, width=200), 300, every_s=0.01) as tell:
        for _ in range(3):
            time.sleep(0.02)
            tell(100)
    lines = log.getvalue().splitlines()
    assert [LINE.fullmatch(line)[1] for line in lines] == ["100", "200", "300"]
    assert lines[-1].endswith("left 0:00:00")


def test_a_log_is_not_flooded():
    log = io.StringIO()
    with telling(Console(file=log), 300) as tell:
        for _ in range(300):
            tell(1)
    assert log.getvalue() == ""


def test_the_rate_and_the_time_left_fit_each_other():
    log = io.StringIO()
    with telling(Console(file=log, width=200), 300, every_s=0.01) as tell:
        time.sleep(0.5)
        tell(30)  # 60 a second: 270 are left
    assert re.search(r" (5\d|60)\.\d images/s  left 0:00:0[45]", log.getvalue()), log.getvalue()


def test_a_terminal_gets_a_bar():
    screen = io.StringIO()
    with telling(Console(file=screen, force_terminal=True, width=100), 300) as tell:
        tell(300)
    assert "\x1b" in screen.getvalue() and "300/300" in screen.getvalue()
