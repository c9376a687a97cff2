"""Hardware that the company owns (`[[assets]]`) becomes hourly charges: depreciation, colocation, power and support.

All sums are exact. What is spread over time is rounded as a running total, in pico-units, and an hour costs what the
total grew by; machines share it the same way. So hours add up to months, and months to the purchase price.
"""

from __future__ import annotations

import hashlib
import json
from calendar import monthrange
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import polars as pl

from collectors import energy, focus
from collectors.kind import Deliverable
from collectors.landing import Files
from collectors.statements import Statement
from farthing import clock
from farthing.config import Asset, Config, Source
from farthing.errors import ConfigError, SourceError
from farthing.lake import Lake

#: Telemetry of a month that ended so long ago is taken as it was then.
SETTLED_AFTER = timedelta(days=14)

_HOUR = timedelta(hours=1)
_PICO = 10**12
_PROVIDER = "Own hardware"
_COLUMNS = (
    "ChargePeriodStart",
    "ChargePeriodEnd",
    "ResourceId",
    "SkuId",
    "ChargeFrequency",
    "amount",
    "ConsumedQuantity",
    "ConsumedUnit",
    "x_energy",
)
_Row = tuple[str | None, ...]


class Assets(Files):
    """The collector of owned hardware: a statement per month, up to the last full hour."""

    settings: frozenset[str] = frozenset()

    def find(self, name: str, source: Source, config: Config) -> Sequence[Deliverable]:
        """The months in which there was hardware.

        Raises:
            ConfigError: there is none in farthing.toml, or the source has a setting that means nothing here.
            SourceError: no hour of it is over yet, or the lake's telemetry cannot be read.
        """
        self.check_settings(name, source)
        if not config.assets:
            raise ConfigError(
                "there is no [[assets]] to make charges of.",
                key=f"sources.{name}",
                fix="add one, as in docs/sources/bare-metal.md.",
            )
        lake = Lake(config.lake_path, config.lake.storage_options)
        until = clock.now().replace(minute=0, second=0, microsecond=0)
        first = min(asset.in_service for asset in config.assets)
        months = [
            _statement(name, config, lake, month, min(_moment(_months_later(month, 1)), until))
            for month in _months(first, until)
            if any(_hours(asset, month, until) for asset in config.assets)
        ]
        if not months:
            raise SourceError(
                f"no hour of any [[assets]] is over yet; the first begins on {first}.",
                source=name,
                fix="correct in_service, or wait.",
            )
        return months


def _statement(name: str, config: Config, lake: Lake, month: date, end: datetime) -> Statement:
    metered = [asset for asset in config.assets if asset.host_kw is not None]
    resources = [resource for asset in metered for resource in asset.resources]

    def used() -> energy.Used:
        return energy.used(lake, resources, _moment(month), end)

    settled = _moment(_months_later(month, 1)) + SETTLED_AFTER <= clock.now()
    now = None if settled else used()
    told = [
        *(asset.model_dump_json() for asset in config.assets),
        config.project.currency,
        end.isoformat(),
        "settled" if now is None else json.dumps(sorted(map(str, now.items()))),
    ]

    def read(_: Path) -> pl.LazyFrame:
        measured = used() if now is None else now
        return pl.concat(
            [_charges(name, asset, config.project.currency, month, end, measured) for asset in config.assets]
        ).lazy()

    identity = hashlib.sha256("\n".join(told).encode()).hexdigest()
    return Statement(f"assets {month:%Y-%m}", 0, identity, "owned hardware", read)


def _charges(name: str, asset: Asset, currency: str, month: date, end: datetime, measured: energy.Used) -> pl.DataFrame:
    """The asset's hours of `month` before `end`, in FOCUS columns."""
    hours = _hours(asset, month, end)
    rows = [*_running(asset, hours), *_power(asset, hours, measured)]
    amount = pl.col("amount")
    per_machine, rest = divmod(asset.gpus, len(asset.resources))
    details = {"x_GpuCountOfAsset": asset.gpus} if rest else {"GpuCount": per_machine}
    return pl.DataFrame(rows, schema=dict.fromkeys(_COLUMNS, pl.String), orient="row").select(
        pl.exclude("amount"),
        amount.alias("BilledCost"),
        amount.alias("EffectiveCost"),
        (pl.lit(asset.name + ": ") + pl.col("SkuId")).alias("ChargeDescription"),
        *(
            pl.lit(value, pl.String).alias(column)
            for column, value in {
                "BillingCurrency": asset.currency or currency,
                "BillingPeriodStart": _moment(month).isoformat(),
                "BillingPeriodEnd": _moment(_months_later(month, 1)).isoformat(),
                "BillingAccountId": name,
                "ChargeCategory": "Usage",
                "ServiceCategory": "Compute",
                "ServiceName": _PROVIDER,
                "ProviderName": _PROVIDER,
                "PublisherName": _PROVIDER,
                "InvoiceIssuerName": _PROVIDER,
                "ResourceName": asset.name,
                "ResourceType": "Server",
                "SkuPriceDetails": json.dumps(details),
                "Tags": json.dumps(asset.tags) if asset.tags else None,
            }.items()
        ),
    )


def _running(asset: Asset, hours: Sequence[datetime]) -> Iterator[_Row]:
    """What is paid whether the machines work or not: each machine's share of each hour, without what costs nothing."""
    totals: dict[str, Callable[[datetime], Fraction]] = {
        "depreciation": lambda moment: depreciated(asset, moment),
        "colocation": lambda moment: Fraction(asset.colo_per_kw_month * asset.kw) * _calendar_months(moment),
        "support": lambda moment: Fraction(asset.support_per_year) / 12 * _calendar_months(moment),
    }
    machines = len(asset.resources)
    for part, total in totals.items():
        moments = [*hours, *(hour + _HOUR for hour in hours[-1:])]
        pico = [round(total(moment) * _PICO) for moment in moments]
        for (hour, end), (before, after) in zip(pairwise(moments), pairwise(pico), strict=True):
            if before == after:
                continue
            for number, resource in enumerate(asset.resources):
                cost = _share(after, number, machines) - _share(before, number, machines)
                yield (
                    hour.isoformat(),
                    end.isoformat(),
                    resource,
                    part,
                    "Recurring",
                    _written(cost),
                    "1",
                    "Hours",
                    None,
                )


def _power(asset: Asset, hours: Sequence[datetime], measured: energy.Used) -> Iterator[_Row]:
    """The power that each machine draws in each hour; none where it has no price."""
    price = Fraction(asset.power_price_per_kwh)
    for hour in hours if price else ():
        span = (hour.isoformat(), (hour + _HOUR).isoformat())
        drawn, paid = Fraction(), 0
        for resource in asset.resources:
            kwh, origin = energy.drawn(asset, measured.get((resource, hour)))
            kwh *= Fraction(asset.pue)
            drawn += kwh
            cost = round(drawn * price * _PICO) - paid
            paid += cost
            quantity = _written(round(kwh * _PICO))
            yield (*span, resource, "power", "Usage-Based", _written(cost), quantity, "kWh", origin)


def depreciated(asset: Asset, moment: datetime) -> Fraction:
    """What the asset has lost of its price until `moment`: in equal parts for each month since it is in service."""
    if moment >= _moment(_months_later(asset.in_service, asset.months)):
        return Fraction(asset.purchase_price - asset.residual)
    done = (moment.year - asset.in_service.year) * 12 + moment.month - asset.in_service.month
    while _moment(_months_later(asset.in_service, done)) > moment:
        done -= 1
    begin, end = (_moment(_months_later(asset.in_service, months)) for months in (done, done + 1))
    months = done + _fraction(moment - begin, end - begin)
    return Fraction(asset.purchase_price - asset.residual) * months / asset.months


def _calendar_months(moment: datetime) -> Fraction:
    """How many months of the calendar lie before `moment`, counted from some month."""
    begin = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = _moment(_months_later(begin.date(), 1))
    return moment.year * 12 + moment.month + _fraction(moment - begin, end - begin)


def _fraction(part: timedelta, whole: timedelta) -> Fraction:
    return Fraction(part // timedelta(seconds=1), whole // timedelta(seconds=1))


def _share(pico: int, number: int, machines: int) -> int:
    """The part of machine `number`, so that the parts of all add up."""
    return pico * (number + 1) // machines - pico * number // machines


def _written(pico: int) -> str:
    return format(Decimal(pico).scaleb(-12), "f")


def _hours(asset: Asset, month: date, end: datetime) -> list[datetime]:
    """The hours of `month` before `end` in which the asset is in service."""
    begin = _moment(max(month, asset.in_service))
    last = min(end, _moment(_months_later(month, 1)), _moment(asset.retired) if asset.retired else end)
    return [begin + number * _HOUR for number in range(max(0, (last - begin) // _HOUR))]


def _months(first: date, until: datetime) -> Iterator[date]:
    month = first.replace(day=1)
    while _moment(month) < until:
        yield month
        month = _months_later(month, 1)


def _months_later(day: date, months: int) -> date:
    """The same day `months` later; the month's last one where it has no such day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def _moment(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


COLLECTOR = Assets(focus.KIND)
