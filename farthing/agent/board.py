"""One physical GPU and its thread: opens it, reads it each second, and takes what the driver does to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Event, Lock

from collectors.telemetry import SECOND_US, Buckets, Clock, Gpu, GpuFault, Library, Moment, Opened

#: A GPU that was lost is asked for again so often.
_REOPEN_US = 60 * SECOND_US
#: A driver that is being exchanged is asked for so often.
_RESTART_US = 5 * SECOND_US
#: Whether the board was cut into other instances is asked so often.
_LAYOUT_US = 60 * SECOND_US
#: A wall clock that differs by more from the clock of the machine was set.
_STEP_US = SECOND_US // 2
#: Samples end a little after the edge of a bucket: one look more makes it whole at once.
_AFTER_EDGE_US = SECOND_US // 4

Log = Callable[[str], None]
MakeBuckets = Callable[[Gpu, Moment], Buckets]


class Board:
    """The board of `index`. Its thread calls `tick`; `buckets` is for the thread that writes."""

    def __init__(self, library: Library, index: int, clock: Clock, make: MakeBuckets, width_us: int, log: Log) -> None:
        self.index = index
        self.buckets: dict[str, Buckets] = {}
        #: Of instances that are no more: what they have still to hand out.
        self.parting: list[Buckets] = []
        self.state = "opening"
        #: Time since boot when the call began that has not come back; None between calls.
        self.called_us: int | None = None
        self._library, self._clock, self._make, self._width_us, self._log = library, clock, make, width_us, log
        self._opened: Opened | None = None
        self._known: list[dict[str, object]] = []
        self._generation = library.generation
        self._again_us = self._layout_us = 0
        self._difference_us: int | None = None
        self._lock = Lock()

    def work(self, stop: Event) -> None:
        """Look until `stop`, at whole seconds of the wall clock."""
        while not stop.is_set():
            self.tick(self._clock.now())
            stop.wait(self.pause(self._clock.now()))

    def pause(self, moment: Moment) -> float:
        """Seconds until the next look: the next multiple of the pause, or just after the edge of a bucket."""
        pause = (
            min((source.pause_us for source in self._opened.sources), default=SECOND_US) if self._opened else SECOND_US
        )
        wall = moment.wall_us
        after = wall // self._width_us * self._width_us + _AFTER_EDGE_US
        following = (wall // pause + 1) * pause
        return (min(following, after if wall < after else following) - wall + 100) / SECOND_US

    def tick(self, moment: Moment) -> None:
        """One look at everything that is on the board."""
        self._notice_step(moment)
        if self._opened is None and moment.boot_us < self._again_us:
            self._fail("lost", moment)
            return
        self.called_us = moment.boot_us
        try:
            if self._opened is None or self._generation != self._library.generation:
                self._open(moment)
            elif moment.boot_us >= self._layout_us:
                self._look_at_layout(moment)
            self._read(moment)
        except GpuFault as fault:
            self._suffer(fault, moment)
        finally:
            self.called_us = None

    def entries(self) -> list[dict[str, object]]:
        """What node.json says of the board; the last that was known of one that is lost."""
        with self._lock:
            return [{**entry, "state": self.state} for entry in self._known]

    def _open(self, moment: Moment) -> None:
        self._generation = self._library.generation
        opened = self._library.open(self.index)
        for source in opened.sources:
            if source.gpu.gpu_uuid not in self.buckets:
                self.buckets = {**self.buckets, source.gpu.gpu_uuid: self._make(source.gpu, moment)}
        here = {source.gpu.gpu_uuid for source in opened.sources}
        for uuid in self.buckets.keys() - here:
            self.parting.append(self.buckets[uuid])
        self.buckets = {uuid: buckets for uuid, buckets in self.buckets.items() if uuid in here}
        self._opened = opened
        self._layout_us = moment.boot_us + _LAYOUT_US

    def _look_at_layout(self, moment: Moment) -> None:
        """A board may be cut into other instances while the agent runs."""
        assert self._opened is not None
        self._layout_us = moment.boot_us + _LAYOUT_US
        if set(self._library.layout(self.index)) != {source.gpu.gpu_uuid for source in self._opened.sources}:
            self._log(f"GPU {self.index} has other instances now")
            self._open(moment)
            self._describe()

    def _read(self, moment: Moment) -> None:
        assert self._opened is not None
        for source in self._opened.sources:
            now = self._clock.now()
            self.buckets[source.gpu.gpu_uuid].add(source.read(now), now)
        if self.state != "ok":
            if self.state != "opening":
                self._log(f"GPU {self.index} answers again")
            self.state = "ok"
            self._describe()
        elif moment.wall_us // SECOND_US % 60 == 0:
            self._describe()

    def _describe(self) -> None:
        assert self._opened is not None
        known: list[dict[str, object]] = [{**self._opened.layout}] if self._opened.layout is not None else []
        known += [_entry(source.gpu, source.describe()) for source in self._opened.sources]
        with self._lock:
            self._known = known

    def _suffer(self, fault: GpuFault, moment: Moment) -> None:
        if self.state != fault.state:
            self._log(f"GPU {self.index}: {fault.name}")
        self.state = fault.state
        self._fail(fault.state, moment)
        if fault.remedy == "wait":
            return
        was_open, self._opened = self._opened is not None, None
        # What was opened until now is tried again at once; what could not be opened, later.
        self._again_us = 0 if was_open else moment.boot_us + _REOPEN_US
        if fault.remedy == "restart":
            self._restart(moment)

    def _restart(self, moment: Moment) -> None:
        """Begin the library anew, unless another board's thread has done so."""
        try:
            if self._generation == self._library.generation:
                self._library.restart()
                self._log(f"the driver was begun anew: {self._library.driver}")
            self._again_us = 0
        except GpuFault:
            self._again_us = moment.boot_us + _RESTART_US

    def _fail(self, state: str, moment: Moment) -> None:
        for buckets in self.buckets.values():
            buckets.fail(state, moment.wall_us)

    def _notice_step(self, moment: Moment) -> None:
        difference = moment.wall_us - moment.boot_us
        step = 0 if self._difference_us is None else difference - self._difference_us
        self._difference_us = difference
        if abs(step) <= _STEP_US:
            return
        self._log(f"the clock was set by {step / SECOND_US:+.1f} s")
        for buckets in self.buckets.values():
            buckets.stepped(step, moment.wall_us)
        for source in self._opened.sources if self._opened else ():
            source.stepped(step)


def _entry(gpu: Gpu, described: Mapping[str, object]) -> dict[str, object]:
    entry: dict[str, object] = {
        "gpu_uuid": gpu.gpu_uuid,
        "index": gpu.index,
        "gpu_model": gpu.gpu_model,
        **described,
        "mig": False,
        "memory_bytes": gpu.memory_bytes,
    }
    if gpu.parent_gpu_uuid is not None:
        entry |= {
            "parent_gpu_uuid": gpu.parent_gpu_uuid,
            "gpu_instance_id": gpu.gpu_instance_id,
            "mig_profile": gpu.mig_profile,
        }
    return entry
