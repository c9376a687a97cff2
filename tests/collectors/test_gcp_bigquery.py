"""A billing export in BigQuery is read by partition, again when one grew, and never beyond what may be spent."""

from __future__ import annotations

import gzip
import io
import json
import uuid
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from collectors import gcp
from collectors.gcp_bigquery import Export
from collectors.kind import Total
from farthing import config
from farthing.errors import ConfigError, SourceError
from farthing.lake.schemas import CHARGES, LOADS
from tests.collectors.conftest import Silence
from tests.servers import bigquery_endpoint  # noqa: F401  # fixture

pytestmark = pytest.mark.heavy

Field = bigquery.SchemaField
_PAIR = [Field("key", "STRING"), Field("value", "STRING")]
SCHEMA = [
    Field("billing_account_id", "STRING"),
    Field("service", "RECORD", fields=[Field("id", "STRING"), Field("description", "STRING")]),
    Field("sku", "RECORD", fields=[Field("id", "STRING"), Field("description", "STRING")]),
    Field("usage_start_time", "TIMESTAMP"),
    Field("usage_end_time", "TIMESTAMP"),
    Field("project", "RECORD", fields=[Field("id", "STRING"), Field("name", "STRING")]),
    Field("labels", "RECORD", mode="REPEATED", fields=_PAIR),
    Field("location", "RECORD", fields=[Field("location", "STRING"), Field("region", "STRING")]),
    Field("export_time", "TIMESTAMP"),
    Field("cost", "FLOAT"),
    Field("currency", "STRING"),
    Field("usage", "RECORD", fields=[Field("amount", "FLOAT"), Field("unit", "STRING")]),
    Field(
        "credits",
        "RECORD",
        mode="REPEATED",
        fields=[Field("name", "STRING"), Field("amount", "FLOAT"), Field("type", "STRING")],
    ),
    Field("invoice", "RECORD", fields=[Field("month", "STRING")]),
    Field("cost_type", "STRING"),
    Field("resource", "RECORD", fields=[Field("name", "STRING"), Field("global_name", "STRING")]),
]


def row(exported: str = "2026-09-05T06:00:00Z", cost: float = 10.0, **more: Any) -> dict[str, Any]:
    return {
        "billing_account_id": "01AAAA",
        "service": {"id": "6F81-5844-456A", "description": "Compute Engine"},
        "sku": {"id": "D", "description": "A3 Instance Core"},
        "usage_start_time": "2026-09-05T00:00:00Z",
        "usage_end_time": "2026-09-05T01:00:00Z",
        "project": {"id": "prod-1", "name": "Production"},
        "labels": [{"key": "team", "value": "serving"}],
        "location": {"location": "us-central1", "region": "us-central1"},
        "export_time": exported,
        "cost": cost,
        "currency": "USD",
        "usage": {"amount": 3600.0, "unit": "seconds"},
        "credits": [{"name": "Trial", "amount": -1.25, "type": "PROMOTION"}],
        "invoice": {"month": "202609"},
        "cost_type": "regular",
        "resource": {"name": "gpu-1", "global_name": "//compute.googleapis.com/projects/p/zones/z/instances/1"},
        **more,
    }


class Table:
    """An export table of its own in the emulator."""

    def __init__(self, endpoint: str, schema: list[Field] = SCHEMA, field: str | None = "export_time") -> None:
        self.endpoint = endpoint
        self.client = bigquery.Client(
            "acme",
            client_options={"api_endpoint": endpoint},
            credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
        )
        dataset = f"billing_{uuid.uuid4().hex[:8]}"
        self.client.create_dataset(dataset)
        self.id = f"acme.{dataset}.gcp_billing_export_resource_v1_01AAAA"
        table = bigquery.Table(self.id, schema=schema)
        table.time_partitioning = bigquery.TimePartitioning(field=field)
        self.client.create_table(table)

    def add(self, *rows: dict[str, Any]) -> None:
        lines = io.BytesIO("\n".join(map(json.dumps, rows)).encode())
        job = bigquery.LoadJobConfig(
            source_format="NEWLINE_DELIMITED_JSON", schema=self.client.get_table(self.id).schema,
            write_disposition="WRITE_APPEND",
        )  # fmt: skip
        self.client.load_table_from_file(lines, self.id, job_config=job).result()

    def widen(self, *fields: Field) -> None:
        """Add columns, as Google does; the emulator wants its catalogue and its table told of it apart."""
        found = self.client.get_table(self.id)
        found.schema = [*found.schema, *fields]
        self.client.update_table(found, ["schema"])
        for field in fields:
            self.client.query_and_wait(f"alter table `{self.id}` add column {field.name} {field.field_type}")

    def source(self, **settings: Any) -> config.Config:
        one = {"kind": "gcp", "export": self.id, "endpoint": self.endpoint, **settings}
        return config.from_mapping({"sources": {"one": one}}, file=Path("/nowhere/farthing.toml"))

    def export(self, **settings: Any) -> Export:
        return Export("one", self.source(**settings).sources["one"])

    def collect(self, world: Any, **settings: Any) -> dict[str, str]:
        """The status of each partition, by its id."""
        made = self.source(**settings)
        results = gcp.COLLECTOR.collect("one", made.sources["one"], made, world.lake, world.report)
        assert all(result.balanced for result in results)
        return {result.file.rpartition("/")[2]: result.status for result in results}


@pytest.fixture
def table(bigquery_endpoint: str) -> Table:  # noqa: F811
    return Table(bigquery_endpoint)


def net(world: Any) -> Decimal:
    [found] = world.query(CHARGES, "select sum(BilledCost + x_BilledCostRounding) as net from lake.charges")
    return Decimal(found["net"])


def test_a_partition_lands_once_and_again_only_when_it_grew(world: Any, table: Table) -> None:
    table.add(row(), row(), row("2026-09-06T01:00:00Z", 0.1))
    assert table.collect(world) == {"20260905": "landed", "20260906": "landed"}
    assert net(world) == Decimal(10) * 2 + Decimal("0.1") - Decimal("1.25") * 3  # equal rows are two charges
    assert table.collect(world) == {"20260905": "unchanged", "20260906": "unchanged"}
    # A late batch: a correction of an old day, exported weeks later; and one that joins a day that landed.
    table.add(row("2026-09-28T06:00:00Z", -8.44, cost_type="adjustment", credits=[]))
    table.add(row("2026-09-06T23:00:00Z", 1.0, credits=[]))
    before = net(world)
    assert table.collect(world) == {"20260905": "unchanged", "20260906": "landed", "20260928": "landed"}
    assert net(world) - before == Decimal(1) - Decimal("8.44")
    [charge] = world.query(CHARGES, "select * from lake.charges where ChargeCategory = 'Adjustment'")
    assert charge["x_load"] == f"{table.id}/20260928"
    assert json.loads(charge["Tags"]) == {"team": "serving"}
    assert charge["ConsumedQuantity"] is None  # FOCUS has one for what was used only
    assert json.loads(charge["x_extra"])["usage.amount"] == "3600.0"
    used = world.query(CHARGES, "select distinct ConsumedQuantity from lake.charges where ChargeCategory = 'Usage'")
    assert [one["ConsumedQuantity"] for one in used] == [3600]


def test_looking_is_free_and_every_query_tells_its_bytes_and_has_a_limit(
    world: Any, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, bigquery.QueryJobConfig]] = []
    query = bigquery.Client.query

    def heard(client: bigquery.Client, sql: str, job_config: bigquery.QueryJobConfig, **more: Any) -> Any:
        asked.append((sql, job_config))
        return query(client, sql, job_config, **more)

    monkeypatch.setattr(bigquery.Client, "query", heard)
    table.add(row(), row("2026-09-06T01:00:00Z"))
    made = table.source()
    [whole] = gcp.COLLECTOR.find("one", made.sources["one"], made)
    assert (whole.name, whole.form) == (table.id, "detailed usage cost export")
    shown = gcp.COLLECTOR.preview("one", made.sources["one"], made)
    assert shown["BilledCost"].to_list() == [Decimal(10), Decimal(10), Decimal("-1.25")]
    assert not asked
    table.collect(world, maximum_bytes_billed=20_000_000)
    assert "20260905: scans 0 bytes" in world.report.messages  # what the emulator's dry runs say
    assert [one.dry_run for _, one in asked] == [True, None] * 3
    assert {one.maximum_bytes_billed for _, one in asked if not one.dry_run} == {20_000_000}
    assert [sql.partition(" where ")[2] for sql, _ in asked[2:]] == [
        "`export_time` >= @begin and `export_time` < @end"
    ] * 4
    assert not any("*" in sql for sql, _ in asked)


def test_since_leaves_out_earlier_partitions(world: Any, table: Table) -> None:
    table.add(row("2026-08-31T23:59:59Z"), row("2026-09-01T00:00:00Z"))
    assert table.collect(world, since="2026-09-01") == {"20260901": "landed"}
    assert table.collect(world) == {"20260831": "landed", "20260901": "unchanged"}


def test_a_table_partitioned_by_arrival_is_read_by_it(world: Any, table: Table) -> None:
    arrived = Table(table.endpoint, field=None)
    arrived.add(row(), row("2026-09-06T01:00:00Z"))
    [status] = arrived.collect(world).values()
    assert status == "landed"
    assert net(world) == Decimal("17.5")


def test_a_column_that_google_adds_lands_with_the_next_rows_and_rereads_nothing(world: Any, table: Table) -> None:
    table.add(row())
    table.collect(world)
    table.widen(Field("cost_at_list", "FLOAT64"), Field("brand_new", "STRING"))
    table.add(row("2026-09-07T00:00:00Z", cost_at_list=12.5, brand_new="n"))
    assert table.collect(world) == {"20260905": "unchanged", "20260907": "landed"}
    rows = world.query(CHARGES, "select * from lake.charges where ChargeCategory = 'Usage' order by x_load")
    assert [one["ListCost"] for one in rows] == [None, Decimal("12.5")]
    assert json.loads(rows[1]["x_extra"])["brand_new"] == "n"


def test_rows_that_do_not_arrive_leave_the_old_ones_and_say_so(
    world: Any, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.add(row())
    table.collect(world)
    table.add(row(cost=5.0))
    listed = Export.partitions
    monkeypatch.setattr(
        Export, "partitions", lambda self: [type(one)(one.id, one.rows + 1, one.bytes) for one in listed(self)]
    )
    assert table.collect(world) == {"20260905": "failed"}
    assert net(world) == Decimal("8.75")
    monkeypatch.undo()
    assert table.collect(world) == {"20260905": "landed"}
    assert net(world) == Decimal("12.5")


def test_a_collection_that_is_killed_between_commits_ends_the_same_when_it_runs_again(
    world: Any, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.add(row(), row("2026-09-06T01:00:00Z"))
    table.collect(world)
    table.add(row(cost=5.0), row("2026-09-06T02:00:00Z", 7.0))
    kept = world.lake.replace

    def killed(of: Any, *arguments: Any, **more: Any) -> Any:
        kept(of, *arguments, **more)
        raise KeyboardInterrupt

    monkeypatch.setattr(world.lake, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        table.collect(world)
    monkeypatch.undo()
    table.collect(world)
    assert net(world) == Decimal(10) * 2 + 12 - Decimal("1.25") * 4
    assert world.query(LOADS, "select count(*) as n from lake.loads where status = 'landed'")[0]["n"] == 4


def test_what_cannot_be_read_says_what_to_do(world: Any, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(match: str, error: type[Exception] = SourceError, **settings: Any) -> None:
        with pytest.raises(error, match=match):
            table.collect(world, **settings)

    refused("BigQuery has no such thing .* correct export", export=table.id + "_gone")
    refused("'billing' is no table", ConfigError, export="billing")
    refused("path reads files", ConfigError, path="x.csv")
    refused("does not take it", ConfigError, key_env="X")
    plain = Table(table.endpoint, [Field("cost", "FLOAT"), Field("export_time", "TIMESTAMP")])
    refused("no billing export of Google Cloud: it has no billing_account_id", export=plain.id)
    table.add(row())
    monkeypatch.setattr(Export, "partitions", lambda self: self._paid("select 1", {}) and [])
    monkeypatch.setattr(bigquery.QueryJob, "total_bytes_processed", 50_000_000)
    refused("would scan 50,000,000 bytes, and 20,000,000 of 20,000,000 are left.*maximum_bytes_billed = 100000000",
            maximum_bytes_billed=20_000_000)  # fmt: skip
    assert not world.lake.version(CHARGES)


def test_the_invoice_of_a_month_is_the_same_in_bigquery_and_in_the_lake(world: Any, table: Table) -> None:
    two = [{"name": "a", "amount": -0.1, "type": "X"}, {"name": "b", "amount": -0.2, "type": "X"}]
    september = [row(cost=0.1, credits=two), row(cost=0.2, credits=[]), row(cost=3.0, currency="EUR")]
    table.add(*september, row(cost=0.2, invoice={"month": "202608"}))
    report = Silence()
    assert table.export().invoice_totals(date(2026, 9, 1), report, pay=False) == []
    totals = table.export().invoice_totals(date(2026, 9, 1), report)
    assert totals == [
        Total("BillingAccountId", "01AAAA", "EUR", Decimal("1.75"), invoice="202609"),
        # 0.1 - 0.1 - 0.2 + 0.2, which is not 0 in doubles
        Total("BillingAccountId", "01AAAA", "USD", Decimal(0), invoice="202609"),
    ]
    assert report.messages == [  # bytes, as the emulator counts them
        "the totals of 2026-09 in BigQuery: would scan 0 bytes",
        "the totals of 2026-09 in BigQuery: scans 0 bytes",
    ]
    table.collect(world)
    landed = world.query(
        CHARGES,
        "select BillingAccountId, BillingCurrency, InvoiceId, sum(BilledCost + x_BilledCostRounding) as net"
        " from lake.charges where billing_month = date '2026-09-01' group by all order by all",
    )
    assert [tuple(one.values()) for one in landed] == [
        (one.account, one.currency, one.invoice, one.billed) for one in totals
    ]


@pytest.mark.heavy
def test_the_shared_month_lands_from_bigquery_as_from_its_file_and_the_late_batch_after_it(
    world: Any, table: Table, shared: Path
) -> None:
    table.add(*_nested(shared / "billing/native_synthetic_gpu/gcp_detailed_2026-09.csv.gz"))
    statuses = table.collect(world)
    assert set(statuses.values()) == {"landed"}
    world.collect("gcp", str(shared / "billing/native_synthetic_gpu/gcp_detailed_2026-09.csv.gz"), name="file")
    sums = world.query(
        CHARGES,
        "select x_source, InvoiceId, count(*) as n, sum(BilledCost + x_BilledCostRounding) as net "
        "from lake.charges group by all order by all",
    )
    assert [tuple(one.values())[1:] for one in sums[:3]] == [tuple(one.values())[1:] for one in sums[3:]]
    before = net(world)
    table.add(*_nested(shared / "billing/restatement/gcp_detailed_2026-09_late_batch.csv.gz"))
    again = table.collect(world)
    assert [part for part, status in again.items() if status == "landed"] == ["20260928"]
    assert net(world) - before == Decimal("-202.56")


def _nested(path: Path) -> list[dict[str, Any]]:
    """The flattened file as rows of the table; only what the table has."""
    import ast

    names = {field.name: [inner.name for inner in field.fields] for field in SCHEMA if field.mode != "REPEATED"}
    made = []
    for flat in pl.read_csv(gzip.decompress(path.read_bytes()), infer_schema=False).iter_rows(named=True):
        one: dict[str, Any] = {
            outer: {name: flat.get(f"{outer}.{name}") for name in inner} if inner else flat[outer]
            for outer, inner in names.items()
        }
        allowed = ("name", "amount", "type")
        one["credits"] = [{name: of[name] for name in allowed} for of in ast.literal_eval(flat["credits"])]
        one["labels"] = json.loads(flat["labels"])
        one["cost"] = float(flat["cost"])
        for time in ("usage_start_time", "usage_end_time", "export_time"):
            one[time] = flat[time] + "Z"
        made.append(one)
    return made
