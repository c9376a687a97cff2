"""Anomalies in daily spend: which days are above what the days before let expect, for how long, how much, and why."""

from __future__ import annotations

from models.anomaly.causes import Cause, Change, find_causes
from models.anomaly.episodes import Episode, Floors, episodes
from models.anomaly.judge import THRESHOLD, Judged, judge

__all__ = ["THRESHOLD", "Cause", "Change", "Episode", "Floors", "Judged", "episodes", "find_causes", "judge"]
