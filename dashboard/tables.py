"""Tables that sort by their numbers and show them as figures do, each with its CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import pandas as pd  # type: ignore[import-untyped]
import streamlit as st

from farthing import figures
from farthing.console import no_formula

#: Rows drawn on screen; the CSV has all.
SHOWN = 1000


@dataclass(frozen=True)
class Column:
    """A column's heading, how its values are written, and what it means."""

    heading: str
    write: Callable[..., str] | None = None
    help: str | None = None
    width: int | None = None


def show(name: str, columns: Sequence[Column], rows: Sequence[Sequence[object]], *, height: int | None = None) -> None:
    """Draw `rows`, and a button that hands out all of them as NAME.csv."""
    frame = pd.DataFrame(rows[:SHOWN], columns=[column.heading for column in columns], dtype=object)
    written = {column.heading: column.write for column in columns if column.write}
    st.dataframe(
        frame.style.format(written, na_rep=figures.MISSING),
        hide_index=True,
        height=height or "content",
        row_height=28,
        placeholder=figures.MISSING,
        column_config={
            column.heading: st.column_config.Column(
                help=column.help, width=column.width, alignment="right" if column.write else "left"
            )
            for column in columns
        },
        key=f"table-{name}",
    )
    headings = [column.heading for column in columns]
    cut = f"The first {SHOWN:,} of {len(rows):,} rows; " if len(rows) > SHOWN else ""
    st.download_button(
        f"{cut}{name}.csv",
        data=lambda: csv_text(headings, rows),
        file_name=f"{name}.csv",
        mime="text/csv",
        type="tertiary",
        icon=":material/download:",
        on_click="ignore",
        key=f"csv-{name}",
    )


def csv_text(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """RFC 4180 text; a text that a spreadsheet would take for a formula gets an apostrophe before it."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([_cell(heading) for heading in headings])
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, date | datetime):
        return value.isoformat()
    return no_formula(value) if isinstance(value, str) else str(value)
