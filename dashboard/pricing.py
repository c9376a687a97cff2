"""The page that answers: what would other plans bring, and whom would they hit?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import duckdb
import streamlit as st

from dashboard import parts, tables
from dashboard.choice import Choice
from dashboard.drawing import draw
from dashboard.parts import finding, percent
from dashboard.published import published
from dashboard.tables import Column
from farthing import figures
from farthing.config import Config
from farthing.errors import ConfigError
from farthing.figures import estimate
from farthing.tiers import company, document
from farthing.tiers import page as drawn
from farthing.tiers import spec as specs
from farthing.tiers import study as studies
from farthing.tiers.panel import NO_PLAN, Read
from farthing.tiers.spec import Spec
from farthing.tiers.study import CAP, Card, Study

QUESTION = "What would other plans bring, and whom would they hit?"
_FAIR_USE = ("1.5", "2", "3", "4", "6", "10")
_REVENUE = '[sources.revenue]\nkind = "revenue"\npath = "revenue.csv"'
Json = dict[str, Any]
Units = dict[str, dict[str, Decimal]]


def page() -> None:
    """Draw the page from what is published now."""
    with published() as warehouse:
        choice = parts.head(warehouse, QUESTION, days=False)
        if choice is None:
            return
        after_credits = st.session_state.get("after-credits", False)
        try:
            read, units = _panel(
                warehouse.file, choice.currency, not after_credits, _config=warehouse.config, _con=warehouse.con
            )
            spec = _limits(read, choice)
            if spec is None:
                return
            of = (warehouse.file, choice.currency, not after_credits)
            first = _study(*of, _caps_alone(spec).model_dump_json(), _read=read)
        except ConfigError as error:
            _cannot(error, choice)
            return
        if not read.prices:
            parts.missing(
                f"No revenue in {choice.currency} is known: everybody is taken to be on one plan, at a price that just"
                " makes the target.",
                _REVENUE,
            )
        _first_lever(first, units)
        study = _study(*of, spec.model_dump_json(), _read=read)
        _frontier(study, units)
        _one(study, units)
        _notes(study)


@st.cache_resource(max_entries=4, show_spinner="Users, months and costs are read")
def _panel(
    file: str,  # noqa: ARG001 a newer publish has another name
    currency: str,
    before_credits: bool,
    *,
    _config: Config,
    _con: duckdb.DuckDBPyConnection,
) -> tuple[Read, Units]:
    """Who costs and pays what; nothing that this page asks of a spec changes it."""
    return company.read(_con, _config, Spec(), currency, before_credits=before_credits)


# A resource and no data: of a million users, each visit would else copy every user-month.
@st.cache_resource(max_entries=10, show_spinner="Every menu is rated, and the best are promised")
def _study(
    file: str,  # noqa: ARG001 a newer publish has another name
    currency: str,  # noqa: ARG001
    before_credits: bool,  # noqa: ARG001
    spec: str,
    *,
    _read: Read,
) -> Study:
    return studies.study(Spec.model_validate_json(spec), _read)


def _caps_alone(spec: Spec) -> Spec:
    """The same caps, with one menu instead of thousands: what is looked at first need not wait for the others."""
    one = {"price_points": [Decimal(1), Decimal(2)], "allowance_shares": [Decimal(1)], "overage": [Decimal(2)]}
    menu = spec.menu.model_copy(update={**one, "caps": [Decimal(0)], "minimum_tiers": 2, "maximum_tiers": 2})
    return spec.model_copy(update={"menu": menu})


def _limits(read: Read, choice: Choice) -> Spec | None:
    """What the reader asks for, from the defaults of `farthing tiers`; None, in words, where it makes no sense."""
    given = Spec()
    finding(
        "Target and hard limits",
        "No menu that is shown passes a limit in any month seen. They begin as `farthing tiers` has them.",
    )
    first = st.columns(7, gap="small", vertical_alignment="bottom")
    target = {
        "margin": _share(first[0], "Target margin, %", "target-margin", given.target.margin, most=99),
        "confidence": _share(first[1], "Confidence, %", "confidence", given.target.confidence, least=1, most=99),
    }
    limits: Json = {
        "users_hit": _share(first[2], "Users hit, at most %", "users-hit", given.limits.users_hit),
        "users_hit_steeply": _share(first[3], "Hit steeply, %", "hit-steeply", given.limits.users_hit_steeply),
        "users_capped": _share(first[4], "Capped, %", "users-capped", given.limits.users_capped),
        "overage_share": _share(first[5], "Overage of revenue, %", "overage-share", given.limits.overage_share),
        "bill_rise": _share(first[6], "Hit: bill rises by, %", "bill-rise", given.limits.bill_rise, most=1000),
    }
    second = st.columns([6, 4, 5, 4, 3], gap="small", vertical_alignment="bottom")
    points = second[0].multiselect(
        f"Price points, {choice.currency} a month",
        ["10", "20", "50", "100", "200", "500"],
        key="price-points",
        accept_new_options=True,
        placeholder="around the prices of today",
    )
    fewest, most = second[1].slider(
        "Tiers of a menu", 2, 6, (given.menu.minimum_tiers, given.menu.maximum_tiers), key="tiers"
    )
    fair = second[2].multiselect(
        "Fair-use caps, x the price", _FAIR_USE, [f"{cap:f}" for cap in given.menu.fair_use], key="fair-use"
    )
    plans = sorted({name for name, _ in read.groups} - {NO_PLAN})
    kept = second[3].multiselect("Plans left as they are", plans, key="kept-plans")
    second[4].toggle("After credits", key="after-credits", help="Cost after promotional credits, which end.")
    try:
        menu: Json = {"price_points": [Decimal(point) for point in points], "fair_use": [Decimal(cap) for cap in fair]}
        menu |= {"minimum_tiers": fewest, "maximum_tiers": most}
        return specs.from_mapping(
            {"target": target, "limits": limits, "menu": menu, "keep": {"plans": kept}}, file="this page"
        )
    except InvalidOperation:
        st.warning("A price point is no number: write it like 19 or 19.90.")
    except ConfigError as error:
        st.warning(figures.plain(f"{error.key}: {error.problem}" if error.key else error.problem))
    return None


def _share(place: Any, label: str, key: str, value: float, *, least: int = 0, most: int = 100) -> float:
    """A share that is asked for in whole percent."""
    return float(place.number_input(label, least, most, round(100 * value), key=key, bind="query-params") / 100)


def _cannot(error: ConfigError, choice: Choice) -> None:
    """Say why there is nothing to simulate, and what would change that."""
    if error.key and error.key.startswith("keep"):
        st.warning(figures.plain(error.problem))
        return
    finding(f"Plans cannot be simulated in {choice.currency} yet")
    st.info(figures.plain(error.problem))
    parts.missing(
        "It takes three whole months of costs of class cogs, users or customers behind them, and what they pay.",
        f'{_REVENUE}\n\n[[pools]]\nname = "serving"\nclass = "cogs"',
    )


def _offers(study: Study, units: Units) -> list[Json]:
    """The offers as they are tabled: amounts and shares by name."""
    sheet = document.sheets(study, units)[0]
    return [dict(zip(sheet.columns, row, strict=True)) for row in sheet.rows]


def _table(name: str, rows: Sequence[Json], study: Study) -> None:
    columns = [
        Column("offer"),
        Column("plans", help="fee (allowance in cost, price of cost beyond it; fair-use cap in cost)", width=420),
        Column("users hit", percent, "their bill rises by more than the limit, in the worst month"),
        Column("capped", percent, "of all users, touched by a cap"),
        Column("margin q05", percent, "of a month to come, with payment and support"),
        Column("margin q50", percent),
        Column("margin q95", percent),
        Column("sure", percent, f"how often it makes {study.spec.target.margin:.0%}"),
        Column("profit a month", estimate, study.read.currency),
        Column("loss-makers", percent, "of all users"),
        Column("may leave", percent, "of those hit, before it earns less than today; none: all"),
    ]
    names = "id plans users_hit users_capped gm_q05 gm_q50 gm_q95 reaches_target profit_a_month loss_making"
    shown = [[row[name] for name in (*names.split(), "churn_break_even")] for row in rows]
    tables.show(name, columns, shown)


def _first_lever(study: Study, units: Units) -> None:
    """The plans of today, and fair-use caps on them."""
    rows = [row for row in _offers(study, units) if row["kind"] in {studies.TODAY, CAP}]
    now, caps = rows[0], [row for row in rows if row["kind"] == CAP and row["gm_q50"] is not None]
    best = max(caps, key=lambda row: row["gm_q50"], default=None)
    if best is None:
        heading = "No fair-use cap on the plans of today keeps every limit"
    else:
        heading = (
            f"First lever: a fair-use cap ({best['id']}) makes {percent(best['gm_q50'])} margin,"
            f" {percent(now['gm_q50'])} without, and touches {percent(best['users_capped'])} of users"
        )
    finding(heading, "A cap raises nobody's bill: what lies beyond it is not served.")
    _table("caps", rows, study)


def _frontier(study: Study, units: Units) -> None:
    """Margin against users hit, of every menu that no other beats in both."""
    spec = study.spec
    if not study.menus:
        finding(f"None of {study.tried:,} menus keeps every limit")
        told = ", ".join(f"{name} {count:,}" for name, count in Counter(study.fallen).most_common())
        st.warning(f"How many pass each limit: {told or 'none has revenue'}. Loosen one, or offer other price points.")
    else:
        sure = next((card for card in study.menus if card.reaches(spec)), None)
        said = f"{sure.id} makes" if sure else "none makes"
        said += f" {spec.target.margin:.0%} with {spec.target.confidence:.0%} confidence"
        if sure:
            said += f", hitting {percent(sure.measured.against().users_hit)} of users"
        finding(
            f"{len(study.menus)} of {study.tried:,} menus are worth a look: {said}",
            "A frontier and not an optimum: nobody's willingness to pay is known.",
        )
    draw(drawn.chart(study), "frontier")
    if study.menus:
        _table("menus", [row for row in _offers(study, units) if row["kind"] == studies.MENU], study)


def _one(study: Study, units: Units) -> None:
    """One offer: its tiers, who moves where, who is hit, and what else may come."""
    ids = [card.id for card in study.cards]
    wanted = st.selectbox("Look at", ids, index=ids.index(study.detail.id), key="offer", bind="query-params")
    shown = study.showing(wanted)
    card, whole = shown.detail, document.document(shown, units)
    [found] = [one for one in whole["offers"] if one["id"] == card.id]
    currency = study.read.currency
    margin = f"{percent(found['gm_q50'])} margin, nine in ten {percent(found['gm_q05'])} to {percent(found['gm_q95'])}"
    finding(f"{card.id}: {margin}", f"Promised for {study.ahead[0]} to {study.ahead[-1]}")
    places = st.columns([2, 3, 2, 2, 2], gap="small")
    places[0].metric(f"Profit a month, {currency}", estimate(found["profit_q50"]))
    places[1].metric(f"Nine in ten, {currency}", f"{estimate(found['profit_q05'])} to {estimate(found['profit_q95'])}")
    places[2].metric("Users hit", percent(found["limits"]["users_hit"]), help="in the worst month seen")
    places[3].metric("Loss-makers", percent(found["loss_making_share"]))
    places[4].metric("Their share of cost", percent(found["loss_making_cost_share"]))
    _tiers(found, currency)
    left, right = st.columns(2, gap="medium")
    with left:
        _migration(shown, card)
    with right:
        _sensitivity(found, currency)
    _hit(whole["detail"], currency)


def _tiers(found: Json, currency: str) -> None:
    models = [use["model"] for use in found["tiers"][0]["break_even_use"]] or sorted(
        {use["model"] for tier in found["tiers"] for use in tier["break_even_use"]}
    )
    model = st.selectbox("Break-even use in", models, key="break-even-model") if models else None
    columns = [
        Column("tier"),
        Column("fee"),
        Column("allowance", help="use that the fee pays, in cost"),
        Column("overage", help="price of each unit of cost beyond the allowance"),
        Column("cap", help="in cost; nothing is served beyond it"),
        Column("users", _whole, "in the mean of the months seen"),
        Column("revenue", estimate, currency),
        Column("cost", estimate, currency),
        Column("margin q05", percent),
        Column("margin q50", percent),
        Column("margin q95", percent),
        Column("loss-makers", percent, "of its users"),
        Column("break-even", estimate, f"{currency} of use beyond which a user loses money; none: at no use"),
        Column("requests", _whole, f"of {model}" if model else None),
        Column("tokens", _whole, f"of {model}" if model else None),
    ]
    names = "name fee allowance overage cap users revenue cost gm_q05 gm_q50 gm_q95 loss_making_share break_even_cost"
    shown = []
    for tier in found["tiers"]:
        use: Json = next((use for use in tier["break_even_use"] if use["model"] == model), {})
        shown.append([*(tier[name] for name in names.split()), use.get("requests"), use.get("tokens")])
    tables.show("tiers", columns, shown)


def _migration(study: Study, card: Card) -> None:
    """A row for each plan of today, a column for each tier."""
    tiers = card.outcome.tiers
    moved = sum(
        float(tier.from_groups[number])
        for number, (_, plan, _) in enumerate(study.groups)
        for tier in tiers
        if tier.plan.fee != plan.fee
    )
    finding(f"{_whole(moved)} users come to pay another fee", "Users of a month, in the mean of the months seen")
    seen = Counter(tier.plan.name for tier in tiers)
    headings = [
        tier.plan.name if seen[tier.plan.name] == 1 else f"{tier.plan.name} ({number})"
        for number, tier in enumerate(tiers, 1)
    ]
    rows = [
        [name, *(float(tier.from_groups[number]) for tier in tiers)] for number, (name, *_) in enumerate(study.groups)
    ]
    tables.show("migration", [Column("from \\ to"), *(Column(heading, _whole) for heading in headings)], rows)


def _sensitivity(found: Json, currency: str) -> None:
    finding("If unit costs or users change", "Bills stay as they are; churn is an assumption, and in no promise")
    rows: list[list[object]] = [["as it is", found["fitted_margin"], found["fitted_profit"], 1.0]]
    rows += [[f"unit cost {name}", margin, None, 1.0] for name, margin in found["margin_at_unit_cost"].items()]
    rows += [
        [f"churn elasticity {one['elasticity']:g}", one["margin"], one["profit"], one["stay"]] for one in found["churn"]
    ]
    columns = [
        Column("if"),
        Column("margin", percent),
        Column("profit a month", estimate, currency),
        Column("users that stay", percent),
    ]
    tables.show("sensitivity", columns, rows)
    leave = found["churn_break_even"]
    told = "all of those hit may leave" if leave is None else f"{percent(leave)} of those hit may leave"
    st.caption(f"Before it earns less than today, {told}.")


def _hit(detail: Mapping[str, Any], currency: str) -> None:
    finding(
        f"{detail['hit']:,} of {figures.counted(detail['users'], 'user')} pay more than {detail['bill_rise']:.0%} more"
        f" in the mean; {detail['bill_falls']:,} pay less",
        "The fifty whose bill rises most",
    )
    if not detail["most_hit"]:
        st.caption("Nobody's bill rises.")
        return
    columns = [
        Column("user"),
        Column("from"),
        Column("to"),
        Column("old bill", estimate, currency),
        Column("new bill", estimate, currency),
        Column("change", estimate, currency),
        Column("cost", estimate, currency),
        Column("margin after", estimate, currency),
    ]
    names = ("user", "from", "to", "old_bill", "new_bill", "change", "cost", "margin_after")
    tables.show("hit", columns, [[one[name] for name in names] for one in detail["most_hit"]], height=330)


def _notes(study: Study) -> None:
    with st.expander(f"{figures.counted(len(study.notes), 'thing')} to know of these figures"):
        for note in study.notes:
            st.caption(f"{figures.plain(note)}.")
        st.caption(f"Run {study.run_id}: `farthing tiers --json` gives the same with the same choices.")


def _whole(value: float | None) -> str:
    return figures.MISSING if value is None else f"{value:,.0f}"
