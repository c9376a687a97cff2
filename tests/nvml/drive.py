"""A node in a process of its own, on time that it makes itself: the real agent and nvidia-ml-py, the stub's driver.

Its one argument is JSON: `spool`, `clock` (the stub's file), `wall_offset`, `steps` of the wall clock as the stub has
them, `until` (microseconds since boot), `interval`, `quota`, `pauses` (pairs of times between which the process stands
still), `full` (from when to when the disk is full), `finish`.
"""

from __future__ import annotations

import json
import mmap
import resource
import struct
import sys
from pathlib import Path

from collectors.nvml import Nvml
from collectors.telemetry import SECOND_US, Moment
from farthing.agent.loop import Agent
from farthing.agent.spool import Spool


class FileClock:
    """Both clocks as the stub has them."""

    def __init__(self, path: str, offset: int, steps: list[list[int]]) -> None:
        with open(path, "r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 8)
        self._offset, self._steps = offset, steps

    def now(self) -> Moment:
        boot: int = struct.unpack("q", self._memory[:8])[0]
        return Moment(boot + self._offset + sum(by for at, by in self._steps if boot >= at), boot)

    def set(self, boot_us: int) -> None:
        self._memory[:8] = struct.pack("q", boot_us)


def following(moment: Moment, width_us: int) -> int:
    """Time since boot of the next look, as a thread of the agent sleeps."""
    second = (moment.wall_us // SECOND_US + 1) * SECOND_US
    after = moment.wall_us // width_us * width_us + SECOND_US // 4
    wall = min(second, after) if moment.wall_us < after else second
    return moment.boot_us + wall - moment.wall_us


def fill_the_disk(full: bool) -> None:
    """No file may grow beyond 5,000 bytes, or any: a real short write, as a full disk gives it."""
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000 if full else hard, hard))


def megabytes_held() -> float:
    """The memory of this process."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


def main() -> None:
    given = json.loads(sys.argv[1])
    clock = FileClock(given["clock"], given["wall_offset"], given.get("steps", []))
    log: list[str] = []
    spool = Spool(Path(given["spool"]), log=log.append, quota_bytes=given.get("quota", 256 << 20))
    width = given.get("interval", 10)
    agent = Agent(Nvml(), spool, node_id="node-1", interval_seconds=width, clock=clock, log=log.append)
    agent.step(clock.now())
    held: list[float] = []
    while clock.now().boot_us < given["until"]:
        at = following(clock.now(), width * SECOND_US)
        for begin, end in given.get("pauses", []):
            at = end if begin <= at < end else at
        clock.set(at)
        fill_the_disk(given["full"][0] <= at < given["full"][1] if "full" in given else False)
        agent.step(clock.now())
        held.append(megabytes_held())
    if given.get("finish"):
        agent.finish(clock.now())
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"log": log, "seconds": used.ru_utime + used.ru_stime, "megabytes": held[::100]}))


if __name__ == "__main__":
    main()
