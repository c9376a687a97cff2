"""Reports on the published warehouse: figures as plain data, and renderers that write them as files."""

from farthing.reports.asked import NoSuchPeriodError
from farthing.reports.contents import made, monthly, weekly

__all__ = ["NoSuchPeriodError", "made", "monthly", "weekly"]
