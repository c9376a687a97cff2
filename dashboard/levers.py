"""What a reader may change of a what-if card: its pool, models and target, and the numbers that it stands on."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import streamlit as st
from pydantic import ValidationError

from dashboard.parts import name as plain
from farthing.whatif.month import Month
from farthing.whatif.suited import models_of
from models.whatif.inputs import Input, Lever
from models.whatif.moves import ToOwnGpus

#: Why an input is what it is, once the reader has changed it.
CHANGED = "set on this page"
_WHOLE = ("ttl_hours", "term_months")


def edited(lever: Lever, month: Month) -> Lever | None:
    """The lever as the reader has changed it; None, in words, where it makes no sense.

    A number that was changed is assumed, whatever it was before.
    """
    values = lever.model_dump(by_alias=True, exclude_unset=True)
    where = lever.name
    if values.get("pool") is not None:
        pools = sorted({fleet.pool for fleet in month.fleets})
        values["pool"] = st.selectbox("Pool", pools, index=pools.index(values["pool"]), key=f"{where}.pool")
    if values.get("which", {}).get("models"):
        values["which"]["models"] = _models(lever, values["which"]["models"], month)
    if "to" in values:
        for part, label in (("model", "To model"), ("provider", "of provider")):
            given = values["to"].get(part) or ""
            values["to"][part] = st.text_input(label, given, key=f"{where}.to.{part}").strip() or None
    for name in _WHOLE:
        if name in values:
            number = st.number_input(_label(name), 1, value=int(values[name]), key=f"{where}.{name}")
            values[name] = type(values[name])(number)
    for name in lever.inputs():
        if name in values:
            values[name] = _input(values[name], _label(name), f"{where}.{name}")
    for need in values.get("needs", ()):
        need["units"] = _input(need["units"], f"{values['unit']} needed from {need['from']}", f"{where}.{need['from']}")
    for number, offer in enumerate(values.get("offers", ())):
        key = f"{where}.{number}"
        offer["capacity"] = st.number_input(
            f"{plain(offer['provider'])}: capacity", 0.0, value=float(offer["capacity"]), format="%g", key=key
        )
        offer["unit_hour"] = _input(offer["unit_hour"], f"{plain(offer['provider'])}: price of an hour", f"{key}.hour")
    # An offer of nothing is none.
    if "offers" in values:
        values["offers"] = [offer for offer in values["offers"] if offer["capacity"]]
    try:
        return type(lever).model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        message = str(first["msg"]).removeprefix("Value error, ")
        st.warning(f"{plain(key)}: {plain(message)}. The card is left out.")
        return None


def _models(lever: Lever, patterns: Sequence[str], month: Month) -> Sequence[str]:
    """The models that are chosen; the patterns as they stand where nothing was changed."""
    options = models_of(lever, month)
    if isinstance(lever, ToOwnGpus) and not options:
        return patterns
    fit = [one for one in options if any(fnmatchcase(one.lower(), pattern.lower()) for pattern in patterns)]
    chosen = st.multiselect("Models", options, fit, key=f"{lever.name}.models")
    return patterns if chosen == fit or not chosen else chosen


def _input(given: dict[str, Any], label: str, key: str) -> dict[str, Any]:
    """A number: one, the ends of a range, or how often a thing was seen and how often not."""
    known = Input.model_validate(given)
    if known.value is not None:
        value = _number(label, known.value, key)
        changed: dict[str, Any] = {"value": value}
    elif known.beta is not None:
        left, right = st.columns(2, gap="small")
        seen = _number(f"{label}: seen", known.beta[0], f"{key}.seen", left)
        changed = {"beta": (seen, _number("not seen", known.beta[1], f"{key}.not", right))}
    else:
        assert known.range is not None
        places = st.columns(len(known.range), gap="small")
        parts = ("low", "likely", "high") if len(known.range) > 2 else ("low", "high")
        changed = {
            "range": tuple(
                _number(f"{label}: {part}" if place is places[0] else part, number, f"{key}.{part}", place)
                for part, number, place in zip(parts, known.range, places, strict=True)
            )
        }
    [(form, now)] = changed.items()
    return given if now == getattr(known, form) else {**changed, "basis": "assumed", "why": CHANGED}


def _number(label: str, value: float, key: str, place: Any = st) -> float:
    return float(place.number_input(label, 0.0, value=float(value), format="%g", key=key))


def _label(name: str) -> str:
    return name.replace("_", " ").capitalize()
