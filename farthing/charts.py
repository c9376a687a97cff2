"""Charts of pages and reports in one look: a colour for each kind of cost, units on the axes, quiet lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal

import altair as alt

from farthing import figures

#: What the ledger says of each amount. Blue went to somebody; every other colour asks a question of its own.
KINDS: dict[str, tuple[str, str]] = {
    "direct": ("#24577a", "requests, and owned pools, themselves"),
    "shared": ("#8fb8d0", "part of shared pools, by their driver"),
    "training": ("#6b5b95", "training and batch jobs"),
    "idle": ("#e3a72f", "GPU time that was paid and not used"),
    "unexplained": ("#c8553d", "busy GPU time or API use that no request or job explains"),
    "unobserved": ("#9aa3ab", "GPU time without telemetry"),
    "unpriced": ("#b03a78", "use of models without a price"),
    "unassigned": ("#2f2f2f", "charges that no rule, driver or inventory places"),
}
INK, _QUIET, _LINE = "#1d2730", "#5c6a76", "#e6ebef"
_AMOUNTS = ",.4~r"
Amounts = Mapping[str, Decimal | None]
Chart = alt.Chart | alt.LayerChart


def kinds_by_day(rows: Sequence[tuple[date, str, Decimal]], first: date, last: date, currency: str) -> Chart:
    """Stacked bars: one a day, of every day of the period."""
    days = [(first + timedelta(days=number)).isoformat() for number in range((last - first).days + 1)]
    values = [_value(kind, cost, currency) | {"day": day.isoformat()} for day, kind, cost in rows]
    chart = _bars(values).encode(
        x=alt.X("day:O")
        .scale(domain=days)
        .axis(labelExpr="utcFormat(toDate(datum.value), '%-d %b')", labelAngle=0, labelOverlap=True, ticks=False)
        .title(None),
        y=alt.Y("cost:Q").title(f"{currency} per day").axis(format=_AMOUNTS, tickCount=5),
        color=_colours(),
        order=alt.Order("place:Q"),
        tooltip=[alt.Tooltip("day:O", title="day"), *_said()],
    )
    return _in_our_look(chart.properties(height=270))


def stacked_by_name(bars: Sequence[tuple[str, Amounts]], currency: str, *, height: int) -> Chart:
    """Lying bars, one for each name in the order given, made of kinds of cost; at most `height` pixels."""
    names = [name for name, _ in bars]
    values = [
        _value(kind, cost, currency) | {"name": name}
        for name, amounts in bars
        for kind, cost in amounts.items()
        if cost
    ]
    chart = _bars(values).encode(
        y=alt.Y("name:N").scale(domain=names).axis(labelLimit=190, ticks=False).title(None),
        x=alt.X("cost:Q").title(currency).axis(format=_AMOUNTS, tickCount=6),
        color=_colours(),
        order=alt.Order("place:Q"),
        tooltip=[alt.Tooltip("name:N", title="of"), *_said()],
    )
    return _in_our_look(chart.properties(height=min(height, 60 + 32 * len(bars))))


def histogram(bins: Sequence[tuple[str, int, Decimal]], marks: Mapping[str, str], currency: str) -> Chart:
    """Standing bars: users in each bin of cost; `marks` names bins, such as the one of the median."""
    labels = [label for label, _, _ in bins]
    values = [
        {"bin": label, "users": users, "shown": f"{figures.money(cost)} {currency}", "mark": marks.get(label, "")}
        for label, users, cost in bins
    ]
    axis = alt.X("bin:O").scale(domain=labels).axis(labelAngle=0, labelOverlap=True, ticks=False)
    base = alt.Chart(alt.InlineData(values=values))
    bars = base.mark_bar(color=KINDS["direct"][0]).encode(
        x=axis.title(f"{currency} that a user cost (each bar: from this amount to the next)"),
        y=alt.Y("users:Q").title("users").axis(tickCount=5, format=",d"),
        tooltip=[
            alt.Tooltip("bin:O", title="from"),
            alt.Tooltip("users:Q", format=",d"),
            alt.Tooltip("shown:N", title="together"),
        ],
    )
    words = base.mark_text(dy=-7, fontSize=11, fontWeight="bold", color=INK).encode(x=axis, y="users:Q", text="mark:N")
    return _in_our_look((bars + words).properties(height=300))


def _value(kind: str, cost: Decimal, currency: str) -> dict[str, object]:
    return {
        "kind": kind,
        "cost": float(cost),
        "place": list(KINDS).index(kind),
        "shown": f"{figures.money(cost)} {currency}",
        "meaning": KINDS[kind][1],
    }


def _said() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("kind:N", title="kind"),
        alt.Tooltip("shown:N", title="cost"),
        alt.Tooltip("meaning:N", title="is"),
    ]


def _bars(values: list[dict[str, object]]) -> alt.Chart:
    chart: alt.Chart = alt.Chart(alt.InlineData(values=values)).mark_bar()
    return chart


def _colours() -> alt.Color:
    return alt.Color("kind:N").scale(domain=list(KINDS), range=[colour for colour, _ in KINDS.values()]).legend(None)


def _in_our_look(chart: Chart) -> Chart:
    looks: Chart = (
        chart.configure(font="Inter, Helvetica Neue, Helvetica, Arial, DejaVu Sans, sans-serif")
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=_QUIET,
            titleColor=_QUIET,
            titleFontWeight="normal",
            gridColor=_LINE,
            domainColor=_LINE,
            labelFontSize=11,
            titleFontSize=11,
        )
    )
    return looks
