"""One name for each provider, whatever a bill calls it."""

from __future__ import annotations

from typing import Any

import polars as pl

#: normal name -> how bills begin that mean it, in lower case; legal entities add a country to it.
_BEGINNINGS = {
    "AWS": ("aws", "amazon web services", "amazon.com"),
    "Google Cloud": ("google", "gcp"),
}


def normal(name: pl.Expr) -> pl.Expr:
    """The normal name of a provider; one that the table does not know stays as it is, an empty one is null."""
    lowered = name.str.to_lowercase().str.strip_chars()
    chosen: Any = pl.when(lowered == "").then(pl.lit(None, pl.String))
    for known, beginnings in _BEGINNINGS.items():
        for beginning in beginnings:
            chosen = chosen.when(lowered.str.contains(rf"^{beginning.replace('.', '[.]')}\b")).then(pl.lit(known))
    made: pl.Expr = chosen.otherwise(name)
    return made
