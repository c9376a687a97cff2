"""Exports of Cost Management in blob storage: of each scope and month the newest run, as its manifest tells."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import polars as pl

from collectors import azure_access, azure_costs, azure_focus
from collectors.lines import UnreadableError
from collectors.raw import LINE, REPEATED
from collectors.statements import Statement, rows_of
from farthing.config import Source
from farthing.errors import ConfigError, SourceError

_RUN = re.compile(r"\d{12}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
#: What an export is called that has costs in it -> the view; of other exports nothing is read.
_VIEWS = {"actualcost": "actual", "usage": "actual", "amortizedcost": "amortized", "focuscost": "focus"}
_FORM = 'export = "https://ACCOUNT.blob.core.windows.net/CONTAINER/PATH", or "az://CONTAINER/PATH" with endpoint'


@dataclass(frozen=True)
class Run:
    """One finished run of an export, by its manifest."""

    manifest: str  # the blob
    scope: str  # in lower case: Azure writes it in both
    month: str  # YYYY-MM
    view: str  # actual, amortized, focus
    form: str
    written: datetime
    identity: str
    files: Mapping[str, str]  # blob -> etag
    size: int
    rows: int | None


def exports(name: str, source: Source) -> list[Statement]:
    """One statement per scope and month, of the newest run of each view.

    Raises:
        ConfigError: the address is none, or a package is missing.
        SourceError: nothing is there, a manifest cannot be read, or the store does not answer.
    """
    container, path = reach(name, source)
    runs: dict[tuple[str, str], dict[str, Run]] = {}
    for run in sorted(_runs(name, container, path), key=lambda one: (one.written, one.manifest)):
        if source.since is None or run.month >= f"{source.since:%Y-%m}":
            runs.setdefault((run.scope, run.month), {})[run.view] = run
    if not runs:
        raise SourceError(
            "no run of an export with costs has finished: there is no manifest.json.",
            source=name,
            object_name=path,
            fix="wait for the first run (up to a day), or check path and the export's type.",
        )
    return [_statement(name, container, scope, month, views) for (scope, month), views in sorted(runs.items())]


def _statement(name: str, container: Any, scope: str, month: str, views: Mapping[str, Run]) -> Statement:
    """FOCUS has both views in it: where there is such an export, the others of that month are not needed."""
    used = [views["focus"]] if "focus" in views else [views[view] for view in sorted(views)]

    def read(folder: Path) -> pl.LazyFrame:
        rows = {run.view: _rows(name, container, run, folder) for run in used}
        if "focus" in rows:
            return azure_focus.focus_rows(rows["focus"])
        return one_set(rows)

    return Statement(
        name=f"{scope} {month}",
        size=sum(run.size for run in used),
        identity="+".join(run.identity for run in used),
        form=" + ".join(run.form for run in used),
        read=read,
    )


def one_set(views: Mapping[str, pl.LazyFrame]) -> pl.LazyFrame:
    """Charges in FOCUS of one view of cost details, or of both."""
    told = {view: azure_costs.details(rows) for view, rows in views.items()}
    if len(told) == 1:
        return next(iter(told.values())).in_focus()
    charges, bought = azure_costs.together(told["actual"].rows, told["amortized"].rows)
    both = pl.concat([charges, bought.filter(~pl.col(REPEATED)).drop(REPEATED)], how="diagonal")
    return both.drop(LINE).with_row_index(LINE, offset=1).with_columns(pl.col(LINE).cast(pl.Int64))


# -- manifests --------------------------------------------------------------------------------------------------


def _runs(name: str, container: Any, path: str) -> list[Run]:
    """The newest run of each folder of runs. The last part of `path` may be a folder, or an export's name."""
    blobs = _list(name, container, path)
    if not any(_is_manifest(blob) for blob in blobs):
        path, _, export = path.rpartition("/")
        blobs = {blob: facts for blob, facts in _list(name, container, path).items() if export in blob.split("/")}
    newest: dict[tuple[str, ...], str] = {}
    for blob in filter(_is_manifest, blobs):
        place = tuple(part for part in blob.split("/") if not _RUN.fullmatch(part))
        known = newest.get(place)
        if known is None or (blobs[known].last_modified, known) < (blobs[blob].last_modified, blob):
            newest[place] = blob
    runs = [_run(name, container, blob, blobs) for blob in newest.values()]
    return [run for run in runs if run is not None]


def _is_manifest(blob: str) -> bool:
    return blob.rpartition("/")[2].lower() == "manifest.json"


def _list(name: str, container: Any, path: str) -> dict[str, Any]:
    with azure_access.answered(name, path or container.container_name):
        return {blob.name: blob for blob in container.list_blobs(name_starts_with=f"{path}/" if path else None)}


def _run(name: str, container: Any, manifest: str, blobs: Mapping[str, Any]) -> Run | None:
    """What a manifest says; none where its export has no costs.

    Raises:
        SourceError: it cannot be read, or is no manifest of an export.
    """
    with azure_access.answered(name, manifest):
        content = container.download_blob(manifest).readall()
    try:
        told = json.loads(content.decode("utf-8-sig"))
        export, run = told["exportConfig"], told["runInfo"]
        view = _VIEWS.get(str(export["type"]).lower())
        if view is None:
            return None
        files = {_named(one["blobName"], manifest, container.container_name, blobs): one for one in told["blobs"]}
        month = datetime.fromisoformat(str(run["startDate"])[:10]).strftime("%Y-%m")
        scope = str(export.get("resourceId") or "").lower().partition("/providers/microsoft.costmanagement/")[0]
        rows = told.get("dataRowCount")
        return Run(
            manifest,
            scope or str(export.get("exportName") or manifest.rpartition("/")[0]),
            month,
            view,
            " ".join(filter(None, (str(export["type"]), export.get("dataVersion")))),
            blobs[manifest].last_modified,
            f"{run.get('runId') or manifest}-{str(blobs[manifest].etag).strip(chr(34))}",
            {blob: str(blobs[blob].etag) if blob in blobs else "" for blob in files},
            sum(int(one.get("byteCount") or 0) for one in files.values()),
            int(rows) if rows is not None else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceError(
            f"the manifest is not one of an export ({type(error).__name__}: {error}).",
            source=name,
            object_name=manifest,
            fix="let the export run again, or point export at the folder of one export.",
        ) from error


def _named(blob: str, manifest: str, container: str, blobs: Mapping[str, Any]) -> str:
    """The blob that a manifest means: by its path in the container, or beside the manifest."""
    beside = f"{manifest.rpartition('/')[0]}/{blob.rpartition('/')[2]}"
    ways = (blob, blob.lstrip("/"), blob.lstrip("/").removeprefix(f"{container}/"), beside)
    return next((way for way in ways if way in blobs), blob)


# -- files ------------------------------------------------------------------------------------------------------


def _rows(name: str, container: Any, run: Run, folder: Path) -> pl.LazyFrame:
    """The rows of a run, as many as its manifest says.

    Raises:
        UnreadableError: a file is missing, or there are more or fewer rows.
        SourceError: the store does not answer.
    """
    mark = hashlib.sha256(f"{run.manifest}\n{run.identity}".encode()).hexdigest()[:16]
    place = folder / mark
    missing = [blob for blob, etag in run.files.items() if not etag]
    if missing:
        raise UnreadableError(f"the manifest names {missing[0]}, which is not there; not landed")
    if not run.files:
        raise UnreadableError("the manifest names no file; not landed")
    paths = [
        _download(name, container, blob, etag, place / str(number))
        for number, (blob, etag) in enumerate(run.files.items())
    ]
    rows = rows_of(paths, place / "rows")
    if run.rows is not None:
        found = rows.select(pl.len()).collect().item()
        if found != run.rows:
            raise UnreadableError(f"the manifest says {run.rows:,} rows and {found:,} are there; not landed")
    return rows


def _download(name: str, container: Any, blob: str, etag: str, folder: Path) -> Path:
    """The blob below `folder`, whole and as it was found."""
    from azure.core import MatchConditions

    folder.mkdir(parents=True, exist_ok=True)
    part = folder / "part"
    with azure_access.answered(name, blob), part.open("wb") as file:
        container.download_blob(blob, etag=etag, match_condition=MatchConditions.IfNotModified).readinto(file)
    return whole(part, blob)


def whole(part: Path, called: str) -> Path:
    """A fetched file under a name that tells its format: gzip is told by its first bytes."""
    with part.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    name = called.partition("?")[0].rpartition("/")[2]
    if packed and not name.endswith(".gz"):
        name += ".gz"
    if Path(name.removesuffix(".gz")).suffix.lower() not in (".csv", ".parquet"):
        name = name.removesuffix(".gz") + ".csv" + (".gz" if packed else "")
    return part.replace(part.with_name(name))


# -- the store --------------------------------------------------------------------------------------------------


def reach(name: str, source: Source) -> tuple[Any, str]:
    """The container and the path in it that `export` means.

    Raises:
        ConfigError: it means none.
    """
    address = urlsplit(str(source.export))
    parts = [part for part in address.path.split("/") if part]
    if address.scheme == "az" and address.netloc:
        container, path = address.netloc, parts
        account = os.environ.get("AZURE_STORAGE_ACCOUNT_NAME")
        url = source.endpoint or (f"https://{account}.blob.core.windows.net" if account else "")
    elif address.scheme == "https" and address.netloc and parts:
        (container, *path), url = parts, source.endpoint or f"https://{address.netloc}"
    else:
        raise ConfigError("this is no container of blob storage.", key=f"sources.{name}.export", fix=_FORM)
    if not url:
        raise ConfigError("the storage account is not named.", key=f"sources.{name}.endpoint", fix=_FORM)
    with azure_access.packages(name):
        from azure.storage.blob import ContainerClient, ExponentialRetry
    client = ContainerClient(
        url,
        container,
        credential=_credential(name, source, url),
        retry_policy=ExponentialRetry(initial_backoff=1, increment_base=2, retry_total=4, random_jitter_range=1),
    )
    return client, "/".join(path)


def _credential(name: str, source: Source, url: str) -> Any:
    """The account's key or a signature, from the environment; else who runs this."""
    key = azure_access.secret(name, source) or os.environ.get("AZURE_STORAGE_ACCOUNT_KEY")
    signature = os.environ.get("AZURE_STORAGE_SAS_TOKEN")
    if key and "sig=" in key:
        key, signature = None, key
    if key:
        address = urlsplit(url)
        account = address.path.strip("/") or address.netloc.partition(".")[0]
        return {"account_name": account, "account_key": key}
    if signature:
        from azure.core.credentials import AzureSasCredential

        return AzureSasCredential(signature.lstrip("?"))
    credential = azure_access.identity(name)
    with azure_access.answered(name, url):  # the store would try again and again without an identity
        credential.get_token("https://storage.azure.com/.default")
    return credential
