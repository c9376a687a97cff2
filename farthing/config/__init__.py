"""farthing.toml, read once and checked: every mistake names file, key and fix."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from farthing.config.alerts import AlertEvent, AlertKind, Alerts, Channel, Route, Severity
from farthing.config.anomalies import Anomalies
from farthing.config.budgets import Budget, Thresholds
from farthing.config.forecasting import Forecasting
from farthing.config.pools import Method, Pool, Price, TokenWeights
from farthing.config.reports import Run, ScheduledReport
from farthing.config.section import Name, Patterns, Section
from farthing.config.sources import Asset, Column, Source
from farthing.errors import ConfigError

__all__ = [
    "AlertEvent",
    "AlertKind",
    "Alerts",
    "Asset",
    "Budget",
    "Channel",
    "Column",
    "Config",
    "Forecasting",
    "Patterns",
    "Pool",
    "Price",
    "Route",
    "Section",
    "Severity",
    "Source",
    "Thresholds",
    "TokenWeights",
    "from_mapping",
    "load",
]

FILE_NAME = "farthing.toml"
#: The project's own scratch folder: crash reports, copies of objects.
SCRATCH = ".farthing"


class Project(Section):
    """`[project]`: who this is about and the currency that reports lead with."""

    name: str = "farthing"
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    #: What every amount is converted to, beside itself, by dated exchange rates; none by default.
    reporting_currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None
    maximum_rate_age_days: int = Field(default=10, ge=0, le=366)  # a rate older than that is no rate of the day


class Team(Section):
    """`[teams.NAME]`: where a team stands in the company."""

    cost_center: str | None = None  # wins over that of identities
    department: str | None = None  # a path from the top, like "Product/Assistant"


class TrainedModel(Section):
    """`[models.NAME]`: a model that jobs produced, so that what its training cost is spread over its life."""

    released: date  # the month in which it is used first
    life_months: int = Field(ge=1)


class Unit(Section):
    """`[units.NAME]`: what the company counts its work in, beside requests and tokens."""

    metric: str  # `name` in the table metrics
    #: How its days make a month: what happens adds up (tickets solved), a level has a mean (vectors stored).
    measure: Literal["sum", "mean"] = "sum"


class Grant(Section):
    """`[credits.NAME]`: promotional credit that a provider granted, until it is used up or expires."""

    match: dict[str, Patterns]  # over the columns of a charge, as in pools
    amount: Decimal = Field(gt=0)
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None  # by default the project's
    expires: date | None = None  # the first day on which what is left is lost


class Identities(Section):
    """`[identities]`: how user ids of request logs are read."""

    #: Names that gateways write when they know nobody: the user of such a request is null.
    sentinel_users: list[str] = Field(default_factory=lambda: ["", "anonymous", "default_user_id"])


class Attribution(Section):
    """`[attribution]`: the knobs of the methods."""

    cell_seconds: Literal[1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60] = 2
    request_costs: bool = True  # keep what each request cost, beside the ledger
    compare: list[Method] = Field(default_factory=list)  # further methods kept in request_costs beside the ledger's
    law_minimum_requests: int = Field(default=200, ge=20)
    #: The prices of model APIs that nobody configured: those of the package genai-prices, or none.
    price_table: Literal["genai-prices", "none"] = "genai-prices"
    model_aliases: dict[str, str] = Field(default_factory=dict)  # a model as logged -> the name that has a price


class Ledger(Section):
    """`[ledger]`: tags that become ledger columns of their own."""

    dimensions: list[Name] = Field(default_factory=list)


class Lake(Section):
    """`[lake]`: where the Delta tables are: a folder, or s3://, gs://, az:// (keys from the environment)."""

    path: str = "lake"
    storage_options: dict[str, str] = Field(default_factory=dict)


class Warehouse(Section):
    """`[warehouse]`: where the DuckDB file is published, and how many days of detail it carries."""

    path: str = "warehouse"
    request_days: int = Field(default=62, ge=0)
    gpu_usage_days: int = Field(default=7, ge=0)
    keep: int = Field(default=3, ge=1)  # published files kept


class Engine(Section):
    """`[engine]`: what a build may use of the machine."""

    threads: int | None = Field(default=None, ge=1)
    memory_limit: str = "1200MB"


class Config(BaseSettings):
    """The whole of farthing.toml. FARTHING_LAKE__PATH and the like override single keys from the environment."""

    model_config = SettingsConfigDict(extra="forbid", env_prefix="FARTHING_", env_nested_delimiter="__")

    project: Project = Field(default_factory=Project)
    sources: dict[Name, Source] = Field(default_factory=dict)
    assets: list[Asset] = Field(default_factory=list)
    pools: list[Pool] = Field(default_factory=list)
    prices: list[Price] = Field(default_factory=list)
    identities: Identities = Field(default_factory=Identities)
    teams: dict[str, Team] = Field(default_factory=dict)
    models: dict[str, TrainedModel] = Field(default_factory=dict)
    units: dict[str, Unit] = Field(default_factory=dict)
    credits: dict[str, Grant] = Field(default_factory=dict)
    budgets: list[Budget] = Field(default_factory=list)
    attribution: Attribution = Field(default_factory=Attribution)
    ledger: Ledger = Field(default_factory=Ledger)
    forecast: Forecasting = Field(default_factory=Forecasting)
    lake: Lake = Field(default_factory=Lake)
    warehouse: Warehouse = Field(default_factory=Warehouse)
    engine: Engine = Field(default_factory=Engine)
    anomalies: Anomalies = Field(default_factory=Anomalies)
    alerts: Alerts = Field(default_factory=Alerts)
    run: Run = Field(default_factory=Run)
    reports: list[ScheduledReport] = Field(default_factory=list)
    root: Path = Field(default=Path("."), exclude=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file; FARTHING_PROJECT names the project's folder and is no table."""
        assert isinstance(env_settings, EnvSettingsSource)
        env_settings.env_vars = {
            name: value for name, value in env_settings.env_vars.items() if name != "farthing_project"
        }
        return env_settings, init_settings

    @model_validator(mode="after")
    def _pool_names_once(self) -> Config:
        names = [pool.name for pool in self.pools]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"pool name used twice: {', '.join(twice)}")
        if "unassigned" in names:
            raise ValueError("'unassigned' is the pool of what no rule takes; give the pool another name")
        kinds = {pool.name: pool.kind for pool in self.pools}
        for price in self.prices:
            if price.pool is not None and kinds.get(price.pool) not in ("gpu", "training"):
                raise ValueError(f"prices: '{price.pool}' is no pool of kind gpu or training")
        return self

    @model_validator(mode="after")
    def _names_once(self) -> Config:
        for what, names in (
            ("asset name", [asset.name for asset in self.assets]),
            ("resource of assets", [resource for asset in self.assets for resource in asset.resources]),
            ("budget name", [budget.name for budget in self.budgets]),
        ):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"{what} used twice: {', '.join(twice)}")
        return self

    @model_validator(mode="after")
    def _reports_reach_somebody(self) -> Config:
        for report in self.reports:
            for recipient in report.recipients:
                way, _, name = recipient.partition(":")
                if way == "channel" and name not in self.alerts.channels:
                    raise ValueError(f"report '{report.name}': there is no [alerts.channels.{name}]")
        return self

    @model_validator(mode="after")
    def _reports_once(self) -> Config:
        names = [report.name for report in self.reports]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"report name used twice: {', '.join(twice)}")
        return self

    @model_validator(mode="after")
    def _one_currency_in_a_pool(self) -> Config:
        """Requests share a pool in proportion to their prices, and amounts of two currencies have no proportion."""
        for pool in self.pools:
            if pool.kind != "api":
                continue
            asked = (pool.provider or "").lower()
            found = {
                price.currency or self.project.currency
                for price in self.prices
                if price.model is not None and (not asked or not price.provider or price.provider.lower() == asked)
            }
            if len(found) > 1:
                raise ValueError(
                    f"prices of models in {' and '.join(sorted(found))} meet in the pool '{pool.name}';"
                    " give each currency a provider, and each provider a pool of its own"
                )
        return self

    def location(self, path: str) -> str:
        """`path` as it is when it is a URL or absolute, else below the project folder."""
        return path if "://" in path else str((self.root / path).resolve())

    @property
    def lake_path(self) -> str:
        """Where the lake is: an absolute folder or a URL."""
        return self.location(self.lake.path)

    @property
    def lake_cache(self) -> Path:
        """Where copies of a bucket's objects are kept for the next reader."""
        return self.root / SCRATCH / "cache"

    @property
    def warehouse_path(self) -> str:
        """Where the warehouse is published: an absolute folder."""
        return self.location(self.warehouse.path)


def load(project: Path | str = ".") -> Config:
    """Read `farthing.toml` in the folder `project`.

    Raises:
        ConfigError: no such file, not TOML, or a key that is unknown, missing or of the wrong form.
    """
    root = Path(project)
    path = root / FILE_NAME if root.is_dir() else root
    if not path.is_file():
        raise ConfigError(
            "no such file.", file=path, fix="run `farthing init` here, or name the folder with --project."
        )
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"this is not TOML: {error}.", file=path) from error
    return from_mapping(values, file=path)


def from_mapping(values: Mapping[str, Any], *, file: Path | str = FILE_NAME) -> Config:
    """A checked configuration from the tables of a farthing.toml that lies at `file`.

    Raises:
        ConfigError: a key is unknown, missing or of the wrong form.
    """
    try:
        # Not a setting: FARTHING_ROOT in the environment has no say in where the project is.
        return Config(**values).model_copy(update={"root": Path(file).parent})
    except SettingsError as error:
        raise ConfigError(
            f"{error}.", file="environment", fix="name a single key, like FARTHING_LAKE__PATH, or unset the variable."
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        message = str(first["msg"]).removeprefix("Value error, ")
        fix = (
            "remove it or check its spelling; docs/configuration.md lists every key."
            if first["type"] == "extra_forbidden"
            else ""
        )
        more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise ConfigError(f"{message}{more}.", file=file, key=key, fix=fix) from None
