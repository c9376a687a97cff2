"""How well, how wide and how fast days to come are forecast, against last week, prophet and two rules of thumb."""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import series
from models.forecast import ErrorStore, Forecast, forecast
from models.forecast.backtest import backtest
from models.forecast.errors import days_after
from models.forecast.fitted import pool
from models.forecast.points import Asked, points
from models.forecast.reconcile import bottom_up, min_trace, summing_matrix
from models.series import Panel, Values

HORIZON = 30
_HISTORY = 180
_LEAST_HISTORY = 60
_QUANTILES = (0.025, 0.1, 0.9, 0.975)
_NORMAL = (-1.959964, -1.281552, 1.281552, 1.959964)
_SMALL = 0.005  # a series that is met exactly has no logarithm
_DRAWS = 2000


@dataclass
class Scores:
    """One row for each series and origin: uid, and figures by name."""

    uids: list[str] = field(default_factory=list)
    figures: dict[str, list[float]] = field(default_factory=dict)

    def add(self, uid: str, **figures: float) -> None:
        """Add a row."""
        self.uids.append(uid)
        for name, value in figures.items():
            self.figures.setdefault(name, []).append(value)

    def by_series(self, name: str) -> Values:
        """The mean of a figure over the origins of each series."""
        values, uids = np.array(self.figures[name]), np.array(self.uids)
        means = [values[(uids == uid) & np.isfinite(values)] for uid in np.unique(uids)]
        return np.array([one.mean() for one in means if len(one)])


@dataclass(frozen=True)
class Line:
    """One figure, its 95 % interval where it has one, and what is allowed."""

    what: str
    value: float
    low: float | None = None
    high: float | None = None
    least: float | None = None
    most: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the figure is allowed; None where nothing is said."""
        if self.least is None and self.most is None:
            return None
        return (self.least is None or self.value >= self.least) and (self.most is None or self.value <= self.most)

    def __str__(self) -> str:
        between = f"{self.low:.3f} to {self.high:.3f}" if self.low is not None else ""
        bar = " to ".join(f"{end:g}" for end in (self.least, self.most) if end is not None)
        return f"{self.what:56}{self.value:>9.4g}{between:>18}{bar:>14}{'  MISSED' if self.met is False else ''}"


def interval(values: Values, of: Callable[[Values], float]) -> tuple[float, float, float]:
    """A figure over series and its 95 % bootstrap interval: each series is one vote."""
    generator = np.random.default_rng(1)
    drawn = [of(values[generator.integers(len(values), size=len(values))]) for _ in range(_DRAWS)]
    return of(values), float(np.quantile(drawn, 0.025)), float(np.quantile(drawn, 0.975))


def mean_per_day(y: Values, horizon: int) -> Values:
    """The mean of the last 30 days, every day."""
    return np.repeat(np.nanmean(y[:, -30:], axis=1)[:, None], horizon, axis=1)


def straight_line(y: Values, horizon: int) -> Values:
    """The least-squares line through the last 30 days, drawn on."""
    ahead = np.arange(30, 30 + horizon)
    found = np.empty((len(y), horizon))
    for row, values in enumerate(y[:, -30:]):
        known = np.flatnonzero(np.isfinite(values))
        found[row] = np.polyval(np.polyfit(known, values[known], 1), ahead) if len(known) > 1 else np.nanmean(values)
    return found


def scored(panel: Panel, origins: int, scores: Scores, tell: Callable[[str], None]) -> int:
    """Score each origin of `panel`, oldest first; the number of values below 0 where there never was one."""
    store, negatives = ErrorStore(), 0
    for back in range(origins, 0, -1):
        cut = _cut(panel, panel.days[-1] - np.timedelta64(HORIZON * back, "D"))
        if not cut.uids:
            continue
        began = time.perf_counter()
        days = days_after(cut.days[-1], HORIZON)
        actual = panel.values(cut.uids, days)
        cold = forecast(cut, HORIZON)
        used = forecast(cut, HORIZON, errors=store)
        store.add(used.errors(panel))
        prophet = points(cut, HORIZON, Asked("prophet_default")).values
        naive = points(cut, HORIZON, Asked("seasonal_naive")).values
        never = ~(cut.y < 0).any(axis=1)
        negatives += sum(int((one.paths[never] < 0).sum() + (one.point[never] < 0).sum()) for one in (cold, used))
        rivals = {
            "naive": naive,
            "prophet": prophet,
            "mean per day": mean_per_day(cut.y, HORIZON),
            "straight line": straight_line(cut.y, HORIZON),
        }
        _score(scores, actual, cut, cold, used, rivals)
        tell(f"origin {-back * HORIZON} days, {len(cut.uids)} series: {time.perf_counter() - began:.0f} s")
    return negatives


def _cut(panel: Panel, origin: np.datetime64) -> Panel:
    """What was known at `origin`, the last 180 days of it, of the series with at least 60 days."""
    cut = panel.until(origin)
    y = cut.y[:, -_HISTORY:]
    known = np.isfinite(y)
    kept = (known.sum(axis=1) >= _LEAST_HISTORY) & known[:, -HORIZON:].any(axis=1) if y.size else np.zeros(0, bool)
    return Panel([uid for uid, one in zip(cut.uids, kept, strict=True) if one], cut.days[-_HISTORY:], y[kept])


def _score(
    scores: Scores, actual: Values, cut: Panel, cold: Forecast, used: Forecast, rivals: dict[str, Values]
) -> None:
    size = np.nansum(np.abs(actual), axis=1)
    naive = rivals["naive"]
    base = np.nansum(np.abs(actual - naive), axis=1) / np.where(size > 0, size, np.nan) + _SMALL
    week = cut.y[:, 7:] - cut.y[:, :-7]
    spread = np.nanstd(week, axis=1)[:, None] * np.sqrt(np.arange(HORIZON) // 7 + 1)
    bands = np.stack([np.maximum(naive + z * spread, np.where(cut.y < 0, -np.inf, 0).min(1)[:, None]) for z in _NORMAL])
    pinned = _pinball(actual, naive, bands)
    held = {"cold": _held(actual, cold), "store": _held(actual, used)}
    found = {
        name: (np.nansum(np.abs(actual - one), axis=1) / np.where(size > 0, size, np.nan) + _SMALL) / base
        for name, one in {"ensemble": cold.point, **rivals}.items()
    }
    with_bands = {
        name: np.stack([one.quantile(q) for q in _QUANTILES]) for name, one in (("cold", cold), ("store", used))
    }
    floor = 1e-9 + _SMALL * np.nanmean(np.abs(actual), axis=1)
    for row, uid in enumerate(cut.uids):
        if not size[row] > 0:
            continue
        figures = {f"wape {name}": float(np.log(ratio[row])) for name, ratio in found.items()}
        for name, one in held.items():
            figures |= {f"{name} {what}": float(share[row]) for what, share in one.items()}
            pinball = _pinball(actual, cold.point, with_bands[name])
            figures[f"{name} pinball"] = float(np.log((pinball[row] + floor[row]) / (pinned[row] + floor[row])))
        scores.add(uid, **figures)


def _pinball(actual: Values, point: Values, bands: Values) -> Values:
    """The mean pinball loss (n,) of the point as the median and the four quantiles."""
    loss = 0.5 * np.abs(actual - point)
    for q, band in zip(_QUANTILES, bands, strict=True):
        missed = actual - band
        loss = loss + np.maximum(q * missed, (q - 1) * missed)
    return np.asarray(np.nanmean(loss / 5, axis=1))


def _held(actual: Values, made: Forecast) -> dict[str, Values]:
    """The share of days, and whether the sum, inside each interval, (n,); a sum with an unknown day is nan."""
    found = {}
    known = np.isfinite(actual)
    total = actual.sum(axis=1)
    slack = 1e-9 * np.abs(made.point)  # a line that is constant is met to the last bit but one
    for name, low, high in (("80", 0.1, 0.9), ("95", 0.025, 0.975)):
        inside = (actual >= made.quantile(low) - slack) & (actual <= made.quantile(high) + slack)
        found[f"days {name}"] = (inside & known).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        of_sum = (total >= made.sum_quantile(low) - slack.sum(1)) & (total <= made.sum_quantile(high) + slack.sum(1))
        found[f"sums {name}"] = np.where(np.isfinite(total), of_sum, np.nan)
    return found


def reconciled(where: Path) -> dict[str, float]:
    """How far parts and sums are apart, and the error of totals: bottom-up, MinTrace, and each forecast on its own."""
    panel = series.panels(where)["flights"]
    groups = series.flights(where)[1]
    errors: dict[str, list[float]] = {name: [] for name in ("direct", "bottom-up", "MinTrace")}
    leaf_errors: dict[str, list[float]] = {name: [] for name in ("bottom-up", "MinTrace")}
    gap, lowest = 0.0, np.inf
    for back in (3, 2, 1):
        cut = panel.until(panel.days[-1] - np.timedelta64(HORIZON * back, "D"))
        made = forecast(cut, HORIZON, model="quick")
        rows = {uid: row for row, uid in enumerate(made.uids)}
        leaves = [rows[uid] for uid in groups["total"]]
        upper = [rows[name] for name in groups]
        summed = bottom_up(made, groups)
        matrix = summing_matrix(groups["total"], groups)
        known = backtest(cut, HORIZON, Asked("quick")).issued[-1]
        missed = (known.scaled * known.scale[:, None]).T
        at = {uid: row for row, uid in enumerate(known.uids)}
        base = np.concatenate([made.point[:, None], made.paths], axis=1)
        low, high = min_trace(
            matrix,
            base[leaves],
            base[upper],
            missed[:, [at[uid] for uid in groups["total"]]],
            missed[:, [at[name] for name in groups]],
        )
        named = {name: row for row, name in enumerate(groups)}
        for kind in ("origin", "carrier"):
            rows_of_kind = [row for name, row in named.items() if name.startswith(kind)]
            for values in (summed.point, summed.paths, high):
                apart = values[rows_of_kind].sum(axis=0) - values[named["total"]]
                gap = max(gap, float(np.abs(apart).max() / np.abs(values).max()))
        lowest = min(lowest, float(low.min()))
        days = days_after(cut.days[-1], HORIZON)
        actual = panel.values(list(groups), days)
        for name, one in (("direct", made.point[upper]), ("bottom-up", summed.point), ("MinTrace", high[:, 0])):
            errors[name].append(float(np.abs(actual - one).sum() / actual.sum()))
        below = panel.values(groups["total"], days)
        for name, one in (("bottom-up", made.point[leaves]), ("MinTrace", low[:, 0])):
            leaf_errors[name].append(float(np.abs(below - one).sum() / below.sum()))
    return {
        "gap": gap,
        "least value after MinTrace": lowest,
        **{f"wape of sums, {name}": float(np.mean(values)) for name, values in errors.items()},
        **{f"wape of parts, {name}": float(np.mean(values)) for name, values in leaf_errors.items()},
    }


def same_again(panel: Panel) -> bool:
    """Whether one process and two give the same forecast under a seed, bit for bit."""
    many = Panel([f"{uid} {copy}" for copy in range(2) for uid in panel.uids], panel.days, np.tile(panel.y, (2, 1)))
    many = Panel(many.uids[:26], many.days[-90:], many.y[:26, -90:])
    one, two = (forecast(many, HORIZON, seed=3, processes=count) for count in (1, 2))
    return bool((one.point == two.point).all() and (one.paths == two.paths).all())


def timed(count: int) -> dict[str, float]:
    """Seconds (wall, and processor with children) of Theta alone, of the first backtest, and of the ensemble with it.

    Theta is given every advantage: processes that are started already for wall time, none at all for processor time.
    """
    panel = series.made(count, 120)
    found: dict[str, float] = {"series": count}
    with pool() as workers:
        points(series.made(64, 120), HORIZON, Asked("theta", workers=workers))
        began = time.perf_counter()
        points(panel, HORIZON, Asked("theta", workers=workers))
        found["theta wall"] = time.perf_counter() - began
    points(series.made(1, 120), HORIZON, Asked("theta"))
    worked = time.process_time()
    points(panel, HORIZON, Asked("theta"))
    found["theta processor"] = time.process_time() - worked
    began, worked = time.perf_counter(), _processor()
    with pool() as workers:
        store = backtest(panel, HORIZON, Asked("ensemble", workers=workers))
    found["backtest wall"], found["backtest processor"] = time.perf_counter() - began, _processor() - worked
    began, worked = time.perf_counter(), _processor()
    forecast(panel, HORIZON, errors=store)
    found["ensemble wall"], found["ensemble processor"] = time.perf_counter() - began, _processor() - worked
    return found


def _processor() -> float:
    """Processor seconds of this process and of those it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def measured(where: Path, *, fast: bool = False, tell: Callable[[str], None] = lambda _: None) -> Iterator[Line]:
    """Each figure as soon as it is known: error and coverage, then coherence and sameness, then time."""
    scores, negatives = Scores(), 0
    for name, panel in series.panels(where, fast=fast).items():
        before = len(scores.uids)
        negatives += scored(panel, 6 if fast else 8, scores, partial(_tell, tell, name))
        yield Line(f"forecasts scored, {name}", len(scores.uids) - before)
    yield Line("series scored", len(set(scores.uids)))
    yield from _accuracy(scores)
    yield Line("values below 0", negatives, most=0)
    sums = reconciled(where)
    yield Line("parts and sums apart, of the largest value", sums.pop("gap"), most=1e-6)
    for name, value in sums.items():
        yield Line(name, value)
    again = same_again(series.panels(where)["synthetic"])
    yield Line("1 and 2 processes give the same, bit for bit", float(again), least=1)
    clock = timed(100 if fast else 1000)
    allowed: dict[str, tuple[str, float | None]] = {"ensemble": ("with a store", 30.0), "backtest": ("to begin", None)}
    for kind in ("processor", "wall"):
        yield Line(f"Theta alone, {clock['series']:.0f} series, {kind} s", clock[f"theta {kind}"])
        for name, (told, most) in allowed.items():
            ratio = clock[f"{name} {kind}"] / clock[f"theta {kind}"]
            yield Line(f"{name} ({told}), {kind} time of Theta", ratio, most=most)


def _tell(tell: Callable[[str], None], name: str, text: str) -> None:
    tell(f"{name}: {text}")


def _accuracy(scores: Scores) -> Iterator[Line]:
    logs = scores.by_series("wape ensemble")
    yield Line("WAPE, of seasonal naive", *interval(logs, _mean), most=0.93)
    yield Line("WAPE, of prophet as it comes", *interval(logs - scores.by_series("wape prophet"), _mean), most=0.85)
    worst = interval(logs, lambda one: float(np.exp(np.quantile(one, 0.9))))
    yield Line("WAPE, of seasonal naive, worst tenth of series", *worst, most=1.08)
    for mode, told in (("cold", "no store"), ("store", "own store")):
        yield Line(f"pinball, of naive ({told})", *interval(scores.by_series(f"{mode} pinball"), _mean), most=0.9)
        for what, least, most in (("80", 0.72, 0.88), ("95", 0.90, 0.98)):
            for unit in ("days", "sums"):
                share = interval(scores.by_series(f"{mode} {unit} {what}"), lambda one: float(one.mean()))
                yield Line(f"{unit} in the {what} % interval ({told})", *share, least=least, most=most)
    for name in ("prophet", "mean per day", "straight line"):
        yield Line(f"WAPE of {name}, of naive", *interval(scores.by_series(f"wape {name}"), _mean))


def _mean(logs: Values) -> float:
    return float(np.exp(logs.mean()))


def main() -> None:
    """Print each figure beside its bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=None, help="the folder with the series")
    parser.add_argument("--fast", action="store_true", help="a third of the series, six origins, 100 series timed")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    where = options.data or series.folder()
    if options.json:
        print(json.dumps([asdict(line) | {"met": line.met} for line in measured(where, fast=options.fast)], indent=1))
        return
    print(f"{'':56}{'found':>9}{'95 %':>18}{'bar':>14}")
    for line in measured(where, fast=options.fast, tell=lambda text: print(text, file=sys.stderr, flush=True)):
        print(line, flush=True)


if __name__ == "__main__":
    main()
