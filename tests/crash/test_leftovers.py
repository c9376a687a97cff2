"""What a killed copy of an object leaves goes with the next one; a copy that is being made stays."""

from __future__ import annotations

import os
import time
from pathlib import Path

from obstore.store import LocalStore

from farthing.objects import download


def test_a_copy_removes_the_parts_of_killed_ones_and_leaves_those_at_work(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "a[1].parquet").write_bytes(b"whole")
    cache = tmp_path / "cache"
    cache.mkdir()
    killed, other, working = (cache / f"{name}.part" for name in ("a[1].parquet.7-aa", "b.7-aa", "a[1].parquet.8-bb"))
    for part in (killed, other, working):
        part.write_bytes(b"wh")
    for part in (killed, other):
        os.utime(part, (time.time() - 7200, time.time() - 7200))
    download(LocalStore(str(tmp_path / "store")), "a[1].parquet", cache / "a[1].parquet", uri="a[1].parquet")
    assert sorted(path.name for path in cache.iterdir()) == ["a[1].parquet", "a[1].parquet.8-bb.part", "b.7-aa.part"]
