"""How many injected events are found in real daily series at a quarter of a false day a month, and how often why."""

from __future__ import annotations

import argparse
import csv
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.anomaly_causes import Contest, contest
from benchmarks.truth import data_folder
from models.anomaly import THRESHOLD, judge

Values = NDArray[np.float64]
Flags = NDArray[np.bool_]

FALSE_DAYS_A_MONTH = 0.25
_DAYS_OF_A_MONTH = 30.4
KINDS = ("spike", "shift", "leak")
FACTORS = (1.3, 1.5, 2.0)
_EVENT_DAYS = 7
#: An event begins no earlier, so that every rule has its history, and keeps that far from others.
_FIRST_DAY, _APART_DAYS = 35, 16
_STRETCH_DAYS, _EVENTS_A_STRETCH = 180, 3
#: Counts below ten a day, dust, and series that are mostly gaps are no spend that anybody watches.
_LEAST_COUNT, _LEAST_AMOUNT, _LEAST_KNOWN, _LEAST_DAYS = 10, 0.01, 0.75, 80
_PLAIN_DAYS = 30
_WINDOW_HOURS = 168


@dataclass(frozen=True)
class Event:
    """What was injected into a row: `factor` times on the days `first` to `end` (not included)."""

    kind: str
    factor: float
    first: int
    end: int


@dataclass(frozen=True)
class Result:
    """A rule at one threshold: shares of events found, of its runs of flagged days that meet one, and its delay."""

    rule: str
    threshold: float
    false_days_a_month: float
    recall: float
    recall_doubled: float
    precision: float
    median_delay_days: float
    recall_by_kind: dict[str, float]


#: Flags and which days were judged, of y at a threshold.
Rule = Callable[[Values, float], tuple[Flags, Flags]]


def ours(y: Values, threshold: float) -> tuple[Flags, Flags]:
    """`models.anomaly`."""
    found = judge(y, threshold=threshold)
    return found.flagged, np.isfinite(found.score)


def plain(y: Values, threshold: float) -> tuple[Flags, Flags]:
    """Standard deviations above the mean of the last 30 days."""
    score = np.full(y.shape, np.nan)
    for day in range(_EVENT_DAYS * 2, y.shape[1]):
        before = y[:, max(day - _PLAIN_DAYS, 0) : day]
        known = np.isfinite(before)
        count = np.maximum(known.sum(axis=1), 1)
        mean = np.where(known, before, 0).sum(axis=1) / count
        spread = np.sqrt((np.where(known, before - mean[:, None], 0) ** 2).sum(axis=1) / count)
        enough = known.sum(axis=1) >= _EVENT_DAYS * 2
        score[:, day] = np.where(enough, (y[:, day] - mean) / np.maximum(spread, 1e-12), np.nan)
    return np.nan_to_num(score, nan=-np.inf) > threshold, np.isfinite(score)


def percent(y: Values, threshold: float) -> tuple[Flags, Flags]:
    """So many times the mean of the last 7 days."""
    score = np.full(y.shape, np.nan)
    for day in range(_EVENT_DAYS * 2, y.shape[1]):
        before = y[:, day - _EVENT_DAYS : day]
        known = np.isfinite(before)
        mean = np.where(known, before, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        score[:, day] = np.where(known.any(axis=1) & (mean > 0), y[:, day] / np.where(mean > 0, mean, 1), np.nan)
    return np.nan_to_num(score, nan=-np.inf) > threshold, np.isfinite(score)


#: Name, rule, its threshold as it comes, and those among which that for a quarter of a false day is looked for.
RULES: list[tuple[str, Rule, float, Values]] = [
    ("farthing", ours, THRESHOLD, np.arange(2.0, 6.0, 0.1)),
    ("plain z, 30 days", plain, 3.0, np.arange(1.5, 6.0, 0.1)),
    ("percent over 7-day mean", percent, 1.2, np.arange(1.1, 8.0, 0.1)),
]


# -- series and events ----------------------------------------------------------------------------------------------


def real_series(data: Path) -> dict[str, Values]:
    """The real daily series of shared/data/series, each on its own days; nan where a day is missing."""
    amounts: dict[str, dict[date, float]] = defaultdict(lambda: defaultdict(float))
    for row in _rows(data / "daily.csv"):
        amounts[row["uid"]][date.fromisoformat(row["ds"])] += float(row["y"])
    for row in _rows(data / "aws_cost_explorer_2024_daily.csv"):
        for uid in ("aws", f"aws {row['service']}"):
            amounts[uid][date.fromisoformat(row["ds"])] += float(row["y"])
    for row in _rows(data / "hier_counts.csv"):
        for uid in ("flights", f"flights of {row['origin']}", f"flights by {row['carrier']}"):
            amounts[uid][date.fromisoformat(row["ds"])] += float(row["y"])
    series = {uid: _on_grid(known) for uid, known in amounts.items()}
    least = defaultdict(float, {uid: _LEAST_AMOUNT if uid.startswith("aws") else _LEAST_COUNT for uid in series})
    least |= dict.fromkeys({line["uid"] for line in _rows(data / "daily.csv")}, 0.0)
    return {
        uid: y
        for uid, y in series.items()
        if len(y) >= _LEAST_DAYS and np.isfinite(y).mean() >= _LEAST_KNOWN and np.nanmedian(y) >= least[uid]
    }


def synthetic_series(data: Path) -> dict[str, Values]:
    """The 24 simulated series of team and model, with launches, price steps and month ends of their own."""
    amounts: dict[str, dict[date, float]] = defaultdict(dict)
    for row in _rows(data / "synthetic_spend.csv"):
        amounts[row["uid"]][date.fromisoformat(row["ds"])] = float(row["y"])
    return {uid: _on_grid(known) for uid, known in amounts.items()}


def _rows(path: Path) -> Iterable[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _on_grid(known: Mapping[date, float]) -> Values:
    first, last = min(known), max(known)
    y = np.full((last - first).days + 1, np.nan)
    for day, amount in known.items():
        y[(day - first).days] = amount
    return y


def inject(series: Mapping[str, Values], seeds: Iterable[int], stretches: int) -> tuple[Values, list[list[Event]]]:
    """The last `stretches` of 180 days of each series, once for each seed, with up to three events in each."""
    rows, events = [], []
    for seed in seeds:
        random = np.random.default_rng(seed)
        for y in series.values():
            for end in range(len(y), _LEAST_DAYS, -_STRETCH_DAYS)[:stretches]:
                row, injected = _with_events(y[max(end - _STRETCH_DAYS, 0) : end], random)
                if len(row) >= _LEAST_DAYS:
                    rows.append(np.pad(row, (0, _STRETCH_DAYS - len(row)), constant_values=np.nan))
                    events.append(injected)
    return np.stack(rows), events


def _with_events(y: Values, random: np.random.Generator) -> tuple[Values, list[Event]]:
    changed, events = y.copy(), list[Event]()
    for _ in range(20 * _EVENTS_A_STRETCH):
        kind, factor = KINDS[random.integers(3)], FACTORS[random.integers(3)]
        days = 1 if kind == "spike" else _EVENT_DAYS
        if len(y) - days <= _FIRST_DAY or len(events) == _EVENTS_A_STRETCH:
            break
        first = int(random.integers(_FIRST_DAY, len(y) - days))
        if any(first < other.end + _APART_DAYS and other.first < first + days + _APART_DAYS for other in events):
            continue
        slope = np.arange(1, days + 1) / days if kind == "leak" else np.ones(days)
        changed[first : first + days] *= 1 + (factor - 1) * slope
        events.append(Event(kind, factor, first, first + days))
    return changed, events


# -- scoring --------------------------------------------------------------------------------------------------------


def score(name: str, threshold: float, flags: Flags, judged: Flags, events: list[list[Event]]) -> Result:
    """How `flags` did; whatever is flagged outside of injected events counts as false, natural events too."""
    false = days = runs = true_runs = 0
    found: dict[tuple[str, float], list[bool]] = defaultdict(list)
    delays = []
    for row, injected in enumerate(events):
        inside = np.zeros(flags.shape[1], dtype=bool)
        for event in injected:
            inside[event.first : event.end] = True
            hits = np.flatnonzero(flags[row, event.first : event.end])
            found[event.kind, event.factor].append(len(hits) > 0)
            delays += [int(hits[0])] if len(hits) else []
        false += int((flags[row] & ~inside).sum())
        days += int((judged[row] & ~inside).sum())
        edges = np.flatnonzero(np.diff(np.concatenate([[0], flags[row], [0]])))
        for begin, end in edges.reshape(-1, 2):
            runs += 1
            true_runs += bool(inside[begin:end].any())
    everything = [hit for hits in found.values() for hit in hits]
    doubled = [hit for (_, factor), hits in found.items() if factor == max(FACTORS) for hit in hits]
    return Result(
        name,
        round(float(threshold), 2),
        false / days * _DAYS_OF_A_MONTH,
        float(np.mean(everything)),
        float(np.mean(doubled)),
        true_runs / max(runs, 1),
        float(np.median(delays)) if delays else float("nan"),
        {f"{kind} x{factor}": float(np.mean(hits)) for (kind, factor), hits in sorted(found.items())},
    )


def race(y: Values, events: list[list[Event]]) -> tuple[list[Result], list[Result]]:
    """Each rule as it comes, and at its lowest threshold with at most a quarter of a false day a month."""
    as_it_comes, matched = [], []
    for name, rule, default, thresholds in RULES:
        as_it_comes.append(score(name, default, *rule(y, default), events))
        for threshold in thresholds:
            result = score(name, threshold, *rule(y, threshold), events)
            if result.false_days_a_month <= FALSE_DAYS_A_MONTH:
                break
        matched.append(result)
    return as_it_comes, matched


def hourly(data: Path) -> dict[str, dict[str, float]]:
    """Side note: recall of the labelled windows of NAB, in hourly means, at 1 and 3 false hours a series and week."""
    windows = json.loads((data / "nab" / "windows.json").read_text(encoding="utf-8"))
    hours: list[Values] = []
    inside: list[list[tuple[int, int]]] = []
    for path in sorted((data / "nab").glob("real*/*.csv")):
        sums: dict[int, list[float]] = defaultdict(list)
        for row in _rows(path):
            sums[_hour(row["timestamp"])].append(float(row["value"]))
        first = min(sums)
        y = np.full(max(sums) - first + 1, np.nan)
        for hour, values in sums.items():
            y[hour - first] = np.mean(values)
        hours.append(y)
        labelled = windows[f"{path.parent.name}/{path.name}"]
        inside.append([(_hour(begin) - first, _hour(end) - first + 1) for begin, end in labelled])
    longest = max(len(y) for y in hours)
    grid = np.stack([np.pad(y, (0, longest - len(y)), constant_values=np.nan) for y in hours])
    events = [[Event("window", 1.0, *window) for window in found] for found in inside]
    recalls: dict[str, dict[str, float]] = {}
    for name, rule, _, thresholds in RULES[:2]:
        for threshold in thresholds:
            result = score(name, threshold, *rule(grid, threshold), _doubled(events))
            a_week = result.false_days_a_month / _DAYS_OF_A_MONTH * _WINDOW_HOURS
            for most in (1, 3):
                if a_week <= most:
                    recalls.setdefault(name, {}).setdefault(f"{most} false hours a week", result.recall)
    return recalls


def _doubled(events: list[list[Event]]) -> list[list[Event]]:
    return [[Event(event.kind, max(FACTORS), event.first, event.end) for event in row] for row in events]


def _hour(text: str) -> int:
    return int(datetime.fromisoformat(text.partition(".")[0] + "+00:00").timestamp()) // 3600


# -- the command ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Race:
    """Both tables of one set of series."""

    series: str
    rows: int
    events: int
    as_it_comes: list[Result]
    matched: list[Result]


def run(*, fast: bool = False) -> tuple[list[Race], dict[str, dict[str, float]], list[Contest]]:
    """All of it; `fast` takes fewer seeds."""
    data = data_folder().parent / "series"
    races = []
    for name, series, seeds, stretches in (
        ("real", real_series(data), range(1, 3 if fast else 7), 2),
        ("simulated, with breaks of their own", synthetic_series(data), range(1, 2 if fast else 4), 2),
    ):
        y, events = inject(series, seeds, stretches)
        races.append(Race(name, len(y), sum(map(len, events)), *race(y, events)))
    return races, hourly(data), contest(cubes=20 if fast else 100)


def main() -> None:
    """Print how the rules did."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.anomalies", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("--fast", action="store_true", help="fewer seeds and cubes")
    arguments = parser.parse_args()
    races, windows, causes = run(fast=arguments.fast)
    if arguments.json:
        found: dict[str, Any] = {"races": [asdict(one) for one in races], "hourly": windows}
        print(json.dumps({**found, "causes": [asdict(one) for one in causes]}, indent=1))
        return
    for one in races:
        print(f"{one.series} series: {one.rows} stretches of up to {_STRETCH_DAYS} days, {one.events} events")
        for title, results in (("as it comes", one.as_it_comes), ("at 0.25 false days a month", one.matched)):
            _print(title, results)
        kinds = one.as_it_comes[0].recall_by_kind
        print("  farthing as it comes: " + ", ".join(f"{kind} {share:.2f}" for kind, share in kinds.items()) + "\n")
    print("NAB, hourly, a side note: " + json.dumps(windows))
    print(f"\n{'noise':>6}{'order':>6}{'top 1':>8}{'top 3':>8}{'biggest slice':>15}{'ms':>7}")
    for cause in causes:
        figures = f"{cause.top_1:>8.2f}{cause.top_3:>8.2f}{cause.biggest_slice:>15.2f}{cause.milliseconds:>7.1f}"
        print(f"{cause.noise:>6}{cause.order:>6}{figures}")


def _print(title: str, results: list[Result]) -> None:
    print(f"  {title:<28}{'threshold':>10}{'false':>8}{'recall':>8}{'x2':>7}{'precision':>11}{'delay':>7}")
    for result in results:
        figures = f"{result.threshold:>10.1f}{result.false_days_a_month:>8.2f}{result.recall:>8.2f}"
        more = f"{result.recall_doubled:>7.2f}{result.precision:>11.2f}{result.median_delay_days:>7.0f}"
        print(f"  {result.rule:<28}{figures}{more}")


if __name__ == "__main__":
    main()
