"""Providers of every kind as tests see them: what one says of the days of a month, and what the lake holds of it."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from collectors import LoadResult
from farthing import clock
from farthing.config import Config, from_mapping
from farthing.lake.schemas import CHARGES, GPU_INVENTORY, GPU_USAGE, JOBS, REQUESTS, VENDOR_USAGE, Table
from tests.collectors import (
    test_aws,
    test_aws_export,
    test_azure,
    test_gcp,
    test_kubernetes,
    test_litellm,
    test_litellm_table,
    test_prometheus,
    test_vendors,
    test_vllm_totals,
    traces,
)
from tests.collectors import test_logs_bedrock as bedrock
from tests.collectors import test_logs_gateways as gateways
from tests.collectors import test_logs_langfuse as langfuse
from tests.collectors.azure_api import TOKEN, Api, serving
from tests.collectors.conftest import collector
from tests.collectors.vendors import Anthropic, OpenAI
from tests.servers import S3, Postgres, Web, prometheus

#: The vendors' open month: what a collection asks them for depends on the time.
NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
Row = Mapping[str, Any]
#: Day of the month -> amounts of its rows.
Days = Mapping[int, Sequence[int]]


@dataclass
class Told:
    """One provider: the settings of a source that reaches it, and how it is told what to say."""

    settings: dict[str, Any]
    say: Callable[[Days, Collection[int]], None]  # the rows of the days in the second have a new column, x_new
    table: Table = CHARGES
    column: str = "EffectiveCost"
    keys: Mapping[str, str] = field(default_factory=dict)  # environment variables that let a collection in
    now: datetime = NOW
    ending: str = "csv"  # of the name of a file
    amount: Callable[[Any], Any] = lambda value: value  # what was said, of what the column holds
    is_new: Callable[[Row], bool] = lambda row: "x_new" in (row["x_extra"] or "")
    keeps_new: bool = True  # what the lake has no column for is in x_extra

    def config(self, folder: Path, **more: Any) -> Config:
        """The project in `folder` whose one source reaches it."""
        return from_mapping({"sources": {"one": {**self.settings, **more}}}, file=folder / "farthing.toml")

    def collect(self, world: Any) -> list[LoadResult]:
        """What landed or failed now; reports in which nothing happened are left out."""
        made = self.config(world.folder)
        source = made.sources["one"]
        with clock.fixed(self.now):
            results = collector(source.kind).collect("one", source, made, world.lake, world.report)
        assert all(result.balanced for result in results)
        return [result for result in results if result.read or result.status != "landed"]

    def held(self, world: Any) -> list[int | Decimal]:
        """What the lake has of it, in order."""
        return sorted(self.amount(row[self.column]) for row in world.rows(self.table))

    def new(self, world: Any) -> list[bool]:
        """Which of its rows have the new column; of logs, which have columns only that the lake knows, none."""
        if not self.keeps_new:
            assert "x_new" not in str(world.rows(self.table))
            return []
        return [self.is_new(row) for row in world.rows(self.table, self.column)]


def logs(folder: Path, kind: str, row: Callable[[int, int], dict[str, Any]], **what: Any) -> Told:
    """Logs of requests: one for each day, as JSON lines; what is new in them is nothing that the lake has."""

    def say(days: Days, new: Collection[int]) -> None:
        for day, amounts in days.items():
            rows = [
                {**row(day, amount), **({"x_new": "new"} if day in new else {}), **_named(kind, f"{day}-{place}")}
                for place, amount in enumerate(amounts)
            ]
            text = "".join(json.dumps(one) + "\n" for one in rows)
            (folder / f"day-{day}.csv").write_text(text, encoding="utf-8")

    settings = {"kind": kind, "path": "day-*.csv", "format": "jsonl"}
    return Told(settings, say, table=REQUESTS, column="output_tokens", keeps_new=False, **what)


def _named(kind: str, name: str) -> dict[str, Any]:
    ids = {"bedrock": "requestId", "langfuse": "id", "apim": "CorrelationId"}
    return {ids.get(kind, "request_id"): name}


def files(folder: Path, kind: str, row: Callable[[int, int], dict[str, Any]], **what: Any) -> Told:
    """Downloaded files: one for each day."""

    def say(days: Days, new: Collection[int]) -> None:
        for day, amounts in days.items():
            (folder / f"day-{day}.csv").write_text(_csv(_rows({day: amounts}, new, row)), encoding="utf-8")

    return Told({"kind": kind, "path": "day-*.csv"}, say, **what)


@dataclass
class ToldTraces(Told):
    """Traces in files: what is new in them is kept where the settings name it."""

    def new(self, world: Any) -> list[bool]:
        return ["x_new" in (row["tags"] or "") for row in world.rows(self.table, self.column)]


def trace_files(folder: Path, kind: str) -> Told:
    """Traces: a file for each day, each of its amounts the tokens of a call below a span of its own."""

    def say(days: Days, new: Collection[int]) -> None:
        for day, amounts in days.items():
            said = {**traces.CALL, **({"acme.x_new": "new"} if day in new else {})}
            spans = [traces.span(100 * day, {"user.id": "ann"})]
            spans += [
                traces.span(100 * day + number, {**said, "gen_ai.usage.input_tokens": amount}, parent=100 * day)
                for number, amount in enumerate(amounts, 1)
            ]
            # What the file is called says nothing: traces tell their form themselves.
            (folder / f"day-{day}.csv").write_text("".join(traces.line([one]) for one in spans), encoding="utf-8")

    settings = {"kind": kind, "path": "day-*.csv", "tags": ["acme.x_new"]}
    return ToldTraces(settings, say, table=REQUESTS, column="input_tokens")


def payloads(folder: Path) -> Told:
    """What a LiteLLM proxy logged: one file of payloads for each day."""

    def say(days: Days, new: Collection[int]) -> None:
        for day, amounts in days.items():
            told = [_payload(day, place, amount, new=day in new) for place, amount in enumerate(amounts)]
            (folder / f"day-{day}.jsonl").write_text(test_litellm.lines(*told), encoding="utf-8")

    return Told({"kind": "litellm", "path": "day-*.jsonl"}, say, ending="jsonl", **_ANSWERED)


def spend_log(server: Postgres) -> Told:
    """The spend log of a LiteLLM proxy, in which a day's rows were written on that day."""
    log = test_litellm_table.Log(server)
    second = iter(range(60))  # whoever writes a row again says that it is newer

    def say(days: Days, new: Collection[int]) -> None:
        moment = f"12:00:{next(second):02}"
        server.run('delete from "LiteLLM_SpendLogs"')
        for day, amounts in days.items():
            for place, amount in enumerate(amounts):
                tags = ["x_new:new"] if day in new else []
                log.write(
                    f"{day}-{place}",
                    f"2026-10-{day:02} {moment}",
                    completion_tokens=amount,
                    request_tags=tags,
                    metadata={},
                )

    settings = {"kind": "litellm", "export": "LiteLLM_SpendLogs", "key_env": "SPEND_LOG"}
    return Told(settings, say, keys={"SPEND_LOG": server.address}, **_ANSWERED)


def vendor(
    web: Web, kind: str, server: OpenAI | Anthropic, report: str, row: Callable[[int], dict[str, Any]], **what: Any
) -> Told:
    """The API of a vendor, two days on a page."""
    web.answer = server

    def say(days: Days, new: Collection[int]) -> None:
        server.results = {
            report: {
                datetime(2026, 11, day, tzinfo=UTC): [
                    row(amount) | ({"x_new": "new"} if day in new else {}) for amount in amounts
                ]
                for day, amounts in days.items()
            }
        }

    settings = {"kind": kind, "endpoint": web.endpoint, "since": "2026-11-01"}
    keys = {"OPENAI_ADMIN_KEY": "sk-admin", "ANTHROPIC_ADMIN_KEY": "sk-ant-admin"}
    return Told(settings, say, keys=keys, **what)


def aws_export(bucket: S3) -> Told:
    """An export in S3: a file for each day, and a manifest of the month."""

    def say(days: Days, new: Collection[int]) -> None:
        parts = [_rows({day: amounts}, new, _cur) for day, amounts in days.items()]
        test_aws_export.deliver(bucket, "2026-09", parts, version=str(days))

    export = f"s3://{bucket.bucket}/{test_aws_export.EXPORT}"
    settings = {"kind": "aws", "export": export, "endpoint": bucket.endpoint, "region": "us-east-1"}
    keys = {"AWS_ACCESS_KEY_ID": "farthing", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"}
    return Told(settings, say, keys=keys)


def azure_report(api: Api) -> Told:
    """Reports that Azure is asked for, once a day: it is told something else only for the day after."""
    settings = {"kind": "azure", "export": "/subscriptions/77", "endpoint": api.url, "since": "2026-09-01"}
    keys = {"AZURE_TEST_TOKEN": TOKEN}

    def say(days: Days, new: Collection[int]) -> None:
        text = _csv(_rows(days, new, _azure))
        api.reports = {(view, "2026-09"): [text] for view in ("ActualCost", "AmortizedCost")}
        found.now += timedelta(days=1)

    begin = datetime(2026, 9, 20, 6, tzinfo=UTC)
    found = Told({**settings, "key_env": "AZURE_TEST_TOKEN"}, say, keys=keys, now=begin)
    return found


def sacct(folder: Path) -> Told:
    """Files of Slurm's accounting: a job for each amount, with as many GPUs; the new column is the account."""

    def say(days: Days, new: Collection[int]) -> None:
        for day, amounts in days.items():
            told = [
                {
                    "JobID": f"{day}{place}",
                    "State": "COMPLETED",
                    "NodeList": "n1",
                    "Start": f"2026-11-{day:02}T10:00:00",
                    "End": f"2026-11-{day:02}T11:00:00",
                    "AllocTRES": f"gres/gpu={amount}",
                    **({"Account": "new"} if day in new else {}),
                }
                for place, amount in enumerate(amounts)
            ]
            lines = ["|".join(told[0]), *("|".join(row.values()) for row in told)]
            (folder / f"day-{day}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")

    settings = {"kind": "slurm", "path": "day-*.csv", "timezone": "UTC"}
    return Told(settings, say, table=JOBS, column="gpu_count", is_new=lambda row: row["team_id"] == "new")


def scraped(folder: Path, stack: ExitStack, kind: str) -> Told:
    """A Prometheus of its own, started anew with what it is told: a GPU, server or pod for each amount.

    What happens on day 1 happens one minute after 8 o'clock of today: of yesterday it would be settled.
    """
    series, what = SCRAPED[kind]
    eight = (NOW.replace(hour=8) - test_prometheus.BEGIN).total_seconds()
    known = [("up", {"job": "any"}, {eight - 32 * 3600 + 3600 * hour: 1.0 for hour in range(34)})]

    def say(days: Days, new: Collection[int]) -> None:
        stack.close()
        told = [
            one
            for day, amounts in days.items()
            for place, amount in enumerate(amounts)
            for one in series(f"{day}-{place}", eight + 60 * day, amount, day in new)
        ]
        text = test_prometheus.openmetrics([*known, *told])
        place = folder / f"prometheus-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        found.settings["endpoint"] = stack.enter_context(prometheus(place, blocks=text))

    found = Told({"kind": kind, "since": "2026-11-23"}, say, **what)
    return found


# -- rows of each kind ------------------------------------------------------------------------------------------


def _rows(days: Days, new: Collection[int], row: Callable[[int, int], dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {**row(day, amount), **({"x_new": "new"} if day in new else {})}
        for day, amounts in days.items()
        for amount in amounts
    ]


def _csv(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _cur(day: int, amount: int) -> dict[str, Any]:
    times = (("lineItem/UsageStartDate", "00"), ("lineItem/UsageEndDate", "01"))
    return test_aws.line("Usage", str(amount)) | {name: f"2026-09-{day:02}T{hour}:00:00Z" for name, hour in times}


def _gcp(day: int, amount: int) -> dict[str, Any]:
    times = {f"usage_{end}_time": f"2026-09-{day:02}T0{hour}:00:00" for hour, end in enumerate(("start", "end"))}
    return {**test_gcp.BASE, **times, "cost": str(amount)}


def _azure(day: int, amount: int) -> dict[str, Any]:
    text = test_azure.EA + test_azure.line(str(amount), day=f"09/{day:02}/2026")
    return next(csv.DictReader(io.StringIO(text)))


def _openai(text: str, column: str) -> Callable[[int, int], dict[str, Any]]:
    def row(day: int, amount: int) -> dict[str, Any]:
        begin = datetime(2026, 11, day, tzinfo=UTC)
        ends = {"start_time": begin, "end_time": begin + timedelta(days=1)}
        epochs = {name: str(int(moment.timestamp())) for name, moment in ends.items()}
        written = {f"{name}_iso": moment.isoformat() for name, moment in ends.items()}
        return {**_good_line(text), **epochs, **written, column: str(amount)}

    return row


def _claude(text: str, column: str) -> Callable[[int, int], dict[str, Any]]:
    return lambda day, amount: {
        **_good_line(text), "usage_date_utc": f"2026-11-{day:02}", column: str(amount)
    }  # fmt: skip


def _good_line(text: str) -> dict[str, Any]:
    """The last whole line of a CSV file."""
    return [row for row in csv.DictReader(io.StringIO(text)) if None not in row.values()][-1]


def _focus(day: int, amount: int) -> dict[str, Any]:
    month = {"BillingPeriodStart": "2026-09-01T00:00:00Z", "BillingPeriodEnd": "2026-10-01T00:00:00Z"}
    times = {"ChargePeriodStart": f"2026-09-{day:02}T00:00:00Z", "ChargePeriodEnd": f"2026-09-{day:02}T01:00:00Z"}
    costs = {"BilledCost": str(amount), "EffectiveCost": str(amount)}
    return {"BillingCurrency": "EUR", "ChargeCategory": "Usage", **month, **times, **costs}


def _cost(day: int, amount: int) -> dict[str, Any]:
    return {"date": f"2026-09-{day:02}", "service": "labour", "amount": str(amount), "currency": "EUR", "team": "red"}


def _telemetry(name: str, at: float, amount: int, new: bool) -> list[Any]:
    labels = {**test_prometheus.NODE, "UUID": name}
    more = [(test_prometheus.MEMORY, labels, {at: 1})] if new else []
    return [(test_prometheus.GR, labels, {at: amount / 10}), *more]


def _counters(name: str, at: float, amount: int, new: bool) -> list[Any]:
    labels = {**test_vllm_totals.SERVER, "pod": name}
    more = [(test_vllm_totals.DONE, labels, {at: 1, at + 60: 2})] if new else []
    return [(test_vllm_totals.GENERATED, labels, {at: 1, at + 60: 1 + amount}), *more]


def _pods(name: str, at: float, amount: int, new: bool) -> list[Any]:
    labels: dict[str, Any] = {"label_team": "new"} if new else {}
    return test_kubernetes.pod(name, at, at + 600, gpus=amount, owner="Job", **labels)


def _gpus(name: str, at: float, amount: int, new: bool) -> list[Any]:
    asked: dict[str, Any] = {"namespace": "ml", "pod": name, "node": "n1", "container": "main"}
    parts = test_kubernetes.state(
        "kube_pod_container_resource_requests", at, at + 60, amount, resource="nvidia_com_gpucores", **asked
    )
    labels: dict[str, Any] = {"label_team": "new"} if new else {}
    known = test_kubernetes.state("kube_pod_labels", at, at + 60, namespace="ml", pod=name, **labels)
    return [*test_kubernetes.node(begin=at, end=at + 60), parts, known, test_kubernetes.on(name, name, at, at + 60)]


#: Kinds that ask a Prometheus -> the series of one amount, and what of it the lake holds where.
SCRAPED: dict[str, tuple[Callable[[str, float, int, bool], list[Any]], dict[str, Any]]] = {
    "prometheus": (
        _telemetry,
        {
            "table": GPU_USAGE,
            "column": "busy_seconds",
            "amount": lambda seconds: round(seconds / 3),  # of a single sample, which stands for 30 s
            "is_new": lambda row: row["memory_used_bytes"] is not None,
        },
    ),
    "vllm_totals": (
        _counters,
        {"table": VENDOR_USAGE, "column": "output_tokens", "is_new": lambda row: row["requests"] is not None},
    ),
    "kubernetes": (_pods, {"table": JOBS, "column": "gpu_count", "is_new": lambda row: row["team_id"] == "new"}),
    "kubernetes_gpus": (
        _gpus,
        {
            "table": GPU_INVENTORY,
            "column": "share",
            "amount": lambda share: round(100 * share),
            "is_new": lambda row: row["team_id"] == "new",
        },
    ),
}


def _payload(day: int, place: int, amount: int, *, new: bool) -> dict[str, Any]:
    began = datetime(2026, 10, day, 12, tzinfo=UTC).timestamp()
    times = {"startTime": began, "completionStartTime": began + 2, "endTime": began + 2}
    tags = ["x_new:new"] if new else []
    usage = {"metadata__usage_object": None}
    return test_litellm.payload(f"{day}-{place}", **times, completion_tokens=amount, request_tags=tags, **usage)


_ANSWERED: dict[str, Any] = {
    "table": REQUESTS,
    "column": "output_tokens",
    "is_new": lambda row: "x_new" in (row["tags"] or ""),
}
_REQUESTS = {"table": VENDOR_USAGE, "column": "requests"}
_OUTPUT = {"table": VENDOR_USAGE, "column": "output_tokens"}

#: Kinds that read files -> how a row is written, and what of it the lake holds where.
FILES: dict[str, tuple[Callable[[int, int], dict[str, Any]], dict[str, Any]]] = {
    "aws": (_cur, {}),
    "gcp": (_gcp, {}),
    "azure": (_azure, {}),
    "openai": (_openai(test_vendors.OPENAI_CSV, "amount_value"), {}),
    "openai_usage": (_openai(test_vendors.OPENAI_USAGE_CSV, "num_model_requests"), _REQUESTS),
    "anthropic": (_claude(test_vendors.CLAUDE_CSV, "cost_usd"), {}),
    "anthropic_usage": (_claude(test_vendors.CLAUDE_USAGE_CSV, "usage_output_tokens"), _OUTPUT),
    "focus": (_focus, {}),
    "costs": (_cost, {}),
}


def _bedrock(day: int, amount: int) -> dict[str, Any]:
    found = bedrock.call(timestamp=f"2026-09-{day:02}T10:00:00Z")
    return {**found, "output": {"outputTokenCount": amount}}


def _langfuse(day: int, amount: int) -> dict[str, Any]:
    usage = {"input": 1, "output": amount, "total": 1 + amount}
    times = ("start_time", "completion_start_time", "end_time")
    return langfuse.seen("x", usage_details=usage, **dict.fromkeys(times, f"2026-09-{day:02} 10:00:00"))


def _helicone(day: int, amount: int) -> dict[str, Any]:
    return gateways.helicone(1, request_created_at=f"2026-09-{day:02} 10:00:00", completion_tokens=amount)


def _apim(day: int, amount: int) -> dict[str, Any]:
    return gateways.piece(0, 1, amount, TimeGenerated=f"2026-09-{day:02}T10:00:00Z")


def _vertex(day: int, amount: int) -> dict[str, Any]:
    answer = {"usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": amount}}
    return gateways.vertex(logging_time=f"2026-09-{day:02}T10:00:00Z", full_response=answer)


def _request(day: int, amount: int) -> dict[str, Any]:
    return {"started_at": f"2026-09-{day:02}T10:00:00Z", "model": "m", "output_tokens": amount}


#: Kinds of request logs -> how a row is written, and the settings of its source.
LOGS: dict[str, Callable[[int, int], dict[str, Any]]] = {
    "bedrock": _bedrock,
    "langfuse": _langfuse,
    "helicone": _helicone,
    "apim": _apim,
    "vertex": _vertex,
    "requests": _request,
}
#: Vendors of model APIs -> the server, the report, its rows, and what of them the lake holds where.
VENDORS: dict[str, tuple[type[OpenAI | Anthropic], str, Callable[[int], dict[str, Any]], dict[str, Any]]] = {
    "openai": (OpenAI, "costs", lambda amount: test_vendors.cost(str(amount)), {}),
    "openai_usage": (OpenAI, "completions", lambda amount: {"num_model_requests": amount, "model": "m"}, _REQUESTS),
    "anthropic": (Anthropic, "cost_report", lambda amount: test_vendors.described(f"{amount}00"), {}),
    "anthropic_usage": (Anthropic, "messages", lambda amount: test_vendors.used(output_tokens=amount), _OUTPUT),
}

#: What every run tries; CI tries all.
LIGHT = {"focus files", "openai api", "anthropic api", "langfuse logs"}


def _some(names: Iterable[str]) -> list[Any]:
    return [pytest.param(name, marks=() if name in LIGHT else pytest.mark.heavy) for name in names]


DOWNLOADED = _some(
    [
        *(f"{kind} files" for kind in FILES),
        *(f"{kind} logs" for kind in LOGS),
        *("slurm files", "otel traces", "vllm traces", "litellm payloads"),
    ]
)
SERVED = _some(f"{kind} api" for kind in VENDORS)
EVERY = [
    *DOWNLOADED,
    *SERVED,
    *_some(["aws export", "azure report", "litellm spend-log", *(f"{kind} server" for kind in SCRAPED)]),
]


@pytest.fixture
def told(request: pytest.FixtureRequest, world: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    """The provider that the test's parameter names."""
    kind, way = request.param.split()
    with serving() if way == "report" else nullcontext() as api, ExitStack() as stack:
        if kind == "slurm":
            found = sacct(world.folder)
        elif way == "server":
            found = scraped(world.folder, stack, kind)
        elif way == "files":
            row, what = FILES[kind]
            found = files(world.folder, kind, row, **what)
        elif way == "payloads":
            found = payloads(world.folder)
        elif way == "spend-log":
            found = spend_log(request.getfixturevalue("postgres"))
        elif way == "traces":
            found = trace_files(world.folder, kind)
        elif way == "logs":
            found = logs(world.folder, kind, LOGS[kind])
            if kind == "requests":
                found.settings["token_convention"] = "inclusive"
        elif way == "api":
            server, report, result, what = VENDORS[kind]
            found = vendor(request.getfixturevalue("web"), kind, server(), report, result, **what)
        else:
            found = azure_report(api) if api else aws_export(request.getfixturevalue("s3"))
        for name, value in found.keys.items():
            monkeypatch.setenv(name, value)
        yield found
