"""Budgets: how each stands, what is worth an alert, and why a month was dearer than planned. Nothing is blocked."""

from farthing.budgets.facts import Fact, alerts
from farthing.budgets.record import store
from farthing.budgets.status import Crossing, Status, evaluate, statuses

__all__ = ["Crossing", "Fact", "Status", "alerts", "evaluate", "statuses", "store"]
