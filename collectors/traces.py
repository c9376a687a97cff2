"""Sources of traces: every span lands in `spans`, and each that is a call of a model in `requests` as well.

One file fills two tables, each by a delivery of its own with its own equation and its own line in `loads`: a collection
that is killed between the two finds the first one landed, and lands the second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from collectors import otlp, requests
from collectors.checks import before
from collectors.kind import Check, Deliverable, Kind, OfFile, Row
from collectors.landing import Files, Part
from collectors.mapping import Dialect
from collectors.otlp import Reading
from collectors.values import literal
from farthing.config import Column, Config, Source
from farthing.errors import ConfigError
from farthing.lake.schemas import REQUESTS, SPANS, TEXT

_TOLD = '{"token_convention":"exclusive"}'


def _exclusive(row: Row) -> str:
    """SQL: whether the counts of a request prove that its input is without what a cache gave.

    Older SDKs wrote down what Anthropic says, where input, cache reads and cache writes stand side by side. A source
    that states its convention is believed.
    """
    if row.source.token_convention is not None:
        return "false"
    cached = "coalesce(cached_input_tokens, 0) + coalesce(cache_write_tokens, 0)"
    claude = "(contains(lower(provider), 'anthropic') or contains(lower(coalesce(response_model, model)), 'claude'))"
    return f"coalesce({claude} and {cached} > input_tokens, false)"


def _derived(row: Row) -> Mapping[str, str]:
    made = dict(requests.KIND.derived(row))
    exclusive = _exclusive(row)
    if row.source.token_convention is None:
        added = "input_tokens + coalesce(cached_input_tokens, 0) + coalesce(cache_write_tokens, 0)"
        made["input_tokens"] = f"case when {exclusive} then {added} else input_tokens end"
    told = f"case when {exclusive} then {literal(_TOLD)} else '{{}}' end"
    merged = f"json_merge_patch(coalesce(own_tags, '{{}}'), coalesce(tags, '{{}}'), {told})::varchar"
    made["tags"] = f"case when tags is not null or {exclusive} then {merged} else own_tags end"
    # A client's instance is no replica: only who answers has GPUs.
    made["replica_id"] = "coalesce(replica_id, case when seen_by = 'server' then service_instance end)"
    return made


def _spans_checks(_row: Row) -> Sequence[Check]:
    return [before("ended_at", "started_at"), requests.in_the_future()]


_REQUESTS = replace(
    requests.KIND,
    dialect=Dialect(REQUESTS, extra={"own_tags": TEXT, "service_instance": TEXT}, timezone="UTC"),
    derived=_derived,
    demand=lambda _name, _row: None,
)
_SPANS = Kind(
    Dialect(SPANS, timezone="UTC"),
    needed=lambda _: SPANS.required,
    derived=lambda _: {"day": "started_at::date"},
    checks=_spans_checks,
)


@dataclass(frozen=True)
class Trace(OfFile):
    """A file of traces: its rows for one table, which are decoded together with those for the other."""

    file: Deliverable
    reading: Reading
    table: str = REQUESTS.name
    made: dict[str, Path] = field(default_factory=dict, repr=False, compare=False)

    form = "OTLP"

    @property
    def identity(self) -> str:
        """That of the file, for this table."""
        return f"{self.file.identity}-{self.table}"

    def fetch(self, folder: Path) -> Path:
        """Parquet with the rows for `table`.

        Raises:
            UnreadableError: the file is damaged, or no OTLP.
            SourceError: it cannot be reached.
            ConfigError: a package is missing that reads it.
        """
        if not self.made:
            self.made.update(otlp.decode(self.file.fetch(folder), folder, self.reading))
        return self.made[self.table]


class Traces(Files):
    """The collector of a kind of traces; `server`: whoever writes them serves the model, as `provider` by default."""

    def __init__(self, *, server: bool = False, provider: str | None = "vllm") -> None:
        super().__init__(_REQUESTS)
        self._server, self._provider = server, provider

    def find(self, name: str, source: Source, config: Config) -> Sequence[Deliverable]:
        """The files, each to be decoded once.

        Raises:
            ConfigError: a setting is missing, or means nothing to this kind.
            SourceError: nothing is there, or a store cannot be listed.
        """
        if source.format is not None:
            raise ConfigError(
                f"files of kind '{source.kind}' tell their format themselves.",
                key=f"sources.{name}.format",
                fix="remove it.",
            )
        reading = Reading(own_attributes(source), source.providers, self._provider, self._server, config.engine.threads)
        return [Trace(file, reading) for file in super().find(name, source, config)]

    def parts(self, source: Source, one: Deliverable) -> Sequence[Part]:
        """Its requests and its spans. Settings for columns that spans do not have are for requests only."""
        if not isinstance(one, Trace):
            raise TypeError(one)
        known = _SPANS.dialect.types
        columns = {ours: path for ours, path in source.columns.items() if ours in known}
        constants = {ours: value for ours, value in source.constants.items() if ours in known}
        less = source.model_copy(update={"columns": columns, "constants": constants, "tags": []})
        return [Part(_REQUESTS, source, one), Part(_SPANS, less, replace(one, table=SPANS.name))]


def own_attributes(source: Source) -> tuple[str, ...]:
    """The attributes that the settings of `source` name beside those that are always read."""
    asked = [path for one in source.columns.values() for path in (one.paths if isinstance(one, Column) else [one])]
    ours = {*_REQUESTS.dialect.types, *_SPANS.dialect.types}
    return tuple(dict.fromkeys(name for name in (*asked, *source.tags) if name not in ours))
