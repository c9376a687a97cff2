"""`anomalies`: what stands out, why, and what people say about it."""

from __future__ import annotations

import getpass
import json
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from farthing import console, warehouse
from farthing.cli import common, progress
from farthing.cli.common import CsvOption, JsonOption, ProjectOption
from farthing.config import Config
from farthing.console import Form, Sheet

if TYPE_CHECKING:
    from farthing.lake import Lake

_COLUMNS = (
    *("episode_id", "level", "state", "rule", "dimension", "key", "first_day", "last_day", "BillingCurrency"),
    *("expected", "actual", "impact", "score", "title", "cause", "parent_id", "verdict"),
)
_HIDDEN = frozenset(
    {"level", "dimension", "key", "BillingCurrency", "expected", "actual", "score", "cause", "parent_id"}
)
_MUTES = ("mute_id", "dimension", "key", "rule", "from_day", "until_day", "reason", "author", "ended_at")

_EPISODES = f"""
with said as (
    select episode_id, arg_max(verdict, given_at) as verdict
    from anomaly_feedback
    group by episode_id
)

select {", ".join(f"episodes.{name}" for name in _COLUMNS[:-1])}, said.verdict
from episodes
left join said on episodes.episode_id = said.episode_id
where
    ($dimension is null or (episodes.dimension = $dimension and ($key is null or episodes.key = $key)))
    and (not $open or episodes.state = 'open')
    and ($since is null or episodes.last_day >= $since)
    and ($details or episodes.level = 'page' or episodes.parent_id is null and $dimension is not null)
order by episodes.level <> 'page', episodes.impact desc, episodes.episode_id
"""

AuthorOption = Annotated[str | None, typer.Option("--author", help="Who says so; by default the user of this shell.")]


class Verdict(StrEnum):
    """What an episode was."""

    TRUE = "true"
    FALSE = "false"
    PLANNED = "planned"


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(
        help="What stands out in the spend, why, and what was said about it.", invoke_without_command=True
    )
    group.callback()(anomalies_command)
    group.command("detect", epilog="Example: `farthing anomalies detect`")(detect_command)
    group.command("feedback", epilog="Example: `farthing anomalies feedback 3f2a91c04be7 planned --note 'launch'`")(
        feedback_command
    )
    group.command(
        "mute", epilog="Example: `farthing anomalies mute --dimension team --key research --until 2026-12-31`"
    )(mute_command)
    group.command("mutes", epilog="Example: `farthing anomalies mutes --end 3f2a91c04be7`")(mutes_command)
    app.add_typer(
        group,
        name="anomalies",
        epilog="Example: `farthing anomalies --open`; of any series:"
        " `farthing anomalies --series spend.csv --out anomalies.parquet`",
    )


def anomalies_command(
    context: typer.Context,
    scope: Annotated[
        str | None, typer.Option("--scope", metavar="DIMENSION[=KEY]", help="Like total, team=support or model=gpt-5.")
    ] = None,
    only_open: Annotated[bool, typer.Option("--open", help="Only what goes on.")] = False,
    since: Annotated[str | None, typer.Option("--since", metavar="DATE", help="Only what lasted to that day.")] = None,
    details: Annotated[bool, typer.Option("--details", help="Also what a larger one explains.")] = False,
    series: Annotated[
        Path | None,
        typer.Option("--series", metavar="FILE", help="Judge this CSV or Parquet with uid, ds (a day), y instead."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="--series: write to this .csv or .parquet.")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option("--threshold", min=1.6, help="--series: standard deviations from which on a day stands out."),
    ] = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Episodes of spend above what the days before let expect, and of broken rules, those that cost most first.

    Read from the published warehouse; `farthing run` and `farthing anomalies detect` look for new ones.
    """
    if context.invoked_subcommand is not None:
        return
    form = common.form(as_json, as_csv)
    if series is not None:
        from farthing.cli.anomaly_series import series_mode

        series_mode(series, threshold, out, form)
        return
    if out is not None or threshold is not None:
        raise typer.BadParameter("--out and --threshold go with --series.")
    dimension, _, key = (scope or "").partition("=")
    asked = {"dimension": dimension or None, "key": key or None, "open": only_open, "details": details}
    first = common.day(since)
    with warehouse.open_warehouse(common.open_project(project)) as con:
        rows = con.execute(_EPISODES, {**asked, "since": first}).fetchall()
    console.show(_sheet(rows, form), form)


def detect_command(project: ProjectOption = None, as_json: JsonOption = False, as_csv: CsvOption = False) -> None:
    """Look at the ledger now, keep what is found, and print what goes on; exits 1 when something new came up.

    `farthing run` does this each time. A second look at the same ledger changes nothing.
    """
    from farthing import anomalies

    form = common.form(as_json, as_csv)
    config = common.open_project(project)
    with progress.Bar() as bar:
        found = anomalies.detect(config, common.open_lake(config), bar)
    shown = [row for row in found.open if row["level"] == "page"]
    console.show(_sheet([[row.get(name) for name in _COLUMNS] for row in shown], form), form)
    raise typer.Exit(int(any(row["level"] == "page" for row in found.opened)))


def feedback_command(
    episode: Annotated[str, typer.Argument(metavar="ID", help="The episode_id.")],
    verdict: Annotated[Verdict, typer.Argument(help="Whether it was one; planned: it was, and known before.")],
    note: Annotated[str | None, typer.Option("--note", help="Why.")] = None,
    author: AuthorOption = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether an episode was one; false and planned end it, and nobody is told of it again."""
    from farthing.anomalies import kept

    form = common.form(as_json)
    config = common.open_project(project)
    lake = common.open_lake(config)
    row = kept.feedback(lake, episode, verdict.value, note, author or _user())
    _publish(config, lake)
    console.show(_sheet([[{**row, "verdict": verdict.value}.get(name) for name in _COLUMNS]], form), form)


def mute_command(
    dimension: Annotated[str | None, typer.Option("--dimension", help="Like team; any by default.")] = None,
    key: Annotated[str | None, typer.Option("--key", help="Like support; any by default.")] = None,
    rule: Annotated[str | None, typer.Option("--rule", help="Like idle or spend; any by default.")] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="DATE", help="The last day; until it is ended.")
    ] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why.")] = None,
    author: AuthorOption = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell nobody of a scope, a rule, or both, from today on; what is found is kept all the same."""
    from farthing.anomalies import kept

    form = common.form(as_json)
    last: date | None = common.day(until)
    config = common.open_project(project)
    lake = common.open_lake(config)
    made = kept.mute(lake, dimension=dimension, key=key, rule=rule, until=last, reason=reason, author=author or _user())
    _publish(config, lake)
    console.show(_mutes([made]), form)


def mutes_command(
    end: Annotated[str | None, typer.Option("--end", metavar="ID", help="End this mute.")] = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """What nobody is told of; with --end a mute is taken back."""
    from farthing.anomalies import kept
    from farthing.lake.issued import MUTES

    form = common.form(as_json, as_csv)
    config = common.open_project(project)
    lake = common.open_lake(config)
    if end is not None:
        kept.unmute(lake, end)
        _publish(config, lake)
    console.show(_mutes(kept.read(lake, MUTES, order="made_at, mute_id")), form)


def _publish(config: Config, lake: Lake) -> None:
    from farthing import issued

    with progress.Bar() as bar:
        issued.publish(config, lake, bar.message)


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return None


def _mutes(rows: list[dict[str, Any]]) -> Sheet:
    return Sheet("mutes", _MUTES, [[row[name] for name in _MUTES] for row in rows], title="Muted")


def _sheet(rows: list[Any], form: Form) -> Sheet:
    """Episodes as a table: programs get everything, the cause as values; people its first words below the title."""
    place = _COLUMNS.index("cause")
    parsed = [[*row[:place], json.loads(row[place] or "[]"), *row[place + 1 :]] for row in rows]
    if form is Form.JSON:
        return Sheet("episodes", _COLUMNS, parsed)
    columns = (*_COLUMNS, "why")
    shown = [
        [*row[:place], json.dumps(row[place], ensure_ascii=False), *row[place + 1 :], _why(row[place])]
        for row in parsed
    ]
    return Sheet("episodes", columns, shown, title="Anomalies", hidden=_HIDDEN)


def _why(causes: list[Mapping[str, Any]]) -> str:
    """The best slice of the bill and of the ledger, and a single task, in words."""
    first: dict[str, Mapping[str, Any]] = {}
    for cause in causes:
        first.setdefault(str(cause["of"]), cause)
    words = []
    for cause in first.values():
        about = ", ".join(f"{name} {value}" for name, value in cause["slice"].items() if value is not None)
        share = f" ({console.percent(cause['share'])})" if "share" in cause else ""
        price, volume = cause.get("price_effect"), cause.get("volume_effect")
        split = f", price {price:+,.0f}, volume {volume:+,.0f}" if price is not None and volume is not None else ""
        words.append(f"{about}{share}{split}")
    return "; ".join(words)
