"""What a page draws of farthing's charts: the chart itself, and the one legend of all of them."""

from __future__ import annotations

import streamlit as st

from farthing.charts import INK, KINDS, Chart


def draw(chart: Chart, key: str) -> None:
    """The chart as wide as its place; `key` is its name on the page."""
    st.altair_chart(chart, theme=None, width="stretch", key=f"chart-{key}")


def legend() -> None:
    """One line that says which colour is which kind of cost, for all charts of a page."""
    entries = "".join(
        f'<span title="{meaning}" style="margin-right:1.2rem;white-space:nowrap"><span style="display:inline-block;'
        f'width:.75rem;height:.75rem;margin-right:.35rem;background:{colour};vertical-align:-1px"></span>{kind}</span>'
        for kind, (colour, meaning) in KINDS.items()
    )
    st.html(f'<div style="font-size:.8rem;color:{INK}"><b style="margin-right:1.2rem">Kinds of cost</b>{entries}</div>')
