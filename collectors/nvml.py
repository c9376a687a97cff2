"""NVIDIA's driver behind the protocol of `telemetry`: which boards there are, and what each is asked (extra `gpu`)."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from collectors.nvml_busy import Blind, Busy, Gpm, best
from collectors.telemetry import SECOND_US, Gpu, GpuFault, Moment, Opened, Reading
from farthing.errors import ConfigError, SourceError

Value = TypeVar("Value")

#: By NVML's number: the condition's name, the state of rows that it spoils, and what helps.
_FAULTS = {
    1: ("the driver's library was shut down", "lost", "restart"),
    2: ("the board's handle is void", "lost", "reopen"),
    4: ("no permission to ask this", "partial", "wait"),
    6: ("the instance is gone", "lost", "reopen"),
    9: ("the driver is not loaded", "lost", "restart"),
    10: ("the driver did not answer in time", "stuck", "wait"),
    11: ("the GPU's interrupt does not work", "lost", "reopen"),
    14: ("the GPU's infoROM is damaged", "partial", "wait"),
    15: ("the GPU has fallen off the bus", "lost", "reopen"),
    16: ("the GPU needs a reset", "lost", "reopen"),
    17: ("the operating system blocks the GPU", "lost", "reopen"),
    18: ("driver and library are of different versions", "lost", "restart"),
    28: ("the GPU is not found", "lost", "reopen"),
    29: ("the GPU is in no state to answer", "partial", "wait"),
}
#: Integrated power over a longer time than this would be a guess.
_POWER_GAP_US = 5 * SECOND_US


def fault(error: Any) -> GpuFault:
    """The named condition behind an NVML error."""
    name, state, remedy = _FAULTS.get(error.value, (str(error).rstrip("."), "partial", "wait"))
    return GpuFault(name, state, remedy)


class Nvml:
    """The library of the driver.

    Raises:
        ConfigError: the extra is not installed.
        SourceError: there is no driver, or it does not answer.
    """

    def __init__(self) -> None:
        try:
            import pynvml
        except ImportError as error:
            raise ConfigError(
                "the reader of NVIDIA's driver is not installed.",
                file="farthing[gpu]",
                fix="pip install 'farthing[gpu]'.",
            ) from error
        self._nvml: ModuleType = pynvml
        self._generation = 0
        self._lock = threading.Lock()
        try:
            pynvml.nvmlInit()
            self.driver = _text(pynvml.nvmlSystemGetDriverVersion())
        except pynvml.NVMLError_LibraryNotFound as error:
            raise SourceError(
                "there is no NVIDIA driver on this machine.",
                source="gpu",
                object_name="libnvidia-ml.so.1",
                fix="install the driver, give the container its library (NVIDIA runtime), or try --simulated 2.",
            ) from error
        except pynvml.NVMLError as error:
            raise SourceError(
                f"the NVIDIA driver does not answer: {fault(error).name}.",
                source="gpu",
                object_name="libnvidia-ml.so.1",
                fix="`nvidia-smi` tells the same; after an update of the driver load its module again.",
            ) from error
        self.path = _library_path()

    @property
    def generation(self) -> int:
        """How often the library was begun anew."""
        return self._generation

    def count(self) -> int:
        """How many boards the driver knows."""
        try:
            return int(self._nvml.nvmlDeviceGetCount())
        except self._nvml.NVMLError as error:
            raise fault(error) from error

    def restart(self) -> None:
        """Leave a driver that was exchanged and take the one that is loaded now."""
        with self._lock:
            with contextlib.suppress(self._nvml.NVMLError):
                self._nvml.nvmlShutdown()
            try:
                self._nvml.nvmlInit()
                self.driver = _text(self._nvml.nvmlSystemGetDriverVersion())
            except self._nvml.NVMLError as error:
                raise fault(error) from error
            self._generation += 1

    def layout(self, index: int) -> list[str]:
        """The UUIDs of the board's instances, or its own."""
        nvml = self._nvml
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            if not self._is_cut(handle):
                return [_text(nvml.nvmlDeviceGetUUID(handle))]
            return [_text(nvml.nvmlDeviceGetUUID(part)) for part in self._parts(handle)]
        except nvml.NVMLError as error:
            raise fault(error) from error

    def open(self, index: int) -> Opened:
        """Probe a board: its instances if it is cut, else itself."""
        nvml = self._nvml
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            gpu = Gpu(
                _text(nvml.nvmlDeviceGetUUID(handle)),
                index,
                _text(nvml.nvmlDeviceGetName(handle)),
                self._optional(lambda: int(memory(nvml, handle).total)),
                self._optional(lambda: nvml.nvmlDeviceGetPowerManagementLimit(handle) / 1000),
            )
            if not self._is_cut(handle):
                energy = self._energy(handle)
                return Opened([NvmlSource(nvml, gpu, handle, best(nvml, handle), energy)])
            sources = [
                NvmlSource(nvml, instance, part, Gpm.probed(nvml, handle, number, None) or Blind(), None)
                for instance, part, number in self._instances(gpu, handle)
            ]
        except nvml.NVMLError as error:
            raise fault(error) from error
        board = {
            "gpu_uuid": gpu.gpu_uuid,
            "index": index,
            "gpu_model": gpu.gpu_model,
            "mig": True,
            "memory_bytes": gpu.memory_bytes,
        }
        return Opened(sources, board)

    def _is_cut(self, handle: Any) -> bool:
        return bool(self._optional(lambda: self._nvml.nvmlDeviceGetMigMode(handle)[0]))

    def _parts(self, handle: Any) -> Iterator[Any]:
        for at in range(self._nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
            with contextlib.suppress(self._nvml.NVMLError_NotFound):  # indices have holes
                yield self._nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, at)

    def _instances(self, board: Gpu, handle: Any) -> Iterator[tuple[Gpu, Any, int]]:
        for part in self._parts(handle):
            number = int(self._nvml.nvmlDeviceGetGpuInstanceId(part))
            attributes = self._optional(partial(self._nvml.nvmlDeviceGetAttributes, part))
            held = self._optional(partial(memory, self._nvml, part))
            slices = None if attributes is None else int(attributes.gpuInstanceSliceCount)
            gpu = Gpu(
                _text(self._nvml.nvmlDeviceGetUUID(part)),
                board.index,
                board.gpu_model,
                None if held is None else int(held.total),
                parent_gpu_uuid=board.gpu_uuid,
                gpu_instance_id=str(number),
                mig_profile=None if attributes is None else f"{slices}g.{round(attributes.memorySizeMB / 1024)}gb",
                compute_slices=slices,
            )
            yield gpu, part, number

    def _energy(self, handle: Any) -> str | None:
        if self._optional(lambda: self._nvml.nvmlDeviceGetTotalEnergyConsumption(handle)) is not None:
            return "counter"
        return "power" if self._optional(lambda: self._nvml.nvmlDeviceGetPowerUsage(handle)) is not None else None

    def _optional(self, ask: Callable[[], Value]) -> Value | None:
        """The answer, or None where this GPU or this driver has none."""
        nvml = self._nvml
        try:
            return ask()
        except (
            nvml.NVMLError_NotSupported,
            nvml.NVMLError_FunctionNotFound,
            nvml.NVMLError_NoPermission,
            nvml.NVMLError_InvalidArgument,
        ):
            return None


class NvmlSource:
    """One GPU or instance: its activity, energy and memory. What it does not have is asked once and never again."""

    def __init__(self, nvml: ModuleType, gpu: Gpu, handle: Any, busy: Busy, energy: str | None) -> None:
        self.gpu, self.pause_us = gpu, busy.pause_us
        self._nvml, self._handle, self._busy, self._energy = nvml, handle, busy, energy
        self._has_memory = gpu.memory_bytes is not None
        self._power: tuple[int, float] | None = None
        self._power_joules = 0.0
        self._call_microseconds = self._timed()

    def read(self, moment: Moment) -> Reading:
        """Activity since the last look, the counter of energy, memory in use."""
        try:
            looked = self._busy.look(moment)
            self.pause_us = self._busy.pause_us
            joules = self._joules(moment) if self._energy else None
            used = int(memory(self._nvml, self._handle).used) if self._has_memory else None
        except self._nvml.NVMLError as error:
            raise fault(error) from error
        return Reading(looked.spans, looked.complete_us, joules, self._energy, used, looked.idle_dry)

    def stepped(self, step_us: int) -> None:
        """Hand the step of the clock on."""
        self._busy.stepped(step_us)

    def describe(self) -> Mapping[str, object]:
        """How it is observed."""
        return {
            "source": self._busy.name,
            **self._busy.facts(),
            "call_microseconds": self._call_microseconds,
            "energy": self._energy == "counter",
            "energy_source": self._energy,
        }

    def _joules(self, moment: Moment) -> float | None:
        if self._energy == "counter":
            return float(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)) / 1000
        watts = self._nvml.nvmlDeviceGetPowerUsage(self._handle) / 1000
        before, self._power = self._power, (moment.boot_us, watts)
        if before is None or moment.boot_us - before[0] > _POWER_GAP_US:
            self._power_joules = 0.0  # reads as a counter that began anew
        else:
            self._power_joules += (watts + before[1]) / 2 * (moment.boot_us - before[0]) / SECOND_US
        return self._power_joules

    def _timed(self) -> float | None:
        """The median of five calls, in microseconds: what the driver makes of one."""
        took = []
        try:
            for _ in range(5):
                began = time.perf_counter()
                self._nvml.nvmlDeviceGetUUID(self._handle)
                took.append((time.perf_counter() - began) * 1e6)
        except self._nvml.NVMLError:
            return None
        return round(sorted(took)[2], 1)


def memory(nvml: ModuleType, handle: Any) -> Any:
    """Total and used bytes; drivers before about R510 have only the old form, which counts reserved memory as used."""
    try:
        return nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2)
    except (
        nvml.NVMLError_FunctionNotFound,
        nvml.NVMLError_NotSupported,
        nvml.NVMLError_InvalidArgument,
        nvml.nvmlExceptionClass(nvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH),
    ):
        return nvml.nvmlDeviceGetMemoryInfo(handle)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _library_path() -> str:
    """The file that the loader took for the library."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
            if "libnvidia-ml.so" in line:
                return line.split(maxsplit=5)[-1]
    return "libnvidia-ml.so.1"
