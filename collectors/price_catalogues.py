"""What the clouds' own price lists say of GPUs in a region today, in the columns of `gpu_prices`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from io import BytesIO
from typing import Any

from collectors import gpu_sizes
from collectors.lines import UnreadableError
from collectors.price_history import Price
from farthing import clock, web
from farthing.config import Source
from farthing.lake.schemas import GPU_PRICES

_AZURE = "https://prices.azure.com/api/retail/prices"
#: Compute Engine in Google's catalogue.
_COMPUTE_ENGINE = "6F81-5844-456A"
_AWS_REGION = "us-east-1"  # one of the few that answer; the prices are of the region that is asked for
_HOURS_OF_YEAR = 8760
_PICO = Decimal(1).scaleb(-12)
_GOOGLE_USE = {
    "OnDemand": ("on-demand", None),
    "Preemptible": ("spot", None),
    "Commit1Yr": ("committed", "1 year"),
    "Commit3Yr": ("committed", "3 years"),
}


def azure(name: str, source: Source, region: str) -> list[Price]:
    """Azure's retail prices of N-series virtual machines with Linux; in USD, which is what Microsoft prices in.

    Raises:
        UnreadableError: an answer is no price list, or has no GPU in it.
        SourceError: nobody answers.
    """
    place = source.endpoint or _AZURE
    quoted = "'" + region.replace("'", "''") + "'"
    chosen = f"serviceName eq 'Virtual Machines' and armRegionName eq {quoted} and startswith(armSkuName, 'Standard_N')"
    asked = [("currencyCode", "USD"), ("$filter", chosen)]
    found: list[Price] = []
    page = place
    while page:
        answer = BytesIO()
        web.fetch(page, answer, source=name, params=asked if page == place else ())
        try:
            told = json.loads(answer.getvalue(), parse_float=Decimal)
            found += [price for item in told["Items"] for price in _azure_price(item)]
            page = told.get("NextPageLink") or ""
        except (ValueError, KeyError, TypeError, ArithmeticError) as error:
            raise UnreadableError(f"Azure's answer is no price list ({type(error).__name__}: {error})") from error
    return _some(found, "Azure", region)


def _azure_price(item: Mapping[str, Any]) -> Iterator[Price]:
    size, meter = str(item["armSkuName"] or ""), f"{item['skuName']} {item['meterName']}"
    ended = item.get("effectiveEndDate")
    if (
        not size.startswith("Standard_N")
        or "Windows" in item["productName"]
        or "Low Priority" in meter  # only Azure Batch sells it, and not for much longer
        or item["type"] not in ("Consumption", "Reservation")
        or not item.get("isPrimaryMeterRegion", True)  # the same price once more
        or (ended and _day(ended) <= clock.now().date())
    ):
        return
    term = item.get("reservationTerm")
    price = Decimal(item["retailPrice"])
    if term:  # the price of the whole term, whatever unitOfMeasure says
        years = int(term.split()[0])
        price = (price / (_HOURS_OF_YEAR * years)).quantize(_PICO, ROUND_HALF_EVEN)
    elif item["unitOfMeasure"] != "1 Hour":
        return
    model, gpus = gpu_sizes.of_azure(size)
    yield _price(
        provider="Microsoft",
        region=item["armRegionName"],
        instance_type=size,
        sku=item["skuId"],
        gpu_model=model,
        gpus=gpus,
        pricing_category="committed" if term else "spot" if "Spot" in meter else "on-demand",
        commitment_term=term.lower() if term else None,
        price_per_instance_hour=price,
        currency=item["currencyCode"],
        valid_from=_day(item["effectiveStartDate"]),
        origin=f"Azure Retail Prices, meter {item['meterId']}",
    )


def google(name: str, source: Source, region: str) -> list[Price]:
    """Google's list prices of GPU SKUs, in USD. They are of the GPU alone: processors, memory and disks are others.

    Raises:
        UnreadableError: the catalogue has no GPU of that region.
        SourceError: credentials are missing, or nobody answers.
    """
    from collectors.gcp_accounts import clients, list_prices

    rows = list_prices(clients(source.endpoint)[1], _COMPUTE_ENGINE, name, only="gpu").to_dicts()
    found = []
    for row in rows:
        category, term = _GOOGLE_USE.get(row["usage_type"], (None, None))
        if row["region"] != region or row["unit"] != "h" or Decimal(row["tier_from"]) or category is None:
            continue
        found.append(
            _price(
                provider=row["provider"],
                region=row["region"],
                sku=row["sku"],
                gpu_model=gpu_sizes.of_google(row["description"]),
                gpus=1,
                pricing_category=category,
                commitment_term=term,
                covers="gpu",
                price_per_gpu_hour=row["price"],
                currency=row["currency"],
                valid_from=row["valid_from"].date(),
                origin=f"Google Cloud Catalog, {row['description']}",
            )
        )
    return _some(found, "Google", region)


def aws(name: str, source: Source, region: str) -> list[Price]:
    """AWS's on-demand list prices of EC2 instances that have GPUs: Linux, shared machines, nothing installed.

    Raises:
        ConfigError: boto3 is not installed.
        UnreadableError: an answer is no price list, or has no GPU in it.
        SourceError: AWS refuses or does not answer.
    """
    from collectors.aws_access import client, reached

    fixed = {
        "regionCode": region,
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
    }
    filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in fixed.items()]
    service = client("pricing", name, source, _AWS_REGION)
    found: list[Price] = []
    token: dict[str, str] = {}
    while True:
        with reached(name, f"the price list of {region}"):
            page = service.get_products(ServiceCode="AmazonEC2", Filters=filters, FormatVersion="aws_v1", **token)
        try:
            found += [price for product in page["PriceList"] for price in _aws_prices(json.loads(product))]
        except (ValueError, KeyError, TypeError, ArithmeticError) as error:
            raise UnreadableError(f"AWS's answer is no price list ({type(error).__name__}: {error})") from error
        if not page.get("NextToken"):
            return _some(found, "AWS", region)
        token = {"NextToken": page["NextToken"]}


def _aws_prices(told: Mapping[str, Any]) -> Iterator[Price]:
    product = told["product"]
    about = product["attributes"]
    if not about.get("gpu"):
        return
    for term in told["terms"].get("OnDemand", {}).values():
        for dimension in term["priceDimensions"].values():
            if dimension["unit"] != "Hrs":
                continue
            for currency, amount in dimension["pricePerUnit"].items():
                yield _price(
                    provider="AWS",
                    region=about["regionCode"],
                    instance_type=about["instanceType"],
                    sku=product["sku"],
                    gpu_model=gpu_sizes.of_aws(about["instanceType"]),
                    gpus=int(about["gpu"]),
                    pricing_category="on-demand",
                    price_per_instance_hour=Decimal(amount),
                    currency=currency,
                    valid_from=_day(term["effectiveDate"]),
                    origin=f"AWS Price List, {dimension['rateCode']}",
                )


#: Catalogue -> what asks it: of (source name, source, region).
CATALOGUES: Mapping[str, Callable[[str, Source, str], list[Price]]] = {"aws": aws, "azure": azure, "gcp": google}


def _price(**known: Any) -> Price:
    return {**dict.fromkeys(GPU_PRICES.columns), "covers": "instance", **known}


def _some(found: Iterable[Price], whose: str, region: str) -> list[Price]:
    """An answer without any price is no news that all of them ended."""
    prices = list(found)
    if not prices:
        raise UnreadableError(f"{whose}'s price list has no GPU in region '{region}'; check region")
    return prices


def _day(moment: str) -> date:
    return datetime.fromisoformat(moment).date()
