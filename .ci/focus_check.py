"""Months that farthing exports, put to the validator of the FOCUS specification: the demo's, and those of native bills.

The native bills lie beside a developer's checkout; without them that half is skipped, and says so. The validator wants
Python 3.12 and packages of its own, so it gets its own environment. Its exit code is always 0: what counts is its
report.
"""

from __future__ import annotations

import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / ".venv" / "focus-validator"
PACKAGES = ("focus-validator==2.2.1", "pyarrow<26")
MONTH = "2026-10"
#: Source -> its kind and its files below data/billing: every native bill that is there, of all months.
NATIVE = {
    "aws": ("aws", "native_synthetic_gpu/aws_cur_2026-09.csv.gz"),
    "aws_2023": ("aws", "aws_cur_legacy/focus_converters_aws_cur_2023-11.csv.gz"),
    "aws_2018": ("aws", "aws_cur_legacy/*.parquet"),
    "gcp": ("gcp", "native_synthetic_gpu/gcp_detailed_2026-09.csv.gz"),
    "gcp_late": ("gcp", "restatement/gcp_detailed_2026-09_late_batch.csv.gz"),
    "gcp_2022": ("gcp", "gcp_native/*.csv"),
    "azure": ("azure", "native_synthetic_gpu/azure_costdetails_2026-09.csv"),
    "azure_ea": ("azure", "azure_native/EA_*.csv"),
    "azure_old": ("azure", "azure_native/opencost_PayAsYouGo.csv"),
}
#: Rules of the 1.2 model that no correct table can pass, with the composites above them: two of them contradict each
#: other, the others lost or turned round their condition.
DEFECTIVE = frozenset(
    "InvoiceId-C-004-C InvoiceId-C-005-C CapacityReservationStatus-C-004-C CapacityReservationStatus-C-002-C"
    " CapacityReservationStatus-C-000-C CommitmentDiscountStatus-C-004-C CommitmentDiscountStatus-C-002-C"
    " CommitmentDiscountStatus-C-000-C EffectiveCost-C-005-C EffectiveCost-C-000-M CostAndUsage-D-002-M"
    " CostAndUsage-D-000-M".split()
)
#: Composites above the contradicting pair of InvoiceId: they fail where some charges have an invoice and some none.
INVOICE = frozenset(("InvoiceId-C-003-C", "InvoiceId-C-000-O"))
#: Sources whose files name no invoice for some charges, and why. Elsewhere a charge without one is a fault of ours.
WITHOUT_INVOICE = {
    "aws": "bill/InvoiceId is empty until AWS has closed the month",
    "aws_2023": "bill/InvoiceId is empty in the whole file, which is anonymised",
    "azure": "invoiceId of a Customer Agreement is empty until Microsoft has issued the invoice",
    "azure_ea": "cost details of an Enterprise Agreement have no invoiceId",
    "azure_old": "the legacy form of cost details has no invoiceId",
}
FARTHING = str(ROOT / ".venv" / "bin" / "farthing")


def main() -> int:
    """Export months and validate them; 1 when a rule that can be met is not."""
    install()
    with tempfile.TemporaryDirectory() as folder:
        wrong = check(Path(folder) / "demo", demo)
        bills = billing()
        if bills is None:
            print("native bills: skipped, for the shared data is not there (FARTHING_SHARED names its folder)")
        else:
            wrong += check(Path(folder) / "native", lambda work: native(work, bills))
    return 1 if wrong else 0


def check(work: Path, make: Callable[[Path], dict[str, str]]) -> int:
    """Validate what `make` writes as month.parquet; how many rules are not met that could be."""
    work.mkdir()
    known = make(work)
    failed, rules = validate(work)
    allowed = DEFECTIVE
    if lacking := without_invoice(work):
        allowed |= INVOICE
    wrong = sorted(failed - allowed) + ["no rule was checked"] * (not rules)
    wrong += [f"InvoiceId: {count} charges of {name} have none" for name, count in lacking if name not in known]
    print(f"{work.name}: {rules} rules, {len(failed)} failed, {len(failed & allowed)} of them cannot be met")
    for name, count in lacking:
        print(f"  {count:,} charges of {name} have no invoice: {known.get(name, 'nobody knows why')}")
    for rule in wrong:
        print(f"not met: {rule}")
    return len(wrong)


def demo(work: Path) -> dict[str, str]:
    """A month of the simulated company."""
    project = str(work / "project")
    run(FARTHING, "demo", "--days", "31", "--no-dashboard", "--project", project)
    export(MONTH, work / "month.parquet", project)
    return {}


def native(work: Path, bills: Path) -> dict[str, str]:
    """All months of the native bills, one after the other."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sources = "".join(
        f'[sources.{name}]\nkind = "{kind}"\npath = "{bills / path}"\n'
        + ('constants = { BillingCurrency = "USD" }\n' if name == "azure_old" else "")  # the form has no currency
        for name, (kind, path) in NATIVE.items()
    )
    project = work / "project"
    project.mkdir()
    (project / "farthing.toml").write_text(f'[project]\nname = "native"\n{sources}')
    run(FARTHING, "collect", "--project", str(project))
    run(FARTHING, "build", "--project", str(project))
    asked = "select distinct strftime(BillingPeriodStart, '%Y-%m') as month from charges order by 1"
    found = json.loads(run(FARTHING, "query", asked, "--json", "--project", str(project)))
    paths = []
    for row in found:
        paths.append(work / f"{row['month']}.parquet")
        export(row["month"], paths[-1], str(project))
    pq.write_table(pa.concat_tables(pq.read_table(path) for path in paths), work / "month.parquet")
    return WITHOUT_INVOICE


def export(month: str, path: Path, project: str) -> None:
    """Write `month` of `project` to `path`."""
    run(FARTHING, "export", "focus", "--month", month, "--output", str(path), "--project", project)


def without_invoice(work: Path) -> list[tuple[str, int]]:
    """The sources of month.parquet that have charges without an invoice, and how many."""
    import duckdb

    with duckdb.connect() as con:
        asked = f"from '{work / 'month.parquet'}' where InvoiceId is null group by 1 order by 1"
        return con.sql(f"select x_Source, count(*) {asked}").fetchall()


def billing() -> Path | None:
    """The folder of native bills beside the checkout, or where FARTHING_SHARED says; None where there is none."""
    given = os.environ.get("FARTHING_SHARED")
    places = [Path(given) / "data", Path(given)] if given else [ROOT.parent / "shared" / "data"]
    return next((place / "billing" for place in places if (place / "billing").is_dir()), None)


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


def run(*command: str) -> str:
    """Run a command, and give its output, which is shown when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
