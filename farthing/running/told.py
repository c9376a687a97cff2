"""What people are alerted of after a run: anomalies, budgets, and steps that fail or work again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from farthing.alerts import Alert
from farthing.running.log import Step

_TO_DO = "Read the message, mend its cause, and run `farthing run` again; `farthing runs` has the history."


def of_steps(steps: Sequence[Step], failing: Mapping[str, str], run_id: str) -> list[Alert]:
    """An alert for each step that fails, and for each that works again; `failing` is since which run each failed."""
    found = []
    for step in steps:
        since = failing.get(step.name)
        if step.state == "failed":
            found.append(
                _alert(
                    f"run-{since or run_id}-{step.name}", "open", "critical", f"{step.name} fails", step.said, _TO_DO
                )
            )
        elif step.state == "ok" and since is not None:
            found.append(
                _alert(f"run-{since}-{step.name}", "closed", "info", f"{step.name} works again", step.said, "Nothing.")
            )
    return found
