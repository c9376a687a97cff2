"""A billing export table in BigQuery, partition by partition: looked at for nothing, read within a limit.

Google only appends: a partition that has as many rows and bytes as when it landed is the same, and one that grew is
read again as a whole. So no row is ever compared with another: two that look equal can both be real.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from collectors.gcp_export import form_of, in_focus
from collectors.kind import Report, Total
from collectors.lines import UnreadableError
from collectors.raw import LINE
from collectors.statements import Statement
from farthing import clock
from farthing.config import Source
from farthing.errors import ConfigError, SourceError

if TYPE_CHECKING:
    from google.cloud import bigquery

#: What one collection may scan unless the source says otherwise: about half a dollar at Google's list price.
MAXIMUM_BYTES = 100_000_000_000
#: BigQuery bills no query for less.
LEAST_BYTES = 10 * 1024 * 1024
#: After so many days Google adds nothing to a month, but for corrections.
_SETTLED_DAYS = 10
_STEPS = {4: "%Y", 6: "%Y%m", 8: "%Y%m%d", 10: "%Y%m%d%H"}
_FIRST_ROWS = 1000
_ORDER = (
    "export_time usage_start_time sku resource cost x_ExportTime ChargePeriodStart SkuId ResourceId BilledCost".split()
)


@dataclass(frozen=True)
class Partition:
    """A part of the table: its id as BigQuery has it, null for a table without partitions."""

    id: str | None
    rows: int
    bytes: int

    @property
    def begin(self) -> datetime:
        """When it begins, in UTC."""
        assert self.id is not None
        return datetime.strptime(self.id, _STEPS[len(self.id)]).replace(tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """When the next one begins."""
        size = len(self.id or "")
        if size > 6:
            return self.begin + (timedelta(days=1) if size == 8 else timedelta(hours=1))
        return (self.begin + timedelta(days=31 if size == 6 else 366)).replace(day=1)


class Export:
    """One export table, and what may be spent on reading it.

    Raises:
        ConfigError: `export` is no PROJECT.DATASET.TABLE, it is a view, or a package is missing.
        SourceError: the table is not there, or may not be read.
    """

    def __init__(self, name: str, source: Source) -> None:
        self.name, self.id = name, source.export or ""
        if self.id.count(".") < 2 or "`" in self.id:
            raise ConfigError(
                f"'{self.id}' is no table.",
                key=f"sources.{name}.export",
                fix='export = "project.dataset.gcp_billing_export_resource_v1_XXXXXX_XXXXXX_XXXXXX"',
            )
        self._limit = self._left = source.maximum_bytes_billed or MAXIMUM_BYTES
        self._since = source.since
        with self.answering():
            self._client = _client(self.id.rsplit(".", 2)[0], source.endpoint)
            self._table: bigquery.Table = self._client.get_table(self.id, retry=_patience())
        if self._table.table_type not in (None, "TABLE"):
            raise ConfigError(
                f"'{self.id}' is a {self._table.table_type.lower()}, which does not tell what was added to it.",
                key=f"sources.{name}.export",
                fix="name the table that Google exports to.",
            )
        try:
            self.form = form_of(list(_leaves(self._table.schema)))
        except UnreadableError as error:
            raise SourceError(str(error), source=name, object_name=self.id) from error

    def whole(self) -> Statement:
        """The table as its metadata tell of it; what is read of it are its first rows, for which nothing is paid."""
        rows, size = self._table.num_rows or 0, self._table.num_bytes or 0
        return Statement(self.id, size, f"{rows}-{size}", self.form, self._first_rows)

    def partitions(self) -> list[Partition]:
        """The partitions that have rows and are not before `since`; asking costs the 10 MB that any query costs.

        Rows that BigQuery still buffers are in none; they are read when they have arrived.
        """
        dataset, table = self.id.rsplit(".", 1)
        rows = self._paid(
            "select partition_id, total_rows, coalesce(total_logical_bytes, 0) as total_bytes "
            f"from `{dataset}.INFORMATION_SCHEMA.PARTITIONS` where table_name = @name order by partition_id",
            {"name": table},
        )
        found = [Partition(row.partition_id, row.total_rows, row.total_bytes) for row in rows]
        dated = [one for one in found if one.id is None or (len(one.id) in _STEPS and one.id.isdigit())]
        return [one for one in dated if one.rows and (one.id is None or not self._before(one))]

    def statements(self, report: Report, names: Callable[[], Mapping[str, str]]) -> list[Statement]:
        """One statement per partition; `names` gives the billing accounts' names when rows are read."""

        def of(part: Partition) -> Statement:
            return Statement(
                f"{self.id}/{part.id}" if part.id else self.id,
                part.bytes,
                f"{part.rows}-{part.bytes}",
                self.form,
                lambda folder: self._read(part, folder, report, names()),
            )

        return [of(part) for part in self.partitions()]

    def invoice_totals(self, month: date, report: Report, *, pay: bool = True) -> list[Total]:
        """Net of credits by account and currency in the invoice of `month`, as the table has it, exactly.

        Four columns are scanned; `report` hears how many bytes that is before they are paid for, and unless `pay` that
        is all.

        Raises:
            SourceError: more would be scanned than may be, or BigQuery refuses it.
        """
        invoice = f"{month:%Y%m}"
        if self.form.startswith("FOCUS"):
            query = (
                "select BillingAccountId, BillingCurrency, InvoiceId, sum(cast(BilledCost as bignumeric)) as net "
                f"from `{self.id}` where BillingPeriodStart >= @begin and BillingPeriodStart < @end group by 1, 2, 3"
            )
        else:
            query = (
                "select billing_account_id, currency, invoice.month, sum(cast(cost as bignumeric)) "
                "+ coalesce(sum((select sum(cast(c.amount as bignumeric)) from unnest(credits) as c)), 0) as net "
                f"from `{self.id}` where invoice.month = @invoice{self._since_sql} group by 1, 2, 3"
            )
        begin = datetime(month.year, month.month, 1, tzinfo=UTC)
        end = (begin + timedelta(days=31)).replace(day=1)

        def tell(size: int) -> None:
            scans = "scans" if pay else "would scan"
            report.message(f"the totals of {month:%Y-%m} in BigQuery: {scans} {size:,} bytes")

        rows = self._paid(query, {"invoice": invoice, "begin": begin, "end": end}, tell, pay=pay)
        is_open = clock.now() <= end + timedelta(days=_SETTLED_DAYS)
        return [
            Total("BillingAccountId", account, currency, Decimal(str(net)), invoice=number, open=is_open)
            for account, currency, number, net in sorted(map(tuple, rows))
        ]

    # -- reading ------------------------------------------------------------------------------------------------

    def _read(self, part: Partition, folder: Path, report: Report, names: Mapping[str, str]) -> pl.LazyFrame:
        columns = ", ".join(f"`{field.name}`" for field in self._table.schema)
        query = f"select {columns} from `{self.id}`{self._inside(part)}"
        given: dict[str, str | datetime] = {"begin": part.begin, "end": part.end} if part.id else {}
        rows = self._paid(query, given, lambda size: report.message(f"{part.id or self.id}: scans {size:,} bytes"))
        return self._in_focus(rows, folder / f"{part.id or 'table'}.parquet", names, part.rows)

    def _first_rows(self, folder: Path) -> pl.LazyFrame:
        with self.answering():
            rows = self._client.list_rows(self._table, max_results=_FIRST_ROWS, retry=_patience())
        return self._in_focus(rows, folder / "first.parquet", {})

    def _in_focus(self, rows: Any, path: Path, names: Mapping[str, str], promised: int | None = None) -> pl.LazyFrame:
        writer: pq.ParquetWriter | None = None
        delivered = 0
        for batch in self._batches(rows):
            writer = writer or pq.ParquetWriter(path, batch.schema, compression="lz4")
            writer.write_batch(batch)
            delivered += batch.num_rows
        if writer is None:
            raise UnreadableError("the provider delivered no row")
        writer.close()
        if promised is not None and delivered != promised:
            raise UnreadableError(f"BigQuery counts {promised:,} rows and delivered {delivered:,}; not landed")
        found = pl.scan_parquet(path)
        order = [pl.col(name) for name in self._order(found)]
        lines = pl.col(LINE).cast(pl.Int64)
        return in_focus(found.sort(order).with_row_index(LINE, offset=1).with_columns(lines), names)[1]

    def _batches(self, rows: Any) -> Iterator[pa.RecordBatch]:
        with self.answering():
            yield from rows.to_arrow_iterable()

    def _order(self, rows: pl.LazyFrame) -> list[str]:
        """Rows come in no order; these make a row's line the same each time."""
        return [name for name in _ORDER if name in rows.collect_schema()]

    def _inside(self, part: Partition) -> str:
        """The condition that lets BigQuery open this partition alone."""
        return f" where {self._key} >= @begin and {self._key} < @end" if part.id else ""

    @property
    def _key(self) -> str:
        partitioning = self._table.time_partitioning
        field = partitioning.field if partitioning else None
        if field is None:
            return "_PARTITIONTIME"
        kind = next(one.field_type for one in self._table.schema if one.name == field)
        return f"`{field}`" if kind == "TIMESTAMP" else f"timestamp(`{field}`)"

    @property
    def _since_sql(self) -> str:
        """No row of an invoice was written before its month began, give or take the zone."""
        if self._table.time_partitioning is None:
            return ""
        return f" and {self._key} >= timestamp_sub(@begin, interval 2 day)"

    def _before(self, part: Partition) -> bool:
        return self._since is not None and part.end.date() <= self._since

    # -- asking -------------------------------------------------------------------------------------------------

    def _paid(
        self,
        query: str,
        given: Mapping[str, str | datetime],
        tell: Callable[[int], object] = lambda _: None,
        *,
        pay: bool = True,
    ) -> Any:
        """The rows of `query`, if what it scans is within what is left; `tell` hears how much before it is paid.

        Unless `pay`, it is only told.

        Raises:
            SourceError: it would scan more, or BigQuery refuses it.
        """
        from google.cloud import bigquery

        kinds = {str: "STRING", datetime: "TIMESTAMP"}
        asked = [
            bigquery.ScalarQueryParameter(name, kinds[type(value)], value)
            for name, value in given.items()
            if f"@{name}" in query
        ]
        with self.answering():
            dry = bigquery.QueryJobConfig(dry_run=True, use_query_cache=False, query_parameters=asked)
            size = self._client.query(query, job_config=dry, retry=_patience()).total_bytes_processed or 0
            if size > self._left:
                raise SourceError(
                    f"the query would scan {size:,} bytes, and {self._left:,} of {self._limit:,} are left.",
                    source=self.name,
                    object_name=self.id,
                    fix=f"maximum_bytes_billed = {max(2 * size, 2 * self._limit)} in the source, or a later since.",
                )
            tell(size)
            if not pay:
                return []
            job = bigquery.QueryJobConfig(
                query_parameters=asked, maximum_bytes_billed=max(self._left, LEAST_BYTES), use_legacy_sql=False
            )
            rows = self._client.query(query, job_config=job, retry=_patience()).result(retry=_patience())
        self._left -= size
        return rows

    @contextmanager
    def answering(self) -> Iterator[None]:
        """What BigQuery or the credentials refuse becomes an error that says what to do."""
        with answering(self.name, self.id, "BigQuery", _RIGHTS):
            yield


_RIGHTS = "roles/bigquery.dataViewer on the dataset and roles/bigquery.jobUser on the project that asks."


@contextmanager
def answering(name: str, thing: str, service: str, rights: str) -> Iterator[None]:
    """Turn what a service of Google's refuses into an error with object and fix.

    Raises:
        SourceError: credentials are missing or expired, rights are, the thing is not there, or nobody answers.
    """
    try:
        from google.api_core import exceptions as refused
        from google.auth import exceptions as unknown
    except ImportError as error:
        raise ConfigError(
            f"{service} needs packages that are not installed.", key=f"sources.{name}", fix="install farthing[gcp]."
        ) from error

    def worded(problem: str, fix: str) -> SourceError:
        return SourceError(problem, source=name, object_name=thing, fix=fix)

    try:
        yield
    except unknown.TransportError as cause:
        raise worded(f"{service} cannot be reached ({_words(cause)}).", "try again later.") from cause
    except (unknown.GoogleAuthError, refused.Unauthorized) as cause:
        raise worded(
            f"the credentials are missing, wrong or expired ({_words(cause)}).",
            "run gcloud auth application-default login, or name a key file in GOOGLE_APPLICATION_CREDENTIALS.",
        ) from cause
    except refused.NotFound as cause:
        raise worded(
            f"{service} has no such thing ({_words(cause)}).", "correct export, or wait for Google's first export."
        ) from cause
    except refused.Forbidden as cause:
        raise worded(f"{service} does not allow it ({_words(cause)}).", f"grant {rights}") from cause
    except (refused.GoogleAPIError, OSError) as cause:
        raise worded(f"{service} does not answer as it should ({_words(cause)}).", "try again later.") from cause


def _words(error: Exception) -> str:
    words = " ".join(str(getattr(error, "message", "") or error).split())
    return re.sub(r"^[A-Z]+ https?://\S+: ", "", words)[:300]


def _patience() -> Any:
    """The client's own retries of what may pass, for a minute instead of ten."""
    from google.cloud.bigquery import DEFAULT_RETRY

    return DEFAULT_RETRY.with_timeout(60)


def _client(project: str, endpoint: str | None) -> bigquery.Client:
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

    project = os.environ.get("GOOGLE_CLOUD_PROJECT") or project
    if endpoint is None:
        return bigquery.Client(project=project)
    # Nobody sends credentials over a connection that anybody can read.
    shown: Any = AnonymousCredentials() if endpoint.startswith("http://") else None  # type: ignore[no-untyped-call]
    return bigquery.Client(project=project, client_options={"api_endpoint": endpoint}, credentials=shown)


def _leaves(fields: Sequence[Any], prefix: str = "") -> Iterator[str]:
    for field in fields:
        if field.field_type in ("RECORD", "STRUCT") and field.mode != "REPEATED":
            yield from _leaves(field.fields, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name
