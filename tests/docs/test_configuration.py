from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from farthing.config import Config, from_mapping

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


def _sections(model: type[BaseModel], path: str = "") -> dict[str, type[BaseModel]]:
    """Every table that farthing.toml can have, by the heading it has on the page."""
    found: dict[str, type[BaseModel]] = {} if not path else {path: model}
    for name, field in model.model_fields.items():
        for inner in _models(field.annotation):
            key = field.alias or name
            kind = getattr(field.annotation, "__origin__", None)
            if path:
                heading = f"[{path.strip('[]')}.{key}]"
            else:
                heading = f"[[{key}]]" if kind is list else f"[{key}.NAME]" if kind is dict else f"[{key}]"
            found |= _sections(inner, heading)
    return found


def _default(field: FieldInfo) -> str:
    """A field's default as the page writes it."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "none"
    if isinstance(value, BaseModel):
        return "`{}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


def _documented(heading: str) -> dict[str, str]:
    """The keys of the table below a heading, with their defaults."""
    start = re.search(rf"^##+ {re.escape(heading)}$", PAGE, re.MULTILINE)
    assert start, f"docs/configuration.md has no section {heading}"
    text = re.split(r"^##+ ", PAGE[start.end() :], maxsplit=1, flags=re.MULTILINE)[0]
    table = text.partition("| key | type | default | meaning |\n| --- | --- | --- | --- |\n")[2].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    assert all(len(row) == 4 and all(row) for row in rows)
    return {row[0].strip("`"): row[2] for row in rows}


SECTIONS = _sections(Config)


def test_the_page_has_a_section_for_every_table_and_no_other() -> None:
    assert re.findall(r"^##+ (\[.*\])$", PAGE, re.MULTILINE) == list(SECTIONS)


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_key_is_documented_with_its_default_and_no_other_is(heading: str) -> None:
    expected = {(field.alias or name): _default(field) for name, field in SECTIONS[heading].model_fields.items()}
    assert _documented(heading) == expected


def test_every_key_of_the_whole_file_is_a_table_of_its_own() -> None:
    tables = {re.sub(r"[\[\]]|\.NAME", "", heading) for heading in SECTIONS}
    assert {name for name, field in Config.model_fields.items() if not field.exclude} <= tables


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_of_the_page_is_a_configuration(example: str) -> None:
    from_mapping(tomllib.loads(example))


def test_every_section_has_an_example() -> None:
    written = "\n".join(EXAMPLES)
    for heading in SECTIONS:
        stem = re.escape(heading.replace("NAME", "").rstrip("].").lstrip("["))
        key = re.escape(heading.strip("[]").rpartition(".")[2])
        assert re.search(rf"^(\[+{stem}|{key} = )", written, re.MULTILINE), heading
