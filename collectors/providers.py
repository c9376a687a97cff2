"""One name for each provider, whatever a bill calls it."""

from __future__ import annotations

import re

import polars as pl

#: normal name -> how bills begin that mean it; legal entities add a country to it.
_BEGINNINGS = {
    "Microsoft": ("Microsoft", "Azure"),
}


def normal(name: pl.Expr) -> pl.Expr:
    """The normal name of a provider; one that the table does not know stays as it is, an empty one is null."""
    known = [
        pl.when(name.str.contains(rf"(?i)^\s*{re.escape(beginning)}\b")).then(pl.lit(normal_name))
        for normal_name, beginnings in _BEGINNINGS.items()
        for beginning in beginnings
    ]
    return pl.coalesce(*known, pl.when(name.str.strip_chars() != "").then(name))
