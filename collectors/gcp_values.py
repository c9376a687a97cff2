"""Nested values of Google Cloud's bills: credits and labels, as JSON or as Python wrote them."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation, localcontext
from functools import lru_cache
from typing import Any

#: Arrays that numpy printed have no comma between their elements.
_GAP = re.compile(r"\}\s+\{")
_DECIMAL = re.compile(r"Decimal\((['\"])([^'\"]*)\1\)")
_SUM = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?\s*")
_COMMITMENT = "COMMITTED_USAGE_DISCOUNT"
#: Keys that a later column gives win over those of an earlier one: what is nearer to the resource counts.
_BY_NEARNESS = ("project.labels", "tags", "labels", "system_labels")


@dataclass(frozen=True)
class Credits:
    """The credits of one row, amounts as exact text.

    `total` is the sum of those that lower the price of use, `commitment` the part of it for commitments; null where
    there are none. `promotions` are the others: what somebody granted. `problem` says why nothing is known.
    """

    total: str | None = None
    commitment: str | None = None
    promotions: list[dict[str, str]] = field(default_factory=list)
    problem: str | None = None


def elements(text: str) -> list[dict[str, Any]]:
    """The objects of an array that is written as JSON, or as Python or numpy print it; numbers as their text.

    Raises:
        ValueError: the text is none of these.
    """
    try:
        found = json.loads(text, parse_float=str, parse_int=str)
    except ValueError:
        plain = _DECIMAL.sub(r"'\2'", _GAP.sub("}, {", text.strip()))
        try:
            found = ast.literal_eval(plain)
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
            raise ValueError("neither JSON nor a Python list") from error
    if isinstance(found, dict):
        found = [found]
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise ValueError("no list of objects")
    return found


def fields_of(text: str) -> dict[str, str | None] | None:
    """The fields of one object as text, what is nested as JSON; None where the text is no object."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        [fields] = elements(text)
    except ValueError:
        return None
    return {
        name: value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in fields.items()
    }


@lru_cache(maxsize=100_000)
def credits_of(text: str | None) -> Credits:
    """What a row's `credits` come to."""
    if text is None:
        return Credits()
    if _SUM.fullmatch(text):  # somebody added them up
        return Credits(total=format(Decimal(text), "f"))
    sums: dict[str, Decimal] = {}
    promotions = []
    try:
        with localcontext(prec=60):
            for one in map(_lowered, elements(text)):
                kind, amount = str(one.get("type") or ""), Decimal(str(one["amount"]))
                if not amount.is_finite():
                    raise InvalidOperation
                if kind == "PROMOTION":
                    named = str(one.get("full_name") or one.get("name") or "")
                    promotions.append({"name": named, "id": str(one.get("id") or ""), "amount": format(amount, "f")})
                    continue
                for name in ("total", "commitment") if kind.startswith(_COMMITMENT) else ("total",):
                    sums[name] = sums.get(name, Decimal(0)) + amount
    except (ValueError, InvalidOperation, KeyError) as error:
        why = str(error) if type(error) is ValueError else "an element without a readable amount"
        return Credits(problem=f"credits: '{text[:100]}' is {why}")
    return Credits(**{name: format(amount, "f") for name, amount in sums.items()}, promotions=promotions)


@lru_cache(maxsize=100_000)
def tags_of(*columns: str | None) -> str | None:
    """Labels of project, tags, labels and system labels (`_BY_NEARNESS`) as one JSON object; null when there are none.

    A key that two of them give differently is kept a second time, under the farther one's name.
    """
    together: dict[str, Any] = {}
    for place, text in zip(_BY_NEARNESS, columns, strict=True):
        if text is None:
            continue
        try:
            pairs = _pairs(text)
        except ValueError:
            together[f"x_unreadable_{place}"] = text
            continue
        for key, value in pairs.items():
            if key in together and together[key] != value:
                together[f"{_farther(key, place, columns)}:{key}"] = together[key]
            together[key] = value
    return json.dumps(together, ensure_ascii=False) if together else None


def object_of(text: str | None) -> str | None:
    """Tags of a FOCUS row as one JSON object, where they are an array of keys and values; else as they are."""
    if text is None or not text.lstrip().startswith("["):
        return text
    try:
        pairs = _pairs(text)
    except ValueError:
        return text
    return json.dumps(pairs, ensure_ascii=False) if pairs else None


def _pairs(text: str) -> dict[str, Any]:
    """Keys and values, written as an array of `key` and `value` or as one object."""
    found: dict[str, Any] = {}
    for one in elements(text):
        pair = _lowered(one)
        found.update({str(pair["key"]): pair.get("value")} if "key" in pair else one)
    return found


def _lowered(one: Mapping[str, Any]) -> dict[str, Any]:
    return {str(key).lower(): value for key, value in one.items()}


def _farther(key: str, place: str, columns: tuple[str | None, ...]) -> str:
    """Which column before `place` gave `key` last."""
    before = _BY_NEARNESS[: _BY_NEARNESS.index(place)]
    return next(name for name in reversed(before) if key in _readable(columns[_BY_NEARNESS.index(name)]))


def _readable(text: str | None) -> dict[str, Any]:
    try:
        return _pairs(text) if text else {}
    except ValueError:
        return {}
