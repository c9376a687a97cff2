"""The simulated company day after day: is each planted incident found within a day, with its cause, and what else?"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from farthing import config as configuration
from farthing import warehouse
from farthing.anomalies import Finding, find

#: From the last days before the first incident of the second half to the end of the simulated calendar.
FIRST_DAY = date(2026, 7, 25)
MOST_FALSE_A_MONTH = 2
_DAYS_OF_A_MONTH = 30.4


@dataclass(frozen=True)
class Incident:
    """What was planted: the day from which on money shows it, the rules that may find it, and what must be named."""

    name: str
    day: date
    rules: tuple[str, ...]
    named: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """How an incident was found first; all is None when nobody was told of it."""

    incident: str
    day: date
    found: date | None
    rule: str | None
    scope: str | None
    title: str | None
    cause: str | None

    @property
    def in_time(self) -> bool:
        """Whether people were told on the day itself or the next."""
        return self.found is not None and self.found <= self.day + timedelta(days=1)


@dataclass(frozen=True)
class Replay:
    """What came of it; `false` are pages that no incident explains, `late` those that the late bill made."""

    days: int
    found: list[Found]
    false: list[tuple[date, str]]
    late: list[tuple[date, str]]

    @property
    def false_a_month(self) -> float:
        """False pages in 30.4 days."""
        return len(self.false) / self.days * _DAYS_OF_A_MONTH


def incidents(planted: Mapping[str, Any]) -> Iterator[Incident]:
    """The planted things that are anomalies in money, with what the truth says that they are about."""
    spend = ("spend", "leak")

    def day(name: str, key: str) -> date:
        return date.fromisoformat(planted[name][key])

    pair, price = planted["coding_pair"], planted["price_rise"]
    yield Incident("coding_pair", day("coding_pair", "from"), ("user limit",), (pair["heavy"],))
    yield Incident("price_rise", day("price_rise", "day"), ("price",), (price["provider"], price["model"], "25%"))
    month = date.fromisoformat(planted["credits_end"]["last_month"] + "-01")
    after = (month + timedelta(days=32)).replace(day=1)
    yield Incident("credits_end", after, spend, (planted["credits_end"]["pool"],))
    node = planted["forgotten_node"]
    yield Incident("forgotten_node", day("forgotten_node", "from"), ("idle",), (node["ResourceId"],))
    agent = planted["runaway_agent"]
    yield Incident("runaway_agent", day("runaway_agent", "day"), spend, (agent["customer_id"], agent["trace_id"]))
    untagged = planted["untagged_cost"]
    yield Incident("untagged_cost", day("untagged_cost", "day"), ("unassigned",), (untagged["pool"],))
    unpriced = planted["unpriced_model"]
    yield Incident("unpriced_model", day("unpriced_model", "from"), ("unpriced",), (unpriced["model"],))
    ending = planted["commitment_expiring"]
    yield Incident(
        "commitment_expiring", day("commitment_expiring", "first_day_without"), ("price", *spend), (ending["provider"],)
    )


def replay(project: Path, *, first: date = FIRST_DAY, last: date | None = None) -> Replay:
    """Look at the demo in `project` at the end of each day, with nothing but what was known then."""
    config = configuration.load(project)
    truth = json.loads((project / "truth" / "truth.json").read_text(encoding="utf-8"))
    planted = truth["planted"]
    until = min(last or date.max, date.fromisoformat(truth["last_day"]))
    days = [first + timedelta(days=number) for number in range((until - first).days + 1)]
    every = list(incidents(planted))
    awaited = [one for one in every if first <= one.day <= until]  # one from before may still go on
    seen: dict[str, Found] = {}
    told: set[str] = set()
    false: list[tuple[date, str]] = []
    late: list[tuple[date, str]] = []
    with warehouse.open_warehouse(config) as con:
        for day in days:
            for one in find(con, config, day):
                if one.level != "page" or one.parent is not None or one.id in told:
                    continue
                told.add(one.id)
                matching = [incident for incident in every if _is(incident, one)]
                for incident in matching:
                    if incident.name not in seen and incident.day <= day:
                        seen[incident.name] = _found(incident, day, one)
                if not matching and one.last >= first:
                    (late if one.first >= date.fromisoformat(planted["late_bill"]["from"]) else false).append(
                        (day, one.title)
                    )
    nothing = (None, None, None, None, None)
    return Replay(len(days), [seen.get(one.name, Found(one.name, one.day, *nothing)) for one in awaited], false, late)


def _is(incident: Incident, one: Finding) -> bool:
    """Whether `one` is about the incident: an allowed rule, not before it, and all that must be named is."""
    text = f"{one.key} {one.title} {json.dumps(one.cause)}".lower()
    return (
        one.rule in incident.rules and one.last >= incident.day and all(name.lower() in text for name in incident.named)
    )


def _found(incident: Incident, day: date, one: Finding) -> Found:
    cause = "; ".join(", ".join(f"{k} {v}" for k, v in part["slice"].items() if v) for part in one.cause) or one.rule
    return Found(
        incident.name, incident.day, day, one.rule, f"{one.dimension} {one.key or ''}".strip(), one.title, cause
    )


def make_demo(folder: Path) -> None:
    """Write, collect and build the demo in `folder`, as `farthing demo` does."""
    command = [sys.executable, "-c", "from farthing.cli import main; main()", "demo", "--no-dashboard"]
    subprocess.run([*command, "--project", str(folder)], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Print each incident and when it was found, and the false pages."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replay", description=__doc__)
    parser.add_argument("--project", type=Path, help="a demo that is built already; by default one is made")
    parser.add_argument("--fast", action="store_true", help="only September and October")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    arguments = parser.parse_args()
    first = date(2026, 9, 8) if arguments.fast else FIRST_DAY
    with tempfile.TemporaryDirectory(prefix="farthing-replay-") as folder:
        project = arguments.project or Path(folder) / "demo"
        if arguments.project is None:
            make_demo(project)
        result = replay(project, first=first)
    if arguments.json:
        shown = {**asdict(result), "false_a_month": result.false_a_month}
        print(json.dumps(shown, indent=1, default=str))
        return
    print(f"{'incident':<21}{'planted':<12}{'found':<12}{'rule':<12}{'scope':<30}cause")
    for one in result.found:
        told = f"{one.found!s:<12}{one.rule:<12}{one.scope:<30}{one.cause}" if one.found else "not found"
        print(f"{one.incident:<21}{one.day!s:<12}{told}")
    in_time = sum(one.in_time for one in result.found)
    print(f"\n{in_time} of {len(result.found)} within a day; pages of the late bill: {len(result.late)}")
    print(f"false pages: {len(result.false)} in {result.days} days, {result.false_a_month:.1f} a month (at most 2)")
    for day, title in [*result.false, *result.late]:
        print(f"  {day} {title}")


if __name__ == "__main__":
    main()
