"""`collect` and `build`: from the sources to the lake, from the lake to the published warehouse."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from farthing import console
from farthing.cli import common, progress
from farthing.cli.common import CsvOption, JsonOption, ProjectOption
from farthing.config import Config
from farthing.console import Form, Sheet
from farthing.errors import ConfigError

if TYPE_CHECKING:
    from collectors import LoadResult
    from collectors.collection import Collection
    from farthing.build import BuildResult

_MANY_FILES = 40


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("collect", epilog="Example: `farthing collect bill requests`")(collect_command)
    app.command("build", epilog="Example: `farthing build --as-of 2026-11-03`")(build_command)


def collect(config: Config, names: list[str]) -> Collection:
    """Collect the sources `names` with a bar for each; see `collectors.collection.collect_all`."""
    from collectors.collection import collect_all

    with progress.Bar() as bar:

        @contextmanager
        def watched(name: str) -> Iterator[progress.CollectBar]:
            line = progress.Line(bar)
            try:
                yield progress.CollectBar(line, name)
            finally:
                line.end()

        return collect_all(config, common.open_lake(config), names, watched, bar.message)


def collect_command(
    sources: Annotated[list[str] | None, typer.Argument(help="Sources of farthing.toml; all by default.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the files that would be looked at.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 when a row was rejected.")] = False,
    listen: Annotated[
        str | None,
        typer.Option("--listen", metavar="HOST:PORT", help="Receive OTLP traces there for one source, until SIGTERM."),
    ] = None,
    spool: Annotated[
        Path | None,
        typer.Option("--spool", metavar="DIR", help="--listen: where to; by default the folder of the source's path."),
    ] = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Pull what is new into the lake; each file prints read = landed + duplicate + rejected.

    Files that did not change are not read again. Rejected rows are kept with file, line and reason in the table
    `rejects`. Exits 3 when a source or file could not be read; the others are collected all the same.
    With `--listen` nothing is pulled: traces that are sent are written to a folder, which a later `collect` reads.
    """
    form = common.form(as_json, as_csv)
    config = common.open_project(project)
    if listen is not None:
        from farthing.cli import receiving

        receiving.receive(config, sources or [], listen, spool)
        return
    if spool is not None:
        raise typer.BadParameter("--spool goes with --listen.")
    names = _chosen(config, sources or [])
    if dry_run:
        _list_files(config, names, form)
        return
    found = collect(config, names)
    console.show(collection_sheet(found, form), form)
    tell_failures(found)
    if found.rejected:
        console.say(
            f"{found.rejected:,} rows were rejected; see them with "
            "`farthing query 'select file, line, reason from rejects'` after a build.",
            style="yellow",
            form=Form.JSON,
        )
    raise typer.Exit(found.exit_code or int(strict and found.rejected > 0))


def _chosen(config: Config, wanted: list[str]) -> list[str]:
    if not config.sources:
        raise ConfigError("no source is configured.", key="sources", fix="add a [sources.NAME] table.")
    for name in wanted:
        if name not in config.sources:
            raise typer.BadParameter(f"'{name}' is no source of farthing.toml; it has {', '.join(config.sources)}.")
    return list(dict.fromkeys(wanted)) or list(config.sources)


def _list_files(config: Config, names: list[str], form: Form) -> None:
    import collectors

    rows = [
        (name, source.kind, one.name, one.form or None, one.size)
        for name in names
        for source in [config.sources[name]]
        for one in collectors.load(source.kind).find(name, source, config)
    ]
    console.show(Sheet("files", ["source", "kind", "file", "form", "bytes"], rows, title="Files that match"), form)


def collection_sheet(found: Collection, form: Form = Form.TABLE) -> Sheet:
    """The equation of every file; for people, a source of many files on one line."""
    columns = ["source", "table", "file", "form", "status", "read", "landed", "duplicate", "rejected", "rounding"]
    rows: list[list[object]] = []
    for name in dict.fromkeys(result.source for result in found.results):
        of_source = [result for result in found.results if result.source == name]
        for group in _grouped(of_source, whole=form is not Form.TABLE or len(found.results) <= _MANY_FILES):
            first = group[0]
            rows.append(
                [
                    name,
                    first.table,
                    first.file if len(group) == 1 else f"{len(group)} files",
                    ", ".join(sorted({result.form for result in group})) or None,
                    first.status,
                    *(sum(getattr(result, count) for result in group) for count in ("read", "landed")),
                    *(sum(getattr(result, count) for result in group) for count in ("duplicate", "rejected")),
                    _rounding(group, form),
                ]
            )
    title = "Collected: read = landed + duplicate + rejected"
    return Sheet("files", columns, rows, title=title, exact=frozenset({"rounding"}))


def _grouped(results: list[LoadResult], *, whole: bool) -> list[list[LoadResult]]:
    if whole:
        return [[result] for result in results]
    by_status: dict[tuple[str, str], list[LoadResult]] = {}
    alone = []
    for result in results:
        if result.rejected or result.status == "failed":
            alone.append([result])
        else:
            by_status.setdefault((result.table, result.status), []).append(result)
    return [*by_status.values(), *alone]


def _rounding(group: list[LoadResult], form: Form) -> object:
    taken: dict[str, Decimal] = {}
    for result in group:
        for currency, amount in result.rounding.items():
            taken[currency] = taken.get(currency, Decimal(0)) + amount
    if form is Form.JSON:
        return taken
    return ", ".join(f"{amount.normalize():f} {currency}" for currency, amount in taken.items() if amount) or None


def tell_failures(found: Collection) -> None:
    """Name each file and source that could not be read, and why."""
    told = [
        f"{result.source}, {result.file}: {result.problem}" for result in found.results if result.status == "failed"
    ]
    told += [str(failure) for _, failure in found.failures]
    for line in told:
        console.say(f"failed: {line}", style="red", form=Form.JSON)


def build_command(
    as_of: Annotated[str | None, typer.Option("--as-of", metavar="TIME", help="Build what was known then.")] = None,
    first_day: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="Leave built days before this one as they are.")
    ] = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Make the ledger from the lake, check it, and publish the warehouse; only days that changed are built.

    A failed check prints its count, its query and three rows, publishes nothing and exits 1.
    """
    from farthing import build as building

    form = common.form(as_json, as_csv)
    moment, day = common.moment(as_of), common.day(first_day)
    config = common.open_project(project)
    lake = common.open_lake(config)
    with progress.Bar() as bar:
        result = building.build(config, lake, as_of=moment, first_day=day, progress=progress.BuildBar(bar))
    console.show(build_sheets(result), form, main="totals")


def build_sheets(result: BuildResult) -> list[Sheet]:
    """What a build did, and the bill against the ledger in every currency."""
    facts = Sheet(
        "build",
        ["days_built", "days_current", "seconds", "warehouse"],
        [(len(result.days_built), result.days_current, round(result.seconds, 3), str(result.warehouse))],
        title="Built",
        record=True,
    )
    return [facts, totals_sheet(result)]


def totals_sheet(result: BuildResult) -> Sheet:
    """Bill less ledger less what is still to come, in every currency, to the last decimal."""
    return Sheet(
        "totals",
        ["currency", "bill", "ledger", "accrued", "difference"],
        [(total.currency, total.bill, total.ledger, total.accrued, total.difference) for total in result.totals],
        title="Bill = ledger + accrued + difference",
        exact=frozenset({"bill", "ledger", "accrued", "difference"}),
    )
