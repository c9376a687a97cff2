"""Who is behind a user id, a key or a service account: person, customer, team, plan, and since when."""

from __future__ import annotations

from collections.abc import Sequence

from collectors.checks import not_after
from collectors.kind import Check, Kind, Row
from collectors.landing import Files
from collectors.mapping import Dialect
from farthing.lake.schemas import IDENTITIES


def _checks(_row: Row) -> Sequence[Check]:
    return [not_after("valid_to", "valid_from")]


KIND = Kind(Dialect(IDENTITIES), needed=lambda _: IDENTITIES.required, checks=_checks)

COLLECTOR = Files(KIND)
