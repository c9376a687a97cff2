"""List prices of GPU instances, dated: from a file of one's own, or asked of a provider's catalogue once a day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from collectors import price_catalogues
from collectors.checks import negative, not_after, one_of, unknown_currency
from collectors.kind import Check, Deliverable, Kind, Row
from collectors.landing import Files
from collectors.mapping import Dialect
from collectors.price_history import continued
from collectors.providers import normal_sql
from collectors.statements import Statement
from collectors.values import literal
from farthing import clock
from farthing.config import Config, Source
from farthing.errors import ConfigError
from farthing.lake import Lake
from farthing.lake.schemas import GPU_PRICES

#: What a price may cover. Of a virtual machine whose parts are billed apart, the GPU alone is no price of an hour.
_COVERS = ("instance", "gpu")
#: Our word, and others for it; a word that is none of these stays as it is, and no figure uses it.
_CATEGORIES = {
    "on-demand": ("on-demand", "ondemand", "standard", "list", "consumption"),
    "spot": ("spot", "preemptible", "dynamic"),
    "committed": ("committed", "commitment", "reserved", "reservation"),
}
#: Prices of one GPU that are rounded differ a little from the instance's share.
_TOLERANCE = 0.001


def _derived(row: Row) -> Mapping[str, str]:
    word = "replace(replace(lower(trim(pricing_category)), '_', '-'), ' ', '-')"
    known = " ".join(
        f"when {word} in ({', '.join(map(literal, words))}) then {literal(ours)}" for ours, words in _CATEGORIES.items()
    )
    made = {
        "provider": normal_sql("provider"),
        "region": "nullif(trim(region), 'global')",
        "pricing_category": f"case {known} else trim(pricing_category) end",
        "covers": "coalesce(lower(trim(covers)), 'instance')",
    }
    if "valid_from" in row.mapped:  # a price that is dated with a year holds from its first day, as one with a month
        year = "regexp_extract(\"valid_from~in\"::varchar, '^\\d{4}$')"
        made["valid_from"] = f"coalesce(valid_from, try_cast(nullif({year}, '') || '-01-01' as date))"
    return made


def _checks(_row: Row) -> Sequence[Check]:
    prices = ("price_per_instance_hour", "price_per_gpu_hour")
    apart = (
        "abs(price_per_instance_hour::double - price_per_gpu_hour::double * gpus)"
        f" > price_per_instance_hour::double * {_TOLERANCE}"
    )
    return [
        (
            "coalesce(price_per_instance_hour, price_per_gpu_hour) is null",
            literal(f"{' and '.join(prices)} are missing"),
        ),
        ("coalesce(instance_type, sku) is null", literal("instance_type and sku are missing")),
        ("gpus <= 0", "'gpus is not above 0: ' || gpus"),
        *negative(prices),
        (apart, "'price_per_gpu_hour times ' || gpus || ' GPUs is not price_per_instance_hour'"),
        one_of("covers", _COVERS),
        unknown_currency("currency"),
        not_after("valid_to", "valid_from"),
    ]


def _finish(_source: Source) -> Sequence[str]:
    """A price has one amount at a time: the row that begins while another of its kind holds is refused.

    One without an end holds until the next begins. Equal rows are no overlap but repeated.
    """
    key = ", ".join(name for name in GPU_PRICES.key if name != "valid_from")
    return (
        f"""
        update staged_rows set
            _reason = 'overlaps line ' || other || ': two prices of the same kind are valid at the same time',
            _raw = to_json(
                struct_pack({key}, price_per_instance_hour, price_per_gpu_hour, valid_from, valid_to))::varchar
        from (
            with recursive good as (
                select
                    struct_pack({key})::varchar as kind,
                    struct_pack(price_per_instance_hour, price_per_gpu_hour, gpus, valid_to)::varchar as content,
                    valid_from, valid_to, _line
                from staged where _reason is null
            ),
            ordered as (
                select *, row_number() over (partition by kind order by valid_from, _line) as place from good
            ),
            walk as (
                select kind, place, _line as line, _line as holder, valid_from as since, valid_to as until, content,
                    false as refused
                from ordered where place = 1
                union all
                select o.kind, o.place, o._line,
                    case when {_OVERLAP} then w.holder else o._line end,
                    case when {_OVERLAP} then w.since else o.valid_from end,
                    case when {_OVERLAP} then w.until else o.valid_to end,
                    case when {_OVERLAP} then w.content else o.content end,
                    {_OVERLAP}
                from walk w join ordered o on o.kind = w.kind and o.place = w.place + 1
            )
            select line, holder as other from walk where refused
        ) as overlap
        where staged_rows._line = overlap.line
        """,
    )


_OVERLAP = (
    "(case when o.valid_from = w.since then o.content <> w.content else coalesce(o.valid_from < w.until, false) end)"
)

KIND = Kind(
    Dialect(GPU_PRICES),
    needed=lambda _: tuple(name for name in GPU_PRICES.required if name != "covers"),
    derived=_derived,
    checks=_checks,
    finish=_finish,
)


class GpuPrices(Files):
    """The collector of list prices."""

    settings = frozenset({"path", "catalogue", "endpoint", "region"})

    def find(self, name: str, source: Source, config: Config) -> Sequence[Deliverable]:
        """The files of `path`, or the catalogue of a region as it is today; nobody is asked yet.

        Raises:
            ConfigError: a setting is missing, or means nothing here.
            SourceError: no file is there.
        """
        if source.catalogue is None:
            for key in ("endpoint", "region"):
                if getattr(source, key) is not None:
                    raise ConfigError("it goes with catalogue, not with path.", key=f"sources.{name}.{key}")
            return super().find(name, source, config)
        self.check_settings(name, source)
        if source.path is not None:
            raise ConfigError("path and catalogue are two ways; keep one.", key=f"sources.{name}.path")
        if source.region is None:
            raise ConfigError(
                "a catalogue is asked for one region.", key=f"sources.{name}.region", fix='region = "us-east-1"'
            )
        return [_catalogue(name, source, source.region, config)]


def _catalogue(name: str, source: Source, region: str, config: Config) -> Statement:
    """A region's prices: those that the lake has from earlier days, and what changed in them today."""
    x_load = f"{source.catalogue} {region}"
    today = clock.now().date()

    def read(_: Path) -> pl.LazyFrame:
        asked = price_catalogues.CATALOGUES[str(source.catalogue)](name, source, region)
        lake = Lake(config.lake_path, config.lake.storage_options)
        return continued(lake, name, x_load, asked, today).lazy()

    return Statement(x_load, 0, today.isoformat(), "price catalogue", read)


COLLECTOR = GpuPrices(KIND)
