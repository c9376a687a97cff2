"""Who and what the money was for: teams, models and customers; and the margin of each customer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from farthing import figures, questions
from farthing.reports.asked import Asked, added, part, per, percent
from farthing.reports.document import Column, Row, Section, Table
from farthing.reports.sections.sums import CLASSES, NO_CLASS, Sums

if TYPE_CHECKING:
    from farthing.charts import Chart

TOP = 15
LOSSES = 5

_TEAMS = """
with centers as (
    select
        team_id,
        case when count(distinct cost_center) = 1 then max(cost_center) end as cost_center
    from identities
    where team_id is not null
    group by all
)
select
    cost_ledger.team_id,
    coalesce(teams.cost_center, centers.cost_center) as cost_center,
    teams.department,
    sum(cost_ledger.cost) as cost
from cost_ledger
left join teams using (team_id)
left join centers using (team_id)
where BillingCurrency = $currency and day between $first and $last
group by all
order by cost desc, cost_ledger.team_id nulls first
"""

_MODELS = """
with costs as (
    select
        model,
        string_agg(distinct provider, ', ' order by provider) as providers,
        sum(cost) filter (where kind = 'direct') as direct_cost,
        sum(cost) filter (where kind = 'training') as training_cost,
        sum(cost) filter (where kind not in ('direct', 'training')) as other_cost,
        sum(cost) as cost
    from cost_ledger
    where BillingCurrency = $currency and day between $first and $last
    group by all
),
usage as (
    select
        model,
        cast(sum(requests) as bigint) as requests,
        cast(sum(input_tokens) + sum(output_tokens) as bigint) as tokens
    from usage_days
    where day between $first and $last
    group by all
)
select
    coalesce(costs.model, usage.model) as model,
    costs.providers,
    usage.requests,
    usage.tokens,
    costs.direct_cost,
    costs.training_cost,
    costs.other_cost,
    costs.cost
from costs
full join usage on costs.model is not distinct from usage.model
order by costs.cost desc nulls last, model
"""


def teams(asked: Asked) -> Section:
    """Spend by team, with its cost center."""
    rows = asked.rows(_TEAMS)
    whole = added(rows)
    for row in rows:
        row["share"] = part(row["cost"], whole)
    known = [row for row in rows if row["team_id"] is not None]
    heading = "No cost has a team"
    if known:
        heading = f"Team {known[0]['team_id']} carries {percent(known[0]['share'])} of spend"
    bare = [row for row in known if row["cost_center"] is None]
    said = []
    if bare:
        names = ", ".join(row["team_id"] for row in bare[:5])
        said.append(
            f"{len(bare)} of {len(known)} teams have no cost center, with {figures.money(added(bare))}"
            f" {asked.currency}: {names}. [teams.NAME] in farthing.toml gives them one."
        )
    columns = [
        Column("team_id", "team", _or("(no team)")),
        Column("cost_center", "cost center"),
        Column("department", "department"),
        Column("cost", asked.currency, figures.money),
        Column("share", "share", percent),
    ]
    return Section("teams", "Teams", heading, said, tables=[Table("teams", columns, rows, currency=asked.currency)])


def models(asked: Asked) -> Section:
    """Spend by model; what one request and a million tokens cost is of direct cost."""
    rows = asked.rows(_MODELS)
    whole = added(rows)
    named = [row for row in rows if row["model"] is not None and row["cost"]]
    bare = next((row for row in rows if row["model"] is None and row["cost"]), None)
    top = [*([bare] if bare else []), *_top(named, ("requests", "tokens"), "model")]
    for row in top:
        row["share"] = part(row["cost"], whole)
        row["cost_per_1000_requests"] = per(row["direct_cost"], row["requests"], 1_000)
        row["cost_per_million_tokens"] = per(row["direct_cost"], row["tokens"], 1_000_000)
    heading = "No cost has a model"
    if named:
        heading = f"The model {named[0]['model']} is {percent(part(named[0]['cost'], whole))} of spend"
    unused = [row for row in rows if row["model"] is not None and not row["cost"] and row["requests"]]
    said = []
    if unused:
        names = ", ".join(row["model"] for row in unused[:5])
        said.append(f"{len(unused)} models have requests and no cost in {asked.currency}: {names}.")
    columns = [
        Column("model", "model", _or("(no model)")),
        Column("providers", "provider"),
        Column("requests", "requests", figures.count),
        Column("tokens", "tokens", figures.count),
        Column("direct_cost", "direct", figures.money),
        Column("training_cost", "training", figures.money),
        Column("other_cost", "other kinds", figures.money),
        Column("cost", "all", figures.money),
        Column("share", "share", percent),
        Column("cost_per_1000_requests", "direct per 1,000 requests", figures.money),
        Column("cost_per_million_tokens", "direct per million tokens", figures.money),
    ]
    note = "Direct: what the requests themselves took. Idle, shared and unexplained cost are among the other kinds."
    table = Table("models", columns, top, note=note, currency=asked.currency)
    return Section("models", "Models", heading, said, tables=[table])


def customers(asked: Asked) -> Section:
    """Spend by customer, the largest first."""
    rows = asked.rows(questions.CUSTOMERS)
    whole = added(rows)
    named = [row for row in rows if row["customer_id"] is not None]
    bare = [row for row in rows if row["customer_id"] is None]
    if not named:
        say = "Requests name customers by customer_id, or a source of kind identities does."
        return Section("customers", "Customers", "No cost has a customer", [say])
    shown = [*bare, *_top(named, ("requests", "revenue", "cogs_cost", "margin"), "customer_id")]
    for row in shown:
        row["share"] = part(row["cost"], whole)
    dearest = named[:TOP]
    heading = f"The {len(dearest)} customers who cost most are {percent(part(added(dearest), whole))} of spend"
    if len(named) == 1:
        heading = f"{named[0]['customer_id']} is the one customer"
    columns = [
        Column("customer_id", "customer", _or("(no customer)")),
        Column("plans", "plan"),
        Column("requests", "requests", figures.count),
        Column("revenue", "revenue", figures.money),
        Column("cogs_cost", "serving (cogs)", figures.money),
        Column("cost", "all cost", figures.money),
        Column("share", "share of cost", percent),
        Column("margin", "margin", figures.money),
    ]
    note = f"Amounts in {asked.currency}. Margin is revenue less serving; without revenue it is not known."
    return Section(
        "customers",
        "Customers",
        heading,
        tables=[Table("customers", columns, shown, note=note, currency=asked.currency)],
    )


def margin(asked: Asked, found: Sums) -> Section:
    """From revenue to what is left, and who costs more than he pays."""
    if found.revenue is None:
        say = f"No revenue in {asked.currency} is known on these days; a source of kind revenue brings it."
        return Section("margin", "Margin", "Margin is not known without revenue", [say])
    steps: list[Row] = [{"step": "revenue", "amount": found.revenue}]
    steps.append({"step": f"less {CLASSES['cogs']}", "amount": -found.serving})
    steps.append({"step": "gross margin", "amount": found.gross_margin})
    others = (("rnd", CLASSES["rnd"]), ("opex", CLASSES["opex"]), (None, NO_CLASS))
    steps += [{"step": f"less {name}", "amount": -cost} for key, name in others if (cost := found.of_class(key))]
    steps.append({"step": "left", "amount": found.revenue - found.cost})
    for step in steps:
        step["share"] = part(step["amount"], found.revenue)
    rows = asked.rows(questions.CUSTOMERS)
    lost = sorted((row for row in rows if row["margin"] is not None and row["margin"] < 0), key=_margin)
    known = sum(1 for row in rows if row["margin"] is not None and row["customer_id"] is not None)
    heading = f"None of {figures.count(known)} paying customers costs more than he pays"
    if lost:
        many = "cost more than they pay" if len(lost) > 1 else "costs more than he pays"
        heading = (
            f"{figures.count(len(lost))} of {figures.count(known)} paying customers {many};"
            f" {lost[0]['customer_id']} loses {figures.money(-lost[0]['margin'])} {asked.currency}"
        )
    free = [row for row in rows if row["customer_id"] is not None and row["revenue"] is None and row["cost"]]
    said = []
    if free:
        said.append(
            f"{figures.counted(len(free), 'customer')} without revenue on these days cost {figures.money(added(free))}"
            f" {asked.currency}: their margin is not known."
        )
    tables = [
        Table(
            "margin",
            [
                Column("step", "step"),
                Column("amount", asked.currency, figures.money),
                Column("share", "of revenue", percent),
            ],
            steps,
            currency=asked.currency,
        )
    ]
    if lost:
        columns = [
            Column("customer_id", "customer"),
            Column("plans", "plan"),
            Column("requests", "requests", figures.count),
            Column("revenue", "revenue", figures.money),
            Column("cogs_cost", "serving (cogs)", figures.money),
            Column("margin", "margin", figures.money),
        ]
        title = "The largest losses"
        tables.append(Table("losses", columns, lost[:LOSSES], title=title, currency=asked.currency))

    def chart() -> Chart:
        from farthing import charts

        bars = [(str(row["customer_id"]), row["margin"]) for row in lost[:LOSSES]]
        return charts.signed_by_name(bars, f"margin, {asked.currency}", bad="negative", height=220)

    return Section(
        "margin",
        "Margin",
        heading,
        said,
        tables=tables,
        chart=chart if len(lost) > 1 else None,
        chart_says=f"The largest losses, {asked.currency}",
    )


def _top(rows: Sequence[Row], sums: Sequence[str], name: str) -> list[Row]:
    """The first TOP rows, and the others as one; a sum of which a part is not known is not known."""
    rest = rows[TOP:]
    if not rest:
        return list(rows)
    other: Row = dict.fromkeys(rows[0])
    for column in {*sums, *(key for key in rows[0] if key == "cost" or key.endswith("_cost"))}:
        known = [row[column] for row in rest if row[column] is not None]
        if known and (column.endswith("cost") or len(known) == len(rest)):
            other[column] = sum(known)
    return [*rows[:TOP], other | {name: f"{figures.count(len(rest))} others"}]


def _margin(row: Row) -> tuple[object, str]:
    return row["margin"], str(row["customer_id"])


def _or(nobody: str) -> Callable[[object], str]:
    return lambda value: nobody if value is None else str(value)
