"""What a build hands to the SQL beside the lake: the configuration as tables and views of the schema `settings`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import duckdb

from farthing.build import model_prices
from farthing.config import Config, Pool
from farthing.errors import ConfigError
from farthing.lake.views import text
from farthing.pools import charges_sql, regex, tag, unbilled_sql
from models.prefill_law import PrefillLaw

#: Pico-units (10^-12) to money, exactly: no arithmetic of money may pass through DOUBLE.
MONEY_MACRO = (
    "create or replace macro money(pico) as "
    "cast(cast(pico as decimal(38, 0)) * cast(0.000000000001 as decimal(13, 12)) as decimal(38, 12))"
)
#: The part of a bill that may be missing in a total that somebody states of it; null: no such part.
BILL_PART_MACRO = (
    "create or replace macro bill_part(category, issuer, seller) as case"
    " when category = 'Tax' then 'tax'"
    " when category = 'Credit' then 'credit'"
    " when issuer <> seller then 'marketplace issuer' end"
)
#: Why a total that somebody states is not that of the bill, as far as the bill itself can tell: null where they are
#: equal. A part of the bill that is missing in the stated total, to within `tolerance`, is the cause.
DIFFERENCE_MACRO = (
    "create or replace macro difference_cause(difference, tolerance, tax, credit, marketplace) as case"
    " when difference = 0 then null"
    " when abs(difference) <= tolerance then 'rounding'"
    " when abs(difference + tax) <= tolerance then 'tax'"
    " when abs(difference + credit) <= tolerance then 'credit'"
    " when abs(difference + marketplace) <= tolerance then 'marketplace issuer'"
    " when abs(difference + tax + credit) <= tolerance then 'tax, credit'"
    " when abs(difference + tax + marketplace) <= tolerance then 'tax, marketplace issuer'"
    " when abs(difference + credit + marketplace) <= tolerance then 'credit, marketplace issuer'"
    " when abs(difference + tax + credit + marketplace) <= tolerance then 'tax, credit, marketplace issuer'"
    " else 'residual' end"
)
#: An exchange rate, DECIMAL(38,18), in integers of 10^-18.
RATE_MACRO = (
    "create or replace macro rate_units(rate) as cast(trunc(rate) as hugeint) * 1000000000000000000"
    " + cast((rate - trunc(rate)) * 1000000000000000000 as hugeint)"
)
#: An amount by an exchange rate, rounded once, half away from zero, to 12 decimals: whole units and the rest apart, as
#: their product does not fit 128 bits.
CONVERTED_MACRO = (
    "create or replace macro converted(amount, rate) as money("
    "(cast(trunc(amount) as hugeint) * rate_units(rate)) // 1000000"
    " + ((cast(trunc(amount) as hugeint) * rate_units(rate)) % 1000000 * 1000000000000"
    " + cast((amount - trunc(amount)) * 1000000000000 as hugeint) * rate_units(rate)"
    " + sign(amount) * cast(500000000000000000 as hugeint)) // cast(1000000000000000000 as hugeint))"
)
#: a * b // c of whole numbers that are not negative, without 128 bits: the engine divides those bit by bit, eight times
#: as slowly. Long division by 2^16: exact for c below 2^47 and a below 2^79 / c; a result beyond 64 bits raises.
MUL_DIV_MACRO = (
    "create or replace macro mul_div(a, b, c) as"
    " a * (b // c) + (a // 65536) * (b % c) // c * 65536"
    " + ((a // 65536) * (b % c) % c * 65536 + a % 65536 * (b % c)) // c"
)
_MICROSECONDS = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: About how many requests of a day prefill laws, and the delays by prompts, are learned from.
_LAW_SAMPLE = 200_000
_DELAY_SAMPLE = 50_000
#: Windows of two minutes for the delays are at most four hours apart, however busy the day.
_WINDOWS_APART = 120


def microseconds(moment: datetime) -> int:
    """Microseconds of `moment` (zone-aware) since 1970."""
    return (moment - _EPOCH) // _MICROSECONDS


def day_start(day: date) -> datetime:
    """The first moment of `day`, UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def day_of(moment_us: int) -> date:
    """The day, UTC, of a moment in microseconds since 1970."""
    return (_EPOCH + timedelta(microseconds=moment_us)).date()


def prepare(
    con: duckdb.DuckDBPyConnection,
    config: Config,
    horizon: datetime,
    logged: tuple[datetime, datetime] | None = None,
) -> None:
    """Make all of `settings` that is the same for every day. The views `lake.*` must be there.

    `logged` is from when to when requests and telemetry speak: what no bill has confirmed is known to cost something
    only inside it.
    """
    con.execute("create schema if not exists settings")
    con.execute(MONEY_MACRO)
    for macro in (MUL_DIV_MACRO, *model_prices.MACROS):
        con.execute(macro)
    first, last = logged or (horizon, _EPOCH)  # without any log nothing goes on after its bill
    con.execute(
        "create or replace table settings.build as"
        " select ?::bigint as horizon_us, ?::bigint as logged_from_us, ?::bigint as logged_until_us,"
        " ?::bigint as cell_us, ?::varchar as currency",
        [
            microseconds(horizon),
            microseconds(first),
            microseconds(min(last, horizon)),
            config.attribution.cell_seconds * 1_000_000,
            config.project.currency,
        ],
    )
    _fill(
        con,
        "sources(x_source varchar, cost_column varchar)",
        [(name, source.cost_column) for name, source in config.sources.items()],
    )
    _fill(
        con,
        "pools(pool varchar, position bigint, kind varchar, class varchar, driver varchar, metric varchar,"
        " method varchar, idle varchar, when_unobserved varchar, gl_account varchar, provider varchar,"
        " input_weight bigint, cached_input_weight bigint,"
        " cache_write_weight bigint, output_weight bigint)",
        [_pool_row(position, pool) for position, pool in enumerate(config.pools)],
    )
    _fill(
        con,
        "pool_methods(pool varchar, method varchar)",
        [
            (pool.name, method)
            for pool in config.pools
            if pool.kind == "gpu"
            for method in sorted({pool.method, *config.attribution.compare})
        ],
    )
    _fill(
        con,
        "pool_weights(pool varchar, team_id varchar, weight hugeint)",
        [
            (pool.name, team, _integer_weight(pool, team, weight))
            for pool in config.pools
            for team, weight in pool.weights.items()
        ],
    )
    _fill(
        con,
        "teams(team_id varchar, cost_center varchar, department varchar)",
        [(name, team.cost_center, team.department) for name, team in sorted(config.teams.items())],
    )
    _fill(
        con,
        "trained_models(model varchar, released date, life_months bigint)",
        [(name, model.released, model.life_months) for name, model in sorted(config.models.items())],
    )
    _fill(
        con,
        "units(unit varchar, metric varchar, measure varchar)",
        [(name, unit.metric, unit.measure) for name, unit in sorted(config.units.items())],
    )
    _fill(
        con,
        "grants(credit varchar, currency varchar, granted decimal(38, 12), expires date)",
        [
            (name, grant.currency or config.project.currency, grant.amount, grant.expires)
            for name, grant in sorted(config.credits.items())
        ],
    )
    currency, age = config.project.reporting_currency, config.project.maximum_rate_age_days
    _fill(
        con,
        "reporting(reporting_currency varchar, maximum_rate_age_days bigint)",
        [(currency, age)] if currency else [],
    )
    _fill(con, "sentinel_users(user_id varchar)", [(name,) for name in config.identities.sentinel_users])
    _fill(
        con,
        "token_prices(provider varchar)",  # of whom the configuration has prices; null: of anybody
        sorted({(price.provider,) for price in config.prices if price.model is not None}, key=str),
    )
    model_prices.fill(con, config, [])
    _fill(
        con,
        "gpu_prices(position bigint, gpu_pattern varchar, resource_pattern varchar, pool varchar, valid_from date,"
        " currency varchar, hour_pico hugeint)",
        [
            (
                position,
                regex(price.gpu_model or "*"),
                regex(price.resource or "*"),
                price.pool,
                price.valid_from or date.min,
                price.currency or config.project.currency,
                int(price.gpu_hour * 10**12),
            )
            for position, price in enumerate(config.prices)
            if price.gpu_hour is not None
        ],
    )
    con.execute(f"create or replace view settings.charges as {charges_sql(config)}")
    con.execute(f"create or replace view settings.unbilled_resources as {unbilled_sql(config)}")
    pairs = ", ".join(f"{text(name)}, {tag('tags', name)}" for name in config.ledger.dimensions)
    dimensions = f"cast(json_object({pairs}) as varchar)" if pairs else "'{}'"
    con.execute(f"create or replace macro ledger_dimensions(tags) as {dimensions}")


def open_days(con: duckdb.DuckDBPyConnection, days: Mapping[date, int]) -> None:
    """Make `settings.batch_days`, the days that are computed together.

    They map to about how many requests each has, so that a law is learned from a sample of every so many-th.
    """
    _fill(
        con,
        "batch_days(day date, start_us bigint, end_us bigint, started_at timestamp, ended_at timestamp,"
        " every bigint, every_window bigint)",
        [
            (
                day,
                microseconds(day_start(day)),
                microseconds(day_start(day + timedelta(days=1))),
                day_start(day).replace(tzinfo=None),
                day_start(day + timedelta(days=1)).replace(tzinfo=None),
                max(requests // _LAW_SAMPLE, 1),
                min(max(requests // _DELAY_SAMPLE, 1), _WINDOWS_APART),
            )
            for day, requests in days.items()
        ],
    )


def put_laws(con: duckdb.DuckDBPyConnection, laws: Mapping[date, Mapping[tuple[str, str], PrefillLaw]]) -> None:
    """Make `settings.prefill_laws` of the laws of each day by (model, gpu_model)."""
    _fill(
        con,
        "prefill_laws(day date, model varchar, gpu_model varchar, p0_us bigint, p1_ns bigint, stall0_us bigint,"
        " stall1_ns bigint, decode_us bigint)",
        [
            (day, *key, law.p0_us, law.p1_ns, law.stall0_us, law.stall1_ns, law.decode_us)
            for day, some in laws.items()
            for key, law in sorted(some.items())
        ],
    )


def _fill(con: duckdb.DuckDBPyConnection, declaration: str, rows: list[tuple[object, ...]]) -> None:
    name = declaration.partition("(")[0]
    con.execute(f"create or replace table settings.{declaration}")
    if rows:
        con.executemany(f"insert into settings.{name} values ({', '.join('?' * len(rows[0]))})", rows)


def _pool_row(position: int, pool: Pool) -> tuple[object, ...]:
    weights = pool.token_weights
    return (
        pool.name,
        position,
        pool.kind,
        pool.class_,
        pool.driver,
        pool.metric,
        "tokens" if pool.kind == "api" else pool.method,
        pool.idle,
        pool.when_unobserved,
        pool.gl_account,
        pool.provider,
        weights.input,
        weights.cached_input,
        weights.cache_write,
        weights.output,
    )


def _integer_weight(pool: Pool, team: str, weight: Decimal) -> int:
    scaled = weight * 1_000_000
    if scaled != int(scaled) or scaled < 0:
        raise ConfigError(
            f"weight {weight} of '{team}' is negative or has more than six decimals.", key=f"pools.{pool.name}.weights"
        )
    return int(scaled)
