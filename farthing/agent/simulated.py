"""GPUs that are not there, with a known pattern of work: what is behind the agent can be tried without a driver."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from collectors.telemetry import SECOND_US, Gpu, Moment, Opened, Reading, Span

#: Each GPU works for its own share of each 7 seconds, 10 % and more.
_CYCLE_US = 7 * SECOND_US
_IDLE_WATTS, _BUSY_WATTS = 70.0, 650.0
_MEMORY_BYTES = 80 << 30
_HISTORY_US = 16 * SECOND_US


class Simulated:
    """`number` GPUs of a node; what they did is a function of the time, so that a restart loses nothing."""

    path, driver, generation = "simulated", "simulated", 0

    def __init__(self, number: int, node_id: str) -> None:
        self._number, self._node_id = number, node_id

    def count(self) -> int:
        """How many there are."""
        return self._number

    def layout(self, index: int) -> list[str]:
        """The one UUID."""
        return [self._uuid(index)]

    def open(self, index: int) -> Opened:
        """The GPU of that index."""
        return Opened([_Source(Gpu(self._uuid(index), index, "Simulated GPU", _MEMORY_BYTES, 700.0))])

    def restart(self) -> None:
        """There is no driver to exchange."""

    def _uuid(self, index: int) -> str:
        return f"GPU-simulated-{self._node_id}-{index}"


def busy_us(index: int, until_us: int) -> int:
    """Microseconds since 1970 in which the simulated GPU of that index was busy: the known answer."""
    share_us = _CYCLE_US * (index % 9 + 1) // 10
    cycles, rest = divmod(until_us, _CYCLE_US)
    return cycles * share_us + min(rest, share_us)


class _Source:
    pause_us = SECOND_US

    def __init__(self, gpu: Gpu) -> None:
        self.gpu = gpu
        self._since: int | None = None

    def read(self, moment: Moment) -> Reading:
        """Whole seconds, so that no bucket has to share one out."""
        now = moment.wall_us
        edges = [moment.wall_us - _HISTORY_US if self._since is None else self._since]
        while edges[-1] < now:
            edges.append(min((edges[-1] // SECOND_US + 1) * SECOND_US, now))
        self._since = now
        spans = [
            Span(begin, end, (self._busy(end) - self._busy(begin)) / (end - begin), "simulated")
            for begin, end in pairwise(edges)
        ]
        joules = (_IDLE_WATTS * now + (_BUSY_WATTS - _IDLE_WATTS) * self._busy(now)) / SECOND_US
        return Reading(spans, now, joules, "counter", _MEMORY_BYTES // 2)

    def stepped(self, step_us: int) -> None:
        """Go on in the new time."""
        if self._since is not None:
            self._since += step_us

    def describe(self) -> Mapping[str, object]:
        """As node.json says it."""
        return {
            "source": "simulated",
            "ring_seconds": _HISTORY_US / SECOND_US,
            "stamp_clock": "epoch",
            "call_microseconds": 0.0,
            "energy": True,
            "energy_source": "counter",
        }

    def _busy(self, at_us: int) -> int:
        return busy_us(self.gpu.index, at_us)
