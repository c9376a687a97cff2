"""Facts that LiteLLM told, from wherever they came, as a Parquet file of requests in the lake's columns."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from collectors.litellm_fields import request_sql
from collectors.values import literal
from farthing.config import Column, Source
from farthing.lake.schemas import REQUESTS

#: Columns that requests made here have beside the caller's own; a source may not give them another meaning.
_KNOWN = frozenset({*REQUESTS.columns, "request_tags", "organization_id", "project_id", "key_alias"})


def asked_names(source: Source) -> list[str]:
    """Names of the caller's metadata that `tags` and `columns` of a source list."""
    listed = [tag.removesuffix(".*") for tag in source.tags]
    listed += [path for one in source.columns.values() for path in (one.paths if isinstance(one, Column) else [one])]
    return [name for name in dict.fromkeys(listed) if name not in _KNOWN]


def target_of(folder: Path, name: str, identity: str) -> Path:
    """Where the requests of a delivery are made, below `folder`."""
    mark = hashlib.sha256(f"{name}\n{identity}".encode()).hexdigest()[:16]
    return folder / f"{mark}.parquet"


def write_requests(target: Path, facts: Iterator[pa.Table], source: Source) -> None:
    """Write requests as Parquet from `facts`, which come in pieces so that memory stays bounded."""
    target.parent.mkdir(parents=True, exist_ok=True)
    gathered, making = target.with_suffix(".facts"), target.with_suffix(".making")
    first = next(facts)
    with pq.ParquetWriter(gathered, first.schema, compression="lz4", write_statistics=False) as writer:
        writer.write_table(first)
        for piece in facts:
            writer.write_table(piece)
    query = request_sql(f"from read_parquet({literal(str(gathered))})", asked_names(source), has_tags=not source.tags)
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute(f"copy ({query}) to {literal(str(making))} (format parquet, compression lz4)")
    gathered.unlink()
    making.rename(target)
