"""A month that farthing exports, put to the validator of the FOCUS specification.

The validator wants Python 3.12 and packages of its own, so it gets its own environment. Its exit code is always 0:
what counts is its report.
"""

from __future__ import annotations

import glob
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / ".venv" / "focus-validator"
PACKAGES = ("focus-validator==2.2.1", "pyarrow<26")
MONTH = "2026-10"
#: Rules of the 1.2 model that no correct table can pass, with the composites above them: two of them contradict each
#: other, the others lost or turned round their condition.
DEFECTIVE = frozenset(
    "InvoiceId-C-004-C InvoiceId-C-005-C CapacityReservationStatus-C-004-C CapacityReservationStatus-C-002-C"
    " CapacityReservationStatus-C-000-C CommitmentDiscountStatus-C-004-C CommitmentDiscountStatus-C-002-C"
    " CommitmentDiscountStatus-C-000-C EffectiveCost-C-005-C EffectiveCost-C-000-M CostAndUsage-D-002-M"
    " CostAndUsage-D-000-M".split()
)


def main() -> int:
    """Make a simulated month, export it, validate it; 1 when a rule that can be met is not."""
    install()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        farthing = str(ROOT / ".venv" / "bin" / "farthing")
        project = str(work / "demo")
        run(farthing, "demo", "--days", "31", "--no-dashboard", "--project", project)
        run(
            farthing, "export", "focus", "--month", MONTH, "--output", str(work / "month.parquet"), "--project", project
        )
        failed, rules = validate(work)
    wrong = sorted(failed - DEFECTIVE)
    print(f"focus-validator: {rules} rules, {len(failed)} failed, {len(failed & DEFECTIVE)} of them cannot be met")
    for rule in wrong:
        print(f"not met: {rule}")
    return 1 if wrong or not rules else 0


def validate(work: Path) -> tuple[set[str], int]:
    """The names of the failed rules of month.parquet in `work`, and how many rules there were."""
    [package] = glob.glob(str(ENVIRONMENT / "lib" / "python3*" / "site-packages" / "focus_validator"))
    (work / "focus_validator").symlink_to(package)  # it looks for its tables below the current folder
    command = [
        str(ENVIRONMENT / "bin" / "focus-validator"),
        "--data-file",
        "month.parquet",
        "--validate-version",
        "1.2",
    ]
    command += ["--focus-dataset", "CostAndUsage", "--block-download", "--applicability-criteria", "ALL"]
    command += ["--output-type", "unittest", "--output-destination", "report.xml"]
    subprocess.run(command, cwd=work, check=True, capture_output=True, text=True)
    cases = list(ElementTree.parse(work / "report.xml").getroot().iter("testcase"))
    bad = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    return {str(case.get("name")).split(" ")[0] for case in bad}, len(cases)


def install() -> None:
    """Make the validator's environment, once."""
    if (ENVIRONMENT / "bin" / "focus-validator").exists():
        return
    uv = str(ROOT / ".venv" / "bin" / "uv")
    known = [shutil.which("python3.12"), *map(str, sorted(_pyenv().glob("versions/3.12*/bin/python3.12")))]
    python = next((path for path in known if path and _runs(path)), "3.12")  # else uv fetches one
    run(uv, "venv", "--quiet", "--clear", "--python", python, str(ENVIRONMENT))
    run(uv, "pip", "install", "--quiet", "--system-certs", "--python", str(ENVIRONMENT / "bin" / "python"), *PACKAGES)


def _pyenv() -> Path:
    """Where pyenv keeps its Pythons, also those that are not chosen."""
    asked = shutil.which("pyenv") and subprocess.run(["pyenv", "root"], capture_output=True, text=True, check=False)
    return Path(asked.stdout.strip() if asked else Path.home() / ".pyenv")


def _runs(python: str) -> bool:
    """Whether it is a Python and not the shim of one that is not chosen."""
    return subprocess.run([python, "--version"], capture_output=True, check=False).returncode == 0


def run(*command: str) -> None:
    """Run a command; its output is shown when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    sys.exit(main())
