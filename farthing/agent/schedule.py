"""When a node ships: a child process each 15 minutes, some seconds earlier or later than every other node."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

PERIOD_SECONDS = 900.0
#: A child that takes longer hangs, and is ended so that the next may try.
LONGEST_SECONDS = 3600.0
_PATIENCE_SECONDS = 20.0
_MAIN = "from farthing.cli import main; main()"

Log = Callable[[str], None]


class Schedule:
    """Starts `command` about each `period_seconds`; `tick` and `stop` never wait for it and never raise."""

    def __init__(
        self,
        command: Sequence[str],
        log: Log,
        *,
        period_seconds: float = PERIOD_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._command, self._log, self._period, self._monotonic = list(command), log, period_seconds, monotonic
        self._child: subprocess.Popen[bytes] | None = None
        self._began = 0.0
        # A fleet that is started together does not ship together: the first time is anywhere in the period.
        self._next = monotonic() + random.uniform(0, period_seconds)  # no secret

    def tick(self) -> None:
        """To be called about each second: sees whether the child has ended, and starts the next when it is time."""
        now = self._monotonic()
        if self._child is not None:
            self._look_after(now)
        if self._child is None and now >= self._next:
            self._next = now + self._period * random.uniform(0.9, 1.1)
            self._began = now
            try:
                self._child = subprocess.Popen(
                    self._command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
                )
            except OSError as error:
                self._log(f"shipping could not be started: {error.strerror or error}")

    def stop(self) -> None:
        """End a child that is at work: what it has not finished is finished by the next."""
        if self._child is None:
            return
        self._child.terminate()
        try:
            self._child.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._child = None

    def _look_after(self, now: float) -> None:
        assert self._child is not None
        code = self._child.poll()
        if code is None and now - self._began > LONGEST_SECONDS:
            self._log(f"shipping did not end within {LONGEST_SECONDS / 60:.0f} minutes and was stopped")
            self._child.kill()
            code = self._child.wait()
        if code is not None:
            if code:
                self._log(f"shipping ended with code {code}; what is sealed stays in the spool until the next time")
            self._child = None


def shipping(spool: Path, log: Log) -> Schedule:
    """The schedule that the agent runs beside its sampling; the child reads from FARTHING_SHIP where to ship to."""
    # Its errors go where the agent's go.
    return Schedule([sys.executable, "-c", _MAIN, "agent", "ship", "--spool", str(spool)], log)
