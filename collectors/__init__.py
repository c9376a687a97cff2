"""What is outside becomes lake rows here: one module per kind of source, found by entry point."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

if TYPE_CHECKING:  # the agent of a GPU node reads this room too, and must stay small
    import polars as pl

    from collectors.kind import Deliverable, LoadResult, Report, Total
    from farthing.config import Config, Source
    from farthing.lake import Lake
    from farthing.lake.schemas import Table

__all__ = ["Collector", "Deliverable", "LoadResult", "Report", "Total", "kinds", "load"]

_GROUP = "farthing.collectors"
#: Those of this folder, which also work from a checkout that is not installed.
_OWN = (
    *("costs", "focus", "gpu_inventory", "gpu_prices", "gpu_usage", "identities", "invoices", "jobs", "metrics"),
    *("litellm", "requests", "revenue", "exchange_rates", "assets", "otel", "vllm"),
    *("aws", "azure", "gcp", "openai", "openai_usage", "anthropic", "anthropic_usage"),
    *("prometheus", "vllm_totals", "slurm", "kubernetes", "kubernetes_gpus"),
    *("bedrock", "langfuse", "helicone", "apim", "vertex"),
)


class Collector(Protocol):
    """What a collector offers; a company's own package can bring one by entry point."""

    @property
    def table(self) -> Table:
        """The lake table that it fills."""

    def find(self, name: str, source: Source, config: Config) -> Sequence[Deliverable]:
        """What there is to land, landed before or not."""

    def collect(self, name: str, source: Source, config: Config, lake: Lake, report: Report) -> list[LoadResult]:
        """Land what is new in `source`."""

    def preview(self, name: str, source: Source, config: Config) -> pl.DataFrame:
        """The first three rows as they would land."""

    def form_of(self, path: Path) -> str | None:
        """What the provider calls a file that somebody downloaded, by its columns; None where it is none of his."""

    def remarks(self, name: str, source: Source) -> list[str]:
        """What the provider says beside the bill that helps to judge it, a sentence each."""

    def gaps(self, name: str, source: Source, config: Config) -> list[tuple[Literal["finding", "note"], str, str]]:
        """What the first file lacks or cannot show though its rows land: how bad, what, and the fix."""

    def totals(self, name: str, source: Source, month: date, report: Report, *, pay: bool) -> list[Total] | None:
        """What the provider itself says that a month came to; null where there is nobody to ask."""


def __getattr__(name: str) -> Any:
    if name in ("Deliverable", "LoadResult", "Report", "Total"):
        return getattr(import_module("collectors.kind"), name)
    raise AttributeError(f"module 'collectors' has no attribute '{name}'")


def kinds() -> list[str]:
    """The names that `kind` in farthing.toml may have."""
    from importlib.metadata import entry_points

    return sorted({*_OWN, *(entry.name for entry in entry_points(group=_GROUP))})


def load(kind: str) -> Collector:
    """The collector of sources of `kind`.

    Raises:
        ConfigError: no such kind, or its module needs something that is not installed.
    """
    from importlib.metadata import entry_points

    from farthing.errors import ConfigError

    if kind not in kinds():
        raise ConfigError(f"there is no kind '{kind}'.", key="sources", fix=f"kind is one of: {', '.join(kinds())}.")
    try:
        for entry in entry_points(group=_GROUP, name=kind):
            return cast("Collector", entry.load())
        return cast("Collector", import_module(f"collectors.{kind}").COLLECTOR)
    except ImportError as error:
        raise ConfigError(
            f"kind '{kind}' cannot be loaded: {error}.",
            key="sources",
            fix="install what it needs, for example `farthing[aws]`.",
        ) from error
