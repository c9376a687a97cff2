"""`budgets`: how each budget stands, and why a month cost other than planned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from farthing import console, figures, warehouse
from farthing.cli import common, progress
from farthing.cli.common import CsvOption, JsonOption, ProjectOption
from farthing.console import Form, Sheet

if TYPE_CHECKING:
    from farthing.budgets import Status
    from farthing.budgets.variance import Variance

_BAR = 20
MonthOption = Annotated[
    str | None, typer.Option("--month", metavar="MONTH", help="Like 2026-10; by default that of the ledger's end.")
]
ScopeOption = Annotated[
    str | None, typer.Option("--scope", metavar="SCOPE", help="Only of this, like team=support; total for everything.")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer()
    group.callback(invoke_without_command=True, epilog="Example: `farthing budgets --scope team=support`")(
        budgets_command
    )
    group.command("variance", epilog="Example: `farthing budgets variance 2026-10 gpus`")(variance_command)
    app.add_typer(group, name="budgets")


def budgets_command(
    context: typer.Context,
    month: MonthOption = None,
    scope: ScopeOption = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """How each budget stands: spent to date, where the month lands, and what is crossed since when. Blocks nothing.

    Read from the published warehouse. Exits 1 when a threshold is crossed.
    """
    if context.invoked_subcommand is not None:
        return
    from farthing import budgets

    form = common.form(as_json, as_csv)
    first = common.month(month) if month else None
    wanted = _scope(scope)
    config = common.open_project(project)
    with warehouse.open_warehouse(config) as con, progress.Bar() as bar:
        statuses = budgets.statuses(con, config, first, progress.BuildBar(bar))
    found = [status for status in statuses if wanted is None or _within(status.limit.scope, wanted)]
    console.show(_status_sheet(found, form), form)
    for line in _remarks(found):
        console.say(line, style="dim", form=Form.JSON)
    raise typer.Exit(int(any(status.crossings for status in found)))


def variance_command(
    month: Annotated[str, typer.Argument(metavar="MONTH", help="Like 2026-10.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="A budget of a month, as `farthing budgets` names it.")],
    scope: ScopeOption = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Why a month cost other than planned: volume, provider mix and rate, which add up to the variance exactly.

    It is split where the plan says how much of what is used, by provider; see docs/budgets.md.
    """
    from farthing.budgets.variance import variance_of

    form = common.form(as_json, as_csv)
    first, wanted = common.month(month), _scope(scope)
    config = common.open_project(project)
    with warehouse.open_warehouse(config) as con:
        found = variance_of(con, config, first, name, wanted)
    console.show([_variance_sheet(found), _lines_sheet(found, form)], form, main="lines")


def _scope(text: str | None) -> dict[str, str] | None:
    """The scope that `--scope` names: `team=support`, several with a comma between, `total` for everything.

    Raises:
        typer.BadParameter: it names none.
    """
    from farthing.budgets.spend import COLUMNS

    if text is None or text == "total":
        return None if text is None else {}
    parts = dict(part.partition("=")[::2] for part in text.split(","))
    for dimension, key in parts.items():
        if dimension not in COLUMNS or not key:
            raise typer.BadParameter(
                f"'{text}' is no scope; write total, or one of {', '.join(COLUMNS)} like team=support."
            )
    return parts


def _within(scope: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether a budget's scope is the wanted one; `*` is anybody's."""
    return scope.keys() == wanted.keys() and all(key in (scope[name], "*") for name, key in wanted.items())


def _status_sheet(statuses: Sequence[Status], form: Form) -> Sheet:
    columns = [
        *("budget", "dimension", "key", "period_start", "period_end", "elapsed_share", "amount", "currency", "actual"),
        *("used_share", "provisional", "landing", "landing_q80", "crossed", "since", "elsewhere", "members"),
    ]
    rows = [_status_row(status, form) for status in statuses]
    if form is not Form.TABLE:
        return Sheet("budgets", columns, rows)
    spot = columns.index("used_share")
    columns.insert(spot, "used")
    for row, status in zip(rows, statuses, strict=True):
        row.insert(spot, _bar(status))
    through = max((status.through for status in statuses if status.through is not None), default=None)
    return Sheet(
        "budgets",
        columns,
        rows,
        title="Budgets" + (f", by the ledger up to {figures.day(through)}" if through else ""),
        note="In a bar, | is the time that has passed. Farthing tells and never blocks." if statuses else "",
        hidden=frozenset({"dimension", "elapsed_share", "elsewhere", "members", "landing_q80", "period_end"}),
        headings={**console.SHORTER, "period_start": "from", "used_share": "share", "key": "scope"},
    )


def _status_row(status: Status, form: Form) -> list[object]:
    from farthing.budgets.record import highest

    limit, landing = status.limit, status.landing
    people = form is Form.TABLE
    key = status.scope if people else status.key
    foreseen: tuple[object, object] = (landing.forecast, landing.q80) if landing else (None, None)
    if people:
        foreseen = (f"{landing.forecast:,.2f}" if landing else "no forecast", None)
        if limit.rolling:
            foreseen = (None, None)  # a window has no end that it could land at
    crossed = {one.measure: f"{one.percent} % {one.measure}" for one in status.crossings}  # the highest comes last
    told = highest(status)
    return [
        *(limit.name, status.dimension, key, limit.begin, limit.end - timedelta(days=1), status.elapsed_share),
        *(limit.amount, limit.currency, status.actual, status.used_share, status.provisional, *foreseen),
        _crossings(status) if form is Form.JSON else ", ".join(crossed.values()) or None,
        told.since if told else None,
        dict(status.elsewhere) or None,
        status.members,
    ]


def _crossings(status: Status) -> list[dict[str, object]]:
    return [
        {"measure": one.measure, "percent": one.percent, "level": one.level, "value": one.value, "since": one.since}
        for one in status.crossings
    ]


def _bar(status: Status) -> str:
    """What is used of the amount, with a mark where the time of the period stands."""
    share = status.used_share
    if share is None:
        return figures.MISSING if status.actual is None else ""
    full = min(_BAR, max(0, int(share * _BAR)))
    drawn = "\N{FULL BLOCK}" * full + "\N{LIGHT SHADE}" * (_BAR - full)
    mark = min(_BAR - 1, int(status.elapsed_share * _BAR))
    return drawn[:mark] + "|" + drawn[mark + 1 :] + (">" if share > 1 else "")


def _remarks(statuses: Sequence[Status]) -> list[str]:
    """What the table does not say: who else has a budget on his own, and money that counts nowhere."""
    found = []
    for name in dict.fromkeys(status.limit.name for status in statuses if status.members is not None):
        of_budget = [status for status in statuses if status.limit.name == name]
        crossed = sum(bool(status.crossings) for status in of_budget)
        found.append(
            f"{name}: {crossed:,} of {of_budget[0].members or 0:,} have crossed a threshold; shown are those, "
            "and who spent most."
        )
    begins = [
        status.known_from
        for status in statuses
        if status.known_from is not None and status.known_from > status.limit.begin
    ]
    if begins:
        found.append(f"The ledger begins on {figures.day(begins[0])}; what was before counts nowhere.")
    for status in statuses:
        for currency, cost in status.elsewhere.items():
            found.append(
                f"{status.limit.name}: {status.scope} also cost {figures.money(cost)} {currency}, "
                f"which counts in no budget of {status.limit.currency}."
            )
    return found


def _variance_sheet(found: Variance) -> Sheet:
    effects, limit = found.effects, found.limit
    columns = [
        *("budget", "month", "currency", "planned", "actual", "provisional", "variance"),
        *("volume", "mix", "rate", "unsplit", "through"),
    ]
    row = [
        *(limit.name, limit.begin, limit.currency, limit.amount, found.actual, found.provisional, effects.variance),
        *(effects.volume, effects.mix, effects.rate, effects.unsplit, found.through),
    ]
    exact = frozenset({"planned", "actual", "variance", "volume", "mix", "rate", "unsplit"})
    over = found.through + timedelta(days=1) == limit.end
    title = "Actual less planned" + (
        "" if over else f": the month is not over, and known up to {figures.day(found.through)}"
    )
    return Sheet("variance", columns, [row], title=title, record=True, exact=exact)


def _lines_sheet(found: Variance, form: Form) -> Sheet:
    columns = [
        *("provider", "unit", "planned_quantity", "planned_rate", "planned", "quantity", "actual_rate", "actual"),
        *("volume", "mix", "rate", "unsplit", "variance"),
    ]
    rows = [
        [
            line.provider or ("not known" if form is Form.TABLE and line.actual_quantity else None),
            found.unit,
            *(line.planned_quantity, line.rate_of_plan, line.planned_amount),
            *(line.actual_quantity, line.rate_that_came, line.actual_cost),
            *(effects.volume, effects.mix, effects.rate, effects.unsplit, effects.variance),
        ]
        for line, effects in found.lines
    ]
    note = "volume: more or less used; mix: used elsewhere than planned; rate: another price; unsplit: no quantity."
    return Sheet("lines", columns, rows, title="By provider", note=note)
