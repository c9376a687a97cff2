"""Bills of AWS: exports in S3, found by their manifests, and files that somebody downloaded.

A manifest is written after all data files of its billing period, so it alone says what belongs to the month; the data
folder is never listed. Each (export, billing period) is one statement, replaced as a whole when its manifest changes.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from collectors import focus
from collectors.aws_access import client, reached
from collectors.aws_cur import form_of, in_focus
from collectors.aws_totals import monthly_totals
from collectors.kind import Deliverable, Report, Total
from collectors.landing import Files
from collectors.lines import UnreadableError
from collectors.raw import LINE, PROBLEM, RAW
from collectors.statements import Download, Pieces, Statement, in_parquet, in_pieces, recognised, rows_of
from farthing.config import Config, Source
from farthing.errors import ConfigError, SourceError

#: Manifests of Data Exports: `metadata/BILLING_PERIOD=2026-09/[DELIVERY/]NAME-Manifest.json`.
_EXPORTED = re.compile(r"metadata/[A-Za-z_]+=(\d{4})-(\d\d)/(?:[^/]+/)?[^/]+-Manifest\.json", re.IGNORECASE)
#: Folders of a legacy report: `20260901-20261001/NAME-Manifest.json`.
_LEGACY = re.compile(r"(\d{4})(\d\d)01-\d{8}/")


class Aws(Files):
    """`kind = "aws"`: `path` for files that are there, `export` for what AWS delivers to S3."""

    asking = frozenset({"export", "region", "endpoint", "since"})
    settings = asking | {"path"}

    def form_of(self, path: Path) -> str | None:
        """What AWS calls the file at `path`, by its columns."""
        return recognised(path, form_of)

    def find(self, name: str, source: Source, config: Config) -> Sequence[Deliverable]:
        """The billing periods of an export, or the files that `path` matches.

        Raises:
            ConfigError: a setting is missing or means nothing here, or boto3 is not installed.
            SourceError: nothing is there, or the bucket cannot be read.
        """
        if source.export is None:
            return [CostAndUsageFile(one) for one in super().find(name, source, config)]
        self.check_settings(name, source)
        return Export(name, source).statements()

    def totals(self, name: str, source: Source, month: date, report: Report, *, pay: bool) -> list[Total] | None:
        """What Cost Explorer says of `month`, where the source reaches AWS at all.

        Raises:
            ConfigError: boto3 is not installed.
            SourceError: Cost Explorer refuses or cannot be reached.
        """
        return monthly_totals(name, source, month, report, pay=pay) if source.export else None


class CostAndUsageFile(Download):
    """A file with what AWS wrote: a cost and usage report of any age, or FOCUS; older ones may be zipped."""

    kind_of_bill = "bill of AWS"

    @cached_property
    def form(self) -> str:
        """By its header; of an archive only when it is read, as it is not unpacked to be listed."""
        return self.kind_of_bill if self.name.lower().endswith(".zip") else super().form

    def form_of(self, columns: Sequence[str]) -> str:
        """What AWS calls a bill with these columns."""
        return form_of(columns)

    def read(self, folder: Path) -> Pieces:
        """The rows in FOCUS columns, in pieces."""
        files = in_parquet([_unpacked(self.file.fetch(folder), folder)], folder)
        rows = rows_of(files, folder)
        self.form = form_of([name for name in rows.collect_schema() if name not in (LINE, RAW, PROBLEM)])
        return in_pieces(in_focus(rows), files)


def _unpacked(path: Path, folder: Path) -> Path:
    """The one file of a zip archive, as older reports are packed; anything else as it is."""
    if path.suffix.lower() != ".zip":
        return path
    try:
        with zipfile.ZipFile(path) as archive:
            inner = [one for one in archive.namelist() if not one.endswith("/")]
            if len(inner) != 1:
                raise UnreadableError(f"the archive holds {len(inner)} files; one was expected")
            return Path(archive.extract(inner[0], folder / f"{path.name}.unpacked"))
    except zipfile.BadZipFile as error:
        raise UnreadableError(f"the zip archive is damaged ({error})") from error


@dataclass(frozen=True)
class Manifest:
    """Where the manifest of a billing period lies, and what tells one version of it from another."""

    key: str
    period: date
    identity: str
    written_at: datetime


class Export:
    """One export in a bucket: `s3://BUCKET/PREFIX/EXPORT`, of Data Exports or a legacy report."""

    def __init__(self, name: str, source: Source) -> None:
        self.name, self.source = name, source
        found = re.fullmatch(r"s3://([^/]+)/(.+?)/*", source.export or "")
        if not found:
            raise ConfigError(
                f"'{source.export}' names no export.",
                key=f"sources.{name}.export",
                fix='export = "s3://BUCKET/PREFIX/EXPORT-NAME", as the console shows them.',
            )
        self.bucket, self.folder = found[1], found[2]
        self._client = client("s3", name, source)

    def statements(self) -> list[Statement]:
        """A statement for each billing period that `since` leaves.

        Raises:
            SourceError: the bucket cannot be read, or holds no manifest of this export.
        """
        newest: dict[date, Manifest] = {}
        for manifest in self._manifests():
            known = newest.get(manifest.period)
            if known is None or (manifest.written_at, manifest.key) > (known.written_at, known.key):
                newest[manifest.period] = manifest
        if not newest:
            raise SourceError(
                "no manifest of an export is there.",
                source=self.name,
                object_name=f"s3://{self.bucket}/{self.folder}/",
                fix="check export; AWS writes the first delivery within a day.",
            )
        since = self.source.since
        wanted = [one for period, one in sorted(newest.items()) if since is None or period >= since.replace(day=1)]
        return [self._statement(one) for one in wanted]

    def _manifests(self) -> Iterator[Manifest]:
        """The manifests below the export's folder: the place of each says the period."""
        base = self.folder + "/"
        for entry in self._listed(Prefix=base + "metadata/"):
            if found := _EXPORTED.fullmatch(entry["Key"].removeprefix(base)):
                yield _manifest(entry, found)
        for folder in self._listed("CommonPrefixes", Prefix=base, Delimiter="/"):
            if found := _LEGACY.fullmatch(folder["Prefix"].removeprefix(base)):
                key = f"{folder['Prefix']}{base.rstrip('/').rpartition('/')[2]}-Manifest.json"
                for entry in self._listed(Prefix=key):
                    if entry["Key"] == key:
                        yield _manifest(entry, found)

    def _listed(self, what: str = "Contents", **asked: str) -> Iterator[dict[str, Any]]:
        with self._reached(f"s3://{self.bucket}/{asked['Prefix']}"):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, **asked):
                yield from page.get(what, ())

    def _statement(self, manifest: Manifest) -> Statement:
        told = self._told(manifest)
        form = CostAndUsageFile.kind_of_bill
        if isinstance(told, dict):
            try:
                form = form_of(_columns(told))
            except UnreadableError:
                form = "no known bill of AWS"

        def read(folder: Path) -> Pieces:
            if isinstance(told, UnreadableError):
                raise told
            keys = self._data_keys(told, manifest)
            place = folder / f"{manifest.period:%Y-%m}"
            paths = [_unpacked(self._fetched(key, place / str(number)), place) for number, key in enumerate(keys)]
            self._demand_unchanged(manifest)
            files = in_parquet(paths, place)
            return in_pieces(in_focus(rows_of(files, place)), files)

        title = f"s3://{self.bucket}/{self.folder} {manifest.period:%Y-%m}"
        return Statement(title, 0, manifest.identity, form, read)

    def _told(self, manifest: Manifest) -> dict[str, Any] | UnreadableError:
        """What a manifest says; an error where it says nothing, so that the other months can still land."""
        with self._reached(f"s3://{self.bucket}/{manifest.key}"):
            text = self._client.get_object(Bucket=self.bucket, Key=manifest.key)["Body"].read()
        try:
            told = json.loads(text)
        except ValueError as error:
            return UnreadableError(f"the manifest {manifest.key} is no JSON ({error})")
        if not isinstance(told, dict):
            return UnreadableError(f"the manifest {manifest.key} is no JSON object")
        return told

    def _data_keys(self, told: dict[str, Any], manifest: Manifest) -> list[str]:
        """The data files that a manifest names: URLs in Data Exports, keys in legacy reports."""
        named = told.get("dataFiles") or told.get("reportKeys") or []
        if not named:
            raise UnreadableError(f"the manifest {manifest.key} names no data file")
        keys = []
        for one in named:
            url = str(one)
            if url.startswith("s3://") and not url.startswith(f"s3://{self.bucket}/"):
                raise UnreadableError(f"the manifest {manifest.key} names {url}, which is in another bucket")
            keys.append(url.removeprefix(f"s3://{self.bucket}/").removeprefix("/"))
        return keys

    def _fetched(self, key: str, folder: Path) -> Path:
        """A data file on this machine.

        Raises:
            UnreadableError: the manifest names it and it is not there.
            SourceError: the bucket cannot be read.
        """
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / key.rpartition("/")[2]
        missing = UnreadableError(f"the data file {key} is missing, which the manifest names; nothing was landed")
        with self._reached(f"s3://{self.bucket}/{key}", missing=missing):
            self._client.download_file(self.bucket, key, str(target))
        return target

    def _demand_unchanged(self, manifest: Manifest) -> None:
        """Refuse files that were read while AWS rewrote them: some may be of the old delivery, some of the new."""
        with self._reached(f"s3://{self.bucket}/{manifest.key}"):
            now = self._client.head_object(Bucket=self.bucket, Key=manifest.key)["ETag"].strip('"')
        if now != manifest.identity:
            raise UnreadableError("AWS rewrote the month while it was read; nothing was landed, collect again")

    @contextmanager
    def _reached(self, url: str, missing: UnreadableError | None = None) -> Iterator[None]:
        with reached(self.name, url, missing):
            yield


def _manifest(entry: dict[str, Any], found: re.Match[str]) -> Manifest:
    period = date(int(found[1]), int(found[2]), 1)
    return Manifest(entry["Key"], period, str(entry["ETag"]).strip('"'), entry["LastModified"])


def _columns(told: dict[str, Any]) -> list[str]:
    """The columns that a manifest lists; those of a legacy report are `category/name`."""
    columns = [one for one in told.get("columns", ()) if isinstance(one, dict)]
    return [f"{one['category']}/{one['name']}" if one.get("category") else str(one.get("name")) for one in columns]


COLLECTOR = Aws(focus.KIND)
