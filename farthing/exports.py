"""What leaves farthing for other tools: files in forms that they know."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal, localcontext
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from farthing.build import runner
from farthing.errors import ConfigError
from farthing.lake.views import text

#: Cost -> the unit price that it is a multiple of.
_PRICED = (("ListCost", "ListUnitPrice"), ("ContractedCost", "ContractedUnitPrice"))
_ROUNDING = Decimal("1e-9")
_MOMENT = pa.timestamp("us", tz="UTC")
#: Text as FOCUS wants it: accents go, and what is still no ASCII is a question mark.
_ASCII_MACRO = r"create or replace temp macro to_ascii(x) as regexp_replace(strip_accents(x), '[^\x00-\x7F]', '?', 'g')"
#: Price x quantity where the decimals have room for it, else null.
_COST_MACRO = """create or replace temp macro priced_cost(price, quantity) as case
    when try_cast(price as decimal(18, 12)) = price and try_cast(quantity as decimal(20, 12)) = quantity
        then try_cast(
            try_cast(price as decimal(18, 12)) * try_cast(quantity as decimal(20, 12)) as decimal(38, 12)
        )
end"""


def focus(con: duckdb.DuckDBPyConnection, month: date) -> pa.Table:
    """The bill of `month` (its first day) as a FOCUS 1.2 Cost and Usage table: amounts are decimals, times UTC.

    `con` is the published warehouse. Rows are in the order of source and line. The column `x_Remark` says of a row what
    of FOCUS its bill does not keep.

    Raises:
        ConfigError: no charge belongs to the month.
    """
    model = runner.models("exports", known=frozenset({"charges"}))["focus"]
    con.execute(_ASCII_MACRO)
    con.execute(_COST_MACRO)
    first = f"date {text(month)}"
    table = con.sql(
        f"select * from ({model.sql}) where BillingPeriodStart >= {first}"
        f" and BillingPeriodStart < {first} + interval 1 month order by x_Source, x_ChargeId"
    ).to_arrow_table()
    if not table.num_rows:
        [(months,)] = con.execute(
            "select string_agg(distinct strftime(BillingPeriodStart, '%Y-%m'), ', ' order by 1) from charges"
        ).fetchall()
        raise ConfigError(f"no charge has a billing period in {month:%Y-%m}.", fix=f"the bills have {months}.")
    schema = pa.schema(
        [field.with_type(_MOMENT) if pa.types.is_timestamp(field.type) else field for field in table.schema]
    )
    table = table.cast(schema)
    told = ["; ".join(one) or None for one in _remarks(table)]
    return table.append_column("x_Remark", pa.array(told, pa.string()))


def remarks(table: pa.Table) -> list[tuple[str, str, int]]:
    """What an exported table has in `x_Remark`: source, remark, and how many charges have it."""
    with duckdb.connect() as con:
        con.register("rows", table)
        return con.sql(
            "select x_Source, x_Remark, count(*) from rows where x_Remark is not null group by all order by all"
        ).fetchall()


def _remarks(table: pa.Table) -> Iterator[list[str]]:
    """The remarks of each row."""
    facts = ("ChargeCategory", "ChargeClass", "CommitmentDiscountId", "EffectiveCost", "PricingQuantity")
    prices = [name for pair in _PRICED for name in pair]
    told = zip(*(table[name].to_pylist() for name in (*facts, *prices)), strict=True)
    with localcontext(prec=80):
        for category, correction, commitment, effective, quantity, *amounts in told:
            found = [
                f"{cost} is not {price} x PricingQuantity"
                for number, (cost, price) in enumerate(_PRICED)
                if not correction and not _fits(amounts[2 * number], amounts[2 * number + 1], quantity)
            ]
            if category == "Purchase" and commitment and effective:
                found.append("the fee of a commitment, which the bill does not spread over its use")
            yield found


def _fits(cost: Decimal, price: Decimal | None, quantity: Decimal | None) -> bool:
    """Whether price x quantity is the cost, by the tolerance of the specification's validator; so if either is null."""
    if price is None or quantity is None:
        return True
    return abs(price * quantity - cost) <= _ROUNDING * max(abs(cost), Decimal(1))


def write(table: pa.Table, path: Path) -> None:
    """Write `table` as Parquet, or as CSV (times in ISO 8601, decimals in full) where the name of the file says so.

    Raises:
        ConfigError: the file cannot be written, or its name tells neither.
    """
    try:
        if path.suffix == ".parquet":
            pq.write_table(table, path)
        elif path.suffix == ".csv":
            pyarrow.csv.write_csv(_as_text(table), path)
        else:
            raise ConfigError("its name tells no form.", file=path, fix="end it in .parquet or .csv.")
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror or error}.", file=path) from error


def _as_text(table: pa.Table) -> pa.Table:
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        con.register("rows", table)
        times = [field.name for field in table.schema if pa.types.is_timestamp(field.type)]
        written = ", ".join(f'strftime("{name}", \'%Y-%m-%dT%H:%M:%SZ\') as "{name}"' for name in times)
        return con.sql(f"select * replace ({written}) from rows").to_arrow_table()
