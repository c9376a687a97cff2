"""What tier prices promise against what held-out months bring, on panels of known making; and what that takes."""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from farthing.tiers import document, panel, spec, study
from models.pricing import accounts, menus, plans
from models.pricing.panel import Panel, compress
from models.pricing.plans import Plan, Terms

MONTHS, HELD_OUT = 9, 3


@dataclass(frozen=True)
class Company:
    """How a panel is made: users with a lasting level of use, months with a common one.

    `tail` is the spread of log use over users, `degrees` its Student-t (None: normal); `wobble` that of a user from
    month to month; `shock` that of the level of months, `drift` its trend, `wandering` that of a level which stays.
    """

    users: int = 20_000
    tail: float = 1.7
    degrees: int | None = None
    wobble: float = 0.5
    shock: float = 0.06
    drift: float = 0.02
    wandering: float = 0.0
    growth: float = 0.0


COMPANIES = {
    "300 users": Company(users=300),
    "2,000 users": Company(users=2_000),
    "20,000 users": Company(),
    "heavier tail, drift 3.5 %": Company(tail=2.0, drift=0.035, shock=0.08),
    "Student-t tail, 2,000 users": Company(users=2_000, tail=1.0, degrees=4),
    "users grow 5 % a month": Company(growth=0.05, drift=0.0),
    "calm months": Company(shock=0.01, drift=0.0),
    "drift 8 %": Company(drift=0.08),
    "use falls 4 %": Company(users=2_000, drift=-0.04),
    "months differ by 15 %": Company(shock=0.15),
    "level wanders 5 %": Company(shock=0.02, drift=0.0, wandering=0.05),
}


def made(company: Company, seed: int) -> pl.DataFrame:
    """A panel: user, month and cost."""
    random = np.random.default_rng([seed, 8])
    users = company.users
    lasting = random.standard_normal(users) if company.degrees is None else random.standard_t(company.degrees, users)
    wandered = np.cumsum(random.normal(0, company.wandering, MONTHS))
    frames = []
    for month in range(MONTHS):
        there = round(users * (1 + company.growth) ** (month - MONTHS + 1))
        level = company.drift * month + wandered[month] + random.normal(0, company.shock)
        own = random.normal(0, company.wobble, there) - company.wobble**2 / 2
        cost = np.exp(0.2 + company.tail * lasting[:there] + level + own)
        frames.append(pl.DataFrame({"user": np.arange(there), "month": np.full(there, 202601 + month), "cost": cost}))
    return pl.concat(frames)


def calibration(name: str, company: Company, companies: int) -> dict[str, Any]:
    """Held-out plan-months of so many companies inside what was promised; every limit of every menu."""
    counts = {kind: np.zeros(4) for kind in ("offers", "tiers")}
    limits, shown, worst = 0, 0, 0.0
    for seed in range(companies):
        chosen = spec.Spec(run=spec.Run(draws=400, seed=seed, frontier=4), menu=_choices())
        found = study.study(chosen, panel.read(made(company, seed), chosen, None, file=name), holdout=HELD_OUT)
        told = document.backtest(found)
        assert told is not None
        for kind, count in counts.items():
            rows = [row for row in told["rows"] if (row["tier"] is None) == (kind == "offers")]
            known = [row for row in rows if row["inside"] is not None]
            widths = [row["gm_q95"] - row["gm_q05"] for row in known]
            count += [
                len(known),
                sum(row["inside"] for row in known),
                sum(row["below_q10"] for row in known),
                sum(widths),
            ]
        for card in found.menus:
            shown += 1
            limits += bool(_passed(card, found))
            worst = max(worst, _binned_against_exact(card, found))
    return {
        "panel": name,
        "companies": companies,
        "menus": shown,
        "menus_that_pass_a_limit": limits,
        "binned_against_exact": worst,
        **{
            kind: {
                "plan_months": int(count[0]),
                "inside": count[1] / count[0],
                "below_q10": count[2] / count[0],
                "width": count[3] / count[0],
            }
            for kind, count in counts.items()
        },
    }


def _choices() -> spec.Menu:
    """Fewer than the default, so that many companies can be tried."""
    few = {"allowance_shares": [0.3, 0.6], "overage": [1.5], "caps": [0, 1.5], "maximum_tiers": 3}
    return spec.from_mapping({"menu": few}).menu


def _passed(card: study.Card, found: study.Study) -> list[str]:
    """Limits that a menu passes in some fitted month when every user is rated on its own, a thousandth aside."""
    now, terms, limits = [plan for _, plan, _ in found.groups], found.spec.terms, found.spec.limits
    fitted = found.read.panel.until(len(found.fitted))
    broken = []
    for number in range(fitted.months):
        month = accounts.month(card.offer, now, fitted, number, terms)
        users, revenue = month.users.sum(), month.revenue.sum()
        shares = {
            "users_hit": month.hit / users - limits.users_hit,
            "users_capped": month.capped / users - limits.users_capped,
            "overage_share": month.overage / revenue - limits.overage_share,
            "tier_share": limits.tier_share - float(month.users.min()) / users,
        }
        broken += [name for name, over in shares.items() if over > 1e-3]
    return broken


def _binned_against_exact(card: study.Card, found: study.Study) -> float:
    now, terms = [plan for _, plan, _ in found.groups], found.spec.terms
    fitted = found.read.panel.until(len(found.fitted))
    binned = menus.measure(card.offer, menus.ground(compress(fitted), now, terms)).margin
    exact = accounts.measure(card.offer, now, fitted, terms).margin
    assert binned is not None
    assert exact is not None
    return abs(binned - exact)


def speed(users: int) -> dict[str, Any]:
    """One menu of three tiers over users x nine months: on bins, and user by user; seconds of the processor."""
    company = Company(users=users)
    frame = made(company, 0)
    size = frame.height
    whole = Panel(
        frame["user"].to_numpy().astype(np.int64),
        frame["month"].to_numpy().astype(np.int64) - 202601,
        np.zeros(size, dtype=np.int64),
        frame["cost"].to_numpy(),
        users,
        MONTHS,
        1,
    )
    now = [Plan("now", 20.0)]
    tiers = [Plan("a", 10.0, 5.0, 1.5), Plan("b", 20.0, 12.0, 1.5), Plan("c", 60.0, 40.0, 1.5, 200.0)]
    offer, terms = plans.offer(tiers, now, [False]), Terms()
    bins, compressing = _timed(lambda: compress(whole))
    at = menus.ground(bins, now, terms)
    repeats = 300

    def all_menus() -> menus.Measured:
        for number in range(repeats):  # none is in the memory of another
            last = menus.measure(replace(offer, tiers=(*tiers[:2], replace(tiers[2], cap=200.0 + number))), at)
        return last

    def one_by_one() -> list[accounts.Month]:
        return [accounts.month(offer, now, whole, number, terms) for number in range(MONTHS)]

    menus.measure(offer, at)
    _, binned = _timed(all_menus)
    months, exact = _timed(one_by_one)
    margin = float(1 - sum(one.spent.sum() for one in months) / sum(one.revenue.sum() for one in months))
    return {
        "users": users,
        "user_months": size,
        "compress_seconds": compressing,
        "menu_on_bins_seconds": binned / repeats,
        "menu_user_by_user_seconds": exact,
        "ratio": exact / (binned / repeats),
        "binned_against_exact": abs(margin - (menus.measure(offer, at).margin or 0.0)),
    }


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began = time.process_time()
    result = work()
    return result, time.process_time() - began


def command(users: int) -> dict[str, Any]:
    """What `farthing tiers` does on users x nine months, twice in a process of its own: seconds, memory, the answer."""
    with tempfile.TemporaryDirectory() as folder:
        path, chosen = Path(folder) / "panel.parquet", Path(folder) / "tiers.toml"
        made(Company(users=users), 1).with_columns("u" + pl.col("user").cast(pl.String)).write_parquet(path)
        chosen.write_text(spec.EXAMPLE, encoding="utf-8")
        line = [sys.executable, "-m", "benchmarks.tiers", "--alone", str(path), str(chosen)]
        runs = [_alone(line) for _ in range(2)]
    return {
        "users": users,
        "seconds": min(run["seconds"] for run in runs),
        "peak_bytes": max(run["peak_bytes"] for run in runs),
        "menus_tried": runs[0]["run"]["menus_tried"],
        "same_answer": runs[0]["digest"] == runs[1]["digest"],
    }


def _alone(line: Sequence[str]) -> dict[str, Any]:
    began = time.perf_counter()
    found = subprocess.run(line, check=True, capture_output=True, text=True)
    told: dict[str, Any] = json.loads(found.stdout)
    return told | {"seconds": time.perf_counter() - began}


def _run_alone(path: Path, chosen: Path) -> None:
    """What the command does, and the peak memory of the process that did it."""
    loaded = spec.load(chosen)
    found = document.document(study.study(loaded, panel.read_file(path, loaded, None)), {})
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({"run": found["run"], "peak_bytes": peak, "digest": json.dumps(found)}))


def measured(companies: int, users: int) -> dict[str, Any]:
    """All of it."""
    return {
        "calibration": [calibration(name, company, companies) for name, company in COMPANIES.items()],
        "speed": speed(users),
        "command": command(users),
    }


def main() -> None:
    """Print how promises were kept, and what they take."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--companies", type=int, default=12, help="simulated companies of each kind")
    parser.add_argument("--users", type=int, default=1_000_000, help="of the panel that is timed")
    parser.add_argument("--alone", nargs=2, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.alone:
        _run_alone(*options.alone)
        return
    found = measured(options.companies, options.users)
    if options.json:
        print(json.dumps(found, indent=1))
        return
    heads = ("inside", "below q10", "width", "tiers inside", "below q10", "menus", "past limits", "binned-exact")
    print(f"{'panel':30}" + "".join(f"{head:>14}" for head in heads))
    for one in found["calibration"]:
        offers, tiers = one["offers"], one["tiers"]
        print(
            f"{one['panel']:30}{offers['inside']:>14.0%}{offers['below_q10']:>14.0%}{offers['width']:>14.3f}"
            f"{tiers['inside']:>14.0%}{tiers['below_q10']:>14.0%}{one['menus']:>14}"
            f"{one['menus_that_pass_a_limit']:>14}{one['binned_against_exact']:>14.1e}"
        )
    print(json.dumps(found["speed"]))
    print(json.dumps(found["command"]))


if __name__ == "__main__":
    main()
