"""Cost Management asked directly: cost details reports for companies without an export, and monthly totals to check."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from collectors import azure_access
from collectors.azure_blobs import one_set, whole
from collectors.kind import Report, Total
from collectors.lines import UnreadableError
from collectors.raw import LINE
from collectors.statements import Statement, rows_of
from farthing import clock
from farthing.config import Source
from farthing.errors import SourceError

#: View -> what Cost Management calls it.
_METRICS = {"actual": "ActualCost", "amortized": "AmortizedCost"}
#: After so many days a month is asked for a last time; Azure closes it within five.
_SETTLED_DAYS = 10
#: No more months than these are kept for reports.
_KEPT_MONTHS = 13
#: How long one report may take.
_LONGEST_SECONDS = 3600
_PUBLIC = "https://management.azure.com"
#: A report without rows has no file: these are the columns that any would have.
_NOTHING = {LINE: pl.Int64, "Date": pl.String, "Cost": pl.String, "BillingCurrency": pl.String}


def reports(name: str, source: Source) -> list[Statement]:
    """A statement per month from `since` (by default last month) to today; Azure is asked when one is read.

    An open month is asked for once a day, a closed one a last time ten days after its end.

    Raises:
        ConfigError: a package is missing, or the variable of `key_env`.
    """
    today = clock.now().date()
    earliest = _months_before(today, _KEPT_MONTHS)
    month = max(source.since.replace(day=1) if source.since else _months_before(today, 1), earliest)
    scope = str(source.export).rstrip("/")
    client = _client(name, source)
    found = []
    while month <= today:
        end = _months_before(month, -1) - timedelta(days=1)
        asked = "settled" if today > end + timedelta(days=_SETTLED_DAYS) else f"asked-{today}"
        found.append(_statement(name, client, scope, month, min(end, today), asked))
        month = _months_before(month, -1)
    return found


def _statement(name: str, client: _Client, scope: str, first: date, last: date, asked: str) -> Statement:
    def read(folder: Path) -> pl.LazyFrame:
        views = {}
        for view, metric in _METRICS.items():
            place = folder / f"report-{hashlib.sha256(f'{scope} {first} {view}'.encode()).hexdigest()[:16]}"
            paths = list(_report(name, client, scope, metric, first, last, place))
            views[view] = rows_of(paths, place / "rows") if paths else pl.LazyFrame(schema=_NOTHING)
        return one_set(views)

    return Statement(f"{scope} {first:%Y-%m}", 0, f"{first:%Y-%m}-{asked}", "cost details report", read)


def _report(
    name: str, client: _Client, scope: str, metric: str, first: date, last: date, folder: Path
) -> Iterator[Path]:
    """The files of a report, which Azure makes on demand; none for a month without costs.

    Raises:
        UnreadableError: it failed, or a file has not the size that Azure says.
        SourceError: Azure refuses, does not answer, or breaks off.
    """
    from azure.storage.blob import BlobClient, ExponentialRetry

    what = f"{metric} report {first:%Y-%m}"
    with azure_access.answered(name, what):
        asked = {"metric": metric, "timePeriod": {"start": first.isoformat(), "end": last.isoformat()}}
        poller = client.sdk.generate_cost_details_report.begin_create_operation(
            scope.lstrip("/"), asked, polling_interval=5, **client.options
        )
        try:
            answer = poller.result(_LONGEST_SECONDS)
        except ValueError as error:
            raise SourceError(f"the answer is no report ({error}).", source=name, object_name=what) from error
        if not poller.done():
            raise SourceError(
                f"Azure has not made it within {_LONGEST_SECONDS // 60} minutes.",
                source=name,
                object_name=what,
                fix="run the command again later, or use an export.",
            )
    if answer.status == "NoDataFound":
        return
    if answer.manifest is None or (answer.error and answer.error.code):
        said = answer.error.message if answer.error else f"status {answer.status}"
        raise UnreadableError(f"Azure could not make the {what} ({said}); not landed")
    for number, blob in enumerate(answer.manifest.blobs or []):
        place = folder / str(number)
        place.mkdir(parents=True, exist_ok=True)
        part = place / "part"
        with azure_access.answered(name, what), part.open("wb") as file:
            reader = BlobClient.from_blob_url(
                blob.blob_link,
                retry_policy=ExponentialRetry(
                    initial_backoff=1, increment_base=2, retry_total=4, random_jitter_range=1
                ),
            )
            reader.download_blob().readinto(file)
        size = part.stat().st_size
        if blob.byte_count is not None and size != blob.byte_count:
            raise UnreadableError(f"the {what} has {blob.byte_count:,} bytes and {size:,} came; not landed")
        yield whole(part, blob.blob_link)


# -- totals -----------------------------------------------------------------------------------------------------


def monthly_totals(name: str, source: Source, month: date, report: Report, *, pay: bool = True) -> list[Total]:
    """What Cost Management adds up per subscription for `month`; unless `pay`, it is only said that it would be asked.

    Two questions: as billed, and amortized. Asking costs nothing, but Azure answers only a few a minute.

    Raises:
        ConfigError: a package is missing, or the variable of `key_env`.
        SourceError: Azure refuses or does not answer.
    """
    report.message(f"{'asking' if pay else 'would ask'} Cost Management for {month:%Y-%m}; it costs nothing.")
    if not pay:
        return []
    client = _client(name, source)
    scope = str(source.export).strip("/")
    sums: dict[tuple[str, str], dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for view, metric in _METRICS.items():
        for account, currency, cost in _query(name, client, scope, metric, month.replace(day=1)):
            sums[account, currency][view] += cost
    is_open = clock.now().date() <= _months_before(month, -1) + timedelta(days=_SETTLED_DAYS)
    return [
        Total("SubAccountId", account, currency, cost["actual"], cost["amortized"], open=is_open)
        for (account, currency), cost in sorted(sums.items())
    ]


def _query(name: str, client: _Client, scope: str, metric: str, month: date) -> Iterator[tuple[str, str, Decimal]]:
    """Subscription, currency and cost, page after page."""
    from azure.core.rest import HttpRequest

    end = _months_before(month, -1) - timedelta(days=1)
    question: dict[str, Any] = {
        "type": metric,
        "timeframe": "Custom",
        "timePeriod": {"from": f"{month}T00:00:00Z", "to": f"{end}T23:59:59Z"},
        "dataset": {
            "aggregation": {"total": {"name": "Cost", "function": "Sum"}},
            "grouping": [{"type": "Dimension", "name": "SubscriptionId"}],
        },
    }
    with azure_access.answered(name, f"{metric} totals {month:%Y-%m}"):
        answer = client.sdk.query.usage(scope, question, **client.options)
        page = answer.as_dict() if answer else {}
        while True:
            told = page.get("properties") or {}
            names = [column["name"].lower() for column in told.get("columns") or []]
            for row in told.get("rows") or []:
                value = dict(zip(names, row, strict=True))
                cost = value.get("cost", value.get("total"))
                yield str(value["subscriptionid"]), str(value["currency"]), Decimal(str(cost))
            if not told.get("nextLink"):
                return
            more = client.sdk.send_request(HttpRequest("POST", told["nextLink"], json=question), **client.options)
            more.raise_for_status()
            page = more.json()


# -- the API ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Client:
    """The SDK's client, and what each call of it is told."""

    sdk: Any
    options: dict[str, Any]


def _client(name: str, source: Source) -> _Client:
    with azure_access.packages(name):
        from azure.mgmt.costmanagement import CostManagementClient
    token = azure_access.secret(name, source)
    endpoint = (source.endpoint or _PUBLIC).rstrip("/")
    credential: Any = azure_access.Bearer(token) if token else azure_access.identity(name)
    sdk = CostManagementClient(
        credential,
        endpoint,
        per_retry_policies=[_patience()],
        retry_total=5,
        retry_backoff_factor=0.5,
    )
    # A token goes without encryption only to an endpoint that the source names so.
    return _Client(sdk, {"enforce_https": False} if endpoint.startswith("http://") else {})


def _patience() -> Any:
    """A policy of the SDK: Cost Management says in headers of its own how long to wait when asked too often."""
    from azure.core.pipeline.policies import SansIOHTTPPolicy

    class Patience(SansIOHTTPPolicy[Any, Any]):
        def on_response(self, request: Any, response: Any) -> None:  # noqa: ARG002  # the SDK's signature
            headers = response.http_response.headers
            if response.http_response.status_code == 429 and "Retry-After" not in headers:
                told = [value for name, value in headers.items() if name.lower().endswith("-retry-after")]
                headers["Retry-After"] = max((one for one in told if one.isdigit()), key=int, default="10")

    return Patience()


def _months_before(day: date, months: int) -> date:
    """The first day of the month so many months before that of `day`."""
    count = day.year * 12 + day.month - 1 - months
    return date(count // 12, count % 12 + 1, 1)
