"""A source's column map as SQL: foreign names, paths, units and zones become typed lake columns, or a reason."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from collectors.raw import PROBLEM, RAW, CsvFile, JsonFile, ParquetFile
from collectors.values import (
    SECONDS,
    day,
    duration,
    epoch_time,
    flag,
    has_zone,
    json_path,
    keyed,
    kind_of,
    literal,
    local_time,
    money,
    number,
    quoted,
    real,
    sql_type,
    time_of_text,
    whole,
)
from farthing.config import Column, Source
from farthing.errors import ConfigError
from farthing.lake.schemas import COUNT, DAY, EXACT, FLAG, MONEY, REAL, TEXT, TIME, Table

_FACTORS: dict[str, dict[str, str]] = {
    "fraction": {"fraction": "1", "percent": "0.01"},
    "bytes": {"bytes": "1", "kib": "1024", "mib": "1048576", "gib": "1073741824"},
    "joules": {"joules": "1", "mj": "1e-3", "kwh": "3600000"},  # mj: millijoules, as NVML counts
    "seconds": SECONDS,
}
#: The column whose text is never kept: a hash that needs a key stands for it.
KEYED = "prompt_hash"
#: What logs of requests call the text that was asked or answered; a tag of such a name never lands.
TEXTS = frozenset(
    """
    prompt prompts messages message input inputs output outputs completion completions content contents text
    response request request_body response_body body choices query question answer instructions system
    system_prompt input_messages output_messages
    """.split()
)


@dataclass(frozen=True)
class Foreign:
    """A value in the file: its SQL over the raw batch and its kind there.

    `kind` is text, whole, real, decimal, time (without zone), zoned, day, flag or nested.
    """

    sql: str
    kind: str = "text"


@dataclass(frozen=True)
class Dialect:
    """How one kind of source reads its files: extra columns it can take, and its habits."""

    table: Table
    extra: Mapping[str, pa.DataType] = field(default_factory=dict)
    takes: tuple[str, ...] | None = None  # columns of the table that a file may give; all when it does not say
    null_text: tuple[str, ...] = ()  # texts that mean null besides the empty one
    any_case: bool = False  # match column names whatever their case
    made: Mapping[str, pa.DataType] = field(default_factory=dict)  # columns that only the kind's own SQL gives
    rest: str | None = None  # the column that takes what is not ours, as one JSON object
    tags: tuple[str, ...] = ()  # what is gathered in `tags` where the file has it, besides what the source asks for
    named_only: bool = False  # a column of ours is only what the map names: another format's `tool` need not be ours
    private: bool = False  # prompts stand beside the columns: only what is mapped is kept, also of a refused row
    timezone: str | None = None  # of times without a zone, when the source does not say

    @property
    def types(self) -> dict[str, pa.DataType]:
        """Every column that a file may give, with its lake type."""
        own = {name: kind for name, kind in self._own.items() if self.takes is None or name in self.takes}
        return {**own, **self.extra}

    @property
    def staged_types(self) -> dict[str, pa.DataType]:
        """Every column of a staged row."""
        return {**self._own, **self.extra, **self.made}

    def filled(self, text: str, value: str) -> str:
        """`value`, unless `text` means null; both are SQL."""
        words = ", ".join(literal(word) for word in ("", *self.null_text))
        return f"case when trim({text}) not in ({words}) then {value} end"

    def pair(self, key: str, value: str, kind: str = "text") -> str:
        """`"name":value` as JSON has it, null where `value` is null or a text that means that; both are SQL."""
        if kind != "text":
            return f"{key} || to_json({value})::varchar"
        return self.filled(value, f"concat_ws({key}, '', to_json({value}))")

    @property
    def _own(self) -> dict[str, pa.DataType]:
        origin = ("x_source", "x_load")
        return {name: self.table.schema.field(name).type for name in self.table.columns if name not in origin}


class ColumnMap:
    """The map of one source onto one file.

    Raises:
        ConfigError: a key maps a column that is not ours, or one that the file lacks, or has a unit that cannot be.
    """

    def __init__(
        self, name: str, source: Source, dialect: Dialect, file: CsvFile | JsonFile | ParquetFile, file_name: str
    ) -> None:
        self.name, self.source, self.dialect, self.file, self.file_name = name, source, dialect, file, file_name
        self.inputs: list[str] = []  # foreign columns that a batch must carry, f0, f1, ...
        self.zoneless: list[tuple[str, str]] = []  # (our column, SQL: true where its text has no zone)
        self.missing_paths: list[str] = []  # mapped paths that the first JSON rows lack
        self.values: dict[str, tuple[Foreign, str]] = {}  # ours -> (foreign value, typed SQL)
        self._durations: dict[str, str] = {}  # alias -> SQL of a column that plus or minus names
        self._asked = {path for ours in source.columns for path in paths_of(source.columns[ours])}
        self._check_names()
        for ours, kind in dialect.types.items():
            self._map(ours, kind)
        self._map_tags()
        if dialect.rest:
            self.values[dialect.rest] = (Foreign(self._rest()), quoted(dialect.rest + "~in"))

    @property
    def mapped(self) -> set[str]:
        """Our columns that the file, a constant or a list of tags gives."""
        return set(self.values)

    def gives(self, ours: str) -> bool:
        """Whether the file or a constant gives our column; for JSON rows, whether one of the first has it."""
        if ours not in self.mapped or ours in self.source.constants or not isinstance(self.file, JsonFile):
            return ours in self.mapped
        return not self.file.columns or any(path in self.file.columns for path in self._paths(ours))

    def require(self, columns: Sequence[str]) -> None:
        """Say which of `columns` nothing gives.

        Raises:
            ConfigError: with the file's columns and the names nearest to the missing one.
        """
        for ours in columns:
            if not self.gives(ours):
                raise ConfigError(
                    f"nothing gives the required column '{ours}'; {self._columns_of_file()}.",
                    key=f"sources.{self.name}.columns",
                    fix=f'{ours} = "{self._nearest(ours)}" in columns, or a value for it in constants.',
                )

    def typed_sql(self, batch: str) -> str:
        """A query over `batch` with every column of the dialect typed, and `<column>~in` as the file wrote it."""
        given = [f"{foreign.sql} as {quoted(ours + '~in')}" for ours, (foreign, _) in self.values.items()]
        given += [f"{sql} as {quoted(alias)}" for alias, sql in self._durations.items()]
        given += [name.replace("~", "_") for name in (RAW, PROBLEM) if self._has(name)]
        typed = [
            f"{self.values[ours][1] if ours in self.values else 'null'}::{sql_type(kind)} as {quoted(ours)}"
            for ours, kind in self.dialect.staged_types.items()
        ]
        return f"select *, {', '.join(typed)} from (select _line, {', '.join(given)} from {batch})"

    @property
    def raw_sql(self) -> str:
        """The row's text: the line itself, or for Parquet its mapped columns as JSON."""
        if not isinstance(self.file, ParquetFile):
            return "_raw"
        kept = "_raw" if self._has(RAW) else "null"
        return f"coalesce({kept}, {self._mapped_values(self.values)})"

    @property
    def excerpt_sql(self) -> str:
        """What is kept of the text of a refused row: of one that stands beside prompts, only what is mapped."""
        if not self.dialect.private:
            return self.raw_sql
        return self._mapped_values(ours for ours in self.values if ours != KEYED and ours not in self.dialect.extra)

    def _mapped_values(self, columns: Iterable[str]) -> str:
        pairs = [
            f"{literal(self._path(ours))}, {self._kept(ours)}" for ours in columns if ours not in self.source.constants
        ]
        return f"json_object({', '.join(pairs)})::varchar"

    def _kept(self, ours: str) -> str:
        """A value as a refused row keeps it: where a number or a time should be, no prose."""
        value = quoted(ours + "~in")
        if not self.dialect.private or self.dialect.staged_types[ours] == TEXT:
            return value
        return f"case when {_is_word(value)} then {value}::varchar else {_length(value)} end"

    def _has(self, noted: str) -> bool:
        """Whether rows carry their text, or what is wrong with them."""
        notes = self.file.notes if isinstance(self.file, ParquetFile) else {RAW}
        return noted in notes

    def unreadable(self) -> list[tuple[str, str]]:
        """(condition, reason) for each column whose text cannot be read as its type, as SQL."""
        words = {
            COUNT: "is no whole number",
            REAL: "is no number",
            FLAG: "is neither true nor false",
            DAY: "is no day (YYYY-MM-DD or YYYY-MM)",
            TIME: "is no time (ISO 8601, or set unit for a number)",
            MONEY: "is no plain decimal number (at most 14 digits before the point and 24 after, no separators)",
            EXACT: "is no plain decimal number (at most 14 digits before the point and 24 after, no separators)",
        }
        checks = [("_problem is not null", "_problem")] if self._has(PROBLEM) else []
        for ours, kind in self.dialect.types.items():
            if ours in self.values and kind in words:
                value = quoted(ours + "~in")
                shown = f"chr(39) || left({value}::varchar, 100) || chr(39)"
                if self.dialect.private:
                    shown = f"case when {_is_word(value)} then {shown} else {_length(value)} end"
                text = f"{literal(ours + ': ')} || {shown} || {literal(' ' + words[kind])}"
                condition = f"{quoted(ours)} is null and {value} is not null"
                for alias in (alias for alias in self._durations if alias.startswith(ours + "~")):
                    condition += f" and {quoted(alias)} is not null"
                    text += f" || ' with ' || left({quoted(alias)}::varchar, 100)"
                checks.append((condition, text))
        return checks

    def exact(self, ours: str) -> str:
        """SQL of a money column before its rounding, DECIMAL(38,24)."""
        if ours not in self.values:
            return "null::decimal(38,24)"
        return f"{number(quoted(ours + '~in'), self.values[ours][0].kind)}::decimal(38,24)"

    # -- one column ---------------------------------------------------------------------------------------------

    def _map(self, ours: str, kind: pa.DataType) -> None:
        key = f"sources.{self.name}.columns.{ours}"
        if ours in self.source.constants:
            foreign = Foreign(literal(_constant(self.source.constants[ours])))
            column = None
        else:
            asked = self.source.columns.get(ours)
            if asked is None and (self.dialect.named_only or ours == KEYED not in self.file.columns):
                return
            column = asked if isinstance(asked, Column) else None
            paths = paths_of(ours if asked is None else asked)
            found = self._first(paths, optional=asked is None or (column is not None and column.optional))
            if column and column.optional and not self._has_durations(column):
                return
            if found is None:
                if asked is not None and not (column and column.optional):
                    raise self._lacking(paths[0], key)
                return
            foreign = found
            if ours == KEYED:
                self.values[ours] = (foreign, keyed(quoted(ours + "~in")))
                return
        value = quoted(ours + "~in")
        self.values[ours] = (foreign, self._typed(ours, kind, value, foreign, column, key))

    def _typed(
        self, ours: str, kind: pa.DataType, value: str, foreign: Foreign, column: Column | None, key: str
    ) -> str:
        unit = column.unit if column else None
        if kind != TIME and column and (column.plus or column.minus):
            raise ConfigError("plus and minus are for times only.", key=key)
        if kind == TIME:
            time = self._time(ours, value, foreign.kind, unit, key)
            if column and column.plus:
                time = f"({time} + {self._duration(ours, column.plus, column.plus_unit, key)})"
            if column and column.minus:
                time = f"({time} - {self._duration(ours, column.minus, column.plus_unit, key)})"
            return time
        factor = self._factor(ours, unit, key) if unit else ""
        if kind == COUNT and factor:
            return f"try_cast(round({real(value, foreign.kind)} * {factor}) as bigint)"
        if kind == REAL and factor:
            return f"({real(value, foreign.kind)} * {factor})"
        made = {
            TEXT: f"{value}::varchar",
            COUNT: whole(value, foreign.kind),
            REAL: real(value, foreign.kind),
            FLAG: flag(value),
            DAY: day(value, foreign.kind),
            EXACT: number(value, foreign.kind),
            MONEY: money(value, foreign.kind),
        }
        return made[kind]

    def _factor(self, ours: str, unit: str, key: str) -> str:
        measures = [name for name in _FACTORS if ours.endswith("_" + name) or (ours, name) == ("share", "fraction")]
        measure = next((name for name in measures if unit in _FACTORS[name]), None)
        if measure is None:
            raise ConfigError(f"'{ours}' cannot be in '{unit}'.", key=key, fix="docs/sources.md lists the units.")
        return _FACTORS[measure][unit]

    def _time(self, ours: str, value: str, kind: str, unit: str | None, key: str) -> str:
        if kind == "zoned":
            return value
        if kind == "day":
            kind, value = "time", f"{value}::timestamp"
        zone = self.source.timezone or self.dialect.timezone
        if kind == "time":
            if zone is None:
                raise self._naive(ours, f"the type of column {self._path(ours)}")
            return local_time(value, zone)
        if unit is None:
            if kind != "text":
                fix = f'{ours} = {{ from = "{self._path(ours)}", unit = "ms" }} (or s, us, ns)'
                raise ConfigError(
                    f"'{self._path(ours)}' in {self.file_name} is a number, not a time.", key=key, fix=fix
                )
            if zone is None and ours not in self.source.constants:
                self.zoneless.append((ours, f"{quoted(ours)} is not null and not {has_zone(value)}"))
            return time_of_text(value, zone or "UTC")
        if unit not in SECONDS:
            raise ConfigError(f"a time cannot be in '{unit}'.", key=key, fix='unit = "s", "ms", "us" or "ns".')
        return epoch_time(value, unit, self.source.epoch)

    def _has_durations(self, column: Column) -> bool:
        return all(self._find(path) is not None for path in (column.plus, column.minus) if path)

    def _duration(self, ours: str, path: str, unit: str, key: str) -> str:
        foreign = self._find(path)
        if foreign is None:
            raise self._lacking(path, key)
        alias = f"{ours}~{path}"
        self._durations[alias] = foreign.sql
        return duration(quoted(alias), foreign.kind, unit)

    def _map_tags(self) -> None:
        mapped = "tags" in self.source.columns or "tags" in self.source.constants
        preset = () if mapped else self.dialect.tags
        if not self.source.tags and not preset:
            return
        if "tags" not in self.dialect.types:
            raise ConfigError(f"{self.dialect.table.name} have no tags.", key=f"sources.{self.name}.tags")
        if mapped:
            raise ConfigError(
                "tags come from this list or from columns, not from both.", key=f"sources.{self.name}.tags"
            )
        self._check_tags()
        given = [path for path in preset if self._find(path.removesuffix(".*")) is not None]
        objects = [
            self._whole_object(path) if path.endswith(".*") else self._one_tag(path)
            for path in dict.fromkeys((*given, *self.source.tags))
        ]
        if not objects:
            return
        without = [f"'{json.dumps(dict.fromkeys(TEXTS))}'"] if self.dialect.private else []
        merged = f"json_merge_patch('{{}}', {', '.join([*objects, *without])})::varchar"
        self.values["tags"] = (Foreign(f"nullif({merged}, '{{}}')"), quoted("tags~in"))

    def _check_tags(self) -> None:
        """Refuse tags whose name says that they are what somebody asked or was answered."""
        for path in self.source.tags if self.dialect.private else ():
            if path.rsplit(".", maxsplit=1)[-1] in TEXTS:
                raise ConfigError(
                    f"'{path}' is the text of prompts or answers, which never lands.",
                    key=f"sources.{self.name}.tags",
                    fix=f'{KEYED} = "{path}" in columns keeps a keyed hash of it.',
                )

    def _one_tag(self, path: str) -> str:
        foreign = self._find(path)
        if foreign is None:
            raise self._lacking(path, f"sources.{self.name}.tags")
        return f"json_object({literal(path.rsplit('.', maxsplit=1)[-1])}, {foreign.sql})"

    def _whole_object(self, path: str) -> str:
        stem = path.removesuffix(".*")
        inner = [name for name in self.file.columns if name.startswith(stem + ".")]
        if inner and isinstance(self.file, CsvFile):
            pairs = ", ".join(
                f"{literal(name.removeprefix(stem + '.'))}, {self._text_column(name).sql}" for name in inner
            )
            return f"json_object({pairs})"
        foreign = self._find(stem)
        if foreign is None:
            raise self._lacking(path, f"sources.{self.name}.tags")
        text = f"{foreign.sql}::varchar"
        return f"case when json_valid({text}) and json_type({text}) = 'OBJECT' then {text} else '{{}}' end"

    # -- names in the file --------------------------------------------------------------------------------------

    def _first(self, paths: Sequence[str], *, optional: bool) -> Foreign | None:
        """The first value that one of `paths` gives; None when the file has none of them."""
        before = len(self.missing_paths)
        found = [foreign for path in paths if (foreign := self._find(path)) is not None]
        if optional or len(self.missing_paths) - before < len(paths):
            del self.missing_paths[before:]
        if len(found) < 2:
            return found[0] if found else None
        kinds = {foreign.kind for foreign in found}
        if len(kinds) == 1:
            return Foreign(f"coalesce({', '.join(foreign.sql for foreign in found)})", found[0].kind)
        if kinds & {"time", "zoned", "day"}:  # as text they would forget their zone
            return found[0]
        return Foreign(f"coalesce({', '.join(f'({foreign.sql})::varchar' for foreign in found)})")

    def _find(self, path: str) -> Foreign | None:
        """The value at `path`: a column, a field inside one, or None when the file has neither."""
        if isinstance(self.file, JsonFile):
            if path in self._asked and path not in self.file.columns:
                self.missing_paths.append(path)
            return self._text_column(path)
        columns = self.file.columns
        name = path if path in columns else None
        if name is None and self.dialect.any_case:
            name = next((one for one in columns if one.lower() == path.lower()), None)
        if name is not None:
            return self._column(name)
        parts = path.split(".")
        for size in range(len(parts) - 1, 0, -1):
            stem = ".".join(parts[:size])
            if stem in columns:
                return self._inside(stem, parts[size:])
        return None

    def _column(self, name: str) -> Foreign:
        if not isinstance(self.file, ParquetFile):
            return self._text_column(name)
        kind, sql = kind_of(self.file.types[name]), quoted(name)
        if kind == "nested":
            return Foreign(f"to_json({sql})::varchar")
        if kind == "zoned":
            return Foreign(f"make_timestamp(epoch_ns({sql}) // 1000)", kind)
        if kind == "text":
            return Foreign(self._null_texts(f"{sql}::varchar"))
        return Foreign(sql, kind)

    def _text_column(self, name: str) -> Foreign:
        return Foreign(self._null_texts(self._raw_text(name)))

    def _raw_text(self, name: str) -> str:
        """The text of a column, as the batch must carry it."""
        if name not in self.inputs:
            self.inputs.append(name)
        return f"f{self.inputs.index(name)}"

    def _inside(self, stem: str, keys: list[str]) -> Foreign | None:
        """A field of a struct, or of JSON text in a column; None when a struct has no such field."""
        if not isinstance(self.file, ParquetFile):
            return Foreign(_field(self._text_column(stem).sql, keys))
        column, kind = quoted(stem), self.file.types[stem]
        if kind_of(kind) != "nested":
            return Foreign(_field(f"{column}::varchar", keys))
        if kind in ("VARCHAR[]", "JSON[]"):
            return Foreign(_last(f"list_transform({column}, lambda one: {_field('one', keys)})"))
        if not re.search(rf'"?{re.escape(keys[0])}"? ', kind) and "MAP" not in kind:
            return None
        return Foreign(_field(f"to_json({column})", keys))

    def _null_texts(self, sql: str) -> str:
        return self.dialect.filled(sql, sql)

    def _rest(self) -> str:
        """A JSON object of what the file has and the lake does not know; null when there is nothing."""
        ours = self._asked
        known = {name.lower() for name in (*self.dialect.types, *ours)}
        if isinstance(self.file, JsonFile):
            row = self._text_column("*").sql
            names = json.dumps(dict.fromkeys([*self.dialect.types, *sorted(ours)]))
            return f"nullif(json_merge_patch('{{}}', json_merge_patch({row}, {literal(names)}))::varchar, '{{}}')"
        unknown = [name for name in self.file.columns if name.lower() not in known]
        if not unknown:
            return "null::varchar"
        # Text by text instead of one object: what is null adds nothing. `concat_ws`, and `case` outside instead of
        # inside of `to_json`, because DuckDB then makes the text of a value that comes many times only once.
        pairs = ", ".join(self._pairs(unknown))
        return f"nullif(concat('{{', concat_ws(',', {pairs}), '}}'), '{{}}')"

    def _pairs(self, names: list[str]) -> Iterator[str]:
        """The pairs of `names`; those that the file has together as they are there."""
        together = self.file.together if isinstance(self.file, ParquetFile) else {}
        place = 0
        while place < len(names):
            for column, some in together.items():
                if names[place : place + len(some)] == some:
                    yield quoted(column)
                    place += len(some)
                    break
            else:
                yield self._pair(names[place])
                place += 1

    def _pair(self, name: str) -> str:
        """`"name":value` as JSON has it; null where there is no value."""
        key = literal(pair_key(name))
        if not isinstance(self.file, ParquetFile):
            return self.dialect.pair(key, self._raw_text(name))
        kind = kind_of(self.file.types[name])
        value = f"{quoted(name)}::varchar" if kind == "text" else self._column(name).sql
        return self.dialect.pair(key, value, kind)

    # -- what is wrong ------------------------------------------------------------------------------------------

    def _check_names(self) -> None:
        types = self.dialect.types
        for place, names in (("columns", self.source.columns), ("constants", self.source.constants)):
            for name in names:
                if name not in types:
                    near = difflib.get_close_matches(name, types, 3, 0.5)
                    hint = f"nearest: {', '.join(near)}." if near else f"columns: {', '.join(types)}."
                    raise ConfigError(
                        f"'{name}' is no column of kind {self.source.kind}; {hint}",
                        key=f"sources.{self.name}.{place}.{name}",
                    )
        both = sorted(set(self.source.columns) & set(self.source.constants))
        if both:
            raise ConfigError(
                f"'{both[0]}' is mapped and constant; keep one.", key=f"sources.{self.name}.constants.{both[0]}"
            )

    def _lacking(self, path: str, key: str) -> ConfigError:
        return ConfigError(
            f"{self.file_name} has no '{path}'; {self._columns_of_file()}.",
            key=key,
            fix=f"is it '{self._nearest(path)}'?",
        )

    def naive_error(self, ours: str, line: int) -> ConfigError:
        """For the first value without a zone, found while reading."""
        return self._naive(ours, f"line {line}, column {self._path(ours)}")

    def _naive(self, ours: str, where: str) -> ConfigError:
        return ConfigError(
            f"{self.file_name}, {where}: times for '{ours}' carry no time zone.",
            key=f"sources.{self.name}.timezone",
            fix='timezone = "UTC", or the zone they were written in.',
        )

    def _path(self, ours: str) -> str:
        return self._paths(ours)[0]

    def _paths(self, ours: str) -> list[str]:
        return paths_of(self.source.columns.get(ours, ours))

    def _columns_of_file(self) -> str:
        return f"{self.file_name} has: {', '.join(self.file.columns)}"

    def _nearest(self, name: str) -> str:
        lowered = {column.lower(): column for column in self.file.columns}
        near = difflib.get_close_matches(name.lower(), lowered, 1, 0.0)
        return lowered[near[0]] if near else "THEIR_COLUMN"


def pair_key(name: str) -> str:
    """What a pair of JSON begins with."""
    return json.dumps(name, ensure_ascii=False) + ":"


def _is_word(value: str) -> str:
    """Whether a value is one word, as one that went wrong is, or a time; more words may be anything."""
    return f"({value} is null or regexp_full_match({value}::varchar, '\\S{{0,40}}|[0-9T:.+ -]*'))"


def _length(value: str) -> str:
    return f"'a text of ' || length({value}::varchar) || ' characters'"


def _field(text: str, keys: Sequence[str]) -> str:
    """The field `keys` of JSON text; of a list of objects, that of the last one which has it."""
    path = json_path(keys)
    inside = f"json_extract_string({text}, {literal(path)})"
    of_list = _last(f"json_extract_string({text}, {literal('$[*]' + path.removeprefix('$'))})")
    return (
        f"case when json_valid({text}) then case when json_type({text}) = 'ARRAY' then {of_list} else {inside} end end"
    )


def _last(values: str) -> str:
    """The last value of a list that is not null."""
    return f"list_filter({values}, lambda value: value is not null)[-1]"


def paths_of(asked: str | Column) -> list[str]:
    """The foreign columns or paths that an entry of a column map names."""
    return asked.paths if isinstance(asked, Column) else [asked]


def _constant(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)
