"""What every reader of GPUs has in common: its protocol, its values, and the buckets that it fills."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol

SECOND_US = 1_000_000
#: A bucket is closed so long after its end, whoever has not answered by then.
SETTLE_US = 2_200_000
#: A longer hole is a node that was away: no rows stand for it.
LONGEST_GAP_US = 3600 * SECOND_US
#: What may be missing of a bucket that still counts as whole.
_TOLERANCE_US = 1_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Row = dict[str, object]


class Moment(NamedTuple):
    """One look at the clocks, in microseconds: `wall_us` since 1970, `boot_us` since the machine started."""

    wall_us: int
    boot_us: int


class Clock(Protocol):
    """Where the agent takes the time from."""

    def now(self) -> Moment:
        """Both clocks, at once."""


class SystemClock:
    """The machine's clocks."""

    def now(self) -> Moment:
        """Wall clock and time since boot (which goes on while a machine sleeps)."""
        return Moment(time.time_ns() // 1000, time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000)


class Span(NamedTuple):
    """A time that was observed: (started_us, ended_us] with the share in which any kernel ran, 0 to 1."""

    started_us: int
    ended_us: int
    busy: float
    source: str
    sm_active: float | None = None


class Reading(NamedTuple):
    """What one look at a GPU gave; nothing that lies before `complete_us` will come any more.

    `joules` is a counter; where it falls, it began anew.
    """

    spans: Sequence[Span]
    complete_us: int
    joules: float | None = None
    energy_source: str | None = None
    memory_used_bytes: int | None = None
    idle_dry: bool = False


@dataclass(frozen=True)
class Gpu:
    """What telemetry is about: a GPU, or a MIG instance of one."""

    gpu_uuid: str
    index: int
    gpu_model: str
    memory_bytes: int | None = None
    power_limit_watts: float | None = None
    parent_gpu_uuid: str | None = None
    gpu_instance_id: str | None = None
    mig_profile: str | None = None
    compute_slices: int | None = None


class Source(Protocol):
    """One GPU or MIG instance, and the best that its driver can say of it."""

    gpu: Gpu
    #: How far apart two looks may be at most.
    pause_us: int

    def read(self, moment: Moment) -> Reading:
        """What is new at `moment`.

        Raises:
            GpuFault: the driver refused.
        """

    def stepped(self, step_us: int) -> None:
        """The wall clock was set, by so much."""

    def describe(self) -> Mapping[str, object]:
        """How it is observed, in the words of node.json."""


class Opened(NamedTuple):
    """A board that answered: `layout` is a MIG board itself, of which there are no rows; its instances are sources."""

    sources: Sequence[Source]
    layout: Mapping[str, object] | None = None


class Library(Protocol):
    """A driver and its boards; each board is opened and read by one thread."""

    path: str
    driver: str

    def count(self) -> int:
        """How many boards there are."""

    def layout(self, index: int) -> Sequence[str]:
        """The UUIDs of what a board is now: its own, or those of its instances.

        Raises:
            GpuFault: the driver refused.
        """

    def open(self, index: int) -> Opened:
        """The board of that index.

        Raises:
            GpuFault: the driver refused.
        """

    def restart(self) -> None:
        """Begin anew with a driver that was exchanged; what was opened before is void.

        Raises:
            GpuFault: there is no driver yet.
        """

    @property
    def generation(self) -> int:
        """How often it was begun anew."""


class GpuFault(Exception):  # noqa: N818  the field's word: a fault of the hardware or its driver, no mistake of ours
    """A condition of the driver: its `name`, the `state` that its rows take, and what helps against it.

    `remedy` is `wait` (the next look may do), `reopen` (ask for the board again, each minute) or `restart` (the driver
    was exchanged).
    """

    def __init__(self, name: str, state: str = "partial", remedy: str = "wait") -> None:
        self.name, self.state, self.remedy = name, state, remedy
        super().__init__(name)


@dataclass
class _Sums:
    """What was observed in one bucket so far."""

    covered_us: int = 0
    busy_us: float = 0.0
    sm_active_us: float | None = None
    joules: float | None = None
    energy_source: str | None = None
    memory_used_bytes: int | None = None
    by_source: dict[str, int] = field(default_factory=dict)
    idle_dry: bool = False
    fault: str | None = None


class Buckets:
    """The rows of one GPU in the making, at multiples of `width_us` since 1970; one thread fills, another takes.

    Values are shared out at the edges by time. Each moment counts once: what overlaps with what came before is cut. A
    row that would repeat the key of an earlier one, because the clock was set back, starts `bump` microseconds later.
    """

    def __init__(self, gpu: Gpu, node_id: str, width_us: int, next_us: int, *, high_us: int = 0, bump: int = 0) -> None:
        self.gpu, self.node_id, self.width_us = gpu, node_id, width_us
        self.next_us, self.high_us, self.bump = next_us, high_us, bump
        #: When the counter of energy was read, and what it said.
        self.energy: tuple[int, float] | None = None
        self._finished = False
        self._edge_joules: dict[int, float] = {}
        self.busy_source = "nvml_poll"
        self.skipped_us = 0
        self._complete_us = 0
        self._covered_until = next_us
        self._fault: str | None = None
        self._open: dict[int, _Sums] = {}
        self._ready: list[Row] = []
        self._lock = threading.Lock()

    @property
    def end_us(self) -> int:
        """The end of the bucket that is open."""
        return (self.next_us // self.width_us + 1) * self.width_us

    def add(self, reading: Reading, moment: Moment) -> None:
        """Take in one reading."""
        with self._lock:
            self._fault = None
            for span in reading.spans:
                self._cover(span)
            if reading.joules is not None:
                self._consume(reading.joules, moment.wall_us, reading.energy_source)
            sums = self._sums(max(moment.wall_us, self.next_us))
            if reading.memory_used_bytes is not None:
                sums.memory_used_bytes = max(reading.memory_used_bytes, sums.memory_used_bytes or 0)
            sums.idle_dry |= reading.idle_dry
            self._complete_us = max(self._complete_us, reading.complete_us)

    def fail(self, state: str, now_us: int) -> None:
        """The GPU did not answer: rows say so as far as they are not covered."""
        with self._lock:
            self._fault = state
            self._sums(max(now_us, self.next_us)).fault = state

    def anchor(self) -> tuple[int, float] | None:
        """What the counter of energy was at the end of the last row: a restart goes on from there and loses nothing."""
        with self._lock:
            self._edge_joules = {edge: joules for edge, joules in self._edge_joules.items() if edge >= self.next_us}
            if self._finished:
                return self.energy
            joules = self._edge_joules.get(self.next_us)
            return None if joules is None else (self.next_us, joules)

    def is_due(self, now_us: int) -> bool:
        """Whether a bucket has ended that was not taken."""
        return bool(self._ready) or self.end_us <= now_us

    def is_complete(self) -> bool:
        """Whether nothing is missing any more of the bucket that is open."""
        return bool(self._ready) or self._complete_us >= self.end_us

    def take(self, now_us: int, *, patient: bool = False) -> list[Row]:
        """Close what is due at `now_us` and hand it out; `patient` waits for whoever is late."""
        with self._lock:
            if now_us - self.next_us > LONGEST_GAP_US:
                begin = now_us // self.width_us * self.width_us
                self.skipped_us += begin - self.next_us
                self.next_us, self.energy = begin, None
                self._open = {edge: sums for edge, sums in self._open.items() if edge >= begin}
            while self.end_us <= self._complete_us or (not patient and self.end_us + SETTLE_US <= now_us):
                self._ready.append(self._close(self.end_us))
            rows, self._ready = self._ready, []
            return rows

    def finish(self, now_us: int) -> list[Row]:
        """Close all, the last bucket at what is observed of it: the process ends."""
        with self._lock:
            self._finished = True
            self._close_until(self._observed_until(now_us))
            rows, self._ready = self._ready, []
            return rows

    def stepped(self, step_us: int, now_us: int) -> None:
        """The wall clock was set by `step_us` and is now `now_us`: the open bucket ends where the old time ended."""
        with self._lock:
            end = self._observed_until(now_us - step_us)
            self._close_until(end)
            self.high_us = max(self.high_us, end)
            self.next_us = end + step_us
            self._covered_until += step_us
            self._complete_us = self.next_us
            self.bump += step_us < 0
            if self.energy is not None:
                self.energy = (self.energy[0] + step_us, self.energy[1])

    def _observed_until(self, now_us: int) -> int:
        late = now_us - self._covered_until > SETTLE_US
        return max(self.next_us, now_us if late else min(now_us, self._covered_until))

    def _close_until(self, end_us: int) -> None:
        while self.end_us <= end_us:
            self._ready.append(self._close(self.end_us))
        if end_us > self.next_us:
            self._ready.append(self._close(end_us))
        self._open.clear()

    def _sums(self, at_us: int) -> _Sums:
        return self._open.setdefault(at_us // self.width_us * self.width_us, _Sums())

    def _cover(self, span: Span) -> None:
        started = max(span.started_us, self._covered_until, self.next_us)
        while started < span.ended_us:
            sums = self._sums(started)
            ended = min(span.ended_us, (started // self.width_us + 1) * self.width_us)
            lasted = ended - started
            sums.covered_us += lasted
            sums.busy_us += span.busy * lasted
            sums.by_source[span.source] = sums.by_source.get(span.source, 0) + lasted
            if span.sm_active is not None:
                sums.sm_active_us = (sums.sm_active_us or 0.0) + span.sm_active * lasted
            started = ended
        self._covered_until = max(self._covered_until, span.ended_us)

    def _consume(self, joules: float, now_us: int, source: str | None) -> None:
        """Share out what the counter rose by, as if at constant power; a fall or an absurd rise is a counter anew."""
        before, self.energy = self.energy, (now_us, joules)
        if before is None or now_us <= before[0]:
            return
        used, lasted = joules - before[1], now_us - before[0]
        most = 2 * (self.gpu.power_limit_watts or 1000.0) * max(lasted / SECOND_US, 1.0)
        if used < 0 or used > most:
            return
        started = max(before[0], self.next_us)
        while started < now_us:
            sums = self._sums(started)
            ended = min(now_us, (started // self.width_us + 1) * self.width_us)
            sums.joules = (sums.joules or 0.0) + used * (ended - started) / lasted
            sums.energy_source = source
            if ended % self.width_us == 0:
                self._edge_joules[ended] = before[1] + used * (ended - before[0]) / lasted
            started = ended

    def _close(self, end_us: int) -> Row:
        begin = self.next_us
        sums = self._open.pop(begin // self.width_us * self.width_us, None) or _Sums()
        self.next_us = end_us
        if sums.by_source:
            self.busy_source = max(sums.by_source, key=lambda name: sums.by_source[name])
        covered = min(sums.covered_us, end_us - begin)
        if covered < end_us - begin - _TOLERANCE_US:
            state = sums.fault or (self._fault if not covered else None) or "partial"
        else:
            state = "idle_dry" if sums.idle_dry else "ok"
        shift = self.bump if begin < self.high_us else 0
        return {
            "gpu_uuid": self.gpu.gpu_uuid,
            "parent_gpu_uuid": self.gpu.parent_gpu_uuid,
            "gpu_instance_id": self.gpu.gpu_instance_id,
            "node_id": self.node_id,
            "started_at": written(begin + shift),
            "ended_at": written(end_us),
            "covered_seconds": covered / SECOND_US,
            "busy_seconds": _seconds(sums.busy_us, covered),
            "busy_source": self.busy_source,
            "sm_active_seconds": None if sums.sm_active_us is None else _seconds(sums.sm_active_us, covered),
            "memory_used_bytes": sums.memory_used_bytes,
            "energy_joules": None if sums.joules is None else round(sums.joules, 6),
            "energy_source": sums.energy_source,
            "state": state,
        }


def _seconds(microseconds: float, most_us: int) -> float:
    """Seconds to the nanosecond; a sum of shares of `most_us` may pass it by what a float rounds."""
    return min(round(microseconds / SECOND_US, 9), most_us / SECOND_US)


def written(at_us: int) -> str:
    """A moment as rows write it: ISO 8601, UTC, microseconds."""
    return (_EPOCH + timedelta(microseconds=at_us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def microseconds(text: object) -> int:
    """The moment that `written` wrote."""
    return (datetime.fromisoformat(str(text)) - _EPOCH) // timedelta(microseconds=1)
