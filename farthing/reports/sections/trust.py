"""How firm the figures are: what is provisional or restated, what is matched, and whether every invoice ties."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from farthing import causes, figures, questions
from farthing.reports.asked import Asked, added, part, percent
from farthing.reports.document import Column, Row, Section, Table
from farthing.reports.sections.sums import Sums

if TYPE_CHECKING:
    from farthing.charts import Chart

_TOP = 10

_FIRM = """
select
    pool,
    sum(cost) as cost,
    sum(cost) filter (where provisional) as provisional_cost,
    sum(cost) filter (where estimated) as estimated_cost
from cost_ledger
where BillingCurrency = $currency and day between $first and $last
group by all
order by provisional_cost desc nulls last, pool
"""

_RESTATED = """
select pool, cast(stated_at as date) as stated_on, sum(change) as change
from restatements
where BillingCurrency = $currency and day between $first and $last and change <> 0
group by all
order by stated_on desc, abs(sum(change)) desc, pool
limit 15
"""

_UNMATCHED = """
select subject, key, sum(requests) as requests, round(sum(gpu_seconds), 3) as gpu_seconds, sum(cost) as cost
from unmatched_days
where day between $first and $last and (BillingCurrency = $currency or BillingCurrency is null)
    and (subject <> 'user not in identities' or exists (select 1 from identities))
group by all
order by cost desc nulls last, requests desc nulls last, gpu_seconds desc nulls last, subject, key
limit 10
"""

_INVOICES = """
select
    billing_month, x_source, InvoiceId, BillingCurrency, charges, file_cost, rounding, landed_cost, ledger_cost,
    accrued_cost, difference, billed_cost
from reconciliation
where billing_month between date_trunc('month', $first) and $last
order by BillingCurrency <> $currency, BillingCurrency, x_source, InvoiceId
"""

_PAPERS = """
select provider, account, InvoiceId, currency, amount, tax, bill_cost, difference, cause, residual
from invoice_totals
where month = date_trunc('month', $first)
order by currency <> $currency, currency, provider, account, InvoiceId
"""

_REJECTS = "select coalesce(sum(rows_rejected), 0) as rows, coalesce(sum(failed_files), 0) as files from freshness"


def firmness(asked: Asked, found: Sums) -> Section:
    """What no bill has confirmed yet, what is estimated, and what a later bill changed."""
    money, title = asked.currency, "Provisional, estimated, restated"
    heading = "Every amount is billed: nothing is provisional"
    if found.provisional:
        share = percent(part(found.provisional, found.cost))
        heading = (
            f"{figures.money(found.provisional)} {money}, {share} of spend, are provisional: no bill confirms them yet"
        )
    said = [
        f"How {figures.money(found.estimated)} {money} were divided is estimated: no telemetry watched."
        if found.estimated
        else "Nothing is estimated."
    ]
    rows = [row for row in asked.rows(_FIRM) if row["provisional_cost"] or row["estimated_cost"]]
    columns = [
        Column("pool", "pool"),
        Column("cost", "cost", figures.money),
        Column("provisional_cost", "provisional", figures.money),
        Column("estimated_cost", "estimated", figures.money),
    ]
    tables = [Table("provisional", columns, rows, currency=money)] if rows else []
    restated = asked.rows(_RESTATED)
    said.append(
        f"Later bills changed what was stated before by {figures.money(added(restated, 'change'))} {money}."
        if restated
        else "No amount of these days was restated."
    )
    if restated:
        names = [
            Column("stated_on", "stated on"),
            Column("pool", "pool"),
            Column("change", "change", figures.money),
        ]
        tables.append(Table("restatements", names, restated, title="Restated", currency=money))
    return Section("firmness", title, heading, said, tables=tables)


def quality(asked: Asked) -> Section:
    """How much of cost, GPUs and requests each join matches, and the largest things that nothing matches."""
    rows = asked.rows(questions.QUALITY)
    title = "Data quality"
    if not rows:
        return Section("quality", title, "There was nothing to match on these days")
    for row in rows:
        row["share"] = part(row["matched"], row["total"])
    worst = rows[0]
    heading = f"The weakest match is {percent(worst['share'])}: {worst['subject'].replace('_', '-')} {worst['measure']}"
    if worst["share"] == 1:
        heading = "Everything is matched"
    bad = asked.one(_REJECTS)
    said = []
    if bad["rows"] or bad["files"]:
        said.append(
            f"{figures.count(bad['rows'])} rows and {figures.count(bad['files'])} files of all sources could not be"
            " read: the table rejects has each with its reason."
        )
    columns = [
        Column("subject", "of"),
        Column("measure", "matched"),
        Column("unit", "unit"),
        Column("share", "share", percent),
        Column("matched", "matched", figures.number),
        Column("unmatched", "unmatched", figures.number),
        Column("total", "total", figures.number),
    ]
    note = "Counts are of each day, added up."
    tables = [Table("data_quality", columns, rows, note=note), *_unmatched(asked)]
    return Section("quality", title, heading, said, tables=tables)


def _unmatched(asked: Asked) -> list[Table]:
    rows = asked.rows(_UNMATCHED)
    columns = [
        Column("subject", "what"),
        Column("key", "key"),
        Column("requests", "requests", figures.count),
        Column("gpu_seconds", "GPU-seconds", _whole),
        Column("cost", asked.currency, figures.money),
    ]
    title = f"The {len(rows)} largest things that nothing matches"
    return [Table("unmatched", columns, rows[:_TOP], title=title, currency=asked.currency)] if rows else []


def bills(asked: Asked) -> Section:
    """Each invoice of the billing month, from the file to the ledger; every currency is a line of its own."""
    rows = asked.rows(_INVOICES)
    title = "Bills and reconciliation"
    if not rows:
        say = "Bills come days after the days that they are for; what is known before is provisional."
        return Section("reconciliation", title, f"No bill for {asked.period.title} has come", [say])
    off = [row for row in rows if row["difference"]]
    heading = f"All {len(rows)} invoices tie to the ledger, to the last decimal"
    if len(rows) == 1:
        heading = "The invoice ties to the ledger, to the last decimal"
    if off:
        heading = f"{len(off)} of {len(rows)} invoices do not tie to the ledger"
    columns = [
        Column("x_source", "source"),
        Column("InvoiceId", "invoice"),
        Column("BillingCurrency", "currency"),
        Column("charges", "charges", figures.count),
        Column("file_cost", "file", figures.money),
        Column("rounding", "less rounding", figures.trimmed),
        Column("landed_cost", "landed", figures.money),
        Column("ledger_cost", "less ledger", figures.money),
        Column("accrued_cost", "less accrued", figures.money),
        Column("difference", "difference", figures.trimmed),
        Column("billed_cost", "BilledCost", figures.money),
    ]
    note = "Whole invoices for the billing month. Accrued: for hours still to come. BilledCost ties to the invoice."
    steps = asked.rows(causes.STEPS, month=asked.period.first.replace(day=1))

    def chart() -> Chart:
        from farthing import charts

        return charts.walk(causes.drawn(steps), asked.currency, height=420)

    papers = _papers(asked)
    unsaid = [row for row in papers.rows if row["residual"]] if papers else []
    said = (
        [f"Of {figures.counted(len(papers.rows), 'invoice')} on paper {len(unsaid):,} differ and nothing says why."]
        if papers
        else []
    )
    tables = [Table("reconciliation", columns, rows, note=note), *([_walk(asked, steps)] if steps else [])]
    tables += [papers] if papers else []
    return Section(
        "reconciliation",
        title,
        heading,
        said,
        tables=tables,
        chart=chart if len(causes.drawn(steps)) > 2 else None,
        chart_says=f"From the bills of the month to its ledger, {asked.currency}",
    )


def _walk(asked: Asked, steps: Sequence[Row]) -> Table:
    """The causes between the bills of the month and its ledger, in the currency that leads."""
    columns = [
        Column("step", "from bill to ledger"),
        Column("amount", asked.currency, figures.money),
        Column("attributed_cost", "of", figures.money),
    ]
    rows = [row | {"step": causes.step(row["cause"], of_others=row["of_others"])} for row in steps]
    note = "Of: cost of the charges that the line speaks of; with amount 0.00, bill and ledger have them alike."
    title = "From the bills of the month to its ledger, cause by cause"
    return Table("reconciliation_causes", columns, rows, title=title, note=note, currency=asked.currency)


def _papers(asked: Asked) -> Table | None:
    """Invoices as finance has them; None where there are none."""
    rows = asked.rows(_PAPERS)
    columns = [
        Column("provider", "provider"),
        Column("account", "account"),
        Column("InvoiceId", "invoice"),
        Column("currency", "currency"),
        Column("amount", "on paper", figures.money),
        Column("tax", "of it tax", figures.money),
        Column("bill_cost", "bill", figures.money),
        Column("difference", "difference", figures.money),
        Column("cause", "cause"),
        Column("residual", "without a cause", figures.money),
    ]
    return Table("invoice_totals", columns, rows, title="Invoices on paper") if rows else None


def other_currencies(others: Sequence[tuple[Asked, Sums]]) -> Section | None:
    """The sums of each currency that does not lead; None where there is no other."""
    if not others:
        return None
    rows: list[Row] = [
        {
            "BillingCurrency": asked.currency,
            "cost": found.cost,
            "provisional_cost": found.provisional,
            "serving": found.serving,
            "idle_cost": found.of_kind("idle"),
            "revenue": found.revenue,
            "difference": found.difference,
        }
        for asked, found in others
    ]
    columns = [
        Column("BillingCurrency", "currency"),
        Column("cost", "spend", figures.money),
        Column("provisional_cost", "of it provisional", figures.money),
        Column("serving", "serving (cogs)", figures.money),
        Column("idle_cost", "idle", figures.money),
        Column("revenue", "revenue", figures.money),
        Column("difference", "bill less ledger", figures.trimmed),
    ]
    said = ", ".join(f"{figures.money(row['cost'])} {row['BillingCurrency']}" for row in rows)
    heading = f"Besides, {said}: never added to the rest"
    return Section("other_currencies", "Other currencies", heading, tables=[Table("other_currencies", columns, rows)])


def together(asked: Asked) -> Section | None:
    """All currencies in the reporting currency; None where none is configured, or nothing is in another."""
    found = asked.rows(questions.TOGETHER)
    if not found:
        return None
    total, rows = found[0], asked.rows(questions.CONVERTED)
    reporting, lacking = total["reporting_currency"], figures.unconverted(rows)
    heading = f"All currencies together, {figures.money(total['cost'])} {reporting} were spent"
    if lacking:
        heading = f"What was spent in {reporting} is not known: no rate for {lacking}"
    at = figures.rates(total["sources"], total["first_rate_day"], total["last_rate_day"])
    said = [f"Each line of the ledger is {at}; the amounts above stay as they were billed."]
    if total["revenue"] is not None:
        share = percent(part(total["gross_margin"], total["revenue"]))
        said.append(
            f"Revenue of all currencies is {figures.money(total['revenue'])} {reporting}; less serving (cogs)"
            f" {figures.money(total['gross_margin'])} are left, {share}. After all other cost"
            f" {figures.money(total['operating_margin'])} are left."
        )
    if total["revenue_without_rate"]:
        said.append(f"Revenue in {total['revenue_without_rate']} has no rate, so that of all currencies is not known.")
    columns = [
        Column("BillingCurrency", "currency"),
        Column("cost", "spend", figures.money),
        Column("lowest_rate", "lowest rate", figures.trimmed),
        Column("highest_rate", "highest rate", figures.trimmed),
        Column("first_rate_day", "rates from"),
        Column("last_rate_day", "rates to"),
        Column("reporting_cost", f"spend, {reporting}", figures.money),
        Column("unconverted_cost", "of spend without a rate", figures.money),
    ]
    note = f"A rate is what one unit of the currency is in {reporting}."
    table = Table("reporting_currency", columns, rows, note=note)
    return Section("reporting_currency", f"In {reporting}", heading, said, tables=[table])


def _whole(value: float | None) -> str:
    return figures.MISSING if value is None else f"{value:,.0f}"
