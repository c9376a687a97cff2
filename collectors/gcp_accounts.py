"""What Google tells for free beside the bill: names of billing accounts, their projects, list prices of SKUs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from collectors.gcp_bigquery import answering

if TYPE_CHECKING:
    from google.cloud import billing_v1

_RIGHTS = "roles/billing.viewer on the billing account."
#: Of a price: what it is of, and since when it holds. `price` is for one `unit` of use beyond `tier_from`.
PRICES: dict[str, pl.DataType | type[pl.DataType]] = {
    "provider": pl.String,
    "sku": pl.String,
    "description": pl.String,
    "region": pl.String,
    "usage_type": pl.String,
    "unit": pl.String,
    "tier_from": pl.String,
    "price": pl.Decimal(38, 9),
    "currency": pl.String,
    "valid_from": pl.Datetime("us", "UTC"),
}


def clients(endpoint: str | None = None) -> tuple[billing_v1.CloudBillingClient, billing_v1.CloudCatalogClient]:
    """Clients of accounts and of the price catalogue, over HTTP; one at another endpoint is asked without credentials.

    Raises:
        SourceError: there are no credentials.
    """
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import billing_v1
    from google.cloud.billing_v1.services.cloud_billing.transports import CloudBillingRestTransport
    from google.cloud.billing_v1.services.cloud_catalog.transports import CloudCatalogRestTransport

    if endpoint is None:
        with answering("gcp", "Cloud Billing", "Cloud Billing", _RIGHTS):
            return billing_v1.CloudBillingClient(transport="rest"), billing_v1.CloudCatalogClient(transport="rest")
    unknown = AnonymousCredentials()  # type: ignore[no-untyped-call]
    scheme = endpoint.partition(":")[0]
    return (
        billing_v1.CloudBillingClient(
            transport=CloudBillingRestTransport(host=endpoint, credentials=unknown, url_scheme=scheme)
        ),
        billing_v1.CloudCatalogClient(
            transport=CloudCatalogRestTransport(host=endpoint, credentials=unknown, url_scheme=scheme)
        ),
    )


def account_names(client: billing_v1.CloudBillingClient, name: str) -> dict[str, str]:
    """Names of the billing accounts that these credentials may see, by their ids.

    Raises:
        SourceError: credentials or rights are missing, or nobody answers; `name` is the source that asks.
    """
    with answering(name, "billing accounts", "Cloud Billing", _RIGHTS):
        return {one.name.removeprefix("billingAccounts/"): one.display_name for one in client.list_billing_accounts()}


def projects(client: billing_v1.CloudBillingClient, account: str, name: str) -> dict[str, bool]:
    """Projects of a billing account, and whether billing is on for them.

    Raises:
        SourceError: credentials or rights are missing, or nobody answers.
    """
    with answering(name, f"billing account {account}", "Cloud Billing", _RIGHTS):
        found = client.list_project_billing_info(name=f"billingAccounts/{account}")
        return {one.project_id: one.billing_enabled for one in found}


def remarks(client: billing_v1.CloudBillingClient, name: str) -> list[str]:
    """What these credentials see of billing accounts, a sentence each: for whoever asks whether all is in order.

    Raises:
        SourceError: credentials or rights are missing, or nobody answers.
    """
    made = []
    for account, shown in account_names(client, name).items():
        of = projects(client, account, name)
        made.append(f"billing account {shown} ({account}): {len(of)} projects, billing is on for {sum(of.values())}")
    return made or ["these credentials see no billing account: rows land without the account's name"]


def list_prices(
    client: billing_v1.CloudCatalogClient, service: str, name: str, currency: str = "USD", only: str = ""
) -> pl.DataFrame:
    """List prices of a service's SKUs (`6F81-5844-456A` is Compute Engine), one row per region and tier (`PRICES`).

    `only` keeps SKUs with this word in their description, for example GPU.

    Raises:
        SourceError: credentials or rights are missing, or nobody answers.
    """
    from google.cloud import billing_v1

    with answering(name, f"service {service}", "Cloud Catalog", "no right is needed, only credentials."):
        asked = billing_v1.ListSkusRequest(parent=f"services/{service}", currency_code=currency)
        skus = [sku for sku in client.list_skus(request=asked) if only.lower() in sku.description.lower()]
    return pl.DataFrame([row for sku in skus for row in _prices(sku)], PRICES)


def _prices(sku: billing_v1.Sku) -> Iterable[Mapping[str, Any]]:
    for info in sku.pricing_info:
        for rate in info.pricing_expression.tiered_rates:
            money = rate.unit_price
            for region in list(sku.service_regions) or [""]:
                yield {
                    "provider": "Google Cloud",
                    "sku": sku.sku_id,
                    "description": sku.description,
                    "region": region or None,
                    "usage_type": sku.category.usage_type or None,
                    "unit": info.pricing_expression.usage_unit,
                    "tier_from": str(rate.start_usage_amount),
                    "price": money.units + Decimal(money.nanos).scaleb(-9),
                    "currency": money.currency_code,
                    "valid_from": info.effective_time,
                }
