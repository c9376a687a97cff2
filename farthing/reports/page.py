"""A report as one HTML file that needs nothing else: styles inside, charts as SVG, no script; made for paper too."""

from __future__ import annotations

import json
import re
from pathlib import Path

import vl_convert
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from farthing import figures
from farthing.charts import KINDS
from farthing.reports.document import Report, Section
from farthing.reports.markdown import is_number

_WIDTH = 780  # pixels of a chart between its axes
_TAG = re.compile(r"<[^<>]*>")
_NAMESPACES = re.compile(r' xmlns(:\w+)?="[^"]*"')
_IDS = re.compile(r'(\bid="|url\(#)([\w-]+)')


def page(report: Report) -> str:
    """The whole report as HTML; the same report is always the same text."""
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return templates.get_template("page.html").render(
        report=report,
        days=figures.period(report.first, report.last),
        colours={kind: colour for kind, (colour, _) in KINDS.items()},
        is_number=is_number,
        svg=_svg,
    )


def _svg(section: Section) -> Markup:
    """The chart of a section."""
    assert section.chart is not None
    specification = section.chart().properties(width=_WIDTH).to_dict()
    # What vega writes of foreign names is escaped by it; a test holds that.
    return Markup(_inside_a_page(vl_convert.vegalite_to_svg(json.dumps(specification)), section.name))


def _inside_a_page(svg: str, name: str) -> str:
    """`svg` without namespaces, which HTML knows, and with ids of its own: vega numbers them through all charts."""
    ids: dict[str, str] = {}

    def renamed(found: re.Match[str]) -> str:
        return found[1] + ids.setdefault(found[2], f"{name}-{len(ids)}")

    return _TAG.sub(lambda tag: _IDS.sub(renamed, _NAMESPACES.sub("", tag[0])), svg)
