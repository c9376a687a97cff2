"""The bars of the anomaly contests: events in real series, planted causes, and the demo day by day."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from benchmarks import anomalies, replay
from benchmarks.anomalies import Event, score


def test_what_is_flagged_outside_of_events_is_false_and_runs_are_counted_once() -> None:
    flags = np.zeros((1, 100), dtype=bool)
    flags[0, [10, 11, 50, 52]] = True
    events = [[Event("shift", 2.0, 49, 56), Event("spike", 1.3, 70, 71)]]
    found = score("rule", 3.0, flags, np.ones((1, 100), dtype=bool), events)
    assert found.false_days_a_month == pytest.approx(2 / 92 * 30.4)
    assert (found.recall, found.recall_doubled, found.precision) == pytest.approx((0.5, 1.0, 2 / 3))
    assert found.median_delay_days == 1


@pytest.mark.heavy
def test_the_default_threshold_meets_the_bars_on_real_series(shared: Path) -> None:
    y, events = anomalies.inject(anomalies.real_series(shared / "series"), range(1, 5), 2)
    default, matched = anomalies.race(y, events)
    assert default[0].false_days_a_month <= anomalies.FALSE_DAYS_A_MONTH
    assert default[0].recall >= 0.70
    assert default[0].recall_doubled >= 0.85
    assert default[0].precision >= 0.65
    assert default[0].median_delay_days <= 1
    assert matched[0].recall > max(other.recall for other in matched[1:])


@pytest.mark.heavy
@pytest.mark.timeout(900)
def test_the_incidents_of_the_demo_are_told_within_a_day_and_the_late_bill_is_not(tmp_path: Path) -> None:
    replay.make_demo(tmp_path / "demo")
    found = replay.replay(tmp_path / "demo", first=date(2026, 9, 8))
    assert [one.incident for one in found.found if not one.in_time] == []
    assert len(found.found) == 5
    assert found.late == []
    assert found.false_a_month <= replay.MOST_FALSE_A_MONTH
