"""Daily quantities that costs are shared by or divided by: vectors stored, tickets solved, gigabytes."""

from __future__ import annotations

from collections.abc import Sequence

from collectors.checks import negative, one_of
from collectors.kind import Check, Kind, Row
from collectors.landing import Files
from collectors.mapping import Dialect
from farthing.lake.schemas import METRICS

#: Columns of the ledger that a quantity can be somebody's by.
DIMENSIONS = ("user", "team", "customer", "model", "feature", "environment")


def _checks(_row: Row) -> Sequence[Check]:
    return [one_of("dimension", DIMENSIONS), *negative(["quantity"])]


KIND = Kind(Dialect(METRICS), needed=lambda _: METRICS.required, checks=_checks)

COLLECTOR = Files(KIND)
