"""The agent's process, `python -m farthing.agent`: nothing of farthing that is heavy is imported here."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from types import FrameType

from collectors.telemetry import Library, SystemClock
from farthing.agent.loop import Agent, Beside
from farthing.agent.spool import DEFAULT_FOLDER, Spool
from farthing.errors import FarthingError


def main(arguments: list[str] | None = None) -> int:
    """Sample until SIGTERM or SIGINT; returns the exit code of the command."""
    parser = argparse.ArgumentParser(prog="farthing agent")
    parser.add_argument("--spool", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--interval", type=int, default=10)
    parser.add_argument("--simulated", type=int, default=0)
    parser.add_argument("--node", default=None)
    given = parser.parse_args(arguments)
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    try:
        node = given.node or socket.gethostname()
        agent = Agent(
            _library(given.simulated, node),
            Spool(given.spool, log=log),
            node_id=node,
            interval_seconds=given.interval,
            clock=SystemClock(),
            log=log,
        )
        log(f"{len(agent.boards)} GPUs of {node}, spool {given.spool}")
        agent.run(stop, _shipping(given.spool))
    except FarthingError as error:
        log(str(error))
        return error.exit_code
    return 0


def log(text: str) -> None:
    """One line for the journal."""
    sys.stderr.write(f"farthing agent: {text}\n")
    sys.stderr.flush()


def _shipping(spool: Path) -> Beside | None:
    """What ships beside the sampling, where FARTHING_SHIP says where to."""
    if not os.environ.get("FARTHING_SHIP"):
        return None
    from farthing.agent.schedule import shipping  # an agent that does not ship does without what starts processes

    return shipping(spool, log)


def _library(simulated: int, node: str) -> Library:
    if simulated:
        from farthing.agent.simulated import Simulated

        return Simulated(simulated, node)
    from collectors.nvml import Nvml

    return Nvml()


if __name__ == "__main__":
    sys.exit(main())
