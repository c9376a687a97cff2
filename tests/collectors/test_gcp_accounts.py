"""What Google tells beside the bill is read page by page, exactly, and refused in words that help."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import polars as pl
import pytest

from collectors.gcp_accounts import account_names, clients, list_prices, projects, remarks
from collectors.gcp_bigquery import Export
from collectors.gcp_export import in_focus
from farthing.config import Source
from farthing.errors import SourceError

H100 = {
    "name": "services/6F81/skus/A3",
    "skuId": "A3-GPU",
    "description": "Nvidia H100 80GB GPU running in Iowa",
    "category": {"usageType": "OnDemand", "resourceGroup": "GPU"},
    "serviceRegions": ["us-central1", "us-east4"],
    "pricingInfo": [
        {
            "effectiveTime": "2026-09-01T07:00:00.500Z",
            "pricingExpression": {
                "usageUnit": "h",
                "tieredRates": [
                    {"startUsageAmount": 0, "unitPrice": {"currencyCode": "EUR", "units": "9", "nanos": 796550001}},
                    {"startUsageAmount": 100, "unitPrice": {"currencyCode": "EUR", "units": "8", "nanos": 0}},
                ],
            },
        }
    ],
}
CORE = {**H100, "skuId": "CORE", "description": "A3 Instance Core running in Iowa", "serviceRegions": []}
PAGES: dict[str, list[dict[str, Any]]] = {
    "/v1/billingAccounts": [
        {"billingAccounts": [{"name": "billingAccounts/01A", "displayName": "Acme"}]},
        {"billingAccounts": [{"name": "billingAccounts/01B", "displayName": "Acme Labs"}]},
    ],
    "/v1/billingAccounts/01A/projects": [
        {"projectBillingInfo": [{"projectId": "prod", "billingEnabled": True}, {"projectId": "old"}]}
    ],
    "/v1/billingAccounts/01B/projects": [{}],
    "/v1/services/6F81/skus": [{"skus": [H100]}, {"skus": [CORE]}],
}


class Google(ThreadingHTTPServer):
    """Cloud Billing and its catalogue as far as `PAGES` go; `refusal` is the status of every answer."""

    refusal = 0
    currencies: list[str]


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Google)
        asked = urlsplit(self.path)
        query = parse_qs(asked.query)
        self.server.currencies += query.get("currencyCode", [])
        body: dict[str, Any]
        status = 200
        if self.server.refusal:
            status = self.server.refusal
            body = {"error": {"code": self.server.refusal, "message": "no, said Google"}}
        else:
            pages, number = PAGES[asked.path], int(query.get("pageToken", ["0"])[0])
            body = {**pages[number], "nextPageToken": str(number + 1) if number + 1 < len(pages) else ""}
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: object) -> None:
        """Silence."""


@pytest.fixture
def google() -> Iterator[Google]:
    with Google(("127.0.0.1", 0), _Answer) as server:
        server.currencies = []
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def asking(google: Google) -> tuple[Any, Any]:
    return clients(f"http://127.0.0.1:{google.server_port}")


def test_accounts_and_projects_come_from_every_page(google: Google) -> None:
    billing, _ = asking(google)
    assert account_names(billing, "one") == {"01A": "Acme", "01B": "Acme Labs"}
    assert projects(billing, "01A", "one") == {"prod": True, "old": False}
    assert remarks(billing, "one") == [
        "billing account Acme (01A): 2 projects, billing is on for 1",
        "billing account Acme Labs (01B): 0 projects, billing is on for 0",
    ]


def test_the_name_of_the_account_stands_on_its_rows() -> None:
    needed = ("billing_account_id", "cost", "currency", "invoice.month", "usage_start_time", "usage_end_time")
    rows = pl.LazyFrame({name: ["01A", "01C"] if name == "billing_account_id" else [None] * 2 for name in needed})
    _, landed = in_focus(rows, {"01A": "Acme"})
    assert landed.collect()["BillingAccountName"].to_list() == ["Acme", None]


def test_list_prices_are_exact_dated_and_of_each_region_and_tier(google: Google) -> None:
    _, catalogue = asking(google)
    prices = list_prices(catalogue, "6F81", "one", "EUR", only="gpu")
    assert google.currencies == ["EUR", "EUR"]
    assert prices["sku"].unique().to_list() == ["A3-GPU"]
    assert prices["region"].to_list() == ["us-central1", "us-east4"] * 2
    assert prices["price"].to_list() == [Decimal("9.796550001")] * 2 + [Decimal(8)] * 2
    assert prices["tier_from"].to_list() == ["0.0"] * 2 + ["100.0"] * 2
    first = prices.row(0, named=True)
    assert (first["unit"], first["currency"], first["usage_type"]) == ("h", "EUR", "OnDemand")
    assert first["valid_from"] == datetime(2026, 9, 1, 7, 0, 0, 500_000, tzinfo=UTC)
    everything = list_prices(catalogue, "6F81", "one")
    assert everything.filter(pl.col("sku") == "CORE")["region"].to_list() == [None] * 2


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, r"credentials are missing, wrong or expired .* Fix: run gcloud auth"),
        (403, r"does not allow it \(no, said Google\).* Fix: grant roles/billing.viewer"),
        (429, r"does not answer as it should \(no, said Google\).* Fix: try again later"),
    ],
)
def test_a_refusal_names_the_thing_and_the_fix(google: Google, status: int, words: str) -> None:
    google.refusal = status
    billing, _ = asking(google)
    with pytest.raises(SourceError, match=rf"source 'one', billing accounts: .*{words}"):
        account_names(billing, "one")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, r"credentials are missing, wrong or expired.* Fix: run gcloud auth"),
        (403, r"BigQuery does not allow it \(no, said Google\).* Fix: grant roles/bigquery.dataViewer"),
        (404, r"has no such thing .* Fix: correct export"),
    ],
)
def test_bigquery_refuses_in_the_same_words(google: Google, status: int, words: str) -> None:
    google.refusal = status
    endpoint = f"http://127.0.0.1:{google.server_port}"
    with pytest.raises(SourceError, match=rf"source 'one', acme.billing.export: .*{words}"):
        Export("one", Source(kind="gcp", export="acme.billing.export", endpoint=endpoint))


def test_without_credentials_the_fix_is_to_log_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "gone.json"))
    with pytest.raises(SourceError, match=r"credentials are missing, wrong or expired .* Fix: run gcloud auth"):
        Export("one", Source(kind="gcp", export="acme.billing.export"))
    with pytest.raises(SourceError, match=r"credentials are missing, wrong or expired .* Fix: run gcloud auth"):
        clients()
