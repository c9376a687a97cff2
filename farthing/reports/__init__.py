"""Reports on the published warehouse: figures as plain data, and renderers that write them as HTML, Markdown or CSV."""

from farthing.reports.asked import NoSuchMonthError
from farthing.reports.monthly import monthly

__all__ = ["NoSuchMonthError", "monthly"]
