"""Bills of Google Cloud: billing exports in BigQuery, or files of one that somebody downloaded, become charges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from pathlib import Path

import polars as pl

from collectors import focus
from collectors.gcp_accounts import account_names, clients, remarks
from collectors.gcp_bigquery import Export
from collectors.gcp_export import form_of, in_focus
from collectors.kind import Deliverable, Report, Total
from collectors.landing import Files
from collectors.statements import Download, recognised, rows_of
from farthing.config import Config, Source
from farthing.errors import SourceError


class ExportFile(Download):
    """A file with rows of an export; which export it is shows in its columns."""

    kind_of_bill = "billing export of Google Cloud"

    def form_of(self, columns: Sequence[str]) -> str:
        """What Google calls an export with these columns."""
        return form_of(columns)

    def read(self, folder: Path) -> pl.LazyFrame:
        """The rows in FOCUS columns."""
        self.form, rows = in_focus(rows_of([self.file.fetch(folder)], folder))
        return rows


class Gcp(Files):
    """The collector of Google Cloud's exports."""

    asking = frozenset({"export", "endpoint", "since", "maximum_bytes_billed"})
    settings = asking | {"path"}

    def form_of(self, path: Path) -> str | None:
        """What Google calls the file at `path`, by its columns."""
        return recognised(path, form_of)

    def find(self, name: str, source: Source, config: Config) -> Sequence[Deliverable]:
        """The files of `path`, or the export as a whole; nothing is paid for.

        Raises:
            ConfigError: a setting is missing, or means nothing here, or a package is missing.
            SourceError: nothing is there, or Google does not answer.
        """
        if source.export is None:
            return [ExportFile(one) for one in super().find(name, source, config)]
        return [self._export(name, source).whole()]

    def deliveries(self, name: str, source: Source, config: Config, report: Report) -> Sequence[Deliverable]:
        """The files of `path`, or the partitions of the export, for whose list BigQuery bills 10 MB.

        Raises:
            ConfigError: a setting is missing, or means nothing here, or a package is missing.
            SourceError: nothing is there, or Google does not answer.
        """
        if source.export is None:
            return self.find(name, source, config)
        names = cache(lambda: {} if source.endpoint else _account_names(name, report))
        return self._export(name, source).statements(report, names)

    def remarks(self, name: str, source: Source) -> list[str]:
        """What the credentials see of billing accounts.

        Raises:
            SourceError: rights are missing, or Google does not answer.
        """
        return remarks(clients()[0], name) if source.export and not source.endpoint else []

    def totals(self, name: str, source: Source, month: date, report: Report, *, pay: bool) -> list[Total] | None:
        """What the invoice of `month` comes to in BigQuery, within the limit of a collection.

        Raises:
            ConfigError: a setting is missing, or means nothing here, or a package is missing.
            SourceError: more would be scanned than may be, or Google does not answer.
        """
        return self._export(name, source).invoice_totals(month, report, pay=pay) if source.export else None

    def _export(self, name: str, source: Source) -> Export:
        self.check_settings(name, source)
        return Export(name, source)


def _account_names(name: str, report: Report) -> Mapping[str, str]:
    """Names of billing accounts, where these credentials may see them: a bill without them is a bill."""
    try:
        return account_names(clients()[0], name)
    except SourceError as error:
        report.message(f"billing accounts land without their names: {error}")
        return {}


COLLECTOR = Gcp(focus.KIND)
