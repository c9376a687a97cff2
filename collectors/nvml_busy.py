"""How busy a GPU was, three ways of NVML: performance counters (GPM), the driver's ring of samples, newest values."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from types import ModuleType
from typing import Any, NamedTuple, Protocol

from collectors.telemetry import SECOND_US, GpuFault, Moment, Span

#: What products with a fast ring do; taken until the ring itself has told.
_USUAL_PERIOD_US = 166_667
#: Assumed of a ring that is empty.
_USUAL_RING_US = 16 * SECOND_US
#: So many samples tell how far apart they are and how many the driver keeps.
_TELLING = 20
#: A stamp that is further from a clock than this was not made by it.
_KNOWN_CLOCK_US = 24 * 3600 * SECOND_US
_GRAPHICS_UTIL, _SM_UTIL = 1, 2


class Looked(NamedTuple):
    """Spans that are new, up to when there is nothing more to come, and whether silence was taken for idleness."""

    spans: Sequence[Span]
    complete_us: int
    idle_dry: bool = False


class Busy(Protocol):
    """A way to tell how busy a GPU was."""

    name: str
    pause_us: int

    def look(self, moment: Moment) -> Looked:
        """What is new; raises the NVML error that the driver gave."""

    def stepped(self, step_us: int) -> None:
        """The wall clock was set, by so much."""

    def facts(self) -> Mapping[str, object]:
        """Its length and clock, where it has them."""


class Ring:
    """The driver's own samples, about six a second: the value of each is of the time since the one before.

    Stamps are of no fixed clock: which one, the newest says. A distance of more than 1.5 periods was not observed, but
    for drivers that write no samples while nothing runs.
    """

    name = "nvml_ring"

    def __init__(self, nvml: ModuleType, handle: Any) -> None:
        self.pause_us = SECOND_US
        self.period_us, self.ring_us, self.clock = _USUAL_PERIOD_US, _USUAL_RING_US, "unknown"
        self._nvml, self._handle = nvml, handle
        self._seen = 0
        self._until: int | None = None
        self._dries = False
        self._void: set[int] = set()
        self._measure_us = 0

    @classmethod
    def probed(cls, nvml: ModuleType, handle: Any) -> Ring | None:
        """A ring, where the driver keeps one."""
        ring = cls(nvml, handle)
        try:
            ring._samples(0)
        except (nvml.NVMLError_NotSupported, nvml.NVMLError_FunctionNotFound, nvml.NVMLError_NoPermission):
            return None
        return ring

    def look(self, moment: Moment) -> Looked:
        """Drain what is new."""
        measuring = moment.boot_us >= self._measure_us
        samples = self._samples(0 if measuring else self._seen)
        if measuring:
            self._measure_us = moment.boot_us + 60 * SECOND_US
            self._measure([stamp for stamp, _ in samples])
        if self.clock == "unknown" and samples:
            self.clock = _clock_of(samples[-1][0], moment)
        offset = self._offset(moment, samples)
        latest = moment.wall_us - offset + SECOND_US
        fresh = [pair for pair in samples if self._seen < pair[0] <= latest and pair[0] not in self._void]
        if not fresh:
            return self._silent(moment, offset)
        spans: list[Span] = []
        until = self._until
        for stamp, value in fresh:
            ended = stamp + offset
            started = ended - self.period_us
            if until is not None and ended > until:
                gap = ended - until
                if gap <= self.period_us * 3 // 2:
                    started = until
                elif self._dries and gap <= self.ring_us:
                    spans.append(Span(until, started, 0.0, self.name))
            if value <= 100:  # garbage of a driver is not an observation
                spans.append(Span(started, ended, value / 100, self.name))
            until = ended
        self._seen, self._until = fresh[-1][0], until
        if len(self._void) and self._seen > max(self._void):
            self._void.clear()
        return Looked(spans, self._until or 0)

    def stepped(self, step_us: int) -> None:
        """Go on from the same sample; stamps of the wall clock that are there already mean the old time."""
        if self._until is not None:
            self._until += step_us
        if self.clock == "epoch":
            with contextlib.suppress(self._nvml.NVMLError):
                self._void |= {stamp for stamp, _ in self._samples(0)}
            self._seen = max(0, self._seen + step_us)

    def facts(self) -> Mapping[str, object]:
        """How far it reaches back, and by which clock."""
        return {"ring_seconds": round(self.ring_us / SECOND_US, 3), "stamp_clock": self.clock}

    def _samples(self, seen: int) -> list[tuple[int, float]]:
        try:
            kind, samples = self._nvml.nvmlDeviceGetSamples(self._handle, self._nvml.NVML_GPU_UTILIZATION_SAMPLES, seen)
        except self._nvml.NVMLError_NotFound:
            return []
        member = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")[kind]
        found = [(int(one.timeStamp), float(getattr(one.sampleValue, member))) for one in samples]
        return sorted(pair for pair in found if pair[0] > 0)

    def _measure(self, stamps: list[int]) -> None:
        """A ring that has just begun, or is dry, tells nothing of its length."""
        if len(stamps) < _TELLING:
            return
        distances = sorted(after - before for before, after in pairwise(stamps))
        self.period_us = max(distances[len(distances) // 2], 1000)
        self.ring_us = len(stamps) * self.period_us
        self.pause_us = max(min(SECOND_US, self.ring_us // 4), SECOND_US // 10)

    def _offset(self, moment: Moment, samples: Sequence[tuple[int, float]]) -> int:
        """What to add to a stamp to have the wall clock."""
        if self.clock == "boot":
            return moment.wall_us - moment.boot_us
        if self.clock == "other":  # the newest was made just now
            return moment.wall_us - (samples[-1][0] if samples else self._seen)
        return 0

    def _silent(self, moment: Moment, offset: int) -> Looked:
        """Nothing new: a driver that stops to write when nothing runs says so by its newest value."""
        until = self._until or 0
        stamped = self._seen + offset if self._seen else 0
        if moment.wall_us - max(until, stamped) <= self.period_us * 5 // 2:
            return Looked((), until)
        if self._nvml.nvmlDeviceGetUtilizationRates(self._handle).gpu:
            return Looked((), until)
        self._dries = True
        # A sample that comes next reaches back one period at most: so much stays open.
        started = max(until, moment.wall_us - self.ring_us)
        self._until = max(until, moment.wall_us - self.period_us)
        return Looked([Span(started, self._until, 0.0, self.name)], self._until, idle_dry=True)


def _clock_of(stamp: int, moment: Moment) -> str:
    distances = {"epoch": abs(moment.wall_us - stamp), "boot": abs(moment.boot_us - stamp)}
    name = min(distances, key=lambda clock: distances[clock])
    return name if distances[name] < _KNOWN_CLOCK_US else "other"


class Gpm:
    """Counters of Hopper and newer, read at both ends: the difference is the exact integral, also of a MIG instance."""

    name = "gpm"

    def __init__(self, nvml: ModuleType, board: Any, instance: int | None, history: Ring | None) -> None:
        self.pause_us = SECOND_US
        self._nvml, self._board, self._instance, self._history = nvml, board, instance, history
        self._before, self._after = nvml.nvmlGpmSampleAlloc(), nvml.nvmlGpmSampleAlloc()
        self._asked = nvml.c_nvmlGpmMetricsGet_t()
        self._asked.version, self._asked.numMetrics = nvml.NVML_GPM_METRICS_GET_VERSION, 2
        self._asked.metrics[0].metricId, self._asked.metrics[1].metricId = _GRAPHICS_UTIL, _SM_UTIL
        self._since: int | None = None

    @classmethod
    def probed(cls, nvml: ModuleType, board: Any, instance: int | None, history: Ring | None) -> Gpm | None:
        """Counters that give a value: on fractional virtual GPUs the driver says that it has them and has not."""
        try:
            if not nvml.nvmlGpmQueryDeviceSupport(board).isSupportedDevice:
                return None
            gpm = cls(nvml, board, instance, history)
            gpm._sample(gpm._before)
            time.sleep(0.11)  # two samples closer than a tenth of a second have no difference
            gpm._sample(gpm._after)
            return gpm if gpm._difference() is not None else None
        except (
            nvml.NVMLError_NotSupported,
            nvml.NVMLError_FunctionNotFound,
            nvml.NVMLError_NoPermission,
            nvml.NVMLError_InvalidArgument,
        ):
            return None

    def look(self, moment: Moment) -> Looked:
        """The difference since the last look; the first look takes what the ring still holds of the time before."""
        if self._since is None:
            self._sample(self._before)
            self._since = moment.wall_us
            spans = self._history.look(moment).spans if self._history else ()
            self._history = None
            return Looked([span._replace(ended_us=min(span.ended_us, moment.wall_us)) for span in spans], 0)
        if moment.wall_us - self._since < SECOND_US // 10:
            return Looked((), self._since)
        self._sample(self._after)
        found = self._difference()
        started, self._since = self._since, moment.wall_us
        self._before, self._after = self._after, self._before
        spans = [] if found is None else [Span(started, moment.wall_us, found[0], self.name, found[1])]
        return Looked(spans, moment.wall_us)

    def stepped(self, step_us: int) -> None:
        """The sample that is held was taken in the old time."""
        if self._since is not None:
            self._since += step_us

    def facts(self) -> Mapping[str, object]:
        """It has neither length nor clock."""
        return {"ring_seconds": None, "stamp_clock": None}

    def _sample(self, into: Any) -> None:
        if self._instance is None:
            self._nvml.nvmlGpmSampleGet(self._board, into)
        else:
            self._nvml.nvmlGpmMigSampleGet(self._board, self._instance, into)

    def _difference(self) -> tuple[float, float | None] | None:
        self._asked.sample1, self._asked.sample2 = self._before, self._after
        self._nvml.nvmlGpmMetricsGet(self._asked)
        busy, active = (_share(self._asked.metrics[at]) for at in (0, 1))
        return None if busy is None else (busy, active)


def _share(metric: Any) -> float | None:
    value = float(metric.value)
    return value / 100 if metric.nvmlReturn == 0 and math.isfinite(value) and 0 <= value <= 100.0001 else None


class Poll:
    """The newest value, ten times a second: what is left where a driver has neither counters nor a ring."""

    name = "nvml_poll"

    def __init__(self, nvml: ModuleType, handle: Any) -> None:
        self.pause_us = SECOND_US // 10
        self._nvml, self._handle = nvml, handle
        self._since: int | None = None

    @classmethod
    def probed(cls, nvml: ModuleType, handle: Any) -> Poll | None:
        """The newest value, where there is one: not of MIG instances."""
        try:
            nvml.nvmlDeviceGetUtilizationRates(handle)
        except (nvml.NVMLError_NotSupported, nvml.NVMLError_FunctionNotFound):
            return None
        return cls(nvml, handle)

    def look(self, moment: Moment) -> Looked:
        """The value stands for the time since the last look, if that was not long ago."""
        value = self._nvml.nvmlDeviceGetUtilizationRates(self._handle).gpu
        since, self._since = self._since, moment.wall_us
        if since is None or moment.wall_us - since > SECOND_US or value > 100:
            return Looked((), moment.wall_us)
        return Looked([Span(since, moment.wall_us, value / 100, self.name)], moment.wall_us)

    def stepped(self, step_us: int) -> None:
        """The last look was in the old time."""
        if self._since is not None:
            self._since += step_us

    def facts(self) -> Mapping[str, object]:
        """It has neither length nor clock."""
        return {"ring_seconds": None, "stamp_clock": None}


class Blind:
    """Nothing: a MIG instance before Hopper has memory and no activity. Its time is not observed, never idle."""

    name = "none"

    def __init__(self) -> None:
        self.pause_us = SECOND_US

    def look(self, moment: Moment) -> Looked:
        """No span, ever."""
        return Looked((), moment.wall_us)

    def stepped(self, step_us: int) -> None:
        """Nothing is held."""

    def facts(self) -> Mapping[str, object]:
        """It has neither length nor clock."""
        return {"ring_seconds": None, "stamp_clock": None}


def best(nvml: ModuleType, handle: Any) -> Busy:
    """The best way for a GPU that is not cut into instances.

    Raises:
        GpuFault: the driver has none.
    """
    ring = Ring.probed(nvml, handle)
    found = Gpm.probed(nvml, handle, None, ring) or ring or Poll.probed(nvml, handle)
    if found is None:
        raise GpuFault("the driver tells no activity of this GPU", remedy="reopen")
    return found
