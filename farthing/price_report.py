"""How good the prices of model APIs are: models without one, aliases, what gateways say, and the vendors' bills."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from farthing.build import model_prices
from farthing.config import Config
from farthing.console import Sheet

#: A cost that is further from another than by this part is a finding.
TOLERATED = "0.1"

_UNPRICED = """
    with unpriced as (
        select
            provider,
            model,
            service_tier,
            min(day) as first_day,
            max(day) as last_day,
            cast(sum(requests) as bigint) as requests,
            cast(coalesce(sum(input_tokens), 0) as bigint) as input_tokens,
            cast(coalesce(sum(output_tokens), 0) as bigint) as output_tokens
        from price_days
        where currency is null
        group by all
        having sum(input_tokens) > 0 or sum(output_tokens) > 0
    ),
    money as (
        select model, sum(cost) as cost, min(BillingCurrency) as currency
        from cost_ledger
        where kind = 'unpriced' and model is not null
        group by all
        having count(distinct BillingCurrency) = 1
    )
    select unpriced.*, money.cost, money.currency
    from unpriced
    left join money on unpriced.model = money.model
    order by money.cost desc nulls last, input_tokens + output_tokens desc, provider, model, service_tier
"""
_DISAGREEING = f"""
    select provider, model, service_tier, requests, cost, reported_cost, difference, reported_share, currency
    from price_check
    where cost is not null and abs(difference) > {TOLERATED} * cost
    order by abs(difference) desc, provider, model, service_tier
"""
#: Over all days, as one day of few requests says little.
_TRUEUP = f"""
    with summed as (
        select
            provider,
            model,
            BillingCurrency,
            cast(count(*) as bigint) as days,
            sum(priced_cost) as priced_cost,
            sum(coalesce(vendor_priced_cost, priced_cost)) as used_cost,
            count(vendor_priced_cost) > 0 as is_counted,
            sum(billed_cost) as billed_cost,
            sum(unexplained_cost) as unexplained_cost
        from api_trueup
        where not provisional and rate is not null
        group by all
    )
    select
        provider,
        model,
        BillingCurrency,
        days,
        priced_cost,
        billed_cost,
        case when is_counted then cast(round(used_cost / nullif(priced_cost, 0), 6) as decimal(18, 6)) end as volume,
        cast(round(billed_cost / nullif(used_cost, 0), 6) as decimal(18, 6)) as rate,
        unexplained_cost
    from summed
    where abs(billed_cost - used_cost) > {TOLERATED} * abs(used_cost)
        or abs(used_cost - priced_cost) > {TOLERATED} * abs(priced_cost)
    order by abs(billed_cost - priced_cost) desc, provider, model
"""


@dataclass(frozen=True)
class PriceReport:
    """What is wrong with prices: each sheet is empty where nothing is."""

    unpriced: Sheet
    aliases: Sheet
    disagreements: Sheet
    trueup: Sheet
    models: int  # that were looked at

    @property
    def sheets(self) -> list[Sheet]:
        """All of it, to be shown."""
        return [self.unpriced, self.aliases, self.disagreements, self.trueup]

    @property
    def findings(self) -> int:
        """How many rows need somebody to act."""
        return sum(len(sheet.rows) for sheet in self.sheets)


def report(config: Config, con: duckdb.DuckDBPyConnection) -> PriceReport:
    """Everything about prices that the published warehouse behind `con`, and the configuration, can tell."""
    aliases = Sheet("aliases", ["alias", "stands_for", "problem"], _aliases(config), title="Aliases that do nothing")
    return PriceReport(
        _sheet(con, "unpriced", _UNPRICED, "Models without a price: what they cost is not known"),
        aliases,
        _sheet(con, "disagreements", _DISAGREEING, "What gateways say that is more than a tenth from the price"),
        trueup(con),
        con.execute("select count(*) from (select distinct provider, model from price_days)").fetchall()[0][0],
    )


def trueup(con: duckdb.DuckDBPyConnection) -> Sheet:
    """Models whose bill, over all days, is more than a tenth from their price (rate) or their count (volume)."""
    return _sheet(con, "trueup", _TRUEUP, "Bills that are more than a tenth from price or usage")


def warnings(con: duckdb.DuckDBPyConnection, most: int = 5) -> list[str]:
    """A line for each of the models that are furthest off."""
    rows = trueup(con).rows
    lines = []
    for provider, model, currency, _, priced, billed, volume, rate, _ in rows[:most]:
        name = " ".join(str(part) for part in (provider, model) if part) or "model APIs"
        counted = "" if volume is None else f", volume {volume}"
        lines.append(f"{name}: billed {billed:,.2f} {currency}, {priced:,.2f} at its price (rate {rate}{counted})")
    if len(rows) > most:
        lines.append(f"and {len(rows) - most} more: farthing doctor --prices")
    return lines


def _aliases(config: Config) -> list[tuple[object, ...]]:
    """An alias counts only for a name that has no price, and only where its own name has one."""
    rows: list[tuple[object, ...]] = []
    for alias, name in sorted(config.attribution.model_aliases.items()):
        known = model_prices.book_entry(None, alias)
        if known is not None:
            rows.append((alias, name, f"has a price of its own, as {known.provider}/{known.model}"))
        own = any(model_prices.is_own(price, price.provider, name) for price in config.prices)
        if not own and model_prices.book_entry(None, name) is None:
            rows.append((alias, name, "the name that it stands for has no price"))
    return rows


def _sheet(con: duckdb.DuckDBPyConnection, name: str, query: str, title: str) -> Sheet:
    found = con.execute(query)
    columns = [column[0] for column in found.description or []]
    return Sheet(name, columns, found.fetchall(), title=title)
