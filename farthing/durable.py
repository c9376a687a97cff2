"""What is on disk for good before anybody is told so: files as a whole, and the names in a folder."""

from __future__ import annotations

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on disk.

    Raises:
        OSError: the operating system refuses.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, data: bytes, partial: Path | None = None) -> None:
    """Put `data` in the place of `path`, whole or not at all; `partial` is its name until then, by default `.part`.

    Raises:
        OSError: the operating system refuses; `path` is as it was.
    """
    partial = partial or path.with_suffix(".part")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync(path.parent)
