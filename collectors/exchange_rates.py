"""Dated exchange rates: the reference rates of the ECB as its files have them, or a small table of one's own.

A rate is how many units of `currency` one unit of `base` is worth on `day`. The wide tables of the ECB have a line per
day and a column per currency; each cell with a rate is a row here. `N/A`, or nothing, is no rate.
"""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from collectors.checks import unknown_exchange_currency
from collectors.kind import Check, Deliverable, Kind, Row
from collectors.landing import Files
from collectors.lines import UnreadableError
from collectors.mapping import Dialect
from collectors.raw import LINE, PROBLEM, RAW, ROWS_APART
from collectors.statements import Download, rows_of
from collectors.values import literal
from farthing.config import Config, Source
from farthing.lake.schemas import EXCHANGE_RATES

#: What a rate lies between: so far apart that each real one does, so near that no product leaves its type.
_LEAST, _MOST = "0.00000001", "100000000"
_DECIMALS = 18

_BASE_OF_THE_ECB = "EUR"
_PORTAL = frozenset({"CURRENCY", "CURRENCY_DENOM", "TIME_PERIOD", "OBS_VALUE"})
#: Columns of the portal, and the only value with which a row is the rate of a day.
_PORTAL_SAYS = {"FREQ": "D", "EXR_TYPE": "SP00", "UNIT_MULT": "0"}
_NO_RATE = ("", "N/A", "NaN")


def _checks(_row: Row) -> Sequence[Check]:
    return [
        unknown_exchange_currency("currency"),
        unknown_exchange_currency("base"),
        ('"currency" = "base"', literal("currency and base are the same")),
        ('"rate" <= 0', "'rate is not above 0: ' || \"rate\""),
        (
            f'"rate" not between {_LEAST} and {_MOST}',
            f"'rate ' || \"rate\" || {literal(f' is not between {_LEAST} and {_MOST}')}",
        ),
        (
            f'"rate" <> round("rate", {_DECIMALS})',
            f"'rate ' || \"rate\" || {literal(f' has more than {_DECIMALS} decimals')}",
        ),
    ]


KIND = Kind(Dialect(EXCHANGE_RATES), needed=lambda _: EXCHANGE_RATES.required, checks=_checks)


class RateFile(Download):
    """A file of rates, in whichever form it is; a .zip holds one such file."""

    kind_of_bill = "exchange rates"

    def read(self, folder: Path) -> pl.LazyFrame:
        """Rows of day, currency, base and rate as text; a table of one's own as it is, for its column map."""
        rows = rows_of([_unpacked(self.file.fetch(folder), folder)], folder)
        names = [name for name in rows.collect_schema().names() if name not in (LINE, RAW, PROBLEM)]
        pairs = {name: pair for name in names[1:] if (pair := _pair(name))}
        if names[0].lower() == "date" and pairs and all(name in pairs or _is_idle(name) for name in names[1:]):
            self.form = "ECB reference rates"
            return _cells(rows, names[0], pairs)
        if frozenset(names) >= _PORTAL:
            self.form = "ECB data portal"
            return _observations(rows, names)
        self.form = "table of rates"
        return rows


class RateFiles(Files):
    """Files of exchange rates, each landed when it is new or changed."""

    def find(self, name: str, source: Source, config: Config) -> Sequence[Deliverable]:
        """The files of `path`.

        Raises:
            ConfigError: path is missing, or a setting means nothing here.
            SourceError: nothing is there, or a store cannot be listed.
        """
        return [RateFile(found) for found in super().find(name, source, config)]


def _unpacked(path: Path, folder: Path) -> Path:
    """The file itself, or the one that a .zip holds."""
    if path.suffix.lower() != ".zip":
        return path
    try:
        with zipfile.ZipFile(path) as packed:
            inside = [one for one in packed.infolist() if not one.is_dir() and not one.filename.startswith("__MACOSX")]
            if len(inside) != 1:
                raise UnreadableError(f"the .zip holds {len(inside)} files; one CSV file is expected")
            target = folder / "unpacked" / path.name / Path(inside[0].filename).name
            target.parent.mkdir(parents=True, exist_ok=True)
            with packed.open(inside[0]) as source, target.open("wb") as made:
                shutil.copyfileobj(source, made)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise UnreadableError(f"this is no readable .zip ({error})") from error
    return target


def _pair(name: str) -> tuple[str, str] | None:
    """Currency and base of a column: `USD`, or in the portal's download `US dollar/Euro (EXR.D.USD.EUR.SP00.A)`."""
    if re.fullmatch(r"[A-Z]{3}", name):
        return name, _BASE_OF_THE_ECB
    key = re.search(r"\(EXR\.D\.([A-Z]{3})\.([A-Z]{3})\.SP00\.A\)$", name)
    return (key[1], key[2]) if key else None


def _is_idle(name: str) -> bool:
    """Whether a column says nothing: one without a name, as lines end with a comma, or the day once more."""
    return re.fullmatch(r"column \d+|TIME PERIOD", name) is not None


def _cells(rows: pl.LazyFrame, date: str, pairs: Mapping[str, tuple[str, str]]) -> pl.LazyFrame:
    """A row for each cell that has a rate; a line that is none, or has no day, is one row with the reason."""
    text = pl.col(date).str.strip_chars()
    in_words = text.str.to_date("%d %B %Y", strict=False).dt.to_string("iso")
    day = pl.when(text.str.contains(r"^\d{4}-\d\d-\d\d$")).then(text).otherwise(in_words)
    dated = rows.with_columns(day=day)
    no_day = pl.format("Date: '{}' is no day", pl.col(date).fill_null(""))
    line = pl.concat_str([date, *pairs], separator=",", ignore_nulls=True)
    wrong = dated.filter(pl.col("day").is_null()).select(
        LINE,
        pl.coalesce(RAW, line).alias(RAW),
        pl.coalesce(PROBLEM, no_day).alias(PROBLEM),
        *(pl.lit(None, pl.String).alias(name) for name in ("day", "currency", "base", "rate")),
    )
    each = [
        dated.filter(pl.col("day").is_not_null() & _has_rate(pl.col(name))).select(
            pl.col(LINE) + number * ROWS_APART,
            RAW,
            PROBLEM,
            "day",
            pl.lit(currency).alias("currency"),
            pl.lit(base).alias("base"),
            pl.col(name).alias("rate"),
        )
        for number, (name, (currency, base)) in enumerate(pairs.items())
    ]
    return pl.concat([*each, wrong])


def _observations(rows: pl.LazyFrame, names: Sequence[str]) -> pl.LazyFrame:
    """The rows of the portal's table; those that are no rate of a day have the reason."""
    problem: pl.Expr = pl.col(PROBLEM)
    for name, value in _PORTAL_SAYS.items():
        if name in names:
            said = pl.col(name).str.strip_chars()
            other = pl.when((said != value) & (said != "")).then(
                pl.format(f"{name} is {{}}, not {value}: this is no rate of a day", said)
            )
            problem = pl.coalesce(problem, other)
    return rows.filter(_has_rate(pl.col("OBS_VALUE")) | pl.col(PROBLEM).is_not_null()).select(
        LINE,
        RAW,
        problem.alias(PROBLEM),
        day=pl.col("TIME_PERIOD"),
        currency=pl.col("CURRENCY"),
        base=pl.col("CURRENCY_DENOM"),
        rate=pl.col("OBS_VALUE"),
    )


def _has_rate(text: pl.Expr) -> pl.Expr:
    return text.is_not_null() & ~text.str.strip_chars().is_in(_NO_RATE)


COLLECTOR = RateFiles(KIND)
