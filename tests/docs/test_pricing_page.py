"""docs/pricing.md says every key of tiers.toml with its default."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from farthing.tiers.panel import NAMES
from farthing.tiers.spec import Spec

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "pricing.md").read_text(encoding="utf-8")


def _model(annotation: Any) -> type[BaseModel]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    [found] = [part for part in get_args(annotation) if isinstance(part, type) and issubclass(part, BaseModel)]
    return found


def _heading(name: str, field: FieldInfo) -> str:
    kind = getattr(field.annotation, "__origin__", None)
    return f"[[{name}]]" if kind is list else f"[{name}.MODEL]" if kind is dict else f"[{name}]"


SECTIONS = {_heading(name, field): _model(field.annotation) for name, field in Spec.model_fields.items()}


def _plain(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_plain, value))}]"
    return repr(float(value)) if isinstance(value, Decimal | float | int) else str(value)


def _written(text: str) -> str:
    """A default of the page, with numbers in one form."""
    return re.sub(r"\d+(\.\d+)?", lambda number: repr(float(number[0])), text.strip('`"'))


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_key_is_on_the_page_with_its_default_and_no_other_is(heading: str) -> None:
    text = PAGE.split(f"\n### {heading}\n")[1].split("\n##")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")
    ]
    told = {row[0].strip("`"): _written(row[1]) for row in rows}
    expected = {}
    for name, field in SECTIONS[heading].model_fields.items():
        default = field.get_default(call_default_factory=True)
        expected[name] = "required" if field.is_required() else "none" if default is None else _plain(default)
    assert told == expected


@pytest.mark.parametrize("role", NAMES)
def test_every_name_that_a_column_may_have_is_on_the_page(role: str) -> None:
    [line] = [line for line in PAGE.splitlines() if re.match(rf"\| {role}( \(optional\))? \|", line)]
    assert all(re.search(rf"\b{name}\b", line) for name in NAMES[role])
