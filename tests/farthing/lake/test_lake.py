"""The lake's promises to one writer: exactly once, exactly these rows, exactly this version."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from farthing import clock, commit_points
from farthing.errors import ConfigError, SourceError
from farthing.lake import Lake, Query
from farthing.lake.schemas import CHARGES, COLLECTED, LOADS, REJECTS, Table
from tests.farthing.lake.worlds import NOON, THINGS, ids, read, row, things


def test_a_load_lands_once_though_every_write_opens_the_lake_anew(lake: Lake) -> None:
    first, again = things([row("1")]), things([row("1"), row("2")])
    assert lake.append(THINGS, first, load="file-1")
    for write in (lake.append, lake.upsert):
        assert not write(THINGS, again, load="file-1")
    assert not lake.replace(THINGS, again, where={"x_source": "a"}, load="file-1")
    assert ids(lake) == ["1"]


def test_a_load_without_rows_is_remembered(folder: Lake) -> None:
    assert folder.append(THINGS, things([]), load="empty")
    assert not folder.append(THINGS, things([row("1")]), load="empty")


@pytest.mark.slow
def test_a_load_is_still_known_after_checkpoints(folder: Lake) -> None:
    for number in range(45):  # a checkpoint is made every 20 commits
        assert folder.append(THINGS, things([row(str(number))]), load=f"load-{number}")
    assert list(Path(folder.path, "things", "_delta_log").glob("*.checkpoint.parquet"))
    assert not any(folder.append(THINGS, things([row("x")]), load=f"load-{number}") for number in range(45))
    assert len(ids(folder)) == 45


def test_replacing_one_partition_leaves_the_files_of_others_as_they_are(lake: Lake) -> None:
    lake.append(THINGS, things([row("1"), row("2", day=2), row("3", source="b")]), load="1")
    before = lake.files(THINGS)
    assert lake.replace(
        THINGS, things([row("4"), row("5")]), where={"x_source": "a", "day": [date(2026, 10, 1)]}, load="2"
    )
    after = lake.files(THINGS)
    assert {file.path for file in before if file.partition != {"x_source": "a", "day": date(2026, 10, 1)}} < {
        file.path for file in after
    }
    assert ids(lake) == ["2", "3", "4", "5"]
    assert [file.rows for file in after if file.partition == {"x_source": "a", "day": date(2026, 10, 1)}] == [2]


def test_replacing_by_a_plain_column_keeps_every_other_row_also_those_without_a_value(lake: Lake) -> None:
    long, quote = "file-" + "x" * 60, 'it\'s \\ "one"'
    rows = [row("1", load=long + "1"), row("2", load=long + "2"), row("3", load=None), row("4", load=quote)]
    lake.append(THINGS, things(rows), load="1")
    lake.replace(THINGS, things([row("5", load=long + "1", day=2)]), where={"x_load": long + "1"})
    assert ids(lake) == ["2", "3", "4", "5"]
    lake.replace(THINGS, things([]), where={"x_load": [quote, long + "2"], "x_source": "a"})
    assert ids(lake) == ["3", "5"]
    lake.replace(THINGS, things([]), where={"x_load": [None]})
    assert ids(lake) == ["5"]


@pytest.mark.parametrize("where", [{"x_source": "a"}, {"x_load": "l"}, {"x_source": ["a", "b"], "x_load": ["l"]}, {}])
def test_replace_may_be_the_first_write(folder: Lake, where: dict[str, object]) -> None:
    assert folder.replace(THINGS, things([row("1")]), where=where, load="1")
    assert ids(folder) == ["1"]


def test_replacing_by_flag_count_and_time_finds_the_rows(folder: Lake) -> None:
    other = NOON + timedelta(microseconds=1)
    cases: list[tuple[str, Any, Any]] = [("flag", True, False), ("count", 1, 2), ("at", NOON, other)]
    for column, mine, theirs in cases:
        rows = things([row("old", **{column: mine}), row("kept", **{column: theirs})])
        folder.replace(THINGS, rows, where={})
        folder.replace(THINGS, things([row("new", **{column: mine})]), where={column: mine})
        assert ids(folder) == ["kept", "new"]


def test_replace_by_no_value_replaces_nothing(folder: Lake) -> None:
    folder.append(THINGS, things([row("1")]), load="1")
    folder.replace(THINGS, things([]), where={"x_source": []})
    assert ids(folder) == ["1"]


def test_replace_refuses_rows_that_it_would_not_replace_the_next_time(folder: Lake) -> None:
    with pytest.raises(ValueError, match="x_source is not among"):
        folder.replace(THINGS, things([row("1", source="b")]), where={"x_source": "a"})
    with pytest.raises(ValueError, match="no column nonsense"):
        folder.replace(THINGS, things([]), where={"nonsense": 1})
    assert folder.version(THINGS) is None


def test_upsert_replaces_rows_of_its_keys_in_any_partition_and_adds_the_rest(lake: Lake) -> None:
    rows = [row("1", cost="1"), row("2", day=2, cost="2"), row("3", day=3, cost="3"), row("4", cost="4", part="p")]
    lake.append(THINGS, things(rows), load="1")
    untouched = {file.path for file in lake.files(THINGS, partitions={"day": [date(2026, 10, 3)]})}
    again = [row("1", day=2, cost="-1"), row("4", cost="40"), row("5", day=4, cost="5")]
    assert lake.upsert(THINGS, things(again), load="2")
    assert read(lake, "select id, part, day(day), BilledCost::text from lake.things order by all") == [
        ("1", None, 2, "-1.000000000000"),
        ("2", None, 2, "2.000000000000"),
        ("3", None, 3, "3.000000000000"),
        ("4", "p", 1, "4.000000000000"),
        ("4", None, 1, "40.000000000000"),
        ("5", None, 4, "5.000000000000"),
    ]
    assert untouched < {file.path for file in lake.files(THINGS)}


def test_upsert_on_a_time_in_the_key_does_not_depend_on_the_zone_of_the_machine(
    folder: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        table = Table("things", THINGS.schema, partition_by=("day",), key=("id", "at"))
        folder.append(table, things([row("1", at=NOON, cost="1")]), load="1")
        folder.upsert(table, things([row("1", at=NOON, cost="2")]), load="2")
        assert read(folder, 'select "at", BilledCost from lake.things', table=table) == [
            (NOON.replace(tzinfo=None), Decimal(2))
        ]
    finally:
        monkeypatch.undo()
        time.tzset()


def test_upsert_works_on_a_table_without_partitions(lake: Lake) -> None:
    def load(name: str, status: str) -> pa.Table:
        return pa.table({"x_load": [name], "x_source": ["s"], "status": [status]})

    lake.upsert(LOADS, load("a", "failed"), load="1")
    lake.upsert(LOADS, load("b", "landed"), load="2")
    lake.upsert(LOADS, load("a", "landed"), load="3")
    assert read(lake, "select x_load, status from lake.loads order by 1", table=LOADS) == [
        ("a", "landed"),
        ("b", "landed"),
    ]


def test_upsert_refuses_a_key_given_twice_and_a_table_without_key(folder: Lake) -> None:
    with pytest.raises(ValueError, match=r"key \(id, part\) given twice"):
        folder.upsert(THINGS, things([row("1"), row("1", day=2)]), load="1")
    with pytest.raises(ValueError, match="rejects has no key"):
        folder.upsert(REJECTS, pa.table({"x_load": ["a"]}), load="1")


def test_a_view_shows_the_pinned_version_only(lake: Lake) -> None:
    assert lake.version(THINGS) is None
    assert lake.pins([THINGS, LOADS]) == {"things": None, "loads": None}
    lake.append(THINGS, things([row("1")]), load="1")
    pinned = lake.pins([THINGS])["things"]
    files = lake.files(THINGS)
    lake.append(THINGS, things([row("2")]), load="2")
    lake.replace(THINGS, things([row("3", source="a")]), where={"x_source": "a"})
    assert ids(lake, version=pinned) == ids(lake, files=files) == ["1"]
    assert ids(lake) == ["3"]
    assert ids(lake, files=[]) == []


def test_time_travel_goes_by_the_clock_of_farthing(folder: Lake) -> None:
    moments = [datetime(2026, 10, day, tzinfo=UTC) for day in (1, 2, 3)]
    for moment in moments:
        with clock.fixed(moment):
            folder.append(THINGS, things([row(str(moment.day))]), load=str(moment))
    hour = timedelta(hours=1)
    assert folder.version_at(THINGS, moments[0] - hour) is None
    assert [ids(folder, version=folder.version_at(THINGS, moment)) for moment in moments] == [
        ["1"],
        ["1", "2"],
        ["1", "2", "3"],
    ]
    assert folder.version_at(THINGS, moments[1] + hour) == folder.version_at(THINGS, moments[1])
    assert folder.version_at(LOADS, moments[2]) is None


@pytest.mark.slow
def test_old_versions_stay_readable_when_log_files_are_old(folder: Lake) -> None:
    long_ago = time.time() - 400 * 86400
    for number in range(45):
        folder.append(THINGS, things([row(str(number))]), load=str(number))
        for log in Path(folder.path, "things", "_delta_log").iterdir():
            os.utime(log, (long_ago, long_ago))
    assert len(ids(folder, version=5)) == 5


def test_values_come_back_exactly(lake: Lake) -> None:
    costs = ["0.000000000001", "-0.000000000001", "-99999999999999999999999999.999999999999", "123456789.123456789012"]
    exact = ["0.000000000000000000000001", "-0.000000000000000000000001", "-99999999999999.999999999999999999999999"]
    rows = [row(str(number), cost=cost, at=NOON, count=2**62, real=0.1) for number, cost in enumerate(costs)]
    rows += [row(f"e{number}", exact=Decimal(value), flag=True) for number, value in enumerate(exact)]
    lake.append(THINGS, things(rows), load="1")
    query = "select BilledCost::text from lake.things where id not like 'e%' order by id"
    assert [cost for (cost,) in read(lake, query)] == costs
    assert [e for (e,) in read(lake, "select exact::text from lake.things where id like 'e%' order by id")] == exact
    assert read(lake, "select distinct \"at\", count, real, flag from lake.things where id = '0'") == [
        (NOON.replace(tzinfo=None), 2**62, 0.1, None)
    ]
    # and the same after both kinds of rewriting
    lake.upsert(THINGS, things([row("new")]), load="2")
    lake.upsert(THINGS, things([row("new", cost="1")]), load="3")
    lake.replace(THINGS, things([]), where={"id": "new"})
    assert [cost for (cost,) in read(lake, query)] == costs
    assert [e for (e,) in read(lake, "select exact::text from lake.things where id like 'e%' order by id")] == exact


@pytest.mark.parametrize("table", [*COLLECTED, REJECTS, LOADS], ids=lambda table: table.name)
def test_an_absent_and_an_empty_table_are_empty_views_with_the_types_of_the_schema(folder: Lake, table: Table) -> None:
    described = []
    for _ in range(2):
        described.append(read(folder, f"describe from lake.{table.name}", table=table))
        folder.append(table, table.schema.empty_table(), load="1")
    assert described[0] == described[1]
    assert [line[0] for line in described[0]] == table.columns
    kinds = {line[1] for line in described[0]}
    assert "TIMESTAMP WITH TIME ZONE" not in kinds
    assert ("DECIMAL(38,12)" in kinds) == any(str(field.type) == "decimal128(38, 12)" for field in table.schema)


def test_a_lake_of_an_older_schema_opens_and_takes_new_columns(lake: Lake) -> None:
    gone = {"exact", "flag", "part"}
    older = Table(
        "things", pa.schema([field for field in THINGS.schema if field.name not in gone]), THINGS.partition_by, ("id",)
    )
    lake.append(older, things([row("old")], THINGS).drop_columns(list(gone)), load="1")
    old_version = lake.version(THINGS)
    assert read(lake, "select id, part, exact, flag, typeof(exact) from lake.things") == [
        ("old", None, None, None, "DECIMAL(38,24)")
    ]
    for write in (lake.append, lake.upsert):
        write(THINGS, things([row(write.__name__, part="p", exact=Decimal("0.5"))]), load=write.__name__)
    assert read(lake, "select id, part, exact::double from lake.things order by all") == [
        ("append", "p", 0.5),
        ("old", None, None),
        ("upsert", "p", 0.5),
    ]
    lake.replace(THINGS, things([row("old", flag=True)]), where={"id": "old"})
    assert read(lake, "select id, part, flag from lake.things order by all") == [
        ("append", "p", None),
        ("old", None, True),
        ("upsert", "p", None),
    ]
    assert ids(lake, version=old_version) == ["old"]


def test_a_lake_with_columns_that_are_unknown_here_can_be_read_and_not_written(folder: Lake) -> None:
    newer = Table("things", THINGS.schema.append(pa.field("brand_new", pa.string())), THINGS.partition_by, THINGS.key)
    folder.append(newer, things([row("1")]), load="1")
    assert ids(folder) == ["1"]
    with pytest.raises(SourceError, match="brand_new"):
        folder.append(THINGS, things([row("2")]), load="2")


def test_columns_that_data_lacks_are_null_and_order_does_not_matter(folder: Lake) -> None:
    frame = pl.DataFrame({"x_source": ["a"], "id": ["1"], "day": [date(2026, 10, 1)], "count": [3]})
    folder.append(THINGS, frame, load="1")
    assert read(folder, 'select id, count, BilledCost, "at" from lake.things') == [("1", 3, None, None)]


@pytest.mark.slow
def test_a_stream_is_written_without_being_held_in_memory(folder: Lake) -> None:
    alive = peak = 0

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal peak
        for number in range(50):
            rows = [row(f"{number}-{one}", day=number % 3 + 1) for one in range(2000)]
            yield pa.RecordBatch.from_pylist(rows, schema=THINGS.schema)
            peak = max(peak, pa.total_allocated_bytes() - alive)

    alive = pa.total_allocated_bytes()
    folder.append(THINGS, pa.RecordBatchReader.from_batches(THINGS.schema, batches()), load="1")
    assert read(folder, "select count(*), count(distinct id) from lake.things") == [(100_000, 100_000)]
    assert peak < 3_000_000  # all rows are 10 MB


def test_a_stream_can_be_upserted(folder: Lake) -> None:
    for cost in ("1", "2"):
        batch = pa.RecordBatch.from_pylist([row(str(one), cost=cost) for one in range(10)], schema=THINGS.schema)
        folder.upsert(THINGS, pa.RecordBatchReader.from_batches(THINGS.schema, [batch]), load=cost)
    assert read(folder, "select count(*), sum(BilledCost) from lake.things") == [(10, Decimal(20))]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nonsense": pa.array(["x"])}, "things has no column nonsense"),
        ({"at": pa.array([datetime(2026, 10, 1)])}, "things.at has times without a zone"),  # noqa: DTZ001
        ({"at": pa.array([1])}, "things.at takes times with a zone, not int64"),
        ({"BilledCost": pa.array([0.1])}, "money never passes through floats"),
        ({"BilledCost": pa.array([Decimal("0.0000000000001")])}, "things.BilledCost cannot be decimal"),
        ({"count": pa.array(["many"])}, "things.count cannot be int64"),
        ({"id": pa.array([None], pa.string())}, r"things.id may not be null, and 1 row\(s\)"),
        ({"day": pa.array([None], pa.date32())}, "things.day may not be null"),
        ({"x_source": pa.array([""])}, "things.x_source may not be empty text"),
    ],
)
def test_data_that_does_not_fit_is_refused_by_name_before_anything_is_written(
    folder: Lake, change: dict[str, pa.Array], message: str
) -> None:
    good = {"id": pa.array(["1"]), "day": pa.array([date(2026, 10, 1)]), "x_source": pa.array(["a"])}
    with pytest.raises(ValueError, match=message):
        folder.append(THINGS, pa.table({**good, **change}), load="1")
    assert folder.version(THINGS) is None


def test_a_required_column_may_not_be_left_out(folder: Lake) -> None:
    with pytest.raises(ValueError, match=r"charges.BillingCurrency may not be null"):
        folder.append(CHARGES, pa.table({"x_source": ["a"], "billing_month": [date(2026, 10, 1)]}), load="1")


@pytest.mark.parametrize(
    "source",
    [
        "a b",
        "a/b",
        "é",
        "a=b",
        "100%",
        "x:y",
        "a+b",
        "..",
        "q'q",
        "*",
        "[a]",
        "%20",
        "007",
        "2026-10-01",
        "NULL",
        "2026-10-01T05:00:00",
    ],
)
def test_partition_values_of_any_text_come_back(folder: Lake, source: str) -> None:
    folder.append(THINGS, things([row("1", source=source), row("2", source="z")]), load="1")
    assert read(folder, "select x_source from lake.things where id = '1'") == [(source,)]
    folder.upsert(THINGS, things([row("1", source=source, cost="1")]), load="2")
    folder.replace(THINGS, things([row("3", source=source)]), where={"x_source": source})
    assert ids(folder) == ["2", "3"]
    alone = folder.files(THINGS, partitions={"x_source": [source]})
    assert read(folder, "select id, x_source from lake.things", files=alone) == [("3", source)]


@pytest.mark.slow
def test_partition_values_of_any_text_come_back_from_an_object_store(bucket: Lake) -> None:
    for source in ("a b", "é/x", "100%"):
        bucket.append(THINGS, things([row("1", source=source)]), load=source)
        bucket.replace(THINGS, things([row("2", source=source)]), where={"x_source": source})
    assert read(bucket, "select id, x_source from lake.things order by all") == [
        ("2", "100%"),
        ("2", "a b"),
        ("2", "é/x"),
    ]


def test_a_lake_may_lie_in_a_folder_with_an_odd_name_beside_a_copy_of_itself(tmp_path: Path) -> None:
    odd = Lake(str(tmp_path / "l? é * #" / "it's"))
    odd.append(THINGS, things([row("0"), row("1")]), load="1")
    shutil.copytree(tmp_path / "l? é * #", tmp_path / "lx é * #")
    odd.upsert(THINGS, things([row("0", day=2)]), load="2")
    assert ids(odd) == ["0", "1"]
    assert ids(odd, version=1) == ["0", "1"]


@pytest.mark.parametrize("folder", ["day=2026-10-01", "[x]", "a|b", "a^b", "a%20b"])
def test_a_folder_that_delta_or_readers_would_misread_is_refused(tmp_path: Path, folder: str) -> None:
    with pytest.raises(ConfigError, match="the lake cannot lie in"):
        Lake(str(tmp_path / folder / "lake"))


def test_files_carry_partition_rows_size_and_statistics(lake: Lake) -> None:
    lake.append(THINGS, things([row("1", at=NOON, count=1), row("2", at=NOON, count=5), row("3", day=2)]), load="1")
    (file,) = lake.files(THINGS, partitions={"day": [date(2026, 10, 1)], "x_source": ["a"]})
    assert (file.partition, file.rows) == ({"x_source": "a", "day": date(2026, 10, 1)}, 2)
    assert (file.minimum["count"], file.maximum["count"]) == (1, 5)
    assert {file, *lake.files(THINGS)} == set(lake.files(THINGS))
    (local,) = lake.local([file])
    assert local.stat().st_size == file.size
    assert lake.files(THINGS, partitions={"day": ["2026-10-03"]}) == []


@pytest.mark.slow
@pytest.mark.parametrize("within", [None, lambda _: ""])
@pytest.mark.parametrize("days", [1, 2])
def test_the_rows_of_a_query_land_once_and_exactly_of_one_partition_or_of_several(
    lake: Lake, days: int, within: Callable[[Mapping[str, str]], str] | None
) -> None:
    rows = [row("1", at=NOON, count=1, cost="0.000000000001", real=0.1), row("2", day=days, count=5, flag=True)]
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'Asia/Tokyo'")
        con.register("given", things(rows))
        given = 'select * replace (make_timestamp(epoch_us("at")) as "at") from given'
        query = Query(con, given, within=within)
        assert lake.append(THINGS, query, load="1")
        assert not lake.append(THINGS, query, load="1")
    other = Lake(f"{lake.path}-other", lake._store_options)
    other.append(THINGS, things(rows), load="1")
    assert read(lake) == read(other)
    for ours, theirs in zip(lake.files(THINGS), other.files(THINGS), strict=True):
        assert (ours.partition, ours.rows, ours.nulls) == (theirs.partition, theirs.rows, theirs.nulls)
        for name in ("id", "count"):
            assert (ours.minimum.get(name), ours.maximum.get(name)) == (
                theirs.minimum.get(name), theirs.maximum.get(name)
            )  # fmt: skip
        assert str(ours.maximum.get("at"))[:23] == str(theirs.maximum.get("at"))[:23]  # Delta cuts to milliseconds
    lake.replace(THINGS, things([row("3")]), where={"id": ["1", "3"]})
    lake.upsert(THINGS, things([row("2", day=days, cost="7")]), load="2")
    assert read(lake, 'select id, "BilledCost" from lake.things order by 1') == [("2", Decimal(7)), ("3", Decimal(0))]


def test_a_query_that_does_not_fit_is_refused_by_name(folder: Lake) -> None:
    with duckdb.connect() as con:
        con.register("given", things([row("1")]))
        given = 'select * replace (make_timestamp(epoch_us("at")) as "at") from given'
        for change, reason in (
            ("exclude (count)", "count"),
            ("replace ('x' as count)", "count"),
            ("replace (null::varchar as id)", r"things\.id may not be null"),
            ("replace (null::date as day)", r"things\.day may not be null"),
        ):
            with pytest.raises(ValueError, match=reason):
                folder.append(THINGS, Query(con, f"select * {change} from ({given})"), load="1")
    assert folder.version(THINGS) is None or not read(folder)


def test_the_cache_fetches_a_file_once(bucket: Lake, tmp_path: Path) -> None:
    bucket.append(THINGS, things([row("1")]), load="1")
    (first,) = bucket.local(bucket.files(THINGS))
    os.utime(first, (1, 1))
    bucket.append(THINGS, things([row("2")]), load="2")
    paths = bucket.local(bucket.files(THINGS))
    assert len(paths) == 2
    assert ids(bucket) == ["1", "2"]
    assert first in paths
    assert first.stat().st_mtime == 1
    assert sorted(path for path in (tmp_path / "cache").rglob("*") if path.is_file()) == sorted(paths)


def test_a_folder_of_other_files_is_no_table_and_nothing_is_written_there(folder: Lake) -> None:
    other = Path(folder.path, "things")
    other.mkdir(parents=True)
    (other / "notes.txt").write_text("mine")
    uses: list[Callable[[], object]] = [
        lambda: folder.version(THINGS),
        lambda: folder.append(THINGS, things([row("1")]), load="1"),
    ]
    for use in uses:
        with pytest.raises(SourceError, match="is not a Delta table"):
            use()
    assert [path.name for path in other.iterdir()] == ["notes.txt"]


def test_a_lake_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("no")
    with pytest.raises(SourceError, match=r"lake/things.*this is a file"):
        Lake(str(tmp_path / "lake")).version(THINGS)


def test_a_lake_with_a_broken_log_or_a_lost_data_file_is_named(folder: Lake) -> None:
    folder.append(THINGS, things([row("1")]), load="1")
    (file,) = folder.files(THINGS)
    os.rename(file.path, file.path + ".lost")
    with pytest.raises(SourceError, match="lake/things"):
        ids(folder)
    Path(folder.path, "things", "_delta_log", "00000000000000000001.json").write_text("{no json")
    with pytest.raises(SourceError, match="lake/things"):
        folder.version(THINGS)


def test_an_object_store_that_cannot_be_reached_is_named_with_what_to_check(bucket: Lake, tmp_path: Path) -> None:
    nowhere = {**bucket._options, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    for path, options in [(bucket.path, nowhere), ("s3://no-such-bucket-here/lake", bucket._options)]:
        with pytest.raises(SourceError, match=rf"{path}/things.*credentials") as caught:
            Lake(path, options, tmp_path).version(THINGS)
        assert "\x1b" not in str(caught.value)


def test_commit_points_are_reached_around_each_commit_and_not_for_a_known_load(folder: Lake) -> None:
    seen: list[tuple[str, int]] = []

    def note(moment: str) -> None:
        seen.append((moment, 0 if folder.version(THINGS) is None else len(folder.files(THINGS))))

    for moment in ("before", "after"):
        commit_points.on(f"lake.things.{moment}", partial(note, moment))
    try:
        folder.append(THINGS, things([row("1")]), load="1")
        folder.append(THINGS, things([row("1")]), load="1")
        folder.upsert(THINGS, things([row("2")]), load="2")
    finally:
        for moment in ("before", "after"):
            commit_points.on(f"lake.things.{moment}", None)
    folder.append(THINGS, things([row("3")]), load="3")
    assert seen == [("before", 0), ("after", 1), ("before", 1), ("after", 2)]


def test_a_crash_just_before_a_commit_leaves_the_table_as_it_was(folder: Lake) -> None:
    def crash() -> None:
        raise KeyboardInterrupt

    commit_points.on("lake.things.before", crash)
    try:
        with pytest.raises(KeyboardInterrupt):
            folder.append(THINGS, things([row("1")]), load="1")
    finally:
        commit_points.on("lake.things.before", None)
    assert ids(folder) == []
    assert folder.append(THINGS, things([row("1")]), load="1")


def test_a_write_that_clashes_reads_the_table_again_and_repeats_itself(folder: Lake) -> None:
    """Another writer commits between the reading of the table and our commit: in each of the three ways."""
    folder.append(THINGS, things([row("1", cost="1")]), load="1")
    intruders = iter(["a", "b", "c"])

    def intrude() -> None:
        commit_points.on("lake.things.before", None)
        other = Lake(folder.path)
        name = next(intruders)
        other.replace(THINGS, things([row(name, load=name), row("same", load=name)]), where={"x_load": name})

    writes: list[tuple[Callable[[], bool], str]] = [
        (lambda: folder.upsert(THINGS, things([row("same", cost="7", load="u", day=2)]), load="u"), "u"),
        (lambda: folder.replace(THINGS, things([row("r", load="l")]), where={"x_source": "a"}, load="r"), "r"),
        (lambda: folder.replace(THINGS, things([row("whole")]), where={}, load="w"), "w"),
    ]
    for write, load in writes:
        commit_points.on("lake.things.before", intrude)
        assert write()
        expected = {"u": ["1", "a", "same"], "r": ["r"], "w": ["whole"]}
        assert ids(folder) == expected[load]
    assert next(intruders, None) is None


@pytest.mark.slow
def test_ten_thousand_files_are_listed_and_viewed(folder: Lake, tmp_path: Path) -> None:
    folder.append(THINGS, things([row(str(one), day=one % 28 + 1) for one in range(28)]), load="1")
    files = folder.files(THINGS)
    many = [file for _ in range(360) for file in files]
    with duckdb.connect() as con:
        folder.view(con, THINGS, files=many)
        assert con.execute("select count(*) from lake.things").fetchall() == [(len(many),)]
        assert con.execute("select count(*) from lake.things where day = '2026-10-02'").fetchall() == [(360,)]


def test_the_log_of_a_table_written_by_plain_delta_is_read(folder: Lake) -> None:
    """Another engine may have written: no commit time of ours, other file names."""
    write_deltalake(f"{folder.path}/things", things([row("1")]), partition_by=["x_source", "day"])
    assert DeltaTable(f"{folder.path}/things").version() == folder.version_at(THINGS, datetime.now(UTC)) == 0
    assert ids(folder) == ["1"]
