"""The one place that opens the lake of a project; the lake itself knows no configuration."""

from __future__ import annotations

from farthing.config import Config
from farthing.lake import Lake


def open_lake(config: Config) -> Lake:
    """The lake of the project; what is read from a bucket stays in the project's cache."""
    return Lake(config.lake_path, config.lake.storage_options, cache=config.lake_cache)
