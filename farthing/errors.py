"""The errors a person may see; each child says whose turn it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class FarthingError(Exception):
    """Base of every expected failure: the CLI prints it as one message, never as a traceback."""

    exit_code = 1


class ConfigError(FarthingError):
    """Yours: something in farthing.toml or on the command line.

    `file` and `key` say where, `fix` says what to write instead.
    """

    exit_code = 2

    def __init__(self, problem: str, *, file: Path | str = "farthing.toml", key: str = "", fix: str = "") -> None:
        self.problem, self.file, self.key, self.fix = problem, str(file), key, fix
        where = f"{file}: [{key}] " if key else f"{file}: "
        super().__init__(where + problem + (f" Fix: {fix}" if fix else ""))


class SourceError(FarthingError):
    """Theirs: a file, bucket or service could not be read as a whole."""

    exit_code = 3

    def __init__(self, problem: str, *, source: str, object_name: str = "", fix: str = "") -> None:
        self.problem, self.source, self.object_name, self.fix = problem, source, object_name, fix
        where = f"source '{source}'" + (f", {object_name}" if object_name else "")
        super().__init__(f"{where}: {problem}" + (f" Fix: {fix}" if fix else ""))


class DataError(FarthingError):
    """A row: why it went to rejects, with the file and line it came from."""

    def __init__(self, reason: str, *, file: str, line: int) -> None:
        self.reason, self.file, self.line = reason, file, line
        super().__init__(f"{file}:{line}: {reason}")


class InvariantError(FarthingError):
    """Ours: a check found `rows`, or the engine refused a statement (`problem`); nothing was published."""

    def __init__(self, check: str, *, query: str, rows: Sequence[Sequence[object]] = (), problem: str = "") -> None:
        self.check, self.query, self.rows, self.problem = check, query, list(rows), problem
        found = problem or f"check failed with {len(self.rows)} row(s)"
        shown = "".join(f"\n  {tuple(str(value) for value in row)}" for row in self.rows[:3])
        super().__init__(f"{check}: {found}; nothing was published.{shown}\nquery:\n{query}")
