"""One name for each provider, whatever a bill calls it."""

from __future__ import annotations

import re

import polars as pl

from collectors.frames import NOTHING, case
from collectors.values import literal

ANTHROPIC = "Anthropic"
OPENAI = "OpenAI"
#: normal name -> how bills begin that mean it; legal entities add a country to it.
_BEGINNINGS = {
    "AWS": ("AWS", "Amazon Web Services", "Amazon.com"),
    "Google Cloud": ("Google", "GCP"),
    "Microsoft": ("Microsoft", "Azure"),
    OPENAI: ("OpenAI",),
    ANTHROPIC: ("Anthropic",),
}


def normal(name: pl.Expr) -> pl.Expr:
    """The normal name of a provider; one that the table does not know stays as it is, an empty one is null."""
    known = [
        (name.str.contains(_begins(beginning)), normal_name)
        for normal_name, beginnings in _BEGINNINGS.items()
        for beginning in beginnings
    ]
    return case((name.str.strip_chars() == "", NOTHING), *known, otherwise=name)


def normal_sql(name: str) -> str:
    """The same for a column of a file that is read in SQL."""
    known = [
        f"when regexp_matches({name}, {literal(_begins(beginning))}) then {literal(normal_name)}"
        for normal_name, beginnings in _BEGINNINGS.items()
        for beginning in beginnings
    ]
    return f"case {' '.join(known)} else {name} end"


def _begins(beginning: str) -> str:
    return rf"(?i)^\s*{re.escape(beginning)}\b"
