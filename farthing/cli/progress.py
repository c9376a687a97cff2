"""How far a command is, for those who wait: bars on a terminal, else lines of text."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from farthing import console


class Bar(AbstractContextManager["Bar"]):
    """How far things are, on standard error: bars on a terminal, without one a line of text now and then."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.drawn: Progress | None = None
        self._console = console.errors()
        if self._console.is_terminal:
            self.drawn = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=32),
                TextColumn("{task.percentage:>3.0f} %"),
                TimeElapsedColumn(),
                console=self._console,
                transient=True,
            )
            self.drawn.start()

    def __exit__(self, *_: object) -> None:
        if self.drawn:
            self.drawn.stop()

    def message(self, text: str) -> None:
        """A line for the person who waits."""
        (self.drawn.console if self.drawn else self._console).print(Text(text, style="dim"))


class Line:
    """One thing after another in `bar`; lines stand beside each other, each for one thread."""

    _SILENT_SECONDS = 10.0

    def __init__(self, bar: Bar) -> None:
        self.message = bar.message
        self._bar = bar
        self._task: TaskID | None = None
        self._what, self._total, self._done, self._spoke = "", 0, 0, bar.clock()

    def begin(self, what: str, total: int) -> None:
        """`total` units of `what` are ahead; what was before is done."""
        self.end()
        self._what, self._total, self._done, self._spoke = what, total, 0, self._bar.clock()
        if self._bar.drawn:
            self._task = self._bar.drawn.add_task(what, total=total or None)
        else:
            self.message(what)

    def advance(self, done: int) -> None:
        """`done` more units are done."""
        self._done += done
        if self._bar.drawn and self._task is not None:
            self._bar.drawn.advance(self._task, done)
        elif self._total and self._bar.clock() - self._spoke > self._SILENT_SECONDS:
            self._spoke = self._bar.clock()
            self.message(f"{self._what}: {100 * min(self._done, self._total) // self._total} %")

    def end(self) -> None:
        """What was begun is done."""
        if self._bar.drawn and self._task is not None:
            self._bar.drawn.remove_task(self._task)
            self._task = None


class CollectBar:
    """The progress of one source's collection, drawn in `line`."""

    def __init__(self, line: Line, source: str) -> None:
        self._line, self._source = line, source

    def start(self, total_files: int, total_bytes: int) -> None:
        """See `collectors.Report`."""
        files = "1 file" if total_files == 1 else f"{total_files:,} files"
        self._line.begin(f"collecting {self._source}: {files}, {console.size(total_bytes)}", total_bytes)

    def advance(self, done_bytes: int) -> None:
        """See `collectors.Report`."""
        self._line.advance(done_bytes)

    def message(self, text: str) -> None:
        """See `collectors.Report`."""
        self._line.message(f"{self._source}: {text}")


class BuildBar:
    """The progress of a build, drawn in `bar`."""

    def __init__(self, bar: Bar) -> None:
        self._line = Line(bar)

    def start(self, total: int, what: str) -> None:
        """See `farthing.build.Progress`."""
        self._line.begin(what, total)

    def advance(self, count: int = 1) -> None:
        """See `farthing.build.Progress`."""
        self._line.advance(count)

    def message(self, text: str) -> None:
        """See `farthing.build.Progress`."""
        self._line.message(text)
