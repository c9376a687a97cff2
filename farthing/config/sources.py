"""What is read and from where: `[sources.NAME]`, and the hardware of `[[assets]]`."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from farthing.config.section import Name, Patterns, Section


class Column(Section):
    """Where one lake column comes from: a foreign column or dotted path, and the unit that it is in."""

    from_: str | list[str] = Field(alias="from")  # of several, the first that gives a value
    unit: (
        Literal["s", "ms", "us", "ns", "percent", "fraction", "bytes", "kib", "mib", "gib", "joules", "mj", "kwh"]
        | None
    ) = None
    plus: str | None = None  # a duration column added to a time, in `plus_unit`
    plus_unit: Literal["s", "ms", "us", "ns"] = "ms"
    minus: str | None = None  # a duration column taken from a time, in `plus_unit`
    optional: bool = Field(default=False, exclude_if=lambda value: not value)  # a file may lack it

    @field_validator("from_")
    @classmethod
    def _named(cls, value: str | list[str]) -> str | list[str]:
        if not value:
            raise ValueError("from names no column")
        return value

    @property
    def paths(self) -> list[str]:
        """The foreign columns or paths, that which is asked first in front."""
        return [self.from_] if isinstance(self.from_, str) else self.from_


class Source(Section):
    """`[sources.NAME]`: a collector (`kind`), where its files are, and how their columns map to the lake's."""

    kind: str
    path: Patterns | None = None  # files that are there
    export: str | None = None  # where a provider writes, or the account that it is asked for
    catalogue: Literal["aws", "azure", "gcp"] | None = None  # kind gpu_prices: the provider that is asked
    endpoint: str | None = None  # of the provider's API, where it is not the public one
    region: str | None = None
    since: date | None = None  # nothing before this day is asked for
    key_env: str | None = None  # the environment variable that holds the API key
    exporter: Literal["dcgm", "rocm", "neuron", "tpu"] | None = None  # kind prometheus: whose names the metrics have
    select: str | None = None  # kinds of Prometheus: label matchers that every question carries
    maximum_bytes_billed: int | None = Field(default=None, gt=0)  # kind gcp: what one collection may scan
    format: Literal["csv", "jsonl", "parquet"] | None = None  # told by the file name when absent
    columns: dict[str, str | Column] = Field(default_factory=dict)
    constants: dict[str, str | int | float | bool] = Field(default_factory=dict)
    tags: list[str] = Field(default_factory=list)
    token_convention: Literal["inclusive", "exclusive"] | None = None
    timezone: str | None = None
    epoch: str | None = None  # what time zero of a relative clock was, e.g. "2026-10-01T00:00:00Z"
    # kinds of traces: server.address -> who serves there; unsaid it changes no identity of a delivery
    providers: dict[str, str] = Field(default_factory=dict, exclude_if=lambda value: not value)
    sample_seconds: float | None = None  # gpu_usage: how long one instantaneous sample stands for at most
    cost_column: Literal["EffectiveCost", "BilledCost"] = "EffectiveCost"

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                ZoneInfo(value)
            except (KeyError, ValueError, OSError):
                raise ValueError(f"'{value}' is no time zone of the IANA database, for example 'UTC'") from None
        return value

    @property
    def patterns(self) -> list[str]:
        """The path patterns as a list; empty where no path is given."""
        return [self.path] if isinstance(self.path, str) else list(self.path or [])


class Asset(Section):
    """`[[assets]]`: hardware that the company owns; sources of kind `assets` make its hours into charges."""

    name: Name
    resources: list[str] = Field(min_length=1)  # ResourceIds of the machines that share it equally
    gpus: int = Field(ge=1)  # in all of them
    in_service: date
    retired: date | None = None  # the first day on which it is no more
    purchase_price: Decimal = Field(ge=0)
    residual: Decimal = Field(default=Decimal(0), ge=0)  # what it is worth after `months`
    months: int = Field(ge=1)
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None  # by default the project's
    kw: Decimal = Field(ge=0)  # nameplate power of all of it
    host_kw: Decimal | None = Field(default=None, ge=0)  # of it beside the GPUs; with it, telemetry counts
    pue: Decimal = Field(default=Decimal(1), ge=1)
    power_price_per_kwh: Decimal = Field(default=Decimal(0), ge=0)
    colo_per_kw_month: Decimal = Field(default=Decimal(0), ge=0)
    support_per_year: Decimal = Field(default=Decimal(0), ge=0)
    tags: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _plausible(self) -> Asset:
        if self.residual > self.purchase_price:
            raise ValueError("residual is more than purchase_price")
        if self.host_kw is not None and self.host_kw > self.kw:
            raise ValueError("host_kw is more than kw, which contains it")
        if self.retired is not None and self.retired <= self.in_service:
            raise ValueError("retired is not after in_service")
        return self
