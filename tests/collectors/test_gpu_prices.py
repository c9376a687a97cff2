"""List prices: from a file with its own words, and from catalogues whose changes are followed day by day."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from collectors import gpu_sizes
from farthing import clock, commit_points
from farthing.errors import ConfigError, SourceError
from farthing.lake.schemas import GPU_PRICES
from tests.servers import Answered, Web, web  # noqa: F401  # fixture

HEADER = "provider,region,instance_type,gpus,pricing_category,price_per_instance_hour,price_per_gpu_hour,currency"
HEADER += ",valid_from,valid_to"
SHOWN = ("instance_type", "pricing_category", "price_per_instance_hour", "valid_from", "valid_to")


def deliver(world: Any, *lines: str, header: str = HEADER, **source: Any) -> Any:
    world.write("prices.csv", "\n".join([header, *lines]) + "\n")
    return world.one("gpu_prices", "prices.csv", **source)


def shown(world: Any, *columns: str) -> list[tuple[Any, ...]]:
    names = columns or SHOWN
    rows = world.query(GPU_PRICES, f"select {', '.join(names)} from lake.gpu_prices order by all")
    return [tuple(row.values()) for row in rows]


# Files


def test_a_price_lands_exactly_and_in_our_words(world: Any) -> None:
    deliver(
        world,
        "aws,us-east-1,p5.48xlarge,8,on_demand,55.040000000000000001,,USD,2026-09-06,",
        "Azure,global,ND96isr_H100_v5,8,Spot,18.17,,USD,2026-09,2026-10-01",
        "gcp,,a3-highgpu-8g,8,standard,,10.55,EUR,2026,",
        "Lambda,us,gpu_1x,1,before the cut,3.29,3.29,USD,2026-01-01,",
    )
    assert world.rejects() == []
    assert shown(
        world, "provider", "region", "pricing_category", "covers", "price_per_instance_hour", "price_per_gpu_hour",
        "valid_from", "valid_to",
    ) == [
        ("AWS", "us-east-1", "on-demand", "instance", Decimal("55.040000000000000001"), None, date(2026, 9, 6), None),
        ("Google Cloud", None, "on-demand", "instance", None, Decimal("10.55"), date(2026, 1, 1), None),
        ("Lambda", "us", "before the cut", "instance", Decimal("3.29"), Decimal("3.29"), date(2026, 1, 1), None),
        ("Microsoft", None, "spot", "instance", Decimal("18.17"), None, date(2026, 9, 1), date(2026, 10, 1)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("aws,r,p5,8,spot,,,USD,2026-09-06,", "price_per_instance_hour and price_per_gpu_hour are missing"),
        ("aws,r,p5,8,spot,-1,,USD,2026-09-06,", "price_per_instance_hour is negative: -1.000000000000000000000000"),
        ("aws,r,p5,0,spot,1,,USD,2026-09-06,", "gpus is not above 0: 0"),
        (
            "aws,r,p5,8,spot,55.04,12.29,USD,2026-09-06,",
            "price_per_gpu_hour times 8 GPUs is not price_per_instance_hour",
        ),
        ("aws,r,p5,8,spot,1,,XXY,2026-09-06,", "currency XXY is no ISO 4217 currency code"),
        ("aws,r,p5,8,spot,1,,USD,26,", "valid_from: '26' is no day (YYYY-MM-DD or YYYY-MM)"),
        ("aws,r,p5,8,spot,1,,USD,,", "valid_from is missing"),
        ("aws,r,,8,spot,1,,USD,2026-09-06,", "instance_type and sku are missing"),
        ("aws,r,p5,8,spot,1,,USD,2026-09-06,2026-09-06", "valid_to 2026-09-06 is not after valid_from 2026-09-06"),
    ],
)
def test_what_is_no_price_is_refused_in_words(world: Any, line: str, reason: str) -> None:
    assert deliver(world, line).rejected == 1
    assert world.rejects() == [(2, reason)]


def test_of_prices_that_overlap_the_one_that_begins_while_another_holds_is_refused(world: Any) -> None:
    kind = "aws,r,p5,8,spot"
    result = deliver(
        world,
        f"{kind},4,,USD,2026-04-01,",  # line 2: holds until the next one begins
        f"{kind},1,,USD,2026-01-01,2026-03-01",
        f"{kind},2,,USD,2026-02-01,2026-06-01",  # line 4: while line 3 holds
        f"{kind},3,,USD,2026-03-01,",  # line 5: nothing but line 4 is in its way
        f"{kind},5,,USD,2026-07-01,",
        f"{kind},6,,USD,2026-07-01,",  # line 7: two prices for the same days
        f"{kind},5,,EUR,2026-07-01,",
        f"{kind},5,,USD,2026-07-01,",  # line 9: the same again
    )
    overlap = ": two prices of the same kind are valid at the same time"
    assert world.rejects() == [(4, f"overlaps line 3{overlap}"), (7, f"overlaps line 6{overlap}")]
    assert (result.landed, result.duplicate, result.rejected) == (5, 1, 2)


# Azure


def item(size: str, price: float, since: str = "2026-09-01T00:00:00Z", **more: Any) -> dict[str, Any]:
    return {
        "currencyCode": "USD",
        "retailPrice": price,
        "unitPrice": price,
        "armRegionName": "eastus",
        "location": "US East",
        "effectiveStartDate": since,
        "meterId": "m1",
        "meterName": size.removeprefix("Standard_").replace("_", " "),
        "skuId": f"P/{size}",
        "productId": "P",
        "skuName": size.removeprefix("Standard_").replace("_", " "),
        "productName": "Virtual Machines ND H100 v5 Series",
        "serviceName": "Virtual Machines",
        "unitOfMeasure": "1 Hour",
        "type": "Consumption",
        "isPrimaryMeterRegion": True,
        "armSkuName": size,
        **more,
    }


H100 = "Standard_ND96isr_H100_v5"


class Azure:
    """The Retail Prices API over `items`, two on a page."""

    def __init__(self, served: Web, *items: dict[str, Any]) -> None:
        self.served, self.items = served, list(items)
        served.answer = self.answer

    def answer(self, asked: Any) -> Answered:
        skip = int(asked.query.get("$skip", ["0"])[0])
        page: dict[str, Any] = {"Items": self.items[skip : skip + 2], "NextPageLink": None}
        if skip + 2 < len(self.items):
            page["NextPageLink"] = f"{self.served.endpoint}/prices?$filter=x&$skip={skip + 2}"
        return Answered(json.dumps(page).encode())


def ask(world: Any, served: Any, day: str, catalogue: str = "azure", region: str = "eastus") -> Any:
    with clock.fixed(datetime.fromisoformat(f"{day}T09:30:00").replace(tzinfo=UTC)):
        return world.one("gpu_prices", None, catalogue=catalogue, endpoint=f"{served.endpoint}/prices", region=region)


def test_azures_prices_are_read_from_every_page_and_said_in_our_words(world: Any, web: Web) -> None:  # noqa: F811
    Azure(
        web,
        item(H100, 98.32),
        item(H100, 18.169536, skuName="ND96isr H100 v5 Spot", skuId="P/spot"),
        item(H100, 27, skuName="ND96isr H100 v5 Low Priority", skuId="P/low"),
        item(H100, 103.5, productName="Virtual Machines ND H100 v5 Series Windows", skuId="P/win"),
        item(H100, 1_234_567.89, type="Reservation", reservationTerm="3 Years", skuId="P/r3"),
        item(H100, 98.32, isPrimaryMeterRegion=False, skuId="P/again"),
        item(H100, 77, "2026-12-01T00:00:00Z", skuId="P/old", effectiveEndDate="2026-10-01T00:00:00Z"),
        item("Standard_NV6ads_A10_v5", 0.454, skuId="P/part"),
        item("Standard_D2s_v5", 0.1),
    )
    result = ask(world, web, "2026-11-24")
    assert (result.status, result.form, result.read, result.landed) == ("landed", "price catalogue", 4, 4)
    assert web.asked[0].query["$filter"] == [
        "serviceName eq 'Virtual Machines' and armRegionName eq 'eastus' and startswith(armSkuName, 'Standard_N')"
    ]
    assert len(web.asked) == 5
    assert shown(
        world, "provider", "instance_type", "gpu_model", "gpus", "pricing_category", "commitment_term",
        "price_per_instance_hour", "valid_from",
    ) == [
        ("Microsoft", H100, "H100-80GB", 8, "committed", "3 years", Decimal("46.977469178082"), date(2026, 9, 1)),
        ("Microsoft", H100, "H100-80GB", 8, "on-demand", None, Decimal("98.32"), date(2026, 9, 1)),
        ("Microsoft", H100, "H100-80GB", 8, "spot", None, Decimal("18.169536"), date(2026, 9, 1)),
        ("Microsoft", "Standard_NV6ads_A10_v5", None, None, "on-demand", None, Decimal("0.454"), date(2026, 9, 1)),
    ]  # fmt: skip


@pytest.mark.slow
def test_a_price_that_changes_ends_and_stays_as_it_was(world: Any, web: Web) -> None:  # noqa: F811
    azure = Azure(web, item(H100, 90), item("Standard_NC40ads_H100_v5", 7))
    ask(world, web, "2026-10-01")
    asked = len(web.asked)
    assert ask(world, web, "2026-10-01").status == "unchanged"
    assert len(web.asked) == asked  # once a day
    before = shown(world)
    assert ask(world, web, "2026-10-02").landed == 2
    assert shown(world) == before

    azure.items = [item(H100, 80, "2026-10-10T00:00:00Z")]
    ask(world, web, "2026-10-12")
    azure.items = [item(H100, 70, "2026-10-10T00:00:00Z")]  # another price, and the catalogue says nothing of when
    ask(world, web, "2026-10-20")
    azure.items = [item(H100, 70, "2026-10-10T00:00:00Z"), item(H100, 60, "2026-11-01T00:00:00Z")]  # one to come
    ask(world, web, "2026-10-21")
    ask(world, web, "2026-10-22")
    azure.items = [item(H100, 60, "2026-11-01T00:00:00Z"), item("Standard_NC40ads_H100_v5", 7)]  # and one back again
    ask(world, web, "2026-11-02")
    on_demand = [(row[0], row[2], row[3], row[4]) for row in shown(world)]
    assert on_demand == [
        ("Standard_NC40ads_H100_v5", 7, date(2026, 9, 1), date(2026, 10, 12)),
        ("Standard_NC40ads_H100_v5", 7, date(2026, 11, 2), None),
        (H100, 60, date(2026, 11, 1), None),
        (H100, 70, date(2026, 10, 20), date(2026, 11, 1)),
        (H100, 80, date(2026, 10, 10), date(2026, 10, 20)),
        (H100, 90, date(2026, 9, 1), date(2026, 10, 10)),
    ]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"<html>", "Azure's answer is no price list (JSONDecodeError: Expecting value: line 1 column 1 (char 0))"),
        (b'{"Items": [{}]}', "Azure's answer is no price list (KeyError: 'armSkuName')"),
        (b'{"Items": []}', "Azure's price list has no GPU in region 'eastus'; check region"),
    ],
)
def test_an_answer_without_prices_fails_and_ends_none(world: Any, web: Web, body: bytes, problem: str) -> None:  # noqa: F811
    Azure(web, item(H100, 90))
    ask(world, web, "2026-10-01")
    web.answer = lambda _: Answered(body)
    result = ask(world, web, "2026-10-02")
    assert (result.status, result.problem) == ("failed", problem)
    assert [row[-1] for row in shown(world)] == [None]


@pytest.mark.heavy
def test_a_collection_that_is_killed_and_run_again_leaves_the_rows_of_one(world: Any, web: Web) -> None:  # noqa: F811
    azure = Azure(web, item(H100, 90))
    ask(world, web, "2026-10-01")
    azure.items = [item(H100, 80, "2026-10-10T00:00:00Z")]

    def die() -> None:
        raise KeyboardInterrupt

    moments = [f"lake.{table}.{when}" for table in ("loads", "gpu_prices") for when in ("before", "after")]
    for moment in moments:
        commit_points.on(moment, die)
        with pytest.raises(KeyboardInterrupt):
            ask(world, web, "2026-10-12")
        commit_points.on(moment, None)
    assert ask(world, web, "2026-10-13").status == "landed"  # and it finds tomorrow what it was not told of today
    assert [(row[2], row[3], row[4]) for row in shown(world)] == [
        (80, date(2026, 10, 10), None),
        (90, date(2026, 9, 1), date(2026, 10, 10)),
    ]


@pytest.mark.parametrize("wrong", ["busy", "cut"])
def test_a_catalogue_that_is_busy_or_breaks_off_is_asked_again(world: Any, web: Web, wrong: str) -> None:  # noqa: F811
    azure = Azure(web, item(H100, 90))

    def once(_: Any) -> Answered:
        web.answer = azure.answer
        if wrong == "busy":
            return Answered(status=429, headers={"Retry-After": "0"})
        return Answered(b'{"Items": [', cut=100)

    web.answer = once
    assert ask(world, web, "2026-10-01").landed == 1


def test_who_may_not_ask_is_told_what_is_missing(world: Any, web: Web) -> None:  # noqa: F811
    web.answer = lambda _: Answered(b"no", status=403)
    with pytest.raises(SourceError, match="HTTP 403"):
        ask(world, web, "2026-10-01")


# Google and AWS


class Provider(ThreadingHTTPServer):
    """Answers each question with the next of `pages`, the last one again and again, and keeps what was asked."""

    pages: list[dict[str, Any]]
    asked: list[str]


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Provider)
        length = int(self.headers.get("Content-Length") or 0)
        self.server.asked.append(self.path + self.rfile.read(length).decode())
        page = self.server.pages.pop(0) if len(self.server.pages) > 1 else self.server.pages[0]
        payload = json.dumps(page).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    do_POST = do_GET  # noqa: N815  # the server's name

    def log_message(self, *_: object) -> None:
        """Silence."""


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(("127.0.0.1", 0), _Answer) as server:
        server.pages, server.asked = [], []
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def ask_provider(world: Any, server: Provider, day: str, catalogue: str, region: str) -> Any:
    with clock.fixed(datetime.fromisoformat(f"{day}T09:30:00").replace(tzinfo=UTC)):
        endpoint = f"http://127.0.0.1:{server.server_port}"
        return world.one("gpu_prices", None, catalogue=catalogue, endpoint=endpoint, region=region)


def sku(description: str, use: str, units: int, nanos: int, since: str, **more: Any) -> dict[str, Any]:
    rate = {"startUsageAmount": 0, "unitPrice": {"currencyCode": "USD", "units": str(units), "nanos": nanos}}
    return {
        "skuId": f"{description[:12]}-{use}",
        "description": description,
        "category": {"usageType": use},
        "serviceRegions": ["us-central1", "us-east4"],
        "pricingInfo": [
            {"effectiveTime": since, "pricingExpression": {"usageUnit": "h", "tieredRates": [rate]}},
        ],
        **more,
    }


@pytest.mark.slow
def test_googles_prices_are_of_the_gpu_alone_and_go_on_while_they_stay_the_same(world: Any, provider: Provider) -> None:
    name = "Nvidia H100 80GB GPU running in Americas"

    def answer(since: str, units: int) -> list[dict[str, Any]]:
        return [
            {
                "skus": [
                    sku(name, "OnDemand", units, 796_600_000, since),
                    sku("Nvidia Tesla A100 GPU attached to Spot", "Preemptible", 1, 760_300_000, since),
                    sku("A3 Instance Core running in Americas", "OnDemand", 0, 29_000_000, since),
                    sku(name, "Commit1Yr", 7, 0, since),
                    sku("H200 141GB GPU elsewhere", "OnDemand", 9, 0, since, serviceRegions=["asia-east1"]),
                ]
            }
        ]

    provider.pages = answer("2026-10-01T07:00:00.5Z", 9)
    ask_provider(world, provider, "2026-10-01", "gcp", "us-central1")
    # Google says of each price that it holds since now
    provider.pages = answer("2026-10-02T07:00:00.5Z", 9)
    ask_provider(world, provider, "2026-10-02", "gcp", "us-central1")
    provider.pages = answer("2026-10-03T07:00:00.5Z", 8)
    ask_provider(world, provider, "2026-10-03", "gcp", "us-central1")
    first, changed = date(2026, 10, 1), date(2026, 10, 3)
    assert shown(
        world, "gpu_model", "pricing_category", "commitment_term", "covers", "gpus", "price_per_gpu_hour", "valid_from",
        "valid_to",
    ) == [
        ("A100", "spot", None, "gpu", 1, Decimal("1.7603"), first, None),
        ("H100-80GB", "committed", "1 year", "gpu", 1, Decimal(7), first, None),
        ("H100-80GB", "on-demand", None, "gpu", 1, Decimal("8.7966"), changed, None),
        ("H100-80GB", "on-demand", None, "gpu", 1, Decimal("9.7966"), first, changed),
    ]  # fmt: skip


def product(instance: str, price: str, gpu: str | None) -> str:
    about = {"instanceType": instance, "regionCode": "us-east-1", **({"gpu": gpu} if gpu else {})}
    dimension = {"unit": "Hrs", "pricePerUnit": {"USD": price}, "rateCode": f"{instance}.1"}
    term = {"effectiveDate": "2026-07-01T00:00:00Z", "priceDimensions": {"d": dimension}}
    return json.dumps({"product": {"sku": f"S-{instance}", "attributes": about}, "terms": {"OnDemand": {"t": term}}})


def test_awss_prices_are_those_of_instances_with_gpus(
    world: Any, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"AWS_ACCESS_KEY_ID": "farthing", "AWS_SECRET_ACCESS_KEY": "test"}.items():
        monkeypatch.setenv(name, value)
    provider.pages = [
        {
            "PriceList": [product("p5.48xlarge", "55.0400000000", "8"), product("m5.large", "0.096", None)],
            "NextToken": "2",
        },
        {"PriceList": [product("x9.large", "1.5", "1")]},
    ]
    ask_provider(world, provider, "2026-11-24", "aws", "us-east-1")
    assert '"NextToken": "2"' in provider.asked[1]
    assert '"Value": "us-east-1"' in provider.asked[0]
    assert shown(world, "instance_type", "gpu_model", "gpus", "price_per_instance_hour", "valid_from", "origin") == [
        ("p5.48xlarge", "H100-80GB", 8, Decimal("55.04"), date(2026, 7, 1), "AWS Price List, p5.48xlarge.1"),
        ("x9.large", None, 1, Decimal("1.5"), date(2026, 7, 1), "AWS Price List, x9.large.1"),
    ]


# Settings


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"path": "p.csv", "catalogue": "azure", "region": "eastus"}, "path and catalogue are two ways"),
        ({"path": "p.csv", "region": "eastus"}, "it goes with catalogue, not with path"),
        ({"path": None, "catalogue": "azure"}, "a catalogue is asked for one region"),
        ({"path": None}, "path is missing"),
        ({"path": "p.csv", "export": "x"}, "kind 'gpu_prices' does not take it"),
    ],
)
def test_settings_that_do_not_go_together_are_named(world: Any, settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        world.collect("gpu_prices", **settings)


def test_a_google_description_gives_the_model() -> None:
    told = {
        "Nvidia Tesla T4 GPU running in Iowa": "T4",
        "Nvidia L4 GPU attached to Spot Preemptible VMs running in Iowa": "L4",
        "H200 141GB GPU running in Americas": "H200-141GB",
        "A4 Nvidia B200 (1 gpu slice) running in Americas": "B200",
        "Nvidia RTX 6000 GPU": "RTX 6000",
    }
    assert {description: gpu_sizes.of_google(description) for description in told} == told
