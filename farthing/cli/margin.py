"""`margin`: what is earned on what it costs to run, by who pays, user, customer, plan, cohort, model and feature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from farthing import console, figures, warehouse
from farthing.cli import common
from farthing.cli.common import CsvOption, JsonOption, ProjectOption
from farthing.console import Form, Sheet
from farthing.margin.lines import By

if TYPE_CHECKING:
    import duckdb

MonthOption = Annotated[
    str | None, typer.Option("--month", metavar="MONTH", help="Like 2026-10; by default the last that is whole.")
]
_FIGURES = (
    *("payers", "free_payers", "revenue", "cogs_cost", "margin", "margin_low", "margin_high", "margin_share"),
    *("cost_share", "credits", "margin_after_credits", "provisional_cost", "estimated_cost", "finding"),
)
_MONTH = (
    *("month", "currency", "revenue", "cogs_cost", "margin", "margin_low", "margin_high", "margin_share"),
    *("credits", "margin_after_credits", "provisional_cost", "estimated_cost", "payers", "losing_payers"),
    *("losing_cost", "losing_cost_share", "lost", "free_payers", "free_cost", "free_cost_share"),
    *("payers_without_cost", "revenue_without_cost", "nobodys_cost", "next_low_margin_share", "next_high_margin_share"),
)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("margin", epilog="Example: `farthing margin --by customer --month 2026-10 --losers`")(margin_command)


def margin_command(
    by: Annotated[By, typer.Option("--by", help="What the lines are summed by.")] = By.PAYER,
    month: MonthOption = None,
    losers: Annotated[
        bool, typer.Option("--losers", help="Only who costs more than he pays, and who pays nothing.")
    ] = False,
    whale: Annotated[
        bool, typer.Option("--whale", help="Also how much of cost and margin the first percents of payers are.")
    ] = False,
    currency: Annotated[
        str | None, typer.Option("--currency", help="By default the one with the most cost in the month.")
    ] = None,
    unit: Annotated[
        str | None,
        typer.Option("--unit", metavar="NAME", help="Instead: what one of a unit costs by model, like 'request'."),
    ] = None,
    waterfall: Annotated[
        tuple[str, str] | None,
        typer.Option("--waterfall", metavar="MONTH MONTH", help="With --unit: what moved it between two months."),
    ] = None,
    rows: Annotated[int, typer.Option("--rows", min=1, help="Lines shown as a table; JSON and CSV have all.")] = 20,
    project: ProjectOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Gross margin of a month: revenue less cost of sales before promotional credits; after them is shown beside.

    Read from the published warehouse. Users without revenue, revenue without users and cost of nobody are lines.
    """
    from farthing.margin import lines

    form = common.form(as_json, as_csv)
    if waterfall is not None and unit is None:
        raise typer.BadParameter("--waterfall goes with --unit, like --unit request.")
    if unit is not None and (losers or whale or by is not By.PAYER):
        raise typer.BadParameter("--unit excludes --by, --losers and --whale.")
    two = (common.month(waterfall[0]), common.month(waterfall[1])) if waterfall else None
    first = common.month(month) if month else None
    config = common.open_project(project)
    with warehouse.open_warehouse(config) as con:
        known, whole, last = lines.months(con)
        at = first or (two[1] if two else (whole or known)[-1])
        if at not in known:
            raise typer.BadParameter(f"{at:%Y-%m} has neither cost nor revenue; known are {known[0]:%Y-%m} to "
                                     f"{known[-1]:%Y-%m}.")  # fmt: skip
        spoken = lines.currencies(con, at)
        chosen = currency or spoken[0]
        if chosen not in spoken:
            raise typer.BadParameter(f"nothing is in {chosen} in {at:%Y-%m}; there is {', '.join(spoken)}.")
        if unit is not None:
            _show_unit(con, unit, two, at, chosen, form)
            return
        sure = lines.spread_of(con, at, chosen, whole)
        summary = lines.whole_month(con, at, chosen, sure)
        found = lines.lines(con, by, at, chosen, sure)
        whales = lines.whales(con, at, chosen) if whale else []
        tasks = lines.tasks(con, at, chosen)
    if losers:
        found = sorted(
            (line for line in found if line["finding"] in ("loses", "no revenue")),
            key=lambda line: (line["revenue"] or 0) - line["cogs_cost"],
        )
    sheets = [_sheet("month", _MONTH, [summary], record=True), _lines(found, by, rows, form)]
    if whale:
        sheets.append(_sheet("whales", tuple(whales[0]) if whales else ("percent",), whales, title="Whales"))
    if tasks:
        sheets.append(_sheet("tasks", tuple(tasks[0]), tasks, record=True, title="Agent tasks that began in the month"))
    console.show(sheets, form, main="whales" if whale else "lines")
    remarks = []
    if at not in whole:
        remarks.append(f"The ledger ends on {figures.day(last)}: the month's cost is not whole, its revenue may be.")
    if len(spoken) > 1:
        others = ", ".join(name for name in spoken if name != chosen)
        remarks.append(f"The month also has amounts in {others}; they are in no sum here: --currency shows them.")
    if sure is None:
        remarks.append("No interval: it takes three whole months with revenue and cost to see how far months differ.")
    for remark in remarks:
        console.say(remark, style="dim", form=Form.JSON)


def _show_unit(
    con: duckdb.DuckDBPyConnection,
    unit: str,
    two: tuple[date, date] | None,
    month: date,
    currency: str,
    form: Form,
) -> None:
    """What one of `unit` costs in `month` by model, or what moved it between `two`."""
    from farthing.margin import units

    if two is None:
        rows = units.of_month(con, unit, month, currency)
        columns = ("model", "quantity", "cost", "provisional_cost", "cost_per_unit")
        title = f"One {unit} in {month:%Y-%m}, {currency}"
        console.show(_sheet("unit", columns, rows, title=title, note="Without a model: the company."), form)
        return
    found = units.moved(con, unit, two, currency)
    summary = {
        "unit": unit, "currency": currency, "from": two[0], "to": two[1], "before": found.before, "after": found.after,
        "change": found.after - found.before,
    }  # fmt: skip
    effects = [
        {"effect": effect, "model": model, "amount": amount}
        for effect, model, amount in sorted(found.effects, key=lambda one: -abs(one[2]))
    ]
    console.show(
        [
            _sheet("unit", tuple(summary), [summary], record=True, title="What one costs"),
            _sheet("effects", ("effect", "model", "amount"), effects, title="What moved it: adds up to the change"),
        ],
        form,
        main="effects",
    )


def _lines(found: Sequence[Mapping[str, Any]], by: By, rows: int, form: Form) -> Sheet:
    keys = {
        By.PAYER: ("payer_kind", "payer"), By.USER: ("user_id", "customer_id"), By.CUSTOMER: ("customer_id",),
    }.get(by, (by.value,))  # fmt: skip
    shown = found[:rows] if form is Form.TABLE else found
    note = f"The first {rows:,} of {len(found):,} lines; --rows N shows more." if len(found) > rows else ""
    if by in {By.MODEL, By.FEATURE}:
        note = f"Revenue is shared by what each payer's lines cost: a convention. {note}".strip()
    hidden = {"provisional_cost", "estimated_cost", "margin_after_credits", "credits", "cost_share"}
    if by in {By.PAYER, By.USER, By.CUSTOMER}:
        hidden |= {"payers", "free_payers"}
    if all(line["margin_low"] == line["margin"] for line in shown):
        hidden |= {"margin_low", "margin_high"}
    return _sheet(
        "lines", (*keys, *_FIGURES), shown, title=f"Margin by {by.value}", note=note, hidden=frozenset(hidden)
    )


def _sheet(name: str, columns: Sequence[str], found: Sequence[Mapping[str, Any]], **more: Any) -> Sheet:
    return Sheet(name, columns, [[row[column] for column in columns] for row in found], **more)
