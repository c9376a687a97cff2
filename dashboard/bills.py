"""The page that answers: does every cent of every invoice arrive?"""

from __future__ import annotations

from datetime import date

import streamlit as st

from dashboard import parts, tables
from dashboard.choice import Choice, currencies
from dashboard.drawing import draw
from dashboard.parts import finding
from dashboard.published import Published, published
from dashboard.queries import bills
from dashboard.tables import Column
from farthing import causes, charts, figures, questions
from farthing.figures import count, exact, money

QUESTION = "Does every cent of every invoice arrive?"


def page() -> None:
    """Draw the page from what is published now."""
    with published() as warehouse:
        choice = parts.head(warehouse, QUESTION)
        if choice is None:
            return
        _tie(warehouse, choice)
        _together(warehouse, choice)
        left, right = st.columns(2, gap="medium")
        with left:
            _pools(warehouse, choice)
        with right:
            _quality(warehouse, choice)
        _invoices(warehouse, choice)
        _walk(warehouse, choice)
        left, right = st.columns(2, gap="medium")
        with left:
            _restatements(warehouse, choice)
        with right:
            _unmatched(warehouse, choice)
        _freshness(warehouse)


def _tie(warehouse: Published, choice: Choice) -> None:
    tie = warehouse.one(bills.TIE, **choice.parameters)
    said = f"{choice.currency}, {figures.period(choice.first, choice.last)}"
    if tie["difference"]:
        st.error(f"**The ledger does not tie to the bill**: {said}. The pools below say where.")
    else:
        st.subheader(f":green[✓] The ledger ties to the bill, to the last decimal: {said}", anchor=False)
    bill, ledger, accrued, difference, provisional = st.columns([5, 5, 4, 4, 4], gap="small")
    bill.metric("Bill", exact(tie["bill_cost"]), help="Charges spread evenly over their days, and accrued ones.")
    ledger.metric(
        "less ledger", exact(tie["ledger_cost"]), help="What was handed out: to users, models, teams, to idle."
    )
    accrued.metric("less accrued", exact(tie["accrued_cost"]), help="The part of the bill that is for hours to come.")
    difference.metric("Difference", exact(tie["difference"]))
    cost = tie["provisional_cost"]
    provisional.metric(
        "Provisional, of the ledger",
        f"{money(cost)} ({figures.share(cost, tie['ledger_cost'])})" if cost else "none",
        help="Cost at known rates and prices that no bill has confirmed yet. None: all that is shown is billed.",
    )
    for currency in currencies(warehouse):
        if currency != choice.currency:
            other = warehouse.one(bills.TIE, **{**choice.parameters, "currency": currency})
            st.caption(
                f"And in {currency}, never added: bill {exact(other['bill_cost'])}, less ledger"
                f" {exact(other['ledger_cost'])}, less accrued {exact(other['accrued_cost'])},"
                f" difference {exact(other['difference'])}"
            )


def _together(warehouse: Published, choice: Choice) -> None:
    """The ledger of each currency beside what it is in the reporting currency, where one is configured."""
    days = {"first": choice.first, "last": choice.last}
    for total in warehouse.rows(questions.TOGETHER, **days):
        rows = warehouse.rows(questions.CONVERTED, **days)
        reporting, lacking = total["reporting_currency"], figures.unconverted(rows)
        at = figures.rates(total["sources"], total["first_rate_day"], total["last_rate_day"])
        said = f"All currencies together are {money(total['cost'])} {reporting}, {figures.plain(at)}"
        if lacking:
            said = f"What all currencies are in {reporting} is not known: no rate for {figures.plain(lacking)}"
        finding(said, "Each line of the ledger by the rate of its day; the amounts of the bill stay as they are.")
        columns = [
            Column("currency"),
            Column("ledger", exact),
            Column("lowest rate", figures.trimmed, f"{reporting} for one unit of the currency"),
            Column("highest rate", figures.trimmed, f"{reporting} for one unit of the currency"),
            Column("rates from"),
            Column("rates to"),
            Column(f"in {reporting}", exact),
            Column("without a rate", money, "the part of the ledger on days for which no rate is known"),
        ]
        names = ("BillingCurrency", "cost", "lowest_rate", "highest_rate", "first_rate_day", "last_rate_day")
        shown = [[row[name] for name in (*names, "reporting_cost", "unconverted_cost")] for row in rows]
        tables.show("reporting-currency", columns, shown)


def _pools(warehouse: Published, choice: Choice) -> None:
    rows = warehouse.rows(bills.POOLS, **choice.parameters)
    off = [row["pool"] for row in rows if row["difference"]]
    finding = (
        f"Billed and not handed out: {', '.join(off)}" if off else "Every pool hands out all that was billed for it"
    )
    st.subheader(figures.plain(finding), anchor=False)
    columns = [
        Column("pool"),
        Column("kind"),
        Column("class", help="cogs, rnd or opex, as farthing.toml says"),
        Column("bill", money, choice.currency),
        Column("ledger", money, choice.currency),
        Column("difference", exact, choice.currency),
    ]
    names = ("pool", "kind", "class", "bill_cost", "ledger_cost", "difference")
    tables.show("pools", columns, [[row[name] for name in names] for row in rows])


def _invoices(warehouse: Published, choice: Choice) -> None:
    rows = warehouse.rows(bills.INVOICES, currency=choice.currency)
    off = sum(1 for row in rows if row["difference"])
    st.subheader(
        f"{off:,} of {len(rows):,} invoices do not tie" if off else "Every invoice, from the file to the ledger",
        anchor=False,
        help="Whole invoices in this currency, whatever the period above.",
    )
    columns = [
        Column("month"),
        Column("invoice"),
        Column("source"),
        Column("file", money, "as the file has it, to its last decimal"),
        Column("less rounding", figures.trimmed, "what the one rounding at landing took"),
        Column("landed", money, "in the lake"),
        Column("less ledger", money, "what the ledger hands out of it"),
        Column("less accrued", money, "for hours to come"),
        Column("difference", exact),
    ]
    names = (
        "InvoiceId",
        "x_source",
        "file_cost",
        "rounding",
        "landed_cost",
        "ledger_cost",
        "accrued_cost",
        "difference",
    )
    tables.show(
        "invoices", columns, [[f"{row['billing_month']:%Y-%m}", *(row[name] for name in names)] for row in rows]
    )


def _walk(warehouse: Published, choice: Choice) -> None:
    """From the bills of a month to its ledger, cause by cause; then by account, and what finance has on paper."""
    month = warehouse.one(bills.WALKED, currency=choice.currency, last=choice.last)["month"]
    if month is None:
        return
    steps = warehouse.rows(causes.STEPS, currency=choice.currency, month=month)
    amounts = {row["cause"]: row["amount"] for row in steps}
    left_over = amounts.get("residual")
    st.subheader(
        f"A difference without a cause: {exact(left_over)} {choice.currency}"
        if left_over
        else f"From the bills of {month:%B %Y} to its ledger: every difference has a cause",
        anchor=False,
        help="The newest billing month that begins in the period above or before it.",
    )
    left, right = st.columns(2, gap="medium")
    with left:
        columns = [
            Column("step"),
            Column("amount", money, choice.currency),
            Column(
                "of", money, "cost of the charges that the line speaks of; amount 0.00: bill and ledger have them alike"
            ),
        ]
        shown = [
            [causes.step(row["cause"], of_others=row["of_others"]), row["amount"], row["attributed_cost"]]
            for row in steps
        ]
        tables.show("causes", columns, shown)
    with right:
        draw(charts.walk(causes.drawn(steps), choice.currency, height=420), "causes")
    _accounts(warehouse, choice, month)
    _papers(warehouse, choice, month)


def _accounts(warehouse: Published, choice: Choice, month: date) -> None:
    found = [row for row in warehouse.rows(causes.ACCOUNTS, month=month) if row["BillingCurrency"] == choice.currency]
    columns = [
        Column("provider"),
        Column("account"),
        Column("invoice"),
        Column("bill", money, "BilledCost in the source"),
        Column("landed", money, "of it in the lake"),
        Column("ledger", money, "cost of the calendar month"),
        Column("causes", help="what lies between bill and ledger"),
    ]
    names = ("provider", "SubAccountId", "InvoiceId", "bill_cost", "landed_cost", "ledger_cost")
    shown = [[*(row[name] for name in names), causes.steps_in_words(row["causes"])] for row in found]
    tables.show("accounts", columns, shown)


def _papers(warehouse: Published, choice: Choice, month: date) -> None:
    rows = warehouse.rows(bills.PAPERS, currency=choice.currency, month=month)
    if not rows:
        return
    off = sum(1 for row in rows if row["residual"])
    finding(
        f"{off:,} of {len(rows):,} invoices on paper differ, and nothing says why"
        if off
        else f"Every invoice on paper of {month:%B %Y} is the bill, or differs by a known cause"
    )
    columns = [
        Column("provider"),
        Column("account"),
        Column("invoice"),
        Column("on paper", money, "with tax"),
        Column("tax", money),
        Column("bill", money, "BilledCost in the source"),
        Column("difference", money),
        Column("cause"),
        Column("residual", money, "the part without a cause"),
    ]
    tables.show("papers", columns, [list(row.values()) for row in rows])


def _quality(warehouse: Published, choice: Choice) -> None:
    rows = warehouse.rows(questions.QUALITY, **choice.parameters)
    if not rows:
        return
    worst = rows[0]
    st.subheader(
        f"Data quality: the weakest match is {figures.share(worst['matched'], worst['total'])}, {worst['subject']}"
        f" {worst['measure']}",
        anchor=False,
    )
    columns = [
        Column("matched of what"),
        Column("share"),
        Column("unmatched", figures.number),
        Column("total", figures.number),
    ]
    shown = [
        [
            f"{row['subject']} {row['measure']}" + (f", {row['unit']}" if row["unit"] == choice.currency else ""),
            figures.share(row["matched"], row["total"]),
            row["unmatched"],
            row["total"],
        ]
        for row in rows
    ]
    tables.show("data-quality", columns, shown)


def _restatements(warehouse: Published, choice: Choice) -> None:
    rows = warehouse.rows(bills.RESTATEMENTS, **choice.parameters)
    finding(
        f"A later bill changed what was stated before by {money(sum(row['change'] for row in rows))} {choice.currency}"
        if rows
        else "No figure was restated",
        "cost less what was stated for the same pool and days before",
    )
    if not rows:
        return
    columns = [
        Column("stated at (UTC)"),
        Column("pool"),
        Column("from"),
        Column("to"),
        Column("change", money, choice.currency),
        Column("cost now", money, choice.currency),
    ]
    shown = [
        [f"{row['stated_at']:%Y-%m-%d %H:%M}", *(row[n] for n in ("pool", "first_day", "last_day", "change", "cost"))]
        for row in rows
    ]
    tables.show("restatements", columns, shown, height=330)


def _unmatched(warehouse: Published, choice: Choice) -> None:
    rows = warehouse.rows(bills.UNMATCHED, **choice.parameters)
    finding(f"Not matched: {parts.name(rows[0]['subject'])} is the dearest" if rows else "Everything is matched")
    if not rows:
        return
    columns = [
        Column("what"),
        Column("key"),
        Column("from"),
        Column("to"),
        Column("requests", count),
        Column("GPU-seconds", lambda seconds: f"{seconds:,.0f}"),
        Column("cost", money, choice.currency),
    ]
    names = ("subject", "key", "first_day", "last_day", "requests", "gpu_seconds", "cost")
    tables.show("unmatched", columns, [[row[n] for n in names] for row in rows], height=330)


def _freshness(warehouse: Published) -> None:
    rows = warehouse.rows(bills.FRESHNESS)
    bad = [row for row in rows if row["rows_rejected"] or row["failed_files"]]
    finding(
        f"{len(bad)} of {len(rows)} sources have rows or files that could not be read"
        if bad
        else f"All {len(rows)} sources were read to the last row",
        "the table rejects has each row with its reason",
    )
    columns = [
        Column("source"),
        Column("fills"),
        Column("files", count),
        Column("rows", count),
        Column("rejected", count),
        Column("files failed", count),
        Column("newest load (UTC)"),
    ]
    names = ("x_source", "table_name", "files", "rows_landed", "rows_rejected", "failed_files")
    shown = [[*(row[n] for n in names), f"{row['newest_load_at']:%Y-%m-%d %H:%M}"] for row in rows]
    tables.show("freshness", columns, shown)
