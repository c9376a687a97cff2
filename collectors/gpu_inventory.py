"""Which GPU serves which replica on which billed resource, and since when: the bridge between bill and telemetry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from collectors.checks import not_after
from collectors.kind import Check, Kind, Row
from collectors.landing import Files
from collectors.mapping import Dialect
from collectors.providers import normal_sql
from farthing.config import Source
from farthing.lake.schemas import GPU_INVENTORY


def _derived(_row: Row) -> Mapping[str, str]:
    return {"provider": normal_sql("provider")}


def _checks(_row: Row) -> Sequence[Check]:
    return [
        not_after("valid_to", "valid_from"),
        ("share <= 0 or share > 1", "'share is not in (0, 1]: ' || share"),
    ]


def _finish(_source: Source) -> Sequence[str]:
    """A GPU and replica cannot be in two places at once: the row that begins while another holds is refused."""
    return (
        """
        update staged_rows set
            _reason = 'overlaps line ' || other || ': the same gpu_uuid and replica_id are valid at the same time',
            _raw = to_json(struct_pack(gpu_uuid, replica_id, valid_from, valid_to))::varchar
        from (
            with recursive ordered as (
                select *, row_number() over (partition by gpu_uuid, replica_id order by valid_from) as place
                from (
                    select gpu_uuid, replica_id, valid_from, max(_line) as line,
                        arg_max(coalesce(valid_to, timestamp 'infinity'), _line) as valid_to
                    from staged where _reason is null group by 1, 2, 3)
            ),
            walk as (
                select gpu_uuid, replica_id, place, line, valid_to as held_until, line as holder
                from ordered where place = 1
                union all
                select o.gpu_uuid, o.replica_id, o.place, o.line,
                    case when o.valid_from < w.held_until then w.held_until else o.valid_to end,
                    case when o.valid_from < w.held_until then w.holder else o.line end
                from walk w join ordered o on o.gpu_uuid = w.gpu_uuid
                    and o.replica_id is not distinct from w.replica_id and o.place = w.place + 1
            )
            select line, holder as other from walk where holder <> line
        ) as overlap
        where staged_rows._line = overlap.line
        """,
    )


KIND = Kind(
    Dialect(GPU_INVENTORY),
    needed=lambda _: GPU_INVENTORY.required,
    derived=_derived,
    checks=_checks,
    finish=_finish,
)

COLLECTOR = Files(KIND)
