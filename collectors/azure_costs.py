"""Azure cost details, of any header family, language and view, read into one form.

The two views of one month, actual and amortized, hold the same charges but for commitments. `Details` tells by the rows
which it is, and `together` makes one set of charges of both: BilledCost is what the actual view says, EffectiveCost
what the amortized one says; the two are never added.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from collectors.azure_focus import NOT_ZERO, UNUSED, commitment_bought, covered, in_focus
from collectors.azure_names import FIELDS, NUMBERS, TAKEN, english, fields_of
from collectors.lines import UnreadableError
from collectors.raw import LINE, PROBLEM, RAW, REPEATED
from farthing.lake.schemas import CHARGES

NOTES = (LINE, RAW, PROBLEM)
_FOCUS_NAMES = frozenset(name.lower() for name in CHARGES.columns)
_DECIMAL_COMMA = r"^[+-]?(0|\d{4,}|\d{1,3}(\.\d{3})+),\d+([eE]|$)|^[+-]?\d+,(\d{1,2}|\d{4,})([eE]|$)"
_DECIMAL_POINT = r"^[+-]?(0|\d{4,}|\d{1,3}(,\d{3})+)\.\d+([eE]|$)|^[+-]?\d+\.(\d{1,2}|\d{4,})([eE]|$)"


@dataclass(frozen=True)
class Details:
    """Rows with a column per field of `azure_names.FIELDS` as text, and what Azure's own columns are still there.

    `view` is "actual", "amortized", "actual and amortized" (both in one), or "" where no commitment tells them apart.
    """

    rows: pl.LazyFrame
    view: str
    family: str
    fields: frozenset[str]  # those that the file has

    @property
    def form(self) -> str:
        """What they are, for people."""
        return f"cost details ({self.family})" + (f", {self.view}" if self.view else "")

    def in_focus(self) -> pl.LazyFrame:
        """The rows with FOCUS columns.

        Where a commitment is in the rows only as it is billed, what is billed is all that can be attributed.
        """
        if self.view.endswith("amortized"):
            billed = pl.when(covered()).then(pl.lit("0")).otherwise(pl.col("cost"))
            effective = pl.when(commitment_bought()).then(pl.lit("0")).otherwise(pl.col("cost"))
            return in_focus(self.rows, billed, effective)
        return in_focus(self.rows, pl.col("cost"), pl.col("cost"))


def form_of(columns: Iterable[str]) -> str:
    """What Azure calls a file with these columns, as far as its header tells.

    Raises:
        UnreadableError: it has no cost, or no date.
    """
    names, _ = english(column for column in columns if column not in NOTES)
    lower = {name.lower() for name in names.values()}
    if {"billedcost", "effectivecost", "chargeperiodstart"} <= lower:
        return "FOCUS 1.2" if {"invoiceid", "pricingcurrency"} & lower else "FOCUS 1.0"
    for field, what in (("cost", "cost (CostInBillingCurrency, Cost or PreTaxCost)"), ("date", "date (Date)")):
        if field not in fields_of(names.values()):
            raise UnreadableError(f"these are no Azure cost details: no column has the {what}")
    if lower & {"subscriptionguid", "usagedatetime", "instanceid"}:
        return "cost details (legacy)"
    return f"cost details ({'MCA' if lower & {'pricingcurrency', 'costinpricingcurrency'} else 'EA'})"


def is_focus(columns: list[str]) -> bool:
    """Whether a file with these columns is a FOCUS export."""
    return form_of(columns).startswith("FOCUS")


def details(rows: pl.LazyFrame) -> Details:
    """`rows` with Azure's own columns, their dates and numbers in one form.

    Raises:
        UnreadableError: it is not told whether dates begin with the day, or whether a comma is the decimal one.
    """
    columns = [name for name in rows.collect_schema().names() if name not in NOTES]
    family = form_of(columns).removeprefix("cost details (").rstrip(")")
    names, localised = english(columns)
    fields = fields_of(names.values())
    text = pl.col(list(names.values())).cast(pl.String)
    rows = rows.rename(names).with_columns(pl.when(text.str.strip_chars() != "").then(text))
    own = [name for name in names.values() if name not in {fields[field] for field in TAKEN & fields.keys()}]
    rows = rows.select(
        pl.col("^~.*$"),
        *(pl.col(name).alias(f"own:{_own_name(name)}") for name in own),
        *(pl.col(fields[field]).alias(field) if field in fields else _nothing(field) for field in FIELDS),
    )
    rows = _with_days(rows, localised=localised)
    rows = _with_points(rows, localised=localised)
    return Details(rows, _view(rows), family, frozenset(fields))


def together(actual: pl.LazyFrame, amortized: pl.LazyFrame) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """Both views of one month (`Details.rows`) in FOCUS: what is used, with its bill; then what is only billed.

    The first are the rows of `amortized`, the second those of `actual`, of which those with a counterpart among the
    first are marked `REPEATED`. What is only billed, such as the purchase of a reservation, has EffectiveCost 0: its
    cost is in that of its use.
    """
    theirs, ours = _numbered(actual), _numbered(amortized)
    billed = theirs.filter(pl.col("cost").is_not_null()).select("~key", pl.col("cost").alias("~billed"))
    first = ours.join(billed, on="~key", how="left").with_columns(pl.col("~billed").fill_null("0"))
    held = ours.filter(pl.col("cost").is_not_null()).select("~key", pl.lit(value=True).alias(REPEATED))
    second = theirs.join(held, on="~key", how="left").with_columns(pl.col(REPEATED).fill_null(value=False))
    return (
        in_focus(first, pl.col("~billed"), pl.col("cost")).drop("~key", "~billed"),
        in_focus(second, pl.col("cost"), pl.when(pl.col("cost").is_not_null()).then(pl.lit("0"))).drop("~key"),
    )


def outstanding(rows: pl.LazyFrame, others: pl.LazyFrame) -> int:
    """How many of `rows` (`Details.rows`) are not among `others` with the same cost."""
    ours, theirs = (_numbered(one, "cost").select("~key") for one in (rows, others))
    left: int = ours.join(theirs, on="~key", how="anti").select(pl.len()).collect().item()
    return left


# -- what a file tells of itself --------------------------------------------------------------------------------


def _view(rows: pl.LazyFrame) -> str:
    paid = pl.col("cost").str.contains(NOT_ZERO)
    unused = pl.col("charge_type").str.to_lowercase().is_in(UNUSED)
    facts = rows.select(
        bought=commitment_bought().any(),
        used=covered().any(),
        amortized=((covered() & paid) | unused).any(),
    ).collect()
    bought, used, amortized = (bool(facts[name].item()) for name in ("bought", "used", "amortized"))
    if amortized:
        return "actual and amortized" if bought else "amortized"
    return "actual" if bought or used else ""


def _with_days(rows: pl.LazyFrame, *, localised: bool) -> pl.LazyFrame:
    """Each date as a day beside its text: `date~day`, `period_start~day`, `period_end~day`."""
    dates = ("date", "period_start", "period_end")
    # A month has few different dates, so each is read once and then looked up.
    texts = (
        pl.concat([rows.select(pl.col(name).alias("text").unique()) for name in dates]).unique().drop_nulls().collect()
    )
    numeric = r"^(\d{1,2})[/-](\d{1,2})[/-]\d{4}"
    parts = texts.select(
        pl.col("text").str.extract(numeric, group).cast(pl.Int32).alias(str(group)) for group in (1, 2)
    )
    first, second = (parts.select(pl.col(name).max()).item() or 0 for name in ("1", "2"))
    if first > 12 and second > 12:
        raise UnreadableError("some dates begin with the day and some with the month; ask Azure for the file again")
    if localised and max(first, second) <= 12 and (parts["1"] != parts["2"]).any():
        raise UnreadableError(
            "its dates could begin with the day or with the month, and no date tells; download it in English"
        )
    order = (2, 1) if first > 12 else (1, 2)  # in English Microsoft writes the month first
    days = texts.with_columns(day=_day(pl.col("text"), *order))
    return rows.with_columns(
        pl.col(name).replace_strict(days["text"], days["day"], default=None, return_dtype=pl.Date).alias(f"{name}~day")
        for name in dates
    )


def _day(text: pl.Expr, month: int, day: int) -> pl.Expr:
    midnight = r"(?:[T ](?:00?:00(?::00(?:\.0+)?)?|12:00(?::00)? AM)(?:Z|[+]00:00)?)?$"
    from_year = rf"^(\d{{4}})[-/.] ?(\d{{1,2}})[-/.] ?(\d{{1,2}})\.?{midnight}"  # 2026-09-01, 2026/9/1, 2026. 9. 1.
    parts = rf"^(\d{{1,2}})[/-](\d{{1,2}})[/-](\d{{4}}){midnight}"
    dotted = rf"^(\d{{1,2}})\.(\d{{1,2}})\.(\d{{4}}){midnight}"

    def joined(pattern: str, *places: int) -> pl.Expr:
        pieces = [text.str.extract(pattern, number) for number in places]
        return pl.concat_str(pieces, separator="-").str.to_date("%Y-%m-%d", strict=False)

    return pl.coalesce(joined(from_year, 1, 2, 3), joined(parts, 3, month, day), joined(dotted, 3, 2, 1))


def _with_points(rows: pl.LazyFrame, *, localised: bool) -> pl.LazyFrame:
    """Numbers with a decimal point, whatever the language of the file writes."""
    some = rows.select(
        pl.any_horizontal(pl.col(name).str.contains(pattern, literal=literal).any() for name in NUMBERS).alias(label)
        for label, pattern, literal in (
            ("commas", ",", True), ("comma", _DECIMAL_COMMA, False), ("point", _DECIMAL_POINT, False),
        )
    ).collect()  # fmt: skip
    commas, comma, point = (bool(some[name].item()) for name in ("commas", "comma", "point"))
    if comma and point:
        raise UnreadableError("some numbers have a decimal comma and some a decimal point; download it again")
    if commas and not comma and not point and localised:
        raise UnreadableError(
            "a comma in its numbers could be decimal or not, and no number tells; download it in English"
        )
    if not comma:
        return rows  # what has a comma all the same is refused with its line
    return rows.with_columns(pl.col(NUMBERS).str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True))


def _numbered(rows: pl.LazyFrame, *more: str) -> pl.LazyFrame:
    """`rows` with `~key`, which the counterpart in the other view has too; equal rows are counted."""
    parts = ("date", "subscription_id", "resource_id", "meter_id", "product", "charge_type", "quantity", *more)
    key = pl.concat_str([pl.col(name).str.to_lowercase().fill_null("") for name in parts], separator="\n")
    rows = rows.with_columns(key.alias("~key"))
    count = pl.int_range(pl.len()).over("~key").cast(pl.String)
    return rows.with_columns(pl.concat_str("~key", count, separator="\n"))


def _own_name(name: str) -> str:
    """What a column of Azure's is called beside those of FOCUS, which it must not be taken for."""
    return f"x_{name}" if name.lower() in _FOCUS_NAMES else name


def _nothing(name: str) -> pl.Expr:
    return pl.lit(None, pl.String).alias(name)
