"""`reconcile`: from each invoice to the ledger of its month, every difference with its cause."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import duckdb
import typer

from farthing import causes, console, warehouse
from farthing.cli import common, progress
from farthing.cli.common import CsvOption, JsonOption, ProjectOption
from farthing.config import Config
from farthing.console import Form, Sheet
from farthing.errors import ConfigError

if TYPE_CHECKING:
    from collectors import Total

_ZERO = {"rounding": "nothing was rounded at landing", "accrued_cost": "nothing is still to come"}


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("reconcile", epilog="Example: `farthing reconcile 2026-10 --ask --dry-run`")(reconcile_command)


def reconcile_command(
    month: Annotated[str, typer.Argument(metavar="MONTH", help="The month of the invoices, like 2026-10.")],
    ask: Annotated[
        bool, typer.Option("--ask", help="Ask each provider for its own total of the month, and compare.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --ask: only say what asking would cost.")] = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """From each invoice of a month to the ledger: what the bill says, what landed, what the ledger has, and why.

    The walk begins with BilledCost in the source and ends with the cost of the calendar month in the ledger; each cause
    is a line, and the lines add up exactly. Then come invoices on paper (kind `invoices`), and with --ask the totals
    that the providers themselves state. Per invoice: file = landed + rounding; landed = ledger + accrued + difference.
    Beside them stands what the ledger has of the month by pool: provisional, as no bill confirms it yet, and estimated,
    as it was divided without telemetry.
    Exits 1 when a difference has no cause, when a file of a bill could not be read, or when a rejected row has no
    reason.
    """
    if dry_run and not ask:
        raise typer.BadParameter("--dry-run goes with --ask.")
    form = common.form(as_json, as_csv)
    first = common.month(month)
    config = common.open_project(project)
    with warehouse.open_warehouse(config) as con:
        invoices, found_difference = _invoices(con, first)
        pools = _pools(con, first)
        late = _late(con, config, first)
        walk, unwalked = _walk(con, first, late)
        accounts = _accounts(con, first)
        lines = _lines(con, first) if form is not Form.TABLE else None
        papers, unpaid = _papers(con, first)
        rejects, unexplained, unread = _rejects(con)
        failed = _failed_files(con)
    if not (invoices.rows or papers.rows or any(row[pools.columns.index("provisional_cost")] for row in pools.rows)):
        raise ConfigError(
            f"no bill of {month} has landed.", file=config.root, fix="`farthing query 'from reconciliation'` has all."
        )
    asked, unmatched, silent = _asked(config, first, pay=not dry_run) if ask else (None, False, [])
    sheets = [invoices, walk, accounts, lines, papers if papers.rows or lines else None, asked, pools, rejects, failed]
    console.show([sheet for sheet in sheets if sheet is not None], form, main="invoices")
    if silent:
        console.say(f"Not asked, for no provider can be reached through them: {', '.join(silent)}.", form=Form.JSON)
    if unread:
        console.say(f"What {unread:,} rejected rows of bills come to cannot be read.", style="yellow", form=form)
    if late:
        console.say("Rows of bills came after the ledger was built: run `farthing build`.", style="yellow", form=form)
    wrong = (
        (found_difference, "A difference is not zero."),
        (unwalked, "The walk leaves a residual: a difference without a cause."),
        (unpaid, "An invoice on paper differs from the bill, and nothing says why."),
        (unmatched, "A provider states another total than what landed, and nothing says why."),
        (unexplained, "Rows were rejected and no reason is kept."),
        (failed.rows, "A file of a bill could not be read: its rows are missing above."),
    )
    for is_wrong, words in wrong:
        if is_wrong:
            console.say(words, style="bold red", form=form)
    raise typer.Exit(int(any(is_wrong for is_wrong, _ in wrong)))


# -- the walk ---------------------------------------------------------------------------------------------------


def _walk(con: duckdb.DuckDBPyConnection, month: date, late: Late) -> tuple[Sheet, bool]:
    """From the bills of each source to what the ledger has of the month, one line for each cause."""
    rows: list[tuple[object, ...]] = []
    for currency, source, cause, of_others, amount, cost in con.execute(causes.WALK, {"month": month}).fetchall():
        came = sum((one[-1] for one in late if one[:2] == (source, currency)), Decimal(0))
        if cause == "bill" and came:
            rows.append((currency, source, cause, causes.TITLES[cause], amount + came, None))
            rows.append((currency, source, "late rows", causes.TITLES["late rows"], -came, None))
        else:
            rows.append((currency, source, cause, causes.step(cause, of_others=of_others), amount, cost))
    sheet = Sheet(
        "walk",
        ["BillingCurrency", "x_source", "cause", "step", "amount", "attributed_cost"],
        rows,
        title=f"From the bills of {month:%Y-%m} to the ledger of the calendar month, cause by cause",
        note="of: cost of the charges that the line speaks of; with amount 0.00, bill and ledger have them alike",
        hidden=frozenset({"cause"}),
        headings={"attributed_cost": "of"} | console.SHORTER,
    )
    return sheet, any(row[2] == "residual" for row in rows)


def _accounts(con: duckdb.DuckDBPyConnection, month: date) -> Sheet:
    """Bill in the source, in the lake, and in the ledger, for each provider, account and invoice."""
    return Sheet(
        "accounts",
        [
            *("BillingCurrency", "x_source", "provider", "BillingAccountId", "SubAccountId", "InvoiceId"),
            *("bill_cost", "landed_cost", "ledger_cost", "causes"),
        ],
        [
            (*row, causes.steps_in_words(steps))
            for *row, steps in con.execute(causes.ACCOUNTS, {"month": month}).fetchall()
        ],
        title="By account and invoice: BilledCost in the source and in the lake, cost in the ledger of the month",
        hidden=frozenset({"x_source", "BillingAccountId"}),
        headings={name: name.removesuffix("_cost") for name in ("bill_cost", "landed_cost", "ledger_cost")}
        | {"SubAccountId": "account"}
        | console.SHORTER,
    )


def _lines(con: duckdb.DuckDBPyConnection, month: date) -> Sheet:
    """The walk of each account and invoice, for programs."""
    cursor = con.execute("select * from reconciliation_causes where month = ? order by all", [month])
    columns = [column[0] for column in cursor.description or ()]
    return Sheet("causes", columns, cursor.fetchall())


#: Source, currency, and BilledCost that is in the lake and not in the warehouse.
Late = Sequence[tuple[str, str, Decimal]]
_BILLED = """
select x_source, BillingCurrency, sum(cast(BilledCost as decimal(38, 24)) + x_BilledCostRounding)
from {} where billing_month = ? group by all
"""


def _late(con: duckdb.DuckDBPyConnection, config: Config, month: date) -> Late:
    """What landed of the month's bills since the warehouse was made."""
    from farthing.lake.schemas import CHARGES

    [(pinned,)] = con.execute("select (identity::json -> 'pins' ->> 'charges')::bigint from build_info").fetchall()
    lake = common.open_lake(config)
    if lake.version(CHARGES) == pinned:
        return []
    with duckdb.connect() as now:
        lake.view(now, CHARGES)
        landed = {row[:2]: row[2] for row in now.execute(_BILLED.format("lake.charges"), [month]).fetchall()}
    built = {row[:2]: row[2] for row in con.execute(_BILLED.format("charges"), [month]).fetchall()}
    sums = {key: landed.get(key, Decimal(0)) - built.get(key, Decimal(0)) for key in sorted({*landed, *built})}
    return [(*key, amount) for key, amount in sums.items() if amount]


# -- what others say --------------------------------------------------------------------------------------------


def _papers(con: duckdb.DuckDBPyConnection, month: date) -> tuple[Sheet, bool]:
    """Invoices as finance has them, and the bills that they are for."""
    columns = [
        *("provider", "account", "InvoiceId", "currency", "amount", "tax", "bill_cost", "difference", "cause"),
        "residual",
    ]
    rows = con.execute(
        f"select {', '.join(columns)} from invoice_totals where month = ? order by all", [month]
    ).fetchall()
    sheet = Sheet(
        "papers",
        columns,
        rows,
        title="Invoices on paper: amount = BilledCost of the bill + difference",
        headings={"bill_cost": "bill"} | console.SHORTER,
    )
    return sheet, any(row[-1] for row in rows)


_COMPARED = """
with charges as (
    select
        *,
        bill_part(ChargeCategory, InvoiceIssuerName, coalesce(ServiceProviderName, ProviderName)) as part
    from lake.charges
    where x_source = $name and billing_month = $month
),
landed as (
    select
        {account} as account,
        {invoice} as invoice,
        BillingCurrency as currency,
        sum(cast(BilledCost as decimal(38, 24)) + x_BilledCostRounding) as billed,
        sum(cast(EffectiveCost as decimal(38, 24)) + x_EffectiveCostRounding) as amortised,
        sum(case when part = 'tax' then BilledCost else 0 end) as tax,
        sum(case when part = 'credit' then BilledCost else 0 end) as credit,
        sum(case when part = 'marketplace issuer' then BilledCost else 0 end) as of_others
    from charges
    group by all
),
side_by_side as (
    select
        coalesce(stated.account, landed.account) as account,
        coalesce(stated.invoice, landed.invoice) as invoice,
        coalesce(stated.currency, landed.currency) as currency,
        stated.open,
        landed.tax,
        landed.credit,
        landed.of_others,
        unnest(['billed', 'amortised']) as metric,
        unnest([stated.billed, stated.amortised]) as stated,
        unnest([landed.billed, landed.amortised]) as landed
    from stated
    full join landed
        on
            lower(stated.account) is not distinct from lower(landed.account)
            and stated.invoice is not distinct from landed.invoice
            and stated.currency = landed.currency
)
select
    $name, account, invoice, currency, metric, stated, landed,
    coalesce(stated, 0) - coalesce(landed, 0) as difference,
    case
        when coalesce(stated, 0) = coalesce(landed, 0) then null
        when abs(coalesce(stated, 0) - coalesce(landed, 0)) > 0.005 and open then 'open month'
        when landed is null or stated is null then 'residual'
        else difference_cause(stated - landed, 0.005, tax, credit, of_others)
    end as cause
from side_by_side
-- a provider that states no amortised cost is not asked for it
where stated is not null or metric = 'billed' or exists (select 1 from stated where amortised is not null)
order by all
"""


def _asked(config: Config, month: date, *, pay: bool) -> tuple[Sheet, bool, list[str]]:
    """What providers state of the month against what landed, and the sources through which nobody can be asked."""
    import collectors

    rows: list[tuple[object, ...]] = []
    silent = []
    with progress.Bar() as bar, _lake(config) as con:
        line = progress.Line(bar)
        for name, source in config.sources.items():
            collector = collectors.load(source.kind)
            if collector.table.name != "charges":
                continue
            ask = getattr(collector, "totals", None)  # a company's own collector may be older than this question
            totals = ask(name, source, month, progress.CollectBar(line, name), pay=pay) if ask else None
            if totals is None:
                silent.append(name)
            elif pay:
                rows += _compared(con, name, month, totals)
        line.end()
    sheet = Sheet(
        "asked",
        ["x_source", "account", "invoice", "currency", "metric", "stated", "landed", "difference", "cause"],
        rows,
        title="What the providers themselves state, against what landed: stated = landed + difference",
    )
    return sheet, any(row[-1] == "residual" for row in rows), silent


def _compared(
    con: duckdb.DuckDBPyConnection, name: str, month: date, totals: Sequence[Total]
) -> list[tuple[object, ...]]:
    con.execute(
        "create or replace temp table stated (account varchar, invoice varchar, currency varchar,"
        " billed decimal(38, 24), amortised decimal(38, 24), open boolean)"
    )
    for total in totals:
        con.execute(
            "insert into stated values (?, ?, ?, ?, ?, ?)",
            [total.account, total.invoice, total.currency, total.billed, total.amortised, total.open],
        )
    column = totals[0].column if totals else "SubAccountId"
    by_invoice = any(total.invoice is not None for total in totals)
    query = _COMPARED.format(account=column, invoice="InvoiceId" if by_invoice else "cast(null as varchar)")
    return con.execute(query, {"name": name, "month": month}).fetchall()


@contextmanager
def _lake(config: Config) -> Iterator[duckdb.DuckDBPyConnection]:
    """The charges that have landed until now."""
    from farthing.build.settings import BILL_PART_MACRO, DIFFERENCE_MACRO
    from farthing.lake.schemas import CHARGES

    with duckdb.connect() as con:
        common.open_lake(config).view(con, CHARGES)
        con.execute(BILL_PART_MACRO)
        con.execute(DIFFERENCE_MACRO)
        yield con


# -- invoices, pools, and what is missing -----------------------------------------------------------------------


def _invoices(con: duckdb.DuckDBPyConnection, month: date) -> tuple[Sheet, bool]:
    columns = [
        "x_source", "InvoiceId", "BillingCurrency", "charges", "cost_column", "file_cost", "rounding", "landed_cost",
        "ledger_cost", "accrued_cost", "difference", "billed_cost",
    ]  # fmt: skip
    rows = con.execute(
        f"select {', '.join(columns)} from reconciliation where billing_month = ? order by 3, 1, 2", [month]
    ).fetchall()
    zero = {name for name in ("rounding", "accrued_cost") if not any(row[columns.index(name)] for row in rows)}
    sheet = Sheet(
        "invoices",
        columns,
        rows,
        title=f"Invoices of {month:%Y-%m}: file = landed + rounding; landed = ledger + accrued + difference",
        exact=frozenset({"rounding", "difference"}),
        note="; ".join(_ZERO[name] for name in sorted(zero)),
        hidden=frozenset({"cost_column", "billed_cost"} | zero),
        headings={name: name.removesuffix("_cost") for name in columns} | console.SHORTER,
    )
    return sheet, any(row[columns.index("difference")] for row in rows)


def _pools(con: duckdb.DuckDBPyConnection, month: date) -> Sheet:
    """How firm the ledger's days of the month are, by pool; an invoice may also have charges on other days."""
    from farthing.explain import facts

    rows = con.execute(
        "select pool, BillingCurrency, bill_cost, provisional_cost, ledger_cost, estimated_cost from pool_month"
        " where month = ? order by BillingCurrency, abs(ledger_cost) desc, pool",
        [month],
    ).fetchall()
    since, words = facts.provisional_until(con, dict.fromkeys(row[0] for row in rows if row[3]))
    notes = [words or "nothing is provisional: bills confirm all of it"]
    notes.append(facts.ESTIMATED if any(row[5] for row in rows) else "nothing is estimated")
    return Sheet(
        "pools",
        ["pool", "BillingCurrency", "bill_cost", "provisional_cost", "bill_until", "ledger_cost", "estimated_cost"],
        [(*row[:4], since.get(row[0]) if row[3] else None, *row[4:]) for row in rows],
        title=f"The days of {month:%Y-%m} by pool: bill + provisional = ledger; estimated is a part of the ledger",
        note="\n".join(notes),
        hidden=frozenset({"bill_until"}),
        headings={name: name.removesuffix("_cost") for name in ("bill_cost", "ledger_cost")} | console.SHORTER,
    )


_NEWEST = "select * from loads qualify row_number() over (partition by x_source, x_load order by loaded_at desc) = 1"


def _rejects(con: duckdb.DuckDBPyConnection) -> tuple[Sheet, bool, int]:
    """Rejected rows of bills by file and reason, whether one is missing there, and how many amounts are not known."""
    rows = con.execute(
        "select x_source, file, reason, count(*) as rows, min(line) as first_line,"
        " sum(cast(json_extract_string(said, '$.BilledCost') as decimal(38, 12))) as billed_cost from rejects"
        " where \"table\" = 'charges' group by all order by all"
    ).fetchall()
    counted = con.execute(
        f"select coalesce(sum(rejected), 0) from ({_NEWEST}) where \"table\" = 'charges' and status = 'landed'"
    ).fetchall()[0][0]
    explained = sum(row[3] for row in rows if row[2])
    sheet = Sheet(
        "rejects",
        ["x_source", "file", "reason", "rows", "first_line", "billed_cost"],
        rows,
        title="Rows of bills that were rejected",
    )
    [(unread,)] = con.execute(
        "select count(*) from rejects where \"table\" = 'charges' and json_extract_string(said, '$.BilledCost') is null"
    ).fetchall()
    return sheet, counted != explained, unread


def _failed_files(con: duckdb.DuckDBPyConnection) -> Sheet:
    rows = con.execute(
        f"select x_source, file, problem from ({_NEWEST})"
        " where \"table\" = 'charges' and status = 'failed' order by all"
    ).fetchall()
    return Sheet("failed_files", ["x_source", "file", "problem"], rows, title="Files of bills that could not be read")
