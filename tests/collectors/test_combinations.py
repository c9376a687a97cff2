"""Columns made once per combination of values: always what polars makes line by line."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

from collectors import combinations, focus
from collectors.combinations import Made, in_tables
from collectors.mapping import ColumnMap
from collectors.raw import LINE, ParquetFile
from collectors.statements import rows_of
from farthing.config import Source

ROWS = 400
BILL = pl.DataFrame(
    {
        "what": ["gpu", "disk", None, "", "gpu"] * (ROWS // 5),
        "unit": ["Hrs", "GB", "Hrs", None] * (ROWS // 4),
        "usd": [0.1, None, -2.5, 0.1] * (ROWS // 4),
        "at": [datetime(2026, 9, 1, hour, tzinfo=UTC) for hour in range(4)] * (ROWS // 4),
        "id": [f"i-{number}" for number in range(ROWS)],
    }
)
COLUMNS = (
    pl.col(LINE),
    pl.col("id").alias("ResourceId"),
    pl.when(pl.col("what") == "gpu").then(pl.lit("a machine")).otherwise(pl.col("unit")).alias("ChargeDescription"),
    pl.when(pl.col("what") == "none").then(pl.lit("x")).alias("ChargeClass"),
    pl.col("usd").cast(pl.String).cast(pl.Decimal(38, 24)).alias("amount"),
    (pl.col("at") + pl.duration(hours=1)).alias("end"),
    (pl.col("id") + "/" + pl.col("what")).alias("ResourceName"),
    pl.lit("AWS").alias("ProviderName"),
    pl.lit(None, pl.String).alias("PublisherName"),
)


def parquet(folder: Path, frame: pl.DataFrame, name: str = "bill.parquet", **how: int) -> list[Path]:
    pq.write_table(frame.to_arrow().cast(pa.schema(_plain(frame))), folder / name, **how)
    return [folder / name]


def _plain(frame: pl.DataFrame) -> list[pa.Field]:
    return [
        pa.field(f.name, pa.string() if pa.types.is_large_string(f.type) else f.type) for f in frame.to_arrow().schema
    ]


def made_of(files: list[Path], *made: Made) -> pl.DataFrame:
    tables = in_tables(made, files)
    assert tables is not None
    return pl.concat([pl.DataFrame(pl.from_arrow(one)).cast(made[0].frame.collect_schema()) for one in tables])


@pytest.mark.parametrize("group", [7, 100, ROWS], ids=lambda size: f"row groups of {size}")
@pytest.mark.parametrize("piece", [3, 128, ROWS], ids=lambda size: f"pieces of {size}")
def test_what_is_made_of_combinations_is_what_is_made_of_each_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: int, piece: int
) -> None:
    monkeypatch.setattr(combinations, "PIECE_ROWS", piece)
    files = parquet(tmp_path, BILL, row_group_size=group)
    made = Made(rows_of(files, tmp_path), COLUMNS)
    assert_frame_equal(made_of(files, made), made.frame.collect())


def test_lines_are_counted_over_all_files_and_of_a_condition_only_its_lines_are_made(tmp_path: Path) -> None:
    files = parquet(tmp_path, BILL, "a.parquet") + parquet(tmp_path, BILL, "b.parquet")
    rows = rows_of(files, tmp_path)
    both = Made(rows, COLUMNS), Made(rows, COLUMNS, where=(pl.col("usd") < 0).fill_null(value=False))
    whole = pl.concat([one.frame.collect() for one in both])
    assert whole[LINE].max() == 2 * ROWS
    assert_frame_equal(made_of(files, *both), whole, check_row_order=False)


def test_a_bill_without_a_line_has_its_columns(tmp_path: Path) -> None:
    files = parquet(tmp_path, BILL.clear())
    made = Made(rows_of(files, tmp_path), COLUMNS)
    assert_frame_equal(made_of(files, made), made.frame.collect())


def test_text_stays_a_dictionary_of_its_values(tmp_path: Path) -> None:
    files = parquet(tmp_path, BILL)
    tables = list(in_tables([Made(rows_of(files, tmp_path), COLUMNS)], files) or ())
    text = tables[-1]["ChargeDescription"].combine_chunks()
    assert sorted(text.dictionary.to_pylist()) == ["GB", "Hrs", "a machine"]


def test_files_with_maps_or_of_other_columns_are_left_to_polars(tmp_path: Path) -> None:
    maps = parquet(tmp_path, BILL.with_columns(pl.struct("what").alias("nested")), "maps.parquet")
    assert in_tables([Made(rows_of(maps, tmp_path), [pl.col(LINE)])], maps) is None
    two = parquet(tmp_path, BILL) + parquet(tmp_path, BILL.with_columns(pl.lit("x").alias("new")), "new.parquet")
    assert in_tables([Made(rows_of(two, tmp_path), [pl.col(LINE)])], two) is None


def given_of(file: ParquetFile, ours: str, *column: str, **columns: str) -> list[tuple[object]]:
    source = Source(kind="aws", path="bill", columns={**columns, **dict.fromkeys([ours] if column else [], *column)})
    made = ColumnMap("aws", source, focus.KIND.dialect, file, "bill").typed_sql(file.relation)
    with duckdb.connect() as con:
        return con.execute(f'select "{ours}" from ({made}) order by _line').fetchall()


def extra_of(file: ParquetFile, **columns: str) -> list[tuple[object]]:
    return given_of(file, "x_extra", **columns)


def test_columns_with_their_text_together_give_the_same_x_extra_also_where_one_of_them_is_mapped(
    tmp_path: Path,
) -> None:
    odd = ["", "NULL", " ", "\u00a0", 'a"b\\c', "\n\t\x01\x7f", "ü/€", "plain", None, "x"]
    names = ("product_a", "product_b", 'product_"c', "product_d")
    texts = {name: (odd[number:] + odd[:number]) * 40 for number, name in enumerate(names)}
    numbers = {"product_e": [0.1, -1e-7, 1e22, None, 0.0, 3.0, 1 / 3, -2.5, 100.0, 2.0**63] * 40}
    lines = pl.DataFrame({"usage": range(400), **texts, **numbers, "other": range(400), "last": [None] * 399 + ["x"]})
    [bill] = parquet(tmp_path, lines)
    made = Made(rows_of([bill], tmp_path), [pl.col(LINE), *map(pl.col, lines.columns)])
    tables = in_tables([made], [bill])
    assert tables is not None
    table = next(tables)
    pq.write_table(table, tmp_path / "together.parquet", store_schema=False)
    together, plain = ParquetFile(tmp_path / "together.parquet"), ParquetFile(bill)
    assert list(together.together.values()) == [[*names, *numbers], ["last"]]
    assert together.columns == lines.columns
    assert together.types == {LINE: "BIGINT", **plain.types}
    assert not set(table.column_names).intersection(names)
    assert extra_of(together) == extra_of(plain)
    assert extra_of(together, RegionName="product_b") == extra_of(plain, RegionName="product_b")
    for ours, column in (("RegionName", 'product_"c'), ("ListUnitPrice", "product_e")):
        assert given_of(together, ours, column) == given_of(plain, ours, column)
