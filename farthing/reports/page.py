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
#: Inside a page SVG needs no namespaces, and ids of several charts must not meet.
_NAMESPACES = re.compile(r' xmlns(:\w+)?="[^"]*"')
_IDS = re.compile(r'(\bid="|url\(#)')


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
    drawn = vl_convert.vegalite_to_svg(json.dumps(specification))
    # What vega writes of foreign names is escaped by it; a test holds that.
    return Markup(_IDS.sub(rf"\g<1>{section.name}-", _NAMESPACES.sub("", drawn)))
