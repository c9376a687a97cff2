"""What leaves farthing for other tools: files in forms that they know."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from farthing.build import runner
from farthing.errors import ConfigError
from farthing.lake.views import text

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

    `con` is the published warehouse. Rows are in the order of source and line.

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
    return table.cast(schema)


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
