"""The page that answers: what did each user and model cost, and does it tie to the bill?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

import streamlit as st

from dashboard import queries, tables
from dashboard.choice import Choice, choose, currencies
from dashboard.drawing import draw, legend
from dashboard.published import Published, Row, published
from dashboard.tables import Column
from farthing import charts, figures
from farthing.charts import KINDS
from farthing.figures import count, exact, money

QUESTION = "What did each user and model cost, and does it tie to the bill?"
NO_USER, NO_MODEL = "(no user)", "(no model)"
TOP_USERS, TOP_MODELS = 15, 8
#: Where the bins of the users' spread begin: 1, 2, 5, 10, ... and the same below one.
EDGES = [Decimal(digit).scaleb(power) for power in range(-6, 8) for digit in (1, 2, 5)]


def page() -> None:
    """Draw the page from what is published now."""
    with published() as warehouse:
        choice = choose(warehouse, QUESTION)
        if choice is None:
            st.info("The published ledger has no costs yet: no charge of the bill lies before now.")
            return
        _tie(warehouse, choice)
        legend()
        left, right = st.columns(2, gap="medium")
        with left:
            _days(warehouse, choice)
        models = warehouse.rows(queries.MODELS, **choice.parameters)
        with right:
            _models(models, choice)
        _users(warehouse, choice)
        _model_table(models, choice)
        left, right = st.columns(2, gap="medium")
        with left:
            _pools(warehouse, choice)
        with right:
            _quality(warehouse, choice)
        _invoices(warehouse, choice)


# -- the first line: the bill -------------------------------------------------------------------------------------


def _tie(warehouse: Published, choice: Choice) -> None:
    tie = warehouse.one(queries.TIE, **choice.parameters)
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
            other = warehouse.one(queries.TIE, **{**choice.parameters, "currency": currency})
            st.caption(
                f"And in {currency}, never added: bill {exact(other['bill_cost'])}, less ledger"
                f" {exact(other['ledger_cost'])}, less accrued {exact(other['accrued_cost'])},"
                f" difference {exact(other['difference'])}"
            )


# -- kinds and models ---------------------------------------------------------------------------------------------


def _kinds(row: Row) -> dict[str, Decimal]:
    return {kind: row[f"{kind}_cost"] for kind in KINDS if row[f"{kind}_cost"]}


def _added(rows: Iterable[Row]) -> dict[str, Decimal]:
    totals: dict[str, Decimal] = {}
    for row in rows:
        for kind, cost in _kinds(row).items():
            totals[kind] = totals.get(kind, Decimal(0)) + cost
    return totals


def _days(warehouse: Published, choice: Choice) -> None:
    rows = warehouse.rows(queries.KINDS_BY_DAY, **choice.parameters)
    totals: dict[str, Decimal] = {}
    for row in rows:
        totals[row["kind"]] = totals.get(row["kind"], Decimal(0)) + row["cost"]
    whole = sum(totals.values(), Decimal(0))
    if not totals:
        st.subheader(f"Nothing was spent in {choice.currency} on these days", anchor=False)
        return
    kind = max(totals, key=lambda one: totals[one])
    st.subheader(
        f"{kind.capitalize()} cost is {figures.share(totals[kind], whole)} of {money(whole)} {choice.currency}",
        anchor=False,
        help="  \n".join(f"**{one}** {money(totals[one])}: {KINDS[one][1]}" for one in KINDS if one in totals),
    )
    bars = [(row["day"], row["kind"], row["cost"]) for row in rows]
    draw(charts.kinds_by_day(bars, choice.first, choice.last, choice.currency), "kinds-by-day")


def _models(models: Sequence[Row], choice: Choice) -> None:
    known = [row for row in models if row["model"] is not None and row["cost"]]
    if known:
        top = known[0]
        idle = f", {figures.share(top['idle_cost'], top['cost'])} of it idle" if top["idle_cost"] else ""
        finding = f"{figures.plain(top['model'])} cost most: {money(top['cost'])} {choice.currency}{idle}"
    else:
        finding = f"No cost in {choice.currency} is known to be a model's"
    st.subheader(finding, anchor=False)
    bars = [(row["model"], _kinds(row)) for row in known[:TOP_MODELS]]
    if rest := known[TOP_MODELS:]:
        bars.append((f"{len(rest)} other models", _added(rest)))
    bars += [(NO_MODEL, _kinds(row)) for row in models if row["model"] is None and row["cost"]]
    draw(charts.stacked_by_name(bars, choice.currency, height=270), "models")


def _model_table(models: Sequence[Row], choice: Choice) -> None:
    st.subheader("What each model cost", anchor=False)
    whole = sum((row["cost"] for row in models if row["cost"]), Decimal(0))
    kinds = _kinds_in(models)
    columns = [
        Column("model"),
        Column("cost", money, choice.currency),
        Column("of all", lambda cost: figures.share(cost, whole)),
        Column("requests", count),
        Column("per 1,000 requests", money, "all cost of the model, idle and shared included"),
        Column("per million tokens", money, "all cost of the model by tokens read and written"),
        Column("input tokens", count),
        Column("output tokens", count),
        Column("providers"),
        *_cost_columns(kinds),
    ]
    rows = [
        [
            row["model"] or NO_MODEL,
            row["cost"],
            row["cost"],
            row["requests"],
            _per(row["cost"], row["requests"], 1_000),
            _per(row["cost"], (row["input_tokens"] or 0) + (row["output_tokens"] or 0), 1_000_000),
            row["input_tokens"],
            row["output_tokens"],
            row["providers"],
            *(row[f"{kind}_cost"] for kind in kinds),
        ]
        for row in models
    ]
    tables.show("models", columns, rows)


def _per(cost: Decimal | None, number: int | None, unit: int) -> Decimal | None:
    return cost * unit / number if cost is not None and number else None


def _kinds_in(rows: Sequence[Row]) -> list[str]:
    return [kind for kind in KINDS if any(row[f"{kind}_cost"] is not None for row in rows)]


def _cost_columns(kinds: Sequence[str]) -> list[Column]:
    return [Column(kind, money, KINDS[kind][1], width=95) for kind in kinds]


# -- users --------------------------------------------------------------------------------------------------------


def _users(warehouse: Published, choice: Choice) -> None:
    everybody = warehouse.rows(queries.USERS, **choice.parameters, search="")
    nobody = next((row for row in everybody if row["user_id"] is None and row["cost"]), None)
    known = [row for row in everybody if row["user_id"] is not None and row["cost"] is not None]
    whole = sum((row["cost"] for row in everybody if row["cost"]), Decimal(0))
    left, right = st.columns(2, gap="medium")
    with left:
        if known:
            top, theirs = known[0], sum((row["cost"] for row in known), Decimal(0))
            most = sum((row["cost"] for row in known[:TOP_USERS]), Decimal(0))
            first = f"{figures.plain(top['user_id'])} cost most: {money(top['cost'])} {choice.currency}"
            others = f"; the top {TOP_USERS} of {len(known):,} cost {figures.share(most, theirs)}"
            st.subheader(first + (others if len(known) > TOP_USERS else ""), anchor=False)
            bars = [(row["user_id"], _kinds(row)) for row in known[:TOP_USERS]]
            draw(charts.stacked_by_name(bars, choice.currency, height=340), "users")
        else:
            st.subheader(f"No cost in {choice.currency} is known to be a user's", anchor=False)
        if nobody:
            st.markdown(
                f"**{NO_USER}** {money(nobody['cost'])} {choice.currency}, {figures.share(nobody['cost'], whole)} of"
                f" all: {figures.parts(_kinds(nobody))}"
            )
    with right:
        _spread(warehouse, choice)
    _user_table(warehouse, choice, whole)


def _spread(warehouse: Published, choice: Choice) -> None:
    spread = warehouse.one(queries.SPREAD, **choice.parameters)
    if not spread["users"]:
        return
    median, p95, highest = spread["median"], spread["p95"], spread["highest"]
    factor = f", {figures.ratio(highest, median)} the median" if highest > median > 0 else ""
    st.subheader(
        f"Median user {money(median)} {choice.currency}, p95 {money(p95)}, highest {money(highest)}{factor}",
        anchor=False,
    )
    rows = warehouse.rows(queries.SPREAD_BINS, **choice.parameters, edges=EDGES)
    found = {row["bin"]: row for row in rows}
    empty = {"users": 0, "cost": Decimal(0)}
    bins = [
        (_bin_name(number), found.get(number, empty)["users"], found.get(number, empty)["cost"])
        for number in range(min(found), max(found) + 1)
    ]
    marks: dict[str, str] = {}
    for name, cost in (("median", median), ("p95", p95), ("highest", highest)):
        label = _bin_name(sum(edge <= cost for edge in EDGES))
        marks[label] = f"{marks[label]}, {name}" if label in marks else name
    draw(charts.histogram(bins, marks, choice.currency), "spread")


def _bin_name(number: int) -> str:
    return f"{EDGES[number - 1]:,f}" if number else f"below {EDGES[0]:f}"


def _user_table(warehouse: Published, choice: Choice, whole: Decimal) -> None:
    title, search = st.columns([3, 1], vertical_alignment="bottom")
    with title:
        st.subheader("What each user cost", anchor=False)
    words = search.text_input(
        "Search", placeholder="search user, team or customer", label_visibility="collapsed", key="search"
    )
    found = warehouse.rows(queries.USERS, **choice.parameters, search=words.strip())
    kinds = _kinds_in(found)
    columns = [
        Column("user"),
        Column("team"),
        Column("customer"),
        Column("cost", money, choice.currency),
        Column("of all", lambda cost: figures.share(cost, whole)),
        Column("requests", count),
        Column("input tokens", count),
        Column("output tokens", count),
        *_cost_columns(kinds),
    ]
    rows = [
        [
            row["user_id"] or NO_USER,
            row["teams"],
            row["customers"],
            row["cost"],
            row["cost"],
            row["requests"],
            row["input_tokens"],
            row["output_tokens"],
            *(row[f"{kind}_cost"] for kind in kinds),
        ]
        for row in found
    ]
    tables.show("users", columns, rows, height=330)
    shown = sum((row["cost"] for row in found if row["cost"]), Decimal(0))
    st.caption(f"{len(found):,} lines, together {exact(shown)} {choice.currency}, of {exact(whole)} in the ledger.")


# -- pools, invoices, quality -------------------------------------------------------------------------------------


def _pools(warehouse: Published, choice: Choice) -> None:
    rows = warehouse.rows(queries.POOLS, **choice.parameters)
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
    rows = warehouse.rows(queries.INVOICES, currency=choice.currency)
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


def _quality(warehouse: Published, choice: Choice) -> None:
    rows = warehouse.rows(queries.QUALITY, **choice.parameters)
    if not rows:
        return
    worst = rows[0]
    st.subheader(
        f"Data quality: the weakest match is {figures.share(worst['matched'], worst['total'])}, {worst['subject']}"
        f" {worst['measure']}",
        anchor=False,
    )
    for row in warehouse.rows(queries.REJECTS):
        failed = f", {row['failed_files']:,} files could not be read" if row["failed_files"] else ""
        st.caption(
            f"Source {figures.plain(row['x_source'])}: {count(row['rows_rejected'])} rows rejected{failed};"
            " the table `rejects` has each with its reason."
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
