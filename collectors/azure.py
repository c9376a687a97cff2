"""Azure: files of cost details that somebody has, exports in blob storage, and reports asked of Cost Management."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import polars as pl

from collectors import azure_blobs, azure_costs, azure_focus, azure_management, focus
from collectors.azure_names import english, fields_of
from collectors.kind import Deliverable, Report, Total
from collectors.landing import Files
from collectors.lines import UnreadableError
from collectors.raw import REPEATED, CsvFile, ParquetFile, open_file
from collectors.statements import Download, recognised, rows_of
from farthing.config import Config, Source
from farthing.objects import Found, is_url

_CURRENCY = 'it has no column with the currency; add constants = { BillingCurrency = "EUR" } to the source'


@dataclass
class CostDetails(Download):
    """A file that somebody downloaded, and those of the same account and month: they may be its other view."""

    file: Found
    source: Source
    beside: list[Found] = field(default_factory=list)

    kind_of_bill = "Azure cost details"

    def form_of(self, columns: Sequence[str]) -> str:
        """What Azure calls a file with these columns; which view it is only its rows tell."""
        return azure_costs.form_of(columns)

    @property
    def identity(self) -> str:
        """That of the file; with others beside it, of all: what one bills depends on them."""
        if not self.beside:
            return self.file.identity
        others = "\n".join(sorted(one.identity for one in self.beside))
        return f"{self.file.identity}+{hashlib.sha256(others.encode()).hexdigest()[:8]}"

    def read(self, folder: Path) -> pl.LazyFrame:
        """The rows in FOCUS columns, of both views where both are there."""
        rows = self._rows(self.file, folder)
        columns = rows.collect_schema().names()
        self.form = azure_costs.form_of(columns)
        if azure_costs.is_focus(columns):
            return azure_focus.focus_rows(rows)
        own = azure_costs.details(rows)
        self.form = own.form
        if (
            "currency" not in own.fields
            and not {"BillingCurrency"} & (self.source.constants | self.source.columns).keys()
        ):
            raise UnreadableError(_CURRENCY)
        if not self.beside:
            return own.in_focus()
        everything = {self.file: own} | {one: azure_costs.details(self._rows(one, folder)) for one in self.beside}
        views = {one.view for one in everything.values()}
        if not {"actual", "amortized"} <= views:
            again = any(self._is_in(one, own, told) for one, told in everything.items() if one is not self.file)
            return own.in_focus().with_columns(pl.lit(again).alias(REPEATED))
        if len(views) > 2:
            names = ", ".join(f"{one.name}: {told.view or 'either'}" for one, told in everything.items())
            raise UnreadableError(
                "the actual and the amortized costs of one month lie here, and not every file tells which it is "
                f"({names}); keep one of the two"
            )
        actual, amortized = (
            pl.concat(
                [
                    told.rows.with_columns(pl.lit(one.uri).alias("~file"))
                    for one, told in everything.items()
                    if told.view == view
                ],
                how="diagonal",
            )
            for view in ("actual", "amortized")
        )
        charges, bought = azure_costs.together(actual, amortized)
        mine = bought if own.view == "actual" else charges
        return mine.filter(pl.col("~file") == self.file.uri).drop("~file")

    def _is_in(self, other: Found, own: azure_costs.Details, theirs: azure_costs.Details) -> bool:
        """Whether `other` has every row of this file: the same bill in its other view, later or again."""
        if own.view != theirs.view or azure_costs.outstanding(own.rows, theirs.rows):
            return False
        return bool(azure_costs.outstanding(theirs.rows, own.rows)) or other.name < self.name

    def _rows(self, file: Found, folder: Path) -> pl.LazyFrame:
        mark = hashlib.sha256(file.uri.encode()).hexdigest()[:16]
        return rows_of([file.fetch(folder)], folder / f"rows-{mark}")


class Azure(Files):
    """The collector of all that Azure delivers; each form ends as the same charges."""

    asking = frozenset({"export", "endpoint", "since", "key_env"})
    settings = asking | {"path"}

    def form_of(self, path: Path) -> str | None:
        """What Azure calls the file at `path`, by its columns."""
        return recognised(path, _told)

    def find(self, name: str, source: Source, config: Config) -> Sequence[Deliverable]:
        """The files of `path`, the months of an export, or the months that a report is asked for.

        Raises:
            ConfigError: a setting is missing, or means nothing here; a package is missing.
            SourceError: nothing is there, or Azure does not answer.
        """
        if source.export is None:
            return _downloads(super().find(name, source, config), source)
        self.check_settings(name, source)
        if source.export.startswith("/"):
            return azure_management.reports(name, source)
        return azure_blobs.exports(name, source)

    def totals(self, name: str, source: Source, month: date, report: Report, *, pay: bool) -> list[Total] | None:
        """What Cost Management says of `month`, where the source names a scope: a container tells none.

        Raises:
            ConfigError: a package is missing, or the variable of `key_env`.
            SourceError: Azure refuses or does not answer.
        """
        if source.export is None or not source.export.startswith("/"):
            return None
        return azure_management.monthly_totals(name, source, month, report, pay=pay)


def _downloads(found: Sequence[Deliverable], source: Source) -> list[Download]:
    """Each file, with those on this machine that are of the same account and month by their first row."""
    files = [one for one in found if isinstance(one, Found)]
    months: dict[tuple[str, ...], list[Found]] = {}
    of: dict[str, tuple[str, ...]] = {}
    for one in files if len(files) > 1 else ():
        if not is_url(one.uri) and (month := _account_and_month(Path(one.uri), source.format)):
            months.setdefault(month, []).append(one)
            of[one.uri] = month
    return [
        CostDetails(one, source, [other for other in months.get(of.get(one.uri, ()), []) if other is not one])
        for one in files
    ]


def _told(columns: list[str]) -> str:
    """The form of a file that is surely of Azure: many a table has a date and a cost."""
    if "subscription_id" not in fields_of(english(columns)[0].values()):
        raise UnreadableError("no column has the subscription")
    return azure_costs.form_of(columns)


def _account_and_month(path: Path, kind: str | None) -> tuple[str, ...] | None:
    """Billing account and beginning of the billing period as the first row of cost details writes them."""
    try:
        file = open_file(path, kind)
        if azure_costs.is_focus(file.columns):
            return None
        names, _ = english(file.columns)
        fields = fields_of(names.values())
        account = "account_id" if "account_id" in fields else "subscription_id"
        if not {account, "period_start"} <= fields.keys():
            return None
        columns = {name: column for column, name in names.items()}
        asked = [columns[fields[field]] for field in (account, "period_start")]
        if isinstance(file, ParquetFile):
            first = pl.scan_parquet(path).select(pl.col(asked).cast(pl.String)).head(1).collect().rows()
        elif isinstance(file, CsvFile):
            table = next(iter(file.batches(asked))).table
            first = [tuple(table[f"f{number}"][0].as_py() for number in range(len(asked)))] if table.num_rows else []
        else:
            return None
    except (UnreadableError, OSError, pl.exceptions.PolarsError):
        return None  # it says why when it is read
    return tuple(first[0]) if first else None


COLLECTOR = Azure(focus.KIND)
