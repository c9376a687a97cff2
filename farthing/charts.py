"""Charts of pages and reports in one look: a colour for each kind of cost, units on the axes, quiet lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal

import altair as alt
from altair.utils.schemapi import debug_mode

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
_GOOD, _BAD = "#24577a", "#c8553d"
_AMOUNTS = ",.4~r"
#: Days from which on bars are months.
LONG = 63
Amounts = Mapping[str, Decimal | None]
Chart = alt.Chart | alt.LayerChart


def kinds_over_time(
    rows: Sequence[tuple[date, str, Decimal]], first: date, last: date, currency: str, *, height: int = 250
) -> Chart:
    """Stacked bars: one a day, of every day of the period, and one a month where that is more than LONG days."""
    months = (last - first).days >= LONG
    steps = list(dict.fromkeys(_step(first + timedelta(number), months) for number in range((last - first).days + 1)))
    sums: dict[tuple[date, str], Decimal] = {}
    for day, kind, cost in rows:
        place = (_step(day, months), kind)
        sums[place] = sums.get(place, Decimal(0)) + cost
    values = [_value(kind, cost, currency) | {"day": step.isoformat()} for (step, kind), cost in sums.items()]
    form = "%b %Y" if months else "%-d %b"
    chart = _bars(values).encode(
        x=alt.X("day:O")
        .scale(domain=[step.isoformat() for step in steps])
        .axis(labelExpr=f"utcFormat(toDate(datum.value), '{form}')", labelAngle=0, labelOverlap=True, ticks=False)
        .title(None),
        y=alt.Y("cost:Q").title(f"{currency} per {'month' if months else 'day'}").axis(format=_AMOUNTS, tickCount=5),
        color=_colours(),
        order=alt.Order("place:Q"),
        tooltip=[alt.Tooltip("day:O", title="month from" if months else "day"), *_said()],
    )
    return _in_our_look(chart.properties(height=height))


def fan(
    past: Sequence[tuple[date, Decimal]],
    ahead: Sequence[tuple[date, float, float, float]],
    currency: str,
    *,
    height: int,
) -> Chart:
    """What days have cost as a line, and what days to come are expected to cost, in the band that they are given."""
    known = [{"day": day.isoformat(), "cost": float(cost), "amount": figures.money(cost)} for day, cost in past]
    band = [
        {"day": day.isoformat(), "cost": expected, "low": low, "high": high, "amount": f"{low:,.0f} to {high:,.0f}"}
        for day, expected, low, high in ahead
    ]
    x = alt.X("day:T").axis(format="%-d %b", tickCount=8).title(None)
    y = alt.Y("cost:Q").title(f"{currency} per day").axis(format=_AMOUNTS, tickCount=5)
    said = [alt.Tooltip("day:T", format="%-d %b %Y"), alt.Tooltip("amount:N", title=currency)]
    actual = alt.Chart(alt.InlineData(values=known)).mark_line(color=_GOOD).encode(x=x, y=y, tooltip=said)
    expected_days = alt.Chart(alt.InlineData(values=band))
    spread = expected_days.mark_area(color=_GOOD, opacity=0.2).encode(x=x, y=alt.Y("low:Q"), y2="high:Q", tooltip=said)
    middle = expected_days.mark_line(color=_GOOD, strokeDash=[4, 3]).encode(x=x, y=y, tooltip=said)
    return _in_our_look(alt.LayerChart(layer=[spread, middle, actual]).properties(height=height))


def marked_days(
    days: Sequence[tuple[date, Decimal]], marked: tuple[date, date], currency: str, *, height: int
) -> Chart:
    """A bar for each day's cost; those from the first to the last of `marked` are the ones that are spoken of."""
    values = [
        {
            "day": day.isoformat(),
            "cost": float(cost),
            "amount": f"{figures.money(cost)} {currency}",
            "side": "marked" if marked[0] <= day <= marked[1] else "other",
        }
        for day, cost in days
    ]
    chart = (
        alt.Chart(alt.InlineData(values=values))
        .mark_bar()
        .encode(
            x=alt.X("yearmonthdate(day):T").axis(format="%-d %b", tickCount=8).title(None),
            y=alt.Y("cost:Q").title(f"{currency} per day").axis(format=_AMOUNTS, tickCount=5),
            color=alt.Color("side:N").scale(domain=["marked", "other"], range=[_BAD, "#8fb8d0"]).legend(None),
            tooltip=[alt.Tooltip("day:T", format="%-d %b %Y"), alt.Tooltip("amount:N", title="cost")],
        )
    )
    return _in_our_look(chart.properties(height=height))


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


def histogram(
    bins: Sequence[tuple[str, int, Decimal]], marks: Mapping[str, str], currency: str, *, of: str, height: int = 260
) -> Chart:
    """Standing bars: how many `of` (users, tasks) in each bin of cost; `marks` names bins, as that of the median."""
    labels = [label for label, _, _ in bins]
    values = [
        {"bin": label, "number": number, "shown": f"{figures.money(cost)} {currency}", "mark": marks.get(label, "")}
        for label, number, cost in bins
    ]
    axis = alt.X("bin:O").scale(domain=labels).axis(labelAngle=0, labelOverlap=True, ticks=False)
    base = alt.Chart(alt.InlineData(values=values))
    bars = base.mark_bar(color=KINDS["direct"][0]).encode(
        x=axis.title(f"{currency} that one of the {of} cost (each bar: from this amount to the next)"),
        y=alt.Y("number:Q").title(of).axis(tickCount=5, format=",d"),
        tooltip=[
            alt.Tooltip("bin:O", title="from"),
            alt.Tooltip("number:Q", title=of, format=",d"),
            alt.Tooltip("shown:N", title="together"),
        ],
    )
    words = base.mark_text(dy=-7, fontSize=11, fontWeight="bold", color=INK).encode(x=axis, y="number:Q", text="mark:N")
    return _in_our_look((bars + words).properties(height=height))


def signed_by_name(bars: Sequence[tuple[str, Decimal]], title: str, *, bad: str, height: int) -> Chart:
    """Lying bars in the order given, from zero to both sides; `bad` ("negative", "positive") is the red side."""
    names = [name for name, _ in bars]
    values = [
        {
            "name": name,
            "amount": float(amount),
            "shown": figures.money(amount),
            "side": "bad" if (amount < 0) == (bad == "negative") else "good",
        }
        for name, amount in bars
    ]
    chart = (
        alt.Chart(alt.InlineData(values=values))
        .mark_bar()
        .encode(
            y=alt.Y("name:N").scale(domain=names).axis(labelLimit=190, ticks=False).title(None),
            x=alt.X("amount:Q").title(title).axis(format=_AMOUNTS, tickCount=5),
            color=alt.Color("side:N").scale(domain=["bad", "good"], range=[_BAD, _GOOD]).legend(None),
            tooltip=[alt.Tooltip("name:N", title="of"), alt.Tooltip("shown:N", title=title)],
        )
    )
    return _in_our_look(chart.properties(height=min(height, 60 + 28 * len(bars))))


def walk(steps: Sequence[tuple[str, Decimal, bool]], currency: str, *, height: int) -> Chart:
    """Lying bars from one amount to the next, in the order given; a step begins where the one before ended.

    The third of each is whether it is an amount that stands by itself, from zero, and no step.
    """
    values, stands = [], Decimal(0)
    for name, amount, is_whole in steps:
        begin = Decimal(0) if is_whole else stands
        stands = begin + amount
        side = "whole" if is_whole else "less" if amount < 0 else "more"
        shown = f"{figures.money(amount)} {currency}"
        values.append({"name": name, "begin": float(begin), "end": float(stands), "shown": shown, "side": side})
    sides = alt.Color("side:N").scale(domain=["whole", "less", "more"], range=[_GOOD, "#8fb8d0", _BAD]).legend(None)
    chart = (
        alt.Chart(alt.InlineData(values=values))
        .mark_bar()
        .encode(
            y=alt.Y("name:N")
            .scale(domain=[name for name, _, _ in steps])
            .axis(labelLimit=190, ticks=False)
            .title(None),
            x=alt.X("begin:Q").title(currency).axis(format=_AMOUNTS, tickCount=6),
            x2="end:Q",
            color=sides,
            tooltip=[alt.Tooltip("name:N", title="cause"), alt.Tooltip("shown:N", title="amount")],
        )
    )
    return _in_our_look(chart.properties(height=min(height, 60 + 26 * len(steps))))


def ranges_by_name(rows: Sequence[tuple[str, float, float, float]], title: str, *, height: int) -> Chart:
    """A lying bar from the second to the fourth of each, with a mark at the third, in the order given."""
    names = [name for name, *_ in rows]
    values = [
        {"name": name, "low": low, "middle": middle, "high": high, "shown": f"{low:,.0f} to {high:,.0f}"}
        for name, low, middle, high in rows
    ]
    base = alt.Chart(alt.InlineData(values=values)).encode(
        y=alt.Y("name:N").scale(domain=names).axis(labelLimit=190, ticks=False).title(None),
        tooltip=[
            alt.Tooltip("name:N", title="of"),
            alt.Tooltip("middle:Q", title=title, format=",.0f"),
            alt.Tooltip("shown:N", title="nine of ten"),
        ],
    )
    bars = base.mark_bar(color=KINDS["shared"][0], height=10).encode(
        x=alt.X("low:Q").title(title).axis(format=_AMOUNTS, tickCount=6), x2="high:Q"
    )
    marks = base.mark_tick(color=_GOOD, thickness=3, size=18).encode(x="middle:Q")
    zero = alt.Chart(alt.InlineData(values=[{"at": 0}])).mark_rule(color=_QUIET).encode(x="at:Q")
    return _in_our_look((bars + zero + marks).properties(height=min(height, 60 + 28 * len(rows))))


def busy_hours(
    cells: Sequence[tuple[date, int, float | None, Decimal]], first: date, last: date, currency: str, *, height: int
) -> Chart:
    """A heat map, a column for each day and a row for each hour: busy share of observed GPU time; grey: unobserved."""
    days = [(first + timedelta(days=number)).isoformat() for number in range((last - first).days + 1)]
    values = [
        {
            "day": day.isoformat(),
            "hour": hour,
            "busy": share,
            "shown": "no telemetry" if share is None else f"{share:.1%}",
            "idle": f"{figures.money(idle)} {currency}",
        }
        for day, hour, share, idle in cells
    ]
    with debug_mode(False):  # of thousands of values Altair would check each on its own, for a second
        data = alt.InlineData(values=values)
    base = alt.Chart(data).encode(
        x=alt.X("day:O")
        .scale(domain=days)
        .axis(labelExpr="utcFormat(toDate(datum.value), '%-d %b')", labelAngle=0, labelOverlap=True, ticks=False)
        .title(None),
        y=alt.Y("hour:O")
        .scale(domain=list(range(24)))
        .axis(values=[0, 6, 12, 18, 23], ticks=False)
        .title("hour of the day, UTC"),
        tooltip=[
            alt.Tooltip("day:O"),
            alt.Tooltip("hour:O"),
            alt.Tooltip("shown:N", title="busy"),
            alt.Tooltip("idle:N", title="idle cost"),
        ],
    )
    seen = (
        base.transform_filter("isValid(datum.busy)")
        .mark_rect()
        .encode(
            color=alt.Color("busy:Q")
            .scale(domain=[0, 0.1, 0.5, 1], range=["#e3a72f", "#f6e3b4", "#8fb8d0", "#24577a"], interpolate="rgb")
            .legend(title="busy", format=".0%", gradientLength=height - 40)
        )
    )
    unseen = base.transform_filter("!isValid(datum.busy)").mark_rect(color=KINDS["unobserved"][0])
    return _in_our_look((seen + unseen).properties(height=height))


def margin_against_hit(
    offers: Sequence[tuple[str, str, float, float, float, float]], target: float, *, height: int = 300
) -> Chart:
    """A point for each offer: share of users hit, and gross margin with its 90 % interval.

    Each is (name, kind, users hit, q05, q50, q95); the dashed line is the `target` margin.
    """
    values = [
        {"name": name, "kind": kind, "hit": hit, "low": low, "margin": middle, "high": high}
        for name, kind, hit, low, middle, high in offers
    ]
    kinds = list(dict.fromkeys(kind for _, kind, *_ in offers))
    base = alt.Chart(alt.InlineData(values=values))
    across = alt.X("hit:Q").title("users whose bill rises").axis(format=".0%").scale(nice=True, zero=True)
    up = alt.Scale(zero=False, nice=True)
    colour = alt.Color("kind:N").scale(domain=kinds, range=["#9aa3ab", "#e3a72f", "#24577a"]).legend(title=None)
    said = [
        alt.Tooltip("name:N", title="offer"),
        alt.Tooltip("hit:Q", title="users hit", format=".1%"),
        alt.Tooltip("low:Q", title="margin q05", format=".1%"),
        alt.Tooltip("margin:Q", title="margin q50", format=".1%"),
        alt.Tooltip("high:Q", title="margin q95", format=".1%"),
    ]
    ranges = base.mark_rule(strokeWidth=2, opacity=0.6).encode(
        x=across,
        y=alt.Y("low:Q").scale(up).axis(format=".0%", tickCount=6).title("gross margin of a month to come"),
        y2="high:Q",
        color=colour,
    )
    points = base.mark_point(filled=True, size=60, opacity=1).encode(
        x=across, y=alt.Y("margin:Q").scale(up), color=colour, tooltip=said
    )
    names = base.mark_text(dx=6, dy=-6, align="left", fontSize=10, color=INK).encode(
        x=across, y=alt.Y("margin:Q").scale(up), text="name:N"
    )
    line = (
        alt.Chart(alt.InlineData(values=[{"target": target}]))
        .mark_rule(strokeDash=[4, 4], color=_QUIET)
        .encode(y=alt.Y("target:Q").scale(up), tooltip=[alt.Tooltip("target:Q", title="target", format=".0%")])
    )
    return _in_our_look((ranges + points + names + line).properties(height=height))


def _step(day: date, months: bool) -> date:
    return day.replace(day=1) if months else day


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
