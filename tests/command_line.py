"""The command line as a user meets it: exit code, what it prints, what it complains of."""

from __future__ import annotations

import contextlib
import io
import sys
from dataclasses import dataclass
from unittest import mock

from recaption import cli


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line that a user's mistake gets. Fails if it is more, or no complaint at all."""
        lines = self.err.splitlines()
        assert len(lines) == 1 and lines[0].startswith("error: "), self.err or self.out
        assert "Traceback" not in self.err + self.out
        return lines[0].removeprefix("error: ")


def recaption(*arguments: object) -> Result:
    """Run a command in this process, through the same `main` as the console script."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    argv = ["recaption", *map(str, arguments)]
    with (
        mock.patch.object(sys, "argv", argv),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            cli.main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return Result(code, out.getvalue(), err.getvalue())
