"""What a vendor of model APIs says was used: tokens by class, kept beside its bill for the true-up."""

from __future__ import annotations

from collections.abc import Sequence

from collectors.checks import before, negative
from collectors.kind import Check, Kind, Row
from collectors.mapping import Dialect
from farthing.lake.schemas import COUNT, VENDOR_USAGE

_COUNTS = [name for name in VENDOR_USAGE.columns if VENDOR_USAGE.schema.field(name).type == COUNT]


def _checks(_row: Row) -> Sequence[Check]:
    return [before("ended_at", "started_at"), *negative(_COUNTS)]


KIND = Kind(
    Dialect(VENDOR_USAGE, rest="x_extra", timezone="UTC"),
    needed=lambda _: VENDOR_USAGE.required,
    checks=_checks,
    spec="farthing",
)
