"""A table of users, months and costs, from a file or a frame, as the arrays that menus are worked out on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from farthing import figures
from farthing.errors import ConfigError
from farthing.tiers.spec import Spec
from models.pricing.panel import Panel
from models.pricing.plans import Plan

#: What each column may be called, in small letters; the first that is there is taken.
NAMES = {
    "user": ("user", "user_id", "uid", "userid", "customer", "customer_id", "account", "account_id", "payer"),
    "month": ("month", "billing_month", "period", "billing_period", "date", "day", "usage_month"),
    "cost": ("cost", "cogs", "cogs_cost", "total_cost", "effective_cost", "effectivecost", "amount", "spend"),
    "plan": ("plan", "plan_name", "current_plan"),
    "segment": ("segment",),
    "currency": ("currency", "billingcurrency", "billing_currency"),
}
_NEEDED = ("user", "month", "cost")
NO_PLAN = "(no plan)"
#: What plans of today are called where nobody has said any.
TODAY = "today"


@dataclass(frozen=True)
class Coverage:
    """Where every row of the table went, and what of its cost is nobody's."""

    rows: int
    taken: int
    without_month: int
    without_cost: int
    without_user: int
    merged: int  # further rows of a user and month that is there already
    at_or_below_zero: int
    cost: float  # of all rows with a month
    unattributed_share: float
    unattributed: str  # what became of it
    columns: dict[str, str]  # which column was taken for which
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Read:
    """A panel, the names behind its numbers, and how well it covers what it is about."""

    panel: Panel
    users: pl.Series
    months: Sequence[str]
    groups: Sequence[tuple[str, bool]]  # plan of today, and whether a segment that is not touched
    currency: str
    coverage: Coverage
    prices: dict[str, Plan] = field(default_factory=dict)  # plans of today that the data know


def read_file(path: Path, spec: Spec, currency: str | None) -> Read:
    """Read a panel from Parquet or CSV.

    Raises:
        ConfigError: it cannot be read, a column is missing, or it has several currencies and none was chosen.
    """
    try:
        if path.suffix.lower() in {".csv", ".txt"} or path.name.lower().endswith(".csv.gz"):
            frame = pl.read_csv(path, infer_schema=False)  # the user 007 is not the user 7
        else:
            schema = pl.read_parquet_schema(path)
            wanted = [name for name in _columns(list(schema), path).values() if name]
            frame = pl.read_parquet(path, columns=wanted)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ConfigError(
            f"cannot be read: {str(error).splitlines()[0]}.",
            file=path,
            fix="name a Parquet or CSV file with the columns user, month and cost.",
        ) from None
    return read(frame, spec, currency, file=path)


def read(
    frame: pl.DataFrame,
    spec: Spec,
    currency: str | None,
    *,
    file: Path | str,
    notes: Sequence[str] = (),
    prices: dict[str, Plan] | None = None,
) -> Read:
    """The panel of a frame with columns named as in `NAMES`; rows of one user and month are added up.

    Raises:
        ConfigError: a column is missing, nothing is left, or it has several currencies and none was chosen.
    """
    found = _columns(frame.columns, file)
    frame, currency = _one_currency(frame, found["currency"], currency, file)
    rows = frame.height
    table = frame.select(
        user=pl.col(found["user"]).cast(pl.String).replace("", None),
        month=_month(frame.schema[found["month"]], found["month"]),
        cost=_number(frame.schema[found["cost"]], found["cost"]),
        plan=pl.col(found["plan"]).cast(pl.String) if found["plan"] else pl.lit(None, pl.String),
        segment=pl.col(found["segment"]).cast(pl.String) if found["segment"] else pl.lit(None, pl.String),
    )
    del frame
    no_month, table = _split(table, pl.col("month").is_not_null())
    no_cost, table = _split(table, pl.col("cost").is_finite().fill_null(value=False))
    total = float(table["cost"].sum())
    nobody = table.filter(pl.col("user").is_null()).group_by("month").agg(pl.col("cost").sum())
    no_user, table = _split(table, pl.col("user").is_not_null())
    if table.is_empty():
        raise ConfigError(
            f"none of its {rows:,} rows has a user, a month and a cost: {no_month:,} have no month in"
            f" '{found['month']}', {no_cost:,} more no cost in '{found['cost']}', {no_user:,} more no user in"
            f" '{found['user']}'.",
            file=file,
            fix="write months like 2026-10 and costs like 12.5.",
        )
    months = table["month"].unique().sort()
    users = table["user"].unique().sort()
    plans = _plan_names(table, spec, prices or {}, found["plan"], file)
    segments = set(spec.keep.segments)
    if unknown := sorted(segments - set(table["segment"].drop_nulls().unique())):
        raise ConfigError(
            f"nobody is of the segment '{unknown[0]}'.",
            file=file,
            key="keep.segments",
            fix="give the panel a column `segment`, or check its spelling.",
        )
    table = table.with_columns(untouched=pl.col("segment").is_in(sorted(segments)).fill_null(value=False))
    groups = [
        (plan or NO_PLAN, bool(untouched))
        for plan, untouched in table.select(plans.alias("plan"), "untouched").unique().sort("plan", "untouched").rows()
    ]
    numbered = {group: number for number, group in enumerate(groups)}
    group = np.zeros(table.height, dtype=np.int64)
    if len(groups) > 1:
        names = [f"{plan}\n{untouched}" for plan, untouched in numbered]
        label = plans.fill_null(NO_PLAN) + "\n" + table["untouched"].replace_strict({True: "True", False: "False"})
        group = label.cast(pl.Enum(names)).to_physical().to_numpy().astype(np.int64)
    user = table["user"].cast(pl.Enum(users)).to_physical().to_numpy().astype(np.int64)
    month = table["month"].cast(pl.Enum(months)).to_physical().to_numpy().astype(np.int64)
    cost = table["cost"].to_numpy()
    merged = 0
    places = np.bincount(user * len(months) + month, minlength=1)
    if places.max() > 1:
        merged = int((places[places > 1] - 1).sum())
        user, month, group, cost = _merge(user, month, group, cost, len(months))
    cost, how = _with_unattributed(cost, month, months, nobody, spec, file)
    coverage = Coverage(
        rows,
        rows - no_month - no_cost - no_user - merged,
        no_month,
        no_cost,
        no_user,
        merged,
        int((cost <= 0).sum()),
        total,
        float(nobody["cost"].sum()) / total if total else 0.0,
        how,
        {role: name for role, name in found.items() if name},
        [*notes, *_told(no_month, no_cost, merged, nobody, total, how)],
    )
    panel = Panel(user, month, group, cost, len(users), len(months), len(groups))
    return Read(panel, users, months.to_list(), groups, currency, coverage, prices or {})


def _told(no_month: int, no_cost: int, merged: int, nobody: pl.DataFrame, total: float, how: str) -> list[str]:
    """What people should know of rows that are not simply taken."""
    told = [
        f"{figures.counted(count, 'row')} {why}"
        for count, why in (
            (no_month, "without a month: left out"),
            (no_cost, "without a cost: left out"),
            (merged, "of a user and month that was there already: added up"),
        )
        if count
    ]
    if total and (alone := float(nobody["cost"].sum())):
        told.append(f"{alone / total:.1%} of the cost is nobody's: {how}")
    return told


def _split(table: pl.DataFrame, kept: pl.Expr) -> tuple[int, pl.DataFrame]:
    left = table.filter(kept)
    return table.height - left.height, left


def _columns(names: Sequence[str], file: Path | str) -> dict[str, str]:
    """The column for each role; empty where there is none."""
    by_small = {name.lower().strip(): name for name in reversed(names)}
    found = {role: next((by_small[name] for name in known if name in by_small), "") for role, known in NAMES.items()}
    if missing := [role for role in _NEEDED if not found[role]]:
        known = ", ".join(NAMES[missing[0]])
        raise ConfigError(
            f"no column is the {missing[0]}; there are {', '.join(names)}.", file=file, fix=f"name one of {known}."
        )
    return found


def _one_currency(frame: pl.DataFrame, column: str, currency: str | None, file: Path | str) -> tuple[pl.DataFrame, str]:
    if not column:
        return frame, currency or "USD"
    there = frame[column].cast(pl.String).drop_nulls().unique().sort().to_list()
    if currency is None and len(there) > 1:
        raise ConfigError(
            f"its costs are in {', '.join(there)}, which are never added.", file=file, fix="choose with --currency."
        )
    chosen = currency or (there[0] if there else "USD")
    if currency is not None and currency not in there:
        raise ConfigError(f"no cost is in {currency}; there are {', '.join(there)}.", file=file, fix="--currency.")
    return frame.filter(pl.col(column).cast(pl.String) == chosen), chosen


def _number(kind: pl.DataType, name: str) -> pl.Expr:
    column = pl.col(name)
    return (column.str.strip_chars() if kind == pl.String else column).cast(pl.Float64, strict=False)


def _month(kind: pl.DataType, name: str) -> pl.Expr:
    """The month as text like 2026-10; up to four digits alone are the number of a month, in their order."""
    column = pl.col(name)
    if kind == pl.Date or isinstance(kind, pl.Datetime):
        return column.dt.strftime("%Y-%m")
    text = column.cast(pl.String).str.strip_chars()
    parts = text.str.extract_groups(r"^(?<year>\d{4})[-/]?(?<month>0[1-9]|1[0-2])(?:\D.*|\d{2}.*)?$")
    number = text.str.extract(r"^(\d{1,4})(?:\.0+)?$").str.zfill(4)
    return pl.coalesce(parts.struct.field("year") + "-" + parts.struct.field("month"), number)


def _plan_names(table: pl.DataFrame, spec: Spec, prices: dict[str, Plan], column: str, file: Path | str) -> pl.Series:
    """The plan of today of each row."""
    names = [plan.name for plan in spec.plans]
    if column:
        unknown = set(table["plan"].drop_nulls().unique()) - {*names, *prices, NO_PLAN}
        if names and unknown:
            raise ConfigError(
                f"the panel has users on the plan '{min(unknown)}', which the spec does not know.",
                file=file,
                key="plans",
                fix=f'add [[plans]] with name = "{min(unknown)}" and its price.',
            )
        return table["plan"]
    if len(names) > 1:
        raise ConfigError(
            f"the spec has {len(names)} plans, and no column says who is on which.",
            file=file,
            key="plans",
            fix="add a column `plan`, or leave one plan in the spec.",
        )
    return pl.Series("plan", [names[0] if names else TODAY], dtype=pl.String).new_from_index(0, table.height)


def _merge(
    user: np.ndarray[tuple[int], np.dtype[np.int64]],
    month: np.ndarray[tuple[int], np.dtype[np.int64]],
    group: np.ndarray[tuple[int], np.dtype[np.int64]],
    cost: np.ndarray[tuple[int], np.dtype[np.float64]],
    months: int,
) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], ...]:
    """One row for each user and month; of several plans in it, the first."""
    keys, first, place = np.unique(user * months + month, return_index=True, return_inverse=True)
    return keys // months, keys % months, group[first], np.bincount(place, weights=cost)


def _with_unattributed(
    cost: np.ndarray[tuple[int], np.dtype[np.float64]],
    month: np.ndarray[tuple[int], np.dtype[np.int64]],
    months: pl.Series,
    nobody: pl.DataFrame,
    spec: Spec,
    file: Path | str,
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], str]:
    """Costs of users with, where the spec wants it, what is nobody's spread over them in its month."""
    if nobody.is_empty() or not nobody["cost"].abs().sum():
        return cost, "none"
    if spec.costs.unattributed == "leave":
        return cost, "left out: margins are that much too good"
    alone = dict(nobody.rows())
    extra = np.array([alone.get(name, 0.0) for name in months])
    own = np.bincount(month, weights=cost, minlength=len(months))
    if np.any((extra != 0) & (own <= 0)) or set(alone) - set(months):
        raise ConfigError(
            "in some month cost is nobody's, and no user costs anything it could be spread by.",
            file=file,
            key="costs.unattributed",
            fix='set unattributed = "leave", or leave that month out.',
        )
    if np.any(own + extra < 0):
        raise ConfigError(
            "in some month more is taken off the cost that is nobody's than all users cost.",
            file=file,
            key="costs.unattributed",
            fix='set unattributed = "leave", or take cost before credits.',
        )
    factors = np.divide(own + extra, own, out=np.ones_like(own), where=own > 0)
    return cost * factors[month], "spread over users by their cost of the month"
