"""The agent's main thread: closes buckets, writes them to the spool, and says in node.json what the node has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Event, Thread
from typing import Protocol

from collectors.telemetry import (
    LONGEST_GAP_US,
    SECOND_US,
    SETTLE_US,
    Buckets,
    Clock,
    Gpu,
    Library,
    Moment,
    Row,
    written,
)
from farthing.agent.board import Board
from farthing.agent.spool import Spool

#: Later in each second than the threads that read, so that what they found is there.
_PHASE_US = 300_000
#: A main thread that slept longer was stopped: the readers come first then, to drain what the driver kept.
_STOPPED_US = 5 * SECOND_US // 2
#: Whoever is whole waits so long for the others of its bucket, to share one write with them.
_TOGETHER_US = 6 * SECOND_US // 5


class Beside(Protocol):
    """What the main thread does beside writing: the schedule of shipping."""

    def tick(self) -> None:
        """Called each second; must not take long."""

    def stop(self) -> None:
        """Called once, at the end."""


class Agent:
    """All boards of a node and their spool. A test calls `step`; `run` has a thread per board instead."""

    def __init__(
        self,
        library: Library,
        spool: Spool,
        *,
        node_id: str,
        interval_seconds: int,
        clock: Clock,
        log: Callable[[str], None],
    ) -> None:
        self._library, self._spool, self._node_id, self._clock, self._log = library, spool, node_id, clock, log
        self._width_us = interval_seconds * SECOND_US
        self.boards = [
            Board(library, index, clock, self._buckets, self._width_us, log) for index in range(library.count())
        ]
        self._patient_until = clock.now().boot_us + SETTLE_US
        self._looked_us: int | None = None
        self._told: list[dict[str, object]] | None = None

    def run(self, stop: Event, beside: Beside | None = None) -> None:
        """Sample until `stop`; then close and seal what there is."""
        threads = [
            Thread(target=board.work, args=(stop,), daemon=True, name=f"gpu-{board.index}") for board in self.boards
        ]
        for thread in threads:
            thread.start()
        while not stop.is_set():
            wall = self._clock.now().wall_us
            stop.wait(((wall - _PHASE_US) // SECOND_US * SECOND_US + SECOND_US + _PHASE_US - wall) / SECOND_US)
            self.gather(self._clock.now())
            if beside is not None:
                beside.tick()
        for thread in threads:
            thread.join(timeout=SETTLE_US / SECOND_US / max(len(threads), 1))
        self.finish(self._clock.now())
        if beside is not None:
            beside.stop()

    def step(self, moment: Moment) -> None:
        """What all threads do at `moment`, one after the other."""
        for board in self.boards:
            board.tick(moment)
        self.gather(moment)

    def gather(self, moment: Moment) -> None:
        """Write what is due: together, or what is whole after a little; a board that hangs gets rows that say so."""
        if self._looked_us is not None and moment.boot_us - self._looked_us > _STOPPED_US:
            self._patient_until = moment.boot_us + SETTLE_US
        self._looked_us = moment.boot_us
        for board in self.boards:
            if board.called_us is not None and moment.boot_us - board.called_us > SETTLE_US:
                board.state = "stuck"
                for buckets in board.buckets.values():
                    buckets.fail("stuck", moment.wall_us)
        patient = moment.boot_us < self._patient_until
        due = [buckets for buckets in self._every() if buckets.is_due(moment.wall_us)]
        late = any(buckets.end_us + _TOGETHER_US <= moment.wall_us for buckets in due)
        rows: list[Row] = []
        if all(buckets.is_complete() for buckets in due) or (late and not patient):
            for buckets in due:
                rows += buckets.take(moment.wall_us, patient=patient)
        rows += self._parted(moment)
        if rows:
            self._spool.append(rows, self._resume(), moment.boot_us)
        self._tell(moment)

    def finish(self, moment: Moment) -> None:
        """Close every bucket where it stands and seal the spool."""
        rows = [row for buckets in self._every() for row in buckets.finish(moment.wall_us)] + self._parted(moment)
        self._spool.append(rows, self._resume(), moment.boot_us)
        self._spool.close()

    def _every(self) -> list[Buckets]:
        return [buckets for board in self.boards for buckets in board.buckets.values()]

    def _parted(self, moment: Moment) -> list[Row]:
        rows: list[Row] = []
        for board in self.boards:
            while board.parting:
                rows += board.parting.pop().finish(moment.wall_us)
        return rows

    def _resume(self) -> dict[str, dict[str, object]]:
        """What a restart goes on from."""
        return {
            buckets.gpu.gpu_uuid: {
                "ended_us": buckets.next_us,
                "high_us": max(buckets.high_us, buckets.next_us),
                "bump": buckets.bump,
                "energy": buckets.anchor(),
            }
            for buckets in self._every()
        }

    def _buckets(self, gpu: Gpu, moment: Moment) -> Buckets:
        """Buckets that go on where the last row of this GPU ended, if that is not long ago."""
        begin = moment.wall_us // self._width_us * self._width_us
        before = self._spool.resume.get(gpu.gpu_uuid)
        if before is None:
            return Buckets(gpu, self._node_id, self._width_us, begin)
        if moment.wall_us < before.ended_us:  # the clock was set back while nobody looked
            high, bump = max(before.high_us, before.ended_us), before.bump + 1
            return Buckets(gpu, self._node_id, self._width_us, moment.wall_us, high_us=high, bump=bump)
        begin = before.ended_us if moment.wall_us - before.ended_us <= LONGEST_GAP_US else begin
        made = Buckets(gpu, self._node_id, self._width_us, begin, high_us=before.high_us, bump=before.bump)
        made.energy = before.energy
        return made

    def _tell(self, moment: Moment) -> None:
        """Write node.json at the start and when something changed."""
        if any(board.state == "opening" for board in self.boards) and moment.boot_us < self._patient_until:
            return
        entries = [entry for board in self.boards for entry in board.entries()]
        if entries != self._told:
            self._told = entries
            self._spool.write_node(self._node(entries, moment))

    def _node(self, entries: Sequence[dict[str, object]], moment: Moment) -> dict[str, object]:
        return {
            "node_id": self._node_id,
            "library": self._library.path,
            "driver": self._library.driver,
            "sampled_at": written(moment.wall_us),
            "gpus": list(entries),
        }
