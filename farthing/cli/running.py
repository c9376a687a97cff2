"""`run` and `runs`: everything that is due, in one command for cron or a timer, and what earlier ones did."""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from farthing import clock, console, locks, warehouse
from farthing.cli import common, pipeline, progress
from farthing.cli.common import CsvOption, JsonOption, ProjectOption
from farthing.config import Config
from farthing.console import Form, Sheet
from farthing.errors import FarthingError, SourceError

if TYPE_CHECKING:
    from farthing.budgets import Fact
    from farthing.lake import Lake
    from farthing.running.log import Run, Step, StepState

#: In order; each needs the published warehouse, as the build before it leaves it.
STEPS = ("collect", "build", "forecast", "anomalies", "budgets", "publish", "alerts", "reports")
_HEARTBEAT_SECONDS = 10


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("run", epilog="Example: `farthing run --skip collect`; deploy/ has a timer, a cron line and a CronJob")(
        run_command
    )
    app.command("runs", epilog="Example: `farthing runs --last 5 --json`")(runs_command)


def look_ahead(config: Config, bar: progress.Bar) -> Run:
    """Forecast, anomalies and budgets of what is published now; nobody is told of anything."""
    told_to = frozenset({"collect", "build", "alerts", "reports"})
    return _Running(config, common.open_lake(config), bar, told_to, sys.stderr.write).run()


def run_command(
    skip: Annotated[
        list[str] | None, typer.Option("--skip", metavar="STEP", help=f"Leave out one of {', '.join(STEPS)}.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done, and which reports are due.")
    ] = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Collect, build, forecast, judge, tell and report: what cron or a timer calls each hour.

    A step that fails is said and told to `[alerts]`; the others go on with what is there. While another run of this
    project is at work nothing is done. Exits 0 when every step worked, else as the step that failed does.
    """
    form = common.form(as_json)
    left_out = set(skip or [])
    if unknown := sorted(left_out - set(STEPS)):
        raise typer.BadParameter(f"'{unknown[0]}' is no step; there are {', '.join(STEPS)}.")
    config = common.open_project(project)
    if dry_run:
        console.show(_plan(config, left_out), form, main="steps")
        return
    try:
        with locks.alone(config.root, "run", lambda _: None, patience_seconds=0), progress.Bar() as bar:
            # With --json, standard output is the answer of this command alone.
            write = sys.stdout.write if form is Form.TABLE else sys.stderr.write
            ended = _Running(config, common.open_lake(config), bar, left_out, write).run()
    except locks.BusyError as error:
        console.say(f"{error}", style="yellow", form=Form.JSON)
        return
    _beat(config, ended)
    console.show(_sheet(ended), form)
    raise typer.Exit(ended.exit_code)


def runs_command(
    last: Annotated[int, typer.Option("--last", min=1, help="So many of the newest.")] = 20,
    project: ProjectOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """The newest runs: when, how long, and what failed."""
    form = common.form(as_json, as_csv)
    with warehouse.open_warehouse(common.open_project(project)) as con:
        rows = con.execute(
            "select started_at, round(epoch(ended_at - started_at), 1), state, exit_code, steps, error from runs"
            " order by started_at desc, run_id limit ?",
            [last],
        ).fetchall()
    shown = [(*row[:4], _slowest(row[4]), row[5]) for row in rows]
    columns = ["started_at", "seconds", "state", "exit_code", "slowest_step", "error"]
    console.show(Sheet("runs", columns, shown, title="Runs, the newest first"), form)


@dataclass
class _Running:
    """A run under way: its steps so far, and what they found for the steps after them."""

    config: Config
    lake: Lake
    bar: progress.Bar
    skip: AbstractSet[str]
    write: Callable[[str], object]  # where channels of kind stdout are told
    run_id: str = field(default_factory=lambda: f"{clock.now():%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}")
    started_at: datetime = field(default_factory=clock.now)
    steps: list[Step] = field(default_factory=list)
    failing: dict[str, str] = field(default_factory=dict)
    facts: list[Fact] = field(default_factory=list)

    def run(self) -> Run:
        """All steps that are not left out, and the log of them."""
        from farthing import issued
        from farthing.running import log

        self.failing = log.failing_since(self.lake)
        verbs: dict[str, Callable[[], str]] = {
            "collect": self._collect,
            "build": self._build,
            "forecast": self._forecast,
            "anomalies": self._anomalies,
            "budgets": self._budgets,
            "publish": self._publish,
            "alerts": self._tell,
            "reports": self._report,
        }
        for name, verb in verbs.items():
            self._do(name, verb)
        ended = log.Run(self.run_id, self.started_at, clock.now(), self.steps)
        log.write(self.lake, ended)
        issued.publish(self.config, self.lake, self.bar.message)
        return ended

    def _do(self, name: str, verb: Callable[[], str]) -> None:
        from farthing.running.log import Step

        began = time.monotonic()
        state: StepState = "ok"
        code = 0
        if name in self.skip:
            state, said = "skipped", "left out"
        else:
            self.bar.message(name)
            try:
                said = verb()
            except FarthingError as error:
                state, said, code = "failed", str(error), error.exit_code
                console.say(f"failed: {name}: {said}", style="red", form=Form.JSON)
        self.steps.append(Step(name, state, round(time.monotonic() - began, 2), said, code))

    def _collect(self) -> str:
        found = pipeline.collect(self.config, list(self.config.sources))
        pipeline.tell_failures(found)
        if found.exit_code:
            failed = [f"{result.source}, {result.file}" for result in found.results if result.status == "failed"]
            failed += [name for name, _ in found.failures]
            raise SourceError(f"{len(failed)} could not be read: {', '.join(failed[:5])}.", source="collect")
        landed = sum(result.landed for result in found.results)
        return f"{landed:,} rows landed, {found.rejected:,} rejected"

    def _build(self) -> str:
        from farthing import build

        built = build.build(self.config, self.lake, progress=progress.BuildBar(self.bar))
        return f"{len(built.days_built)} days built, {built.days_current} current"

    def _forecast(self) -> str:
        from farthing.forecasting.issue import issue

        made = issue(self.config, self.lake, progress.Line(self.bar))
        return f"{made.scopes} scopes as of {made.as_of}" + ("" if made.new else ", issued before")

    def _anomalies(self) -> str:
        from farthing import anomalies

        found = anomalies.detect(self.config, self.lake, progress.Line(self.bar))
        return f"{len(found.opened)} new, {len(found.closed)} over, {len(found.open)} open as of {found.until}"

    def _budgets(self) -> str:
        from farthing import budgets

        statuses = budgets.evaluate(self.config, progress.BuildBar(self.bar))
        budgets.store(self.lake, statuses)
        self.facts = budgets.alerts(statuses)
        return f"{len(statuses)} budgets, {len(self.facts)} thresholds crossed"

    def _publish(self) -> str:
        """Before alerts and reports: who follows a link finds what he was told, and reports have what was issued."""
        from farthing import issued

        published = issued.publish(self.config, self.lake, self.bar.message)
        return "nothing is published yet" if published is None else published.name

    def _tell(self) -> str:
        from farthing import alerts
        from farthing.anomalies.kept import read
        from farthing.lake.issued import EPISODES
        from farthing.running import told

        found = told.of_steps(self.steps, self.failing, self.run_id)
        found += told.of_episodes(read(self.lake, EPISODES), alerts.amounts_told(self.lake))
        found += told.of_budgets(self.facts)
        done = alerts.deliver(self.config, self.lake, found, self.bar.message, write=self.write)
        return f"{done.count('sent')} sent, {done.count('failed')} to be tried again, {done.known} told before"

    def _report(self) -> str:
        from farthing.running import deliveries

        wanted = deliveries.due(self.config, self.lake)
        if not wanted:
            return "none is due"
        with warehouse.open_warehouse(self.config) as con:
            done = deliveries.deliver(self.config, self.lake, con, wanted, self.bar.message, self.write)
        if failed := [one for one in done if one.error is not None]:
            raise SourceError(
                f"{len(failed)} of {len(done)} deliveries failed: {failed[0].report} to {failed[0].recipient}:"
                f" {failed[0].error}",
                source="reports",
            )
        return f"{len(done)} delivered"


def _plan(config: Config, skip: AbstractSet[str]) -> list[Sheet]:
    from farthing.running import deliveries

    steps = [(step, "left out" if step in skip else "would be done") for step in STEPS]
    due = deliveries.due(config, common.open_lake(config))
    rows = [(one.report.name, one.due_at, recipient) for one in due for recipient in one.recipients]
    return [
        Sheet("steps", ["step", "state"], steps, title="Steps"),
        Sheet("reports", ["report", "due_at", "recipient"], rows, title="Reports that are due"),
    ]


def _sheet(run: Run) -> Sheet:
    rows = [(step.name, step.state, step.seconds, step.said) for step in run.steps]
    return Sheet("steps", ["step", "state", "seconds", "result"], rows, title=f"Run {run.run_id}")


def _slowest(steps: str) -> str | None:
    found = max(json.loads(steps), key=lambda step: step["seconds"], default=None)
    return f"{found['name']} {console.seconds(found['seconds'])}" if found else None


def _beat(config: Config, run: Run) -> None:
    """Tell the watcher that a run ended; one that cannot be reached never fails a run, and its address is not said."""
    import httpx

    from farthing import web

    variable = config.run.heartbeat_url_env
    url = os.environ.get(variable, "") if variable else ""
    if not variable:
        return
    if not url.startswith("https://"):
        console.say(f"no heartbeat: the environment variable {variable} holds no https:// address.", form=Form.JSON)
        return
    try:
        with httpx.Client(verify=web.trusted(None), timeout=_HEARTBEAT_SECONDS) as client:
            client.get(url + ("/fail" if run.failed else "")).raise_for_status()
    except httpx.HTTPError as error:
        console.say(f"no heartbeat: the address in {variable} gave {type(error).__name__}.", form=Form.JSON)
