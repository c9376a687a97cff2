"""The first farthing.toml: sources guessed from the files that lie in the folder, else the shortest useful one."""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import collectors
from collectors.lines import UnreadableError
from collectors.raw import open_file

_SKIPPED = {"lake", "warehouse", "node_modules", "truth", "__pycache__"}
_SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".json", ".jsonl", ".ndjson", ".jsonl.gz", ".parquet", ".pq")
_DRIVERS = ("cost", "requests", "tokens", "users", "metric", "fixed")
_LOOKED_AT = 200  # files of a big folder; one kind needs only one
#: Columns (lower case) that tell a kind, the most telling first.
_TELLING: tuple[tuple[str, frozenset[str]], ...] = (
    ("focus", frozenset({"billedcost", "effectivecost", "chargeperiodstart"})),
    ("gpu_inventory", frozenset({"gpu_uuid", "resourceid"})),
    ("gpu_usage", frozenset({"gpu_uuid", "started_at", "busy_seconds"})),
    ("gpu_prices", frozenset({"pricing_category", "provider", "valid_from"})),
    ("jobs", frozenset({"job_id", "started_at"})),
    ("litellm", frozenset({"litellm_call_id", "call_type", "custom_llm_provider"})),
    ("otel", frozenset({"resourcespans"})),
    ("bedrock", frozenset({"schematype", "requestid", "modelid"})),
    ("langfuse", frozenset({"parent_observation_id", "provided_model_name"})),
    ("helicone", frozenset({"request_created_at", "request_model"})),
    ("requests", frozenset({"model", "started_at"})),
    ("identities", frozenset({"id", "user_id"})),
    ("budgets", frozenset({"dimension", "key", "month", "amount"})),
    ("invoices", frozenset({"provider", "month", "amount"})),
    ("revenue", frozenset({"customer_id", "amount", "period"})),
    ("metrics", frozenset({"day", "dimension", "key", "quantity"})),
    ("costs", frozenset({"service", "amount", "currency"})),
)
#: Columns that one cloud alone adds to FOCUS; its own collector knows what else is particular about its files.
_OF_CLOUD = {
    "gcp": frozenset({"billedcost", "x_exporttime"}),
    "azure": frozenset({"billedcost", "x_skumeterid"}),
    "aws": frozenset({"billedcost", "x_servicecode", "x_usagetype"}),
}
#: Kinds whose collectors tell the forms of their provider's files themselves.
_PROVIDERS = ("aws", "gcp", "azure", "openai", "openai_usage", "anthropic", "anthropic_usage")
_LOGS = ("requests", "litellm", "otel", "bedrock", "langfuse", "helicone")
_NAMES = {"focus": "bill", "gpu_inventory": "inventory", "gpu_usage": "gpu", "identities": "people"}
_ABOUT = {
    "aws": "what AWS bills: cost and usage reports, or FOCUS",
    "gcp": "what Google Cloud bills, as its billing export has it",
    "azure": "what Azure bills: cost details, or FOCUS",
    "focus": "bills in the FOCUS format, 1.0 to 1.4",
    "openai": "what OpenAI charges, as its usage page exports it",
    "openai_usage": "tokens that OpenAI counts",
    "anthropic": "what Anthropic charges, as its Console exports it",
    "anthropic_usage": "tokens that Anthropic counts",
    "gpu_inventory": "which GPU stands in which billed machine and serves which replica",
    "gpu_usage": "what each GPU did: covered and busy seconds",
    "gpu_prices": "list prices of GPU instances",
    "jobs": "training and batch jobs",
    "litellm": "calls of models, as a LiteLLM proxy logged them",
    "otel": 'traces of OpenTelemetry; kind = "vllm" if vLLM itself wrote them',
    "bedrock": "invocations that Bedrock logged",
    "langfuse": "calls of models, as Langfuse exports them",
    "helicone": "calls of models, as Helicone exports them",
    "requests": "one line for each request to a model",
    "identities": "who is behind a user id or key",
    "revenue": "what customers pay",
    "invoices": "what invoices come to on paper",
    "budgets": "what is planned to be spent, by month and scope",
    "metrics": "drivers that only you know",
    "costs": "what no vendor bills in FOCUS: labour, labelling, invoices on paper",
}
_SAMPLES = {
    "focus": "bills/*.parquet",
    "requests": "requests/*.parquet",
    "gpu_usage": "gpu/*.parquet",
    "gpu_inventory": "inventory.csv",
}


@dataclass(frozen=True)
class Guess:
    """Files of one kind under one pattern."""

    kind: str
    pattern: str
    files: int


@dataclass(frozen=True)
class Starter:
    """A farthing.toml and what it was made from."""

    text: str
    guesses: list[Guess]
    unknown: list[str]


def starter(folder: Path) -> Starter:
    """A commented farthing.toml for `folder`."""
    guesses, unknown = _guess(folder)
    found = guesses or [Guess(kind, pattern, 0) for kind, pattern in _SAMPLES.items()]
    parts = [_head(folder, guessed=bool(guesses))]
    names: list[str] = []
    for guess in found:
        names.append(_free_name(_NAMES.get(guess.kind, guess.kind), names))
        parts.append(_source(names[-1], guess))
    if unknown:
        parts.append("# Not recognised by their columns: " + ", ".join(_comment(name) for name in unknown[:8]) + "\n")
        if all(guess.kind != "requests" for guess in guesses):
            parts.append(_foreign_requests(folder, unknown[0]))
    gpu = any(guess.kind == "gpu_inventory" for guess in found)
    parts.append(_pools(gpu=gpu, driver="cost" if gpu else _driver(folder, guesses, unknown)))
    return Starter("\n".join(parts), guesses, unknown)


def _guess(folder: Path) -> tuple[list[Guess], list[str]]:
    """Kinds by the columns of the first file of each folder and suffix, and the names of those that tell nothing."""
    groups: dict[tuple[Path, str], list[Path]] = {}
    for path in _files(folder):
        suffix = next(ending for ending in sorted(_SUFFIXES, key=len, reverse=True) if path.name.endswith(ending))
        groups.setdefault((path.parent, suffix), []).append(path)
    found: list[Guess] = []
    unknown: list[str] = []
    for (parent, suffix), paths in sorted(groups.items()):
        kinds = {path: kind_of(path) for path in paths}
        unknown += [str(path.relative_to(folder)) for path, kind in kinds.items() if kind is None]
        for kind in sorted({kind for kind in kinds.values() if kind}):
            mine = [path for path in paths if kinds[path] == kind]
            found += [Guess(kind, pattern, count) for pattern, count in _patterns(folder, parent, suffix, mine, paths)]
    order = list(_ABOUT)
    return sorted(found, key=lambda guess: (order.index(guess.kind), guess.pattern)), unknown


def _patterns(
    folder: Path, parent: Path, suffix: str, mine: list[Path], everything: list[Path]
) -> list[tuple[str, int]]:
    """A glob that takes exactly `mine`: of the whole folder, of a common beginning, else one for each file."""
    where = parent.relative_to(folder).as_posix()
    prefix = "" if where == "." else f"{where}/"
    if len(mine) == 1:
        return [(f"{prefix}{mine[0].name}", 1)]
    first, last = min(path.name for path in mine), max(path.name for path in mine)
    same = next((index for index, pair in enumerate(zip(first, last, strict=False)) if len(set(pair)) > 1), len(first))
    beginning = re.sub(r"\d.*$", "", first[:same])
    for start in ("", beginning):
        if sum(path.name.startswith(start) for path in everything) == len(mine):
            return [(f"{prefix}{start}*{suffix}", len(mine))]
    return [(f"{prefix}{path.name}", 1) for path in mine]


def _files(folder: Path) -> list[Path]:
    """Files of known suffixes in `folder` and the folders right below it."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "_")) or path.name in _SKIPPED:
            continue
        candidates = sorted(path.iterdir()) if path.is_dir() and os.access(path, os.R_OK | os.X_OK) else [path]
        found += [file for file in candidates if file.is_file() and file.name.endswith(_SUFFIXES)]
    return found[:_LOOKED_AT]


def kind_of(path: Path) -> str | None:
    """The kind of source that the columns of a file tell; None when they do not."""
    try:
        columns = {column.lower() for column in open_file(path).columns}
    except (UnreadableError, OSError):
        columns = set()
    clouds = [kind for kind, telling in _OF_CLOUD.items() if telling <= columns]
    if len(clouds) == 1:  # else the bills of several are in one file
        return clouds[0]
    told = next((kind for kind, telling in _TELLING if telling <= columns), None)
    return told or next((kind for kind in _PROVIDERS if collectors.load(kind).form_of(path)), None)


def _head(folder: Path, *, guessed: bool) -> str:
    name = re.sub(r"[^A-Za-z0-9 _.-]", "", folder.name) or "acme"
    told = "guessed from the files in this folder" if guessed else "no file was found here: these are samples to adapt"
    return f"""\
# What farthing reads and how cost reaches people; docs/configuration.md lists every key.
# `farthing doctor` checks this file and shows what it does not match.

[project]
name = {json.dumps(name)}
currency = "USD"                # what reports lead with; other currencies stand beside it, never added

# --- Sources ({told}) ---
# path: a file or glob in this folder, or s3://, gs://, az://; csv, csv.gz, json, jsonl or parquet.
"""


def _source(name: str, guess: Guess) -> str:
    files = f"; {guess.files} file{'s' * (guess.files != 1)} here" if guess.files else ""
    lines = [
        f"[sources.{name}]  # {_ABOUT[guess.kind]}{files}",
        f'kind = "{guess.kind}"',
        f"path = {json.dumps(guess.pattern, ensure_ascii=False)}",
    ]
    if guess.kind == "requests":
        lines += [
            '# columns = { started_at = "TIMESTAMP", input_tokens = "ContextTokens" }  # ours = theirs',
            '# constants = { provider = "vllm" }  # the same on every row',
            '# Check this: "inclusive" when input contains cached tokens and output reasoning ones, else "exclusive".',
            'token_convention = "inclusive"',
            "# Check this: the zone of times that carry none.",
            'timezone = "UTC"',
        ]
    return "\n".join(lines) + "\n"


def _foreign_requests(folder: Path, name: str) -> str:
    """A request log with columns of its own names, to be mapped by the one who knows them."""
    columns = ", ".join(_comment(column) for column in _columns([folder / name])[:40]) or "could not be read"
    return f"""\
# If it is the request log: take the # away and say which of its columns is what (docs/sources.md has the names).
# Its columns: {columns}
# [sources.requests]
# kind = "requests"
# path = {json.dumps(_comment(name), ensure_ascii=False)}
# columns = {{ started_at = "...", user_id = "...", model = "...", input_tokens = "...", output_tokens = "..." }}
# token_convention = "inclusive"  # or "exclusive": does input contain cached tokens, and output reasoning ones?
# timezone = "UTC"                # of times that carry none
"""


def _driver(folder: Path, guesses: list[Guess], unknown: list[str]) -> str:
    """What cost follows where no own GPU gives anybody a cost: what the log, or the file that may be it, counts."""
    paths = [path for guess in guesses if guess.kind in _LOGS for path in sorted(folder.glob(guess.pattern))]
    columns = _columns((paths or [folder / name for name in unknown])[:1])
    return "tokens" if any("token" in column.lower() for column in columns) else "requests"


def _columns(paths: list[Path]) -> list[str]:
    """The columns of the files that can be read."""
    found: list[str] = []
    for path in paths:
        with suppress(UnreadableError, OSError):
            found += open_file(path).columns
    return found


def _pools(*, gpu: bool, driver: str) -> str:
    fleet = """\
[[pools]]                       # our own GPUs: split by what each request took of them
name = "gpu-serving"
kind = "gpu"                    # others: api, training, owned, shared
match = { ServiceCategory = "Compute", ResourceId = "i-*" }

"""
    return f"""\
# --- Pools: which charges belong together, and how they reach people. The first that matches takes a charge. ---
# `farthing pools test` shows which rule takes what, and what is left over.

{fleet if gpu else ""}[[pools]]                       # whatever is left is spread over everybody
name = "everything-else"
kind = "shared"
driver = {json.dumps(driver):23}# by what; others: {", ".join(other for other in _DRIVERS if other != driver)}
"""


def _free_name(name: str, taken: list[str]) -> str:
    number = 1
    free = name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free


def _comment(name: str) -> str:
    return re.sub(r"[\x00-\x1f]", "?", name)
