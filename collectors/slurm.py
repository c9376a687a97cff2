"""Jobs of Slurm, from the files that `sacct --parsable2` writes: who had how many GPUs of which nodes, and when."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from collectors import jobs
from collectors.kind import Deliverable
from collectors.landing import Files
from collectors.lines import UnreadableError, blocks
from collectors.raw import LINE, PROBLEM, RAW
from collectors.statements import Statement
from farthing.config import Config, Source

#: Fields without which a job cannot be placed.
NEEDED = ("JobID", "State", "Start", "End", "AllocTRES", "NodeList")
#: What sacct writes where there is no time (yet), or no node.
_NONE = frozenset({"", "unknown", "none", "n/a", "none assigned", "(null)"})
_MADE = (
    *("job_id", "run_id", "experiment", "team_id", "user_id", "node_id", "gpu_count"),
    *("started_at", "ended_at", "status"),
)
#: More nodes than any machine has: a range that is longer is a typing error, and would fill memory.
_MOST_NODES = 100_000


class Accounting(Files):
    """The collector of sacct's files; each lands as a whole, and a job that came before is replaced by what is new."""

    def find(self, name: str, source: Source, config: Config) -> Sequence[Deliverable]:
        """The files of `path`.

        Raises:
            ConfigError: path is missing, or a setting means nothing to this kind.
            SourceError: nothing is there.
        """
        return [_statement(found) for found in super().find(name, source, config)]


def _statement(found: Deliverable) -> Statement:
    def read(folder: Path) -> pl.LazyFrame:
        return rows_of(found.fetch(folder)).lazy()

    return Statement(found.name, found.size, found.identity, "sacct", read)


def rows_of(path: Path) -> pl.DataFrame:
    """A row per job that ever began, with sacct's own fields beside ours; steps of jobs are left aside.

    Raises:
        UnreadableError: it is no output of `sacct --parsable2`, or lacks a field that is needed.
    """
    lines = _lines(path)
    _, first, _ = next(lines, (0, "", ""))
    header = first.split("|")
    if header[-1:] == [""]:  # --parsable: a bar at the end of each line
        header.pop()
    missing = [name for name in NEEDED if name not in header]
    if missing:
        raise UnreadableError(
            f"sacct --parsable2 with the fields {','.join(NEEDED)} is wanted; {', '.join(missing)} is missing, "
            f"the first line is: {first[:200]}"
        )
    rows: list[dict[str, Any]] = []
    for line, text, problem in lines:
        if not text.strip() and not problem:
            continue
        row: dict[str, Any] = {LINE: line, RAW: text, PROBLEM: problem or None}
        if not problem:
            fields = _fields(text, header)
            if isinstance(fields, str):
                row[PROBLEM] = fields
            elif "." in fields["JobID"] or fields["Start"].strip().lower() in _NONE:
                continue  # a step of a job, or a job that never began: it held nothing
            else:
                row |= fields
                try:
                    row |= _job(fields)
                except ValueError as error:
                    row[PROBLEM] = str(error)
        rows.append(row)
    _tell_requeued_apart(rows)
    names = dict.fromkeys([*_MADE, *header])
    schema = {LINE: pl.Int64, RAW: pl.String, PROBLEM: pl.String, **dict.fromkeys(names, pl.String)}
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema, orient="row")


def _lines(path: Path) -> Iterator[tuple[int, str, str]]:
    """(line, text, what is wrong with it)."""
    for block in blocks(path):
        for broken in block.broken:
            yield broken.line, broken.raw, broken.reason
        for number, data in enumerate(block.data.splitlines(), block.line):
            try:
                yield number, data.decode("utf-8"), ""
            except UnicodeDecodeError:
                yield number, data.decode("utf-8", "replace"), "the line is no UTF-8 text"


def _fields(text: str, header: Sequence[str]) -> dict[str, str] | str:
    values = text.split("|")
    if len(values) == len(header) + 1 and values[-1] == "":
        values.pop()
    if len(values) > len(header) and header[-1] == "JobName":  # the one field in which users write what they like
        values = [*values[: len(header) - 1], "|".join(values[len(header) - 1 :])]
    if len(values) != len(header):
        return (
            f"the line has {len(values)} fields and the header {len(header)}: a bar in a job's name? "
            "Put JobName last in --format"
        )
    return dict(zip(header, values, strict=True))


def _job(fields: dict[str, str]) -> dict[str, Any]:
    """Our columns of an allocation.

    Raises:
        ValueError: with what cannot be read.
    """
    end = fields["End"].strip()
    state = fields["State"].split()
    return {
        "job_id": fields["JobID"].strip() or None,
        "run_id": re.split(r"[_+]", fields["JobID"].strip())[0] or None,  # of an array or a heterogeneous job
        "experiment": fields.get("JobName") or None,
        "team_id": fields.get("Account") or None,
        "user_id": fields.get("User") or None,
        "node_id": " ".join(nodes_of(fields["NodeList"])) or None,
        "gpu_count": str(gpus_of(fields["AllocTRES"])),
        "started_at": _time(fields["Start"]),
        "ended_at": None if end.lower() in _NONE else _time(end),
        "status": state[0].rstrip("+").lower() if state else None,  # "CANCELLED by 1000"
    }


def _time(text: str) -> str:
    """As it stands; seconds since 1970 (SLURM_TIME_FORMAT=%s) as the UTC time that they are."""
    text = text.strip()
    if not re.fullmatch(r"\d{9,11}", text):
        return text
    return datetime.fromtimestamp(int(text), UTC).isoformat()


def gpus_of(tres: str) -> int:
    """How many GPUs `cpu=8,gres/gpu:a100=4,gres/gpu=4` are: the sum of all types where there is one, else by type.

    Raises:
        ValueError: a count is no number.
    """
    counts = {name: count for name, _, count in (part.strip().partition("=") for part in tres.split(","))}
    gpus = {name: count for name, count in counts.items() if name == "gres/gpu" or name.startswith("gres/gpu:")}
    try:
        return int(gpus["gres/gpu"]) if "gres/gpu" in gpus else sum(map(int, gpus.values()))
    except ValueError:
        raise ValueError(f"AllocTRES: '{tres}' has a count of GPUs that is no number") from None


def nodes_of(text: str) -> list[str]:
    """The names that a node list stands for: `n[01-03,7],login` is n01, n02, n03, n7 and login.

    Raises:
        ValueError: it is no node list.
    """
    if text.strip().lower() in _NONE:
        return []
    parts = re.findall(r"(?:[^,\[\]]|\[[^\[\]]*\])+", text.strip())
    if ",".join(parts) != text.strip():
        raise ValueError(f"NodeList: '{text}' is no list of nodes")
    found = [name for part in parts for name in _expanded(part.strip(), text)]
    return list(dict.fromkeys(found))


def _expanded(part: str, text: str) -> Iterator[str]:
    before, bracket, rest = part.partition("[")
    if not bracket:
        yield part
        return
    inside, _, after = rest.partition("]")
    for piece in inside.split(","):
        first, dash, last = piece.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ValueError(f"NodeList: '{text}' is no list of nodes")
        begin, end = int(first), int(last or first)
        if not 0 <= end - begin < _MOST_NODES:
            raise ValueError(f"NodeList: '{text}' is no list of nodes")
        for number in range(begin, end + 1):
            yield from _expanded(f"{before}{number:0{len(first)}}{after}", text)


def _tell_requeued_apart(rows: list[dict[str, Any]]) -> None:
    """Give each run of a job that was queued again an id of its own; the last keeps Slurm's.

    With --duplicates sacct has a line for each; they have the same JobID and held GPUs one after the other.
    """
    runs: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row.get("job_id") and not row[PROBLEM]:
            runs.setdefault(row["job_id"], []).append(row)
    for job, several in runs.items():
        last = max(row["started_at"] for row in several)
        for row in several:
            if row["started_at"] != last:
                row["job_id"] = f"{job}@{row['started_at']}"


COLLECTOR = Accounting(jobs.KIND)
