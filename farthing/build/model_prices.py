"""The dated prices of model APIs that requests meet: those of the configuration, then those of genai-prices.

The package is read once and laid out as a table; SQL joins it and never calls it. All fuzzy matching of names is done
here, for the distinct names of a log only, and stays visible in `price_match`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from importlib import metadata
from itertools import pairwise
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from farthing.config import Config, Price
from farthing.pools import regex

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, Provider

PACKAGE = "genai-prices"
#: The currency of the package's prices.
BOOK_CURRENCY = "USD"
#: What our service tiers are called in the package; whatever is not here has no price in it.
TIERS: dict[str, dict[str, str]] = {
    "standard": {},
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "fast": {"service_tier": "fast", "speed": "fast"},
}
#: Its tokens cost nothing by themselves: the capacity is a fixed amount on the bill.
PROVISIONED = "provisioned"
#: What logs call our tiers, as SQL; a name that nobody knows stays, and has no price.
TIER_MACRO = (
    "create or replace macro price_tier(tier) as case"
    " when coalesce(lower(tier), '') in"
    " ('', 'standard', 'default', 'auto', 'standard_only', 'on_demand', 'on-demand') then 'standard'"
    " when lower(tier) in ('provisioned', 'ptu', 'scale', 'reserved', 'provisioned_throughput') then 'provisioned'"
    " else lower(tier) end"
)
#: What the tokens of a request cost at the prices of one model, in yocto-units (10^-24), exactly: some prices of the
#: package have 18 decimals. The smaller class of tokens is always part of the larger one.
TOKEN_MACRO = (
    "create or replace macro token_yocto(requests, input, cached, written, written_1h, output, reasoning,"
    " request_yocto, input_yocto, cached_yocto, written_yocto, written_1h_yocto, output_yocto, reasoning_yocto) as"
    " cast(requests as hugeint) * request_yocto"
    " + cast(coalesce(input, 0) - coalesce(cached, 0) - coalesce(written, 0) as hugeint) * input_yocto"
    " + cast(coalesce(cached, 0) as hugeint) * cached_yocto"
    " + cast(coalesce(written, 0) - coalesce(written_1h, 0) as hugeint) * written_yocto"
    " + cast(coalesce(written_1h, 0) as hugeint) * written_1h_yocto"
    " + cast(coalesce(output, 0) - coalesce(reasoning, 0) as hugeint) * output_yocto"
    " + cast(coalesce(reasoning, 0) as hugeint) * reasoning_yocto"
)
#: Yocto-units to pico-units, rounded half up; no price is negative.
PICO_MACRO = (
    "create or replace macro yocto_to_pico(yocto) as"
    " (yocto + cast(500000000000 as hugeint)) // cast(1000000000000 as hugeint)"
)

#: Yocto-units for a token to the price of a million tokens, with all of its decimals.
MILLION_MACRO = (
    "create or replace macro per_million(yocto) as cast(cast(yocto as decimal(38, 0))"
    " * cast(0.000000000000000001 as decimal(19, 18)) as decimal(38, 18))"
)
MACROS = (TIER_MACRO, TOKEN_MACRO, PICO_MACRO, MILLION_MACRO)

CLASSES = ("input", "cached_input", "cache_write", "cache_write_1h", "output", "reasoning")
_ALL_DAY = (0, 1440)
#: What the package does not know under the name that logs use.
_PROVIDER_NAMES = {
    "x_ai": "x-ai",
    "mistral_ai": "mistral",
    "azure_ai": "azure",
    "azure.ai.inference": "azure",
    "gcp.gen_ai": "google",
    "fireworks_ai": "fireworks",
}


@dataclass(frozen=True)
class Rate:
    """The price of one model for one tier, in one stretch of days, minutes of the day (UTC) and input tokens.

    Prices are in `currency` per million tokens (`request`: per request). Days and minutes are half open;
    of tokens `tokens_over < input <= tokens_upto`. None: without an end.
    """

    tier: str
    valid_from: date
    valid_to: date | None
    minute_from: int
    minute_to: int
    tokens_over: int
    tokens_upto: int | None
    currency: str
    request: Decimal
    input: Decimal
    cached_input: Decimal
    cache_write: Decimal
    cache_write_1h: Decimal
    output: Decimal
    reasoning: Decimal


@dataclass(frozen=True)
class Match:
    """What a model as logged was taken for: an entry of the package."""

    provider: str
    model: str
    is_fallback: bool  # another provider's model: it has no tiers of its own here


def version(config: Config) -> str:
    """What the prices of a build are from: the package and its version, or none."""
    if config.attribution.price_table == "none":
        return "none"
    return f"{PACKAGE} {metadata.version(PACKAGE)}"


# The package's book


@functools.cache
def _providers() -> list[Provider]:
    """Every provider of the package as it was released; a snapshot that somebody set or updated counts for nothing."""
    from genai_prices.data import providers

    return providers


@functools.cache
def _provider(name: str) -> Provider | None:
    from genai_prices.data_snapshot import find_provider_by_id

    return find_provider_by_id(_providers(), _PROVIDER_NAMES.get(name.lower(), name))


@functools.cache
def book_rates(provider: str, model: str) -> tuple[Rate, ...]:
    """All prices of one entry of the package; none where it is not priced by input tokens."""
    entry = next(one for one in _providers() if one.id == provider)
    return tuple(_joined(_rates(next(one for one in entry.models if one.id == model))))


def whole_book() -> Iterator[tuple[str, str, Rate]]:
    """Provider, model and price of everything that the package prices by tokens."""
    for provider in _providers():
        for model in provider.models:
            for rate in _joined(_rates(model)):
                yield provider.id, model.id, rate


def _joined(rates: Iterable[Rate]) -> Iterator[Rate]:
    """Stretches of days that follow each other at one price as one: another tier of the model changed between them."""
    last: dict[Rate, Rate] = {}
    for rate in rates:
        key = replace(rate, valid_from=date.min, valid_to=None)
        before = last.get(key)
        last[key] = (
            rate if before is None or before.valid_to != rate.valid_from else replace(before, valid_to=rate.valid_to)
        )
        if before is not None and before.valid_to != rate.valid_from:
            yield before
    yield from last.values()


def _rates(model: ModelInfo) -> Iterator[Rate]:
    from genai_prices.types import StartDateConstraint, TieredPrices, TimeOfDateConstraint

    conditions = [price.constraint for price in model.prices] if isinstance(model.prices, list) else []
    conditions += [variant.constraint for variant in model.price_variants or ()]
    starts = {one.start_date for one in conditions if isinstance(one, StartDateConstraint)}
    minutes = {
        _minute(moment)
        for one in conditions
        if isinstance(one, TimeOfDateConstraint)
        for moment in (one.start_time, one.end_time)
    }
    days = [date.min, *sorted(starts), None]
    times = [*sorted({0, *minutes}), 1440]
    for tier, context in TIERS.items():
        for first, until in pairwise(days):
            assert first is not None
            for begin, end in pairwise(times):
                at = datetime.combine(first, time(begin // 60, begin % 60), UTC)
                prices = model.get_prices(at, context)
                values = {name: price for name, price in prices.__dict__.items() if price is not None}
                if "input_mtok" not in values:
                    continue  # priced by hours, pages or characters
                cuts = sorted(
                    {step.start for price in values.values() if isinstance(price, TieredPrices) for step in price.tiers}
                )
                for over, upto in pairwise([0, *cuts, None]):
                    assert over is not None
                    resolved = {
                        name: _above(price, over) if isinstance(price, TieredPrices) else price
                        for name, price in values.items()
                    }
                    whole = begin == 0 and end == 1440
                    yield _rate(
                        tier,
                        (first, until),
                        _ALL_DAY if whole else (begin, end),
                        (over or -1, upto),
                        resolved,
                    )


def _minute(moment: time) -> int:
    if moment.tzinfo is not None:
        moment = datetime.combine(date(1970, 1, 1), moment).astimezone(UTC).time()
    if moment.second or moment.microsecond:
        raise ValueError(f"{PACKAGE} has a price that begins at {moment}: prices change at full minutes")
    return moment.hour * 60 + moment.minute


def _above(price: object, over: int) -> Decimal:
    from genai_prices.types import TieredPrices

    assert isinstance(price, TieredPrices)
    return next((step.price for step in reversed(price.tiers) if over >= step.start), price.base)


def _rate(
    tier: str,
    days: tuple[date, date | None],
    minutes: tuple[int, int],
    tokens: tuple[int, int | None],
    values: Mapping[str, Decimal],
) -> Rate:
    """A class without a price of its own is priced as the class that it is a part of."""
    read = values["input_mtok"]
    written = values.get("cache_write_mtok", read)
    output = values.get("output_mtok", Decimal(0))
    return Rate(
        tier,
        *days,
        *minutes,
        *tokens,
        BOOK_CURRENCY,
        request=values.get("requests_kcount", Decimal(0)) / 1000,
        input=read,
        cached_input=values.get("cache_read_mtok", read),
        cache_write=written,
        cache_write_1h=values.get("cache_write_1h_mtok", written),
        output=output,
        reasoning=values.get("output_reasoning_mtok", output),
    )


# Names


def names_of(config: Config, model: str, asked: str) -> Iterator[tuple[str, str]]:
    """The names that a model may have a price under, in their order: the one that answered is the billed one."""
    aliases = {name.lower(): alias for name, alias in config.attribution.model_aliases.items()}
    yield "model that answered", model
    if asked != model:
        yield "model that was asked for", asked
    for name in dict.fromkeys((model.lower(), asked.lower())):
        if name in aliases:
            yield "alias", aliases[name]


@functools.lru_cache(maxsize=100_000)
def book_entry(provider: str | None, name: str) -> Match | None:
    """The entry of `name`; prefixes like `openai/` and the front of an ARN are taken off one by one."""
    known = _provider(provider) if provider else None
    if provider and known is None:
        return None  # somebody that the package does not know: nobody else's price is guessed
    while name:
        entry = known or _provider_of(name)
        if entry is not None and (model := entry.find_model(name, all_providers=_providers())) is not None:
            owner = entry if any(one is model for one in entry.models) else _owner(model)
            return Match(owner.id, model.id, owner is not entry)
        front, slash, name = name.partition("/")
        if slash and not provider and (named := _provider(front)) is not None:
            known = named
    return None


def _provider_of(name: str) -> Provider | None:
    return next((one for one in _providers() if one.model_match and one.model_match.is_match(name.lower())), None)


def _owner(model: ModelInfo) -> Provider:
    return next(one for one in _providers() if any(other is model for other in one.models))


# What requests meet


def put(con: duckdb.DuckDBPyConnection, config: Config) -> None:
    """Make `settings.request_prices`: what each model costs, by the names that requests and merged calls have."""
    providers = {(pool.provider or "").lower() for pool in config.pools if pool.kind == "api"}
    logged, vendors = [], []
    if providers:
        logged = con.execute(
            "select distinct provider, coalesce(response_model, model), model"
            " from (select provider, response_model, model from lake.requests"
            " union all select provider, response_model, model from merged_calls)"
            " where ? or lower(provider) in (select unnest(?::varchar[]))",
            ["" in providers, sorted(providers)],
        ).fetchall()
        vendors = con.execute(
            "select distinct provider, model from lake.vendor_usage where model is not null"
        ).fetchall()
    fill(con, config, logged, vendors)


def put_billed(con: duckdb.DuckDBPyConnection, config: Config) -> None:
    """Make `settings.vendor_names`: the models that bills and usage reports of vendors name, under one name each.

    What a bill names and neither the package nor a log or report knows is no model: a fee, or a search.
    """
    vendors = con.execute("select distinct provider, model from lake.vendor_usage where model is not null").fetchall()
    billed = con.execute(
        "select distinct provider, billed_model from charge_spans where billed_model is not null"
    ).fetchall()
    known = {name for (name,) in con.execute("select billed_as from settings.model_names").fetchall()}
    rows = {}
    for provider, name in {*vendors, *billed}:
        said = canonical(config, provider, name)
        is_model = said != name.lower() or said in known or (provider, name) in vendors
        rows[provider, name] = said if is_model else None
    names = [{"provider": provider, "model": name, "billed_as": said} for (provider, name), said in rows.items()]
    _make(con, "vendor_names", pa.Table.from_pylist(names, schema=_NAMES))


def canonical(config: Config, provider: str | None, *names: str) -> str:
    """One name for a model however it is written: that of the package, else the first in lower case."""
    for name in names if config.attribution.price_table != "none" else ():
        if (match := book_entry(provider, name)) is not None:
            return f"{match.provider}/{match.model}"
    return names[0].lower()


def fill(
    con: duckdb.DuckDBPyConnection,
    config: Config,
    logged: Sequence[tuple[str | None, str, str]],
    vendors: Sequence[tuple[str, str]] = (),
) -> None:
    """Make `settings.request_prices` and `model_names` of `logged`: (provider, model that answered, model asked for).

    Prices are made of the (provider, model) of `vendors` too; `settings.vendor_names` is made without rows.
    """
    rows = [
        {"provider": provider, "model": model, "asked_model": asked, **_columns(rate, entry, how)}
        for provider, model, asked in sorted({*logged, *((*vendor, vendor[1]) for vendor in vendors)}, key=str)
        for rate, entry, how in prices_of(config, provider, model, asked)
    ]
    _make(con, "request_prices", pa.Table.from_pylist(rows, schema=_SCHEMA))
    names = [
        {
            "provider": provider,
            "model": model,
            "asked_model": asked,
            "billed_as": canonical(config, provider, *(name for _, name in names_of(config, model, asked))),
        }
        for provider, model, asked in logged
    ]
    _make(
        con, "model_names", pa.Table.from_pylist(names, schema=_NAMES.insert(2, pa.field("asked_model", pa.string())))
    )
    _make(con, "vendor_names", _NAMES.empty_table())


def _make(con: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    units = [column for column in rows.column_names if column.endswith("_yocto")]
    replaced = ", ".join(f"cast({column} as hugeint) as {column}" for column in units)
    con.register(f"arrow_{name}", rows)
    con.execute(
        f"create or replace table settings.{name} as select *"
        f" {f'replace ({replaced})' if units else ''} from arrow_{name}"
    )
    con.unregister(f"arrow_{name}")


def prices_of(config: Config, provider: str | None, model: str, asked: str) -> Iterator[tuple[Rate, Match | None, str]]:
    """Every price of a model as logged, and how it was found: own entries, before and without them the package's.

    The match is None for an own entry, and for provisioned capacity, whose tokens cost nothing.
    """
    has_book = config.attribution.price_table != "none" and _takes_the_book(config, provider)
    for how, name in names_of(config, model, asked):
        own = [price for price in config.prices if is_own(price, provider, name)]
        match = book_entry(None if how == "alias" and "/" in name else provider, name) if has_book else None
        if own or match is not None:
            for tier in (*TIERS, PROVISIONED):
                yield from _prices_of_tier(config, tier, own, match, how)
            return


def _prices_of_tier(
    config: Config, tier: str, own: Sequence[Price], match: Match | None, how: str
) -> Iterator[tuple[Rate, Match | None, str]]:
    since: date | None = None  # from when on the entries of the configuration hold
    for price, begins, ends in _in_turn(own, tier):
        since = since or begins
        yield _own_rate(config, price, tier, begins, ends), None, "configured price"
    if since == date.min:
        return
    if tier == PROVISIONED:
        currency = (own[0].currency or config.project.currency) if own else BOOK_CURRENCY
        zero = Decimal(0)
        free = Rate(tier, date.min, since, *_ALL_DAY, -1, None, currency, zero, *(zero for _ in CLASSES))
        yield free, None, "provisioned capacity"
        return
    for rate in book_rates(match.provider, match.model) if match is not None else ():
        is_of_tier = rate.tier == ("standard" if match is not None and match.is_fallback else tier)
        if is_of_tier and (since is None or rate.valid_from < since):
            ends = min((end for end in (rate.valid_to, since) if end is not None), default=None)
            yield replace(rate, tier=tier, valid_to=ends), match, how


def is_own(price: Price, provider: str | None, model: str) -> bool:
    """Whether an entry of the configuration is of a model as logged."""
    return (
        price.model is not None
        and (not price.provider or price.provider.lower() == (provider or "").lower())
        and re.fullmatch(regex(price.model), model, re.DOTALL) is not None
    )


def _in_turn(own: Sequence[Price], tier: str) -> Iterator[tuple[Price, date, date | None]]:
    """Of own entries the latest that has begun counts; of equal ones that of the tier before one of all tiers.

    Of those the first counts. An entry of all tiers says nothing of provisioned capacity.
    """
    best: dict[date, Price] = {}
    for price in sorted(own, key=lambda one: one.service_tier is None):
        if price.service_tier == tier or (price.service_tier is None and tier != PROVISIONED):
            best.setdefault(price.valid_from or date.min, price)
    for begin, end in pairwise([*sorted(best), None]):
        assert begin is not None
        yield best[begin], begin, end


def _own_rate(config: Config, price: Price, tier: str, begins: date, until: date | None) -> Rate:
    assert price.input is not None
    assert price.output is not None
    written = price.input if price.cache_write is None else price.cache_write
    return Rate(
        tier,
        begins,
        until,
        *_ALL_DAY,
        -1,
        None,
        price.currency or config.project.currency,
        request=price.request,
        input=price.input,
        cached_input=price.input if price.cached_input is None else price.cached_input,
        cache_write=written,
        cache_write_1h=written if price.cache_write_1h is None else price.cache_write_1h,
        output=price.output,
        reasoning=price.output,
    )


def _takes_the_book(config: Config, provider: str | None) -> bool:
    """Whether the package's prices share a pool only with own ones of their currency: others have no proportion."""
    said = (provider or "").lower()
    for pool in config.pools:
        if pool.kind != "api" or (pool.provider and pool.provider.lower() != said):
            continue
        asked = (pool.provider or "").lower()
        meet = {
            price.currency or config.project.currency
            for price in config.prices
            if price.model is not None and (not asked or not price.provider or price.provider.lower() == asked)
        }
        if meet - {BOOK_CURRENCY}:
            return False
    return True


def _yocto(price: Decimal, per: int) -> Decimal:
    """Integers of 10^-24 of the currency for one token or request.

    Raises:
        ValueError: the price has more decimals than that.
    """
    units = price.scaleb(24) / per
    if units != units.to_integral_value():
        raise ValueError(f"a price of {price} for {per} is finer than 10^-24")
    return units.to_integral_value()


_SCHEMA = pa.schema(
    [
        ("provider", pa.string()),
        ("model", pa.string()),
        ("asked_model", pa.string()),
        ("tier", pa.string()),
        ("valid_from", pa.date32()),
        ("valid_to", pa.date32()),
        ("minute_from", pa.int64()),
        ("minute_to", pa.int64()),
        ("tokens_over", pa.int64()),
        ("tokens_upto", pa.int64()),
        ("currency", pa.string()),
        ("how", pa.string()),
        ("price_provider", pa.string()),
        ("price_model", pa.string()),
        ("request_yocto", pa.decimal128(38, 0)),
        *((f"{name}_yocto", pa.decimal128(38, 0)) for name in CLASSES),
    ]
)
_NAMES = pa.schema([("provider", pa.string()), ("model", pa.string()), ("billed_as", pa.string())])
_LOGGED_NAMES = _NAMES.insert(2, pa.field("asked_model", pa.string()))
_FOREVER = date(9999, 12, 31)
#: Stands for no upper limit of input tokens.
NO_LIMIT = 2**62


def _columns(rate: Rate, match: Match | None, how: str) -> dict[str, object]:
    return {
        "tier": rate.tier,
        "valid_from": rate.valid_from,
        "valid_to": rate.valid_to or _FOREVER,
        "minute_from": rate.minute_from,
        "minute_to": rate.minute_to,
        "tokens_over": rate.tokens_over,
        "tokens_upto": rate.tokens_upto or NO_LIMIT,
        "currency": rate.currency,
        "how": how,
        "price_provider": match.provider if match else None,
        "price_model": match.model if match else None,
        "request_yocto": _yocto(rate.request, 1),
        **{f"{name}_yocto": _yocto(getattr(rate, name), 10**6) for name in CLASSES},
    }
