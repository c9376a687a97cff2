"""The scenario file: TOML, read and checked, with the files that it names."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import ValidationError

from farthing.errors import ConfigError
from models.whatif.inputs import Floats
from models.whatif.scenario import Scenario

_EXAMPLE = Path(__file__).with_name("example.toml")


def example() -> str:
    """A scenario with a card of each kind, to adapt."""
    return _EXAMPLE.read_text(encoding="utf-8")


def read(path: Path) -> Scenario:
    """The scenario in the file `path`.

    Raises:
        ConfigError: no such file, not TOML, or a key that is unknown, missing or of the wrong form.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            "no such file.", file=path, fix="`farthing whatif --example > scenario.toml` writes one."
        ) from None
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"this is not TOML: {error}.", file=path) from None
    return parsed(values, path)


def parsed(values: Mapping[str, Any], path: Path) -> Scenario:
    """A checked scenario from the tables of the file `path`.

    Raises:
        ConfigError: a key is unknown, missing or of the wrong form.
    """
    try:
        return Scenario.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(_problem(first), file=path, key=_key(first["loc"], values), fix=_fix(first)) from None


def _key(location: tuple[int | str, ...], values: Mapping[str, Any]) -> str:
    """Where a mistake is, with a card by its name instead of its number."""
    parts = [str(part) for part in location]
    if len(location) > 1 and location[0] == "cards" and isinstance(location[1], int):
        card = values["cards"][location[1]]
        parts[1] = str(card.get("name", location[1] + 1)) if isinstance(card, dict) else parts[1]
        if len(parts) > 2 and isinstance(card, dict) and parts[2] == card.get("kind"):
            del parts[2]
    return ".".join(parts)


def _problem(error: Any) -> str:
    if error["type"] == "missing" and error["loc"][-1] == "classes":
        return (
            "semantic caching needs classes: which requests mean the same is not in a log, and a hit rate that is"
            " guessed is no replay."
        )
    return str(error["msg"]).removeprefix("Value error, ").rstrip(".") + "."


def _fix(error: Any) -> str:
    if error["type"] == "missing" and error["loc"][-1] == "classes":
        return 'classes = "classes.csv", a file with request_id and class, from who compared the prompts'
    if error["type"] == "missing":
        return "give this key, see docs/whatif.md"
    if error["type"] == "extra_forbidden":
        return "leave it out, or see docs/whatif.md for the keys of this kind of card"
    if error["type"] == "model_type" or error["type"].endswith("_type"):
        return 'numbers of a card are like { range = [2, 4], basis = "assumed", why = "vendor\'s benchmark" }'
    return ""


def classes(path: Path) -> dict[str, str]:
    """The class of each request, from a CSV or Parquet file with `request_id` and `class`.

    Raises:
        ConfigError: the file cannot be read, or lacks one of them.
    """
    frame = _frame(path, ("request_id", "class"))
    known = frame.drop_nulls(["request_id", "class"])
    return dict(zip(known["request_id"].cast(pl.String), known["class"].cast(pl.String), strict=True))


def paths(path: Path) -> Floats:
    """Demand in GPUs by path and step, from a CSV or Parquet file with `path`, `step` and `gpus`.

    Raises:
        ConfigError: the file cannot be read, lacks a column, or a path lacks a step.
    """
    frame = _frame(path, ("path", "step", "gpus")).sort("path", "step")
    counts = frame.group_by("path").len()["len"].unique().to_list()
    if len(counts) != 1 or frame.select("path", "step").is_duplicated().any() or frame["gpus"].null_count():
        raise ConfigError(
            "its paths do not all have the same steps, each once, with a number of gpus.",
            file=path,
            fix="write a row for each path and step.",
        )
    values: Floats = frame["gpus"].cast(pl.Float64).to_numpy().reshape(-1, counts[0])
    if np.isnan(values).any() or (values < 0).any():
        raise ConfigError("gpus is below 0 or no number in it.", file=path, fix="write what is needed, 0 or more.")
    return values


def _frame(path: Path, columns: tuple[str, ...]) -> pl.DataFrame:
    try:
        frame = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path, infer_schema_length=None)
    except (OSError, pl.exceptions.PolarsError) as error:
        told = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(f"it cannot be read: {told}.", file=path, fix="a CSV or Parquet file.") from None
    if missing := [name for name in columns if name not in frame.columns]:
        raise ConfigError(
            f"it has no column {', '.join(missing)}.", file=path, fix=f"its columns are {', '.join(columns)}."
        )
    return frame
