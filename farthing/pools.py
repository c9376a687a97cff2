"""Pool rules as SQL: which pool takes a charge, and whose it is."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping

from farthing.config import Config, Patterns, Pool
from farthing.errors import ConfigError
from farthing.lake.schemas import CHARGES
from farthing.lake.views import duckdb_type, quoted, text

UNASSIGNED = "unassigned"


def charges_sql(config: Config) -> str:
    """A select over `lake.charges` with `pool`, `owner_team` and `credit` beside all columns; the first rule wins.

    Raises:
        ConfigError: a rule names a column that FOCUS does not have.
    """
    grants = " ".join(
        f"when {_condition(grant.match, f'credits.{name}')} then {text(name)}" for name, grant in config.credits.items()
    )
    owners = " ".join(f"when {text(pool.name)} then {_owner(pool)}" for pool in config.pools if pool.kind == "owned")
    owner = f"case pool {owners} end" if owners else "cast(null as varchar)"
    credit = f"case {grants} end" if grants else "cast(null as varchar)"
    placed = f"select *, {_pool(config)} as pool from lake.charges"
    return f"select *, {owner} as owner_team, {credit} as credit from ({placed})"


def unbilled_sql(config: Config) -> str:
    """A select of `resource_id` and `pool`: where the rules would put a charge for a resource of the inventory.

    They see what the inventory says: ResourceId, provider, RegionId and the InstanceType of SkuPriceDetails.

    Raises:
        ConfigError: a rule names a column that FOCUS does not have.
    """
    told = {
        "ResourceId": quoted("ResourceId"),
        "ProviderName": "provider",
        "ServiceProviderName": "provider",
        "RegionId": "region",
        "ChargeCategory": "'Usage'",
        "ServiceCategory": "'Compute'",
        "SkuPriceDetails": "cast(json_object('InstanceType', instance_type) as varchar)",
    }
    columns = ", ".join(
        f"cast({told.get(field.name, 'null')} as {duckdb_type(field.type)}) as {quoted(field.name)}"
        for field in CHARGES.schema
    )
    resources = f"select distinct {columns} from lake.gpu_inventory where instance_type is not null"
    return f"select lower(ResourceId) as resource_id, {_pool(config)} as pool from ({resources})"


def tag(column: str, key: str) -> str:
    """The SQL of one value in a column of JSON text; null where the column is no JSON."""
    path = '$."' + key.replace('"', '\\"') + '"'
    return f"(case when json_valid({quoted(column)}) then json_extract_string({quoted(column)}, {text(path)}) end)"


def regex(patterns: Patterns) -> str:
    """The regular expression of whole texts that match any of `patterns`, whose wildcards are `*` and `?`."""
    wild = {"*": ".*", "?": "."}
    alternatives = [patterns] if isinstance(patterns, str) else patterns
    return "|".join(
        f"(?:{''.join(wild.get(character) or re.escape(character) for character in pattern)})"
        for pattern in alternatives
    )


def _pool(config: Config) -> str:
    cases = " ".join(
        f"when {_condition(pool.match, f'pools.{pool.name}')} then {text(pool.name)}" for pool in config.pools
    )
    return f"case {cases} else {text(UNASSIGNED)} end" if cases else text(UNASSIGNED)


def _condition(match: Mapping[str, Patterns], key: str) -> str:
    parts = [_matches(_field(name, key), patterns) for name, patterns in match.items()]
    return " and ".join(parts) or "true"


def _field(name: str, key: str) -> str:
    column, _, inner = name.partition(".")
    if inner and column in ("Tags", "x_extra", "SkuPriceDetails", "AllocatedTags"):
        return tag(column, inner)
    if name in CHARGES.columns:
        return f"cast({quoted(name)} as varchar)"
    near = difflib.get_close_matches(name, CHARGES.columns, 1)
    raise ConfigError(
        f"'{name}' is no column of a charge.",
        key=key,
        fix=f"did you mean '{near[0]}'?" if near else "FOCUS columns, or Tags.KEY.",
    )


def _matches(field: str, patterns: Patterns) -> str:
    return f"coalesce(regexp_full_match({field}, {text(regex(patterns))}, 's'), false)"


def _owner(pool: Pool) -> str:
    owner = pool.owner or ""
    if owner.startswith("team:"):
        return text(owner.removeprefix("team:"))
    return f"nullif(trim({_field(owner, f'pools.{pool.name}')}), '')"
