"""Small expressions that turn the columns of a provider's bill into those of FOCUS."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

NOTHING = pl.lit(None, pl.String)
#: What stands for a character in a JSON string.
_ESCAPES = {"\\": "\\\\", '"': '\\"', **dict.fromkeys(map(chr, range(32)), " ")}


def case(*choices: tuple[pl.Expr, pl.Expr | str | None], otherwise: pl.Expr | str | None = None) -> pl.Expr:
    """The value of the first condition that holds; a text means itself."""
    made: pl.Expr = _value(otherwise)
    for condition, value in reversed(choices):
        made = pl.when(condition).then(_value(value)).otherwise(made)
    return made


def filled(text: pl.Expr) -> pl.Expr:
    """Text, null where it is empty."""
    return pl.when(text != "").then(text)


def json_text(text: pl.Expr | str) -> pl.Expr:
    """Text as a JSON string; control characters become blanks."""
    return '"' + _value(text).str.replace_many(_ESCAPES) + '"'


def json_object(pairs: Iterable[tuple[str, pl.Expr]]) -> pl.Expr:
    """A JSON object of the texts that are not null, null where all are."""
    texts = [json_text(key) + ":" + json_text(value) for key, value in pairs]
    return _braced(pl.concat_str(texts, separator=",", ignore_nulls=True)) if texts else NOTHING


def json_of_entries(entries: pl.Expr, key: pl.Expr, value: pl.Expr) -> pl.Expr:
    """A JSON object of a list of entries, `key` and `value` being expressions over `pl.element()`."""
    return _braced(entries.list.eval(json_text(key) + ":" + json_text(value)).list.drop_nulls().list.join(","))


def _braced(text: pl.Expr) -> pl.Expr:
    return pl.when(text != "").then("{" + text + "}")


def _value(value: pl.Expr | str | None) -> pl.Expr:
    return value if isinstance(value, pl.Expr) else pl.lit(value)  # null takes the type of the others
