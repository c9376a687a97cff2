"""Foreign values as SQL: how text, numbers and times of a file become lake types without loss, or null."""

from __future__ import annotations

import os
from collections.abc import Sequence
from hashlib import sha256

import pyarrow as pa
from duckdb import DuckDBPyConnection

from farthing.lake.schemas import COUNT, DAY, EXACT, FLAG, MONEY, REAL, TEXT, TIME

PLAIN_NUMBER = r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?\s*"
_DAY_TEXT = r"\d{4}-\d\d-\d\d([T ]00:00(:00(\.0+)?)?(Z|[+-]00:00| UTC)?)?"
_MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}  # ns is divided
_PER_SECOND = {"s": "", "ms": "/ 1e3", "us": "/ 1e6", "ns": "/ 1e9"}
_LATEST_SECONDS = 7_258_118_400  # 2200-01-01
_LONGEST_SECONDS = 10 * 366 * 86_400
SECONDS = {"s": "1", "ms": "1e-3", "us": "1e-6", "ns": "1e-9"}
_SQL_TYPES = {
    TEXT: "varchar",
    COUNT: "bigint",
    REAL: "double",
    FLAG: "boolean",
    DAY: "date",
    TIME: "timestamp",
    MONEY: "decimal(38,12)",
    EXACT: "decimal(38,24)",
}


def quoted(name: str) -> str:
    """`name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """`text` as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def json_path(keys: Sequence[str]) -> str:
    """The path of DuckDB to the field `keys` of an object."""
    return "$" + "".join('."' + key.replace('"', '\\"') + '"' for key in keys)


def sql_type(kind: pa.DataType) -> str:
    """DuckDB's type for a lake column; times are naive UTC."""
    return _SQL_TYPES[kind]


#: The environment variable with the key of hashes of prompts.
HASH_KEY = "FARTHING_HASH_KEY"
#: Variables of a DuckDB session that `keyed` reads: the key of HMAC, combined with its two pads.
INNER_PAD, OUTER_PAD = "hash_inner_pad", "hash_outer_pad"
_BLOCK_BYTES = 64


def has_hash_key() -> bool:
    """Whether prompts can be hashed."""
    return bool(os.environ.get(HASH_KEY))


def set_hash_key(con: DuckDBPyConnection) -> None:
    """Give a session what `keyed` needs: HMAC-SHA256 with the key in FARTHING_HASH_KEY (RFC 2104)."""
    key = os.environ[HASH_KEY].encode()
    block = (sha256(key).digest() if len(key) > _BLOCK_BYTES else key).ljust(_BLOCK_BYTES, b"\0")
    for name, pad in ((INNER_PAD, 0x36), (OUTER_PAD, 0x5C)):
        con.execute(f"set variable {name} = ?", [bytes(byte ^ pad for byte in block)])


def keyed(value: str) -> str:
    """HMAC-SHA256 of text as hexadecimal digits; the key is in the session, never in a statement."""
    inner = f"unhex(sha256(getvariable('{INNER_PAD}')::blob || encode({value}::varchar)))"
    return f"case when {value} is not null then sha256(getvariable('{OUTER_PAD}')::blob || {inner}) end"


def kind_of(duckdb_type: str) -> str:
    """Which conversion a Parquet column of this type needs; what is not known is taken as text."""
    stem = duckdb_type.split("(", maxsplit=1)[0]
    if duckdb_type.endswith("]") or stem in ("STRUCT", "MAP", "UNION"):
        return "nested"
    if stem == "DECIMAL":
        return "decimal" if int(duckdb_type.rstrip(")").split(",")[1]) <= 24 else "text"
    if stem.startswith("TIMESTAMP"):
        return "zoned" if "ZONE" in duckdb_type or stem.endswith("TZ") else "time"
    if stem.endswith("INT") or stem in ("INTEGER", "UINTEGER"):
        return "whole"
    return {"DOUBLE": "real", "FLOAT": "real", "DATE": "day", "BOOLEAN": "flag"}.get(stem, "text")


def number(value: str, kind: str) -> str:
    """DECIMAL(38,24): of text without loss, more than 24 decimals are null; doubles go through their shortest text.

    A double may have more decimals, for it is itself the rounded result of a calculation: it is rounded to 24.
    """
    if kind in ("whole", "decimal"):
        return f"try_cast({value} as decimal(38,24))"
    text = f"{value}::varchar"
    if kind == "real":
        return f"case when isfinite({value}) then try_cast({text} as decimal(38,24)) end"
    decimals = f"length(rtrim(regexp_extract({text}, '\\.(\\d*)', 1), '0'))"
    exponent = f"coalesce(try_cast(nullif(regexp_extract({text}, '[eE]([+-]?\\d+)', 1), '') as integer), 0)"
    # A short text without exponent cannot have too many decimals: most need no second look.
    fits = f"(length({text}) <= 24 and not contains(lower({text}), 'e') or {decimals} - {exponent} <= 24)"
    plain = f"regexp_full_match({text}, {literal(PLAIN_NUMBER)})"
    return f"case when {plain} and {fits} then try_cast({text} as decimal(38,24)) end"


def money(value: str, kind: str) -> str:
    """DECIMAL(38,12) of what `number` takes, rounded once, half away from zero: of a double its text, not its 24."""
    if kind != "real":
        return f"round({number(value, kind)}, 12)"
    return f"case when {number(value, kind)} is not null then try_cast({value}::varchar as decimal(38,12)) end"


def whole(value: str, kind: str) -> str:
    """BIGINT of a whole number, also when it is written 63.0 or 1e3; a plain cast would round 63.7."""
    if kind == "whole":
        return f"try_cast({value} as bigint)"
    exact = number(value, kind)
    other = f"case when {exact} = trunc({exact}) then try_cast({exact} as bigint) end"
    if kind != "text":
        return other
    return f"case when regexp_full_match({value}, '[+-]?\\d+') then try_cast({value} as bigint) else {other} end"


def real(value: str, kind: str) -> str:
    """DOUBLE of a finite number."""
    cast = f"try_cast({value} as double)"
    if kind == "text":
        return f"case when regexp_full_match({value}, {literal(PLAIN_NUMBER)}) then {cast} end"
    return f"case when isfinite({cast}) then {cast} end" if kind == "real" else cast


def flag(value: str) -> str:
    """BOOLEAN of the words that logs use."""
    text = f"lower({value}::varchar)"
    return (
        f"case when {text} in ('true', 't', 'yes', 'y', '1') then true "
        f"when {text} in ('false', 'f', 'no', 'n', '0') then false end"
    )


def day(value: str, kind: str) -> str:
    """DATE of a day, or the first day of a month; a time of day is refused, for it would need a zone."""
    if kind in ("day", "time", "zoned"):
        return f"{value}::date"
    text = f"{value}::varchar"
    return (
        f"case when regexp_full_match({text}, '\\d{{4}}-\\d\\d') then try_cast({text} || '-01' as date) "
        f"when regexp_full_match({text}, {literal(_DAY_TEXT)}) then try_cast(left({text}, 10) as date) end"
    )


def local_time(value: str, zone: str) -> str:
    """A time without zone as UTC; nanoseconds are cut, never rounded, to microseconds."""
    micros = f"make_timestamp(epoch_ns({value}) // 1000)"
    return micros if zone == "UTC" else f"timezone('UTC', timezone({literal(zone)}, {micros}))"


def epoch_time(value: str, unit: str, since: str | None) -> str:
    """A count of `unit` since 1970, or since the moment `since`, as UTC."""
    text = f"{value}::varchar"
    count = f"try_cast(case when regexp_full_match({text}, {literal(PLAIN_NUMBER)}) then {text} end as decimal(38,9))"
    micros = f"cast(floor({count}) as hugeint) // 1000" if unit == "ns" else f"floor({count} * {_MICROSECONDS[unit]})"
    # Seconds taken for milliseconds are in 1970, milliseconds for seconds far away: what is past 2200 is no time.
    seconds = f"{count} {_PER_SECOND[unit]} between 0 and {_LATEST_SECONDS}"
    moment = f"case when {seconds} then make_timestamp(try_cast({micros} as bigint)) end"
    if since is None:
        return moment
    return f"(timezone('UTC', timestamptz {literal(since)}) + ({moment} - timestamp '1970-01-01'))"


def duration(value: str, kind: str, unit: str) -> str:
    """A count of `unit` as an interval of at most ten years."""
    seconds = f"({real(value, kind)} * {SECONDS[unit]})"
    span = f"to_microseconds(cast(round({seconds} * 1e6) as bigint))"
    return f"case when abs({seconds}) <= {_LONGEST_SECONDS} then {span} end"


def has_zone(value: str) -> str:
    """Whether ISO 8601 text says its zone."""
    return f"(ends_with({value}, 'Z') or ends_with({value}, 'UTC') or {_has_offset(value)})"


#: A date, or a date and a time, with Z, UTC or an offset behind it or nothing.
_ISO_TIME = r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?)? ?(Z|UTC|[+-]\d\d(:?\d\d)?)?"


def time_of_text(value: str, zone: str) -> str:
    """ISO 8601 text as UTC, else null: DuckDB's plain cast would drop an offset, PM or PST behind a time in silence."""
    naive = f"try_cast({value} as timestamp)"
    local = naive if zone == "UTC" else f"timezone('UTC', timezone({literal(zone)}, {naive}))"
    utc = "" if zone == "UTC" else f"when {has_zone(value)} then {naive} "
    return (
        f"case when not regexp_full_match({value}, {literal(_ISO_TIME)}) then null "
        f"when {_has_offset(value)} then timezone('UTC', try_cast({value} as timestamptz)) {utc}else {local} end"
    )


def _has_offset(value: str) -> str:
    return f"(contains({value}, '+') or contains(substr({value}, 12), '-'))"
