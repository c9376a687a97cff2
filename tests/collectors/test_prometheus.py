"""Samples of GPU exporters in a real Prometheus: a GPU counts once, no exporter owns it, gaps are not covered."""

from __future__ import annotations

import io
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from farthing import clock
from farthing.errors import ConfigError, SourceError
from farthing.lake.schemas import GPU_USAGE, LOADS
from tests.collectors.conftest import collector
from tests.servers import Answered, Asked, Web, prometheus, web

__all__ = ["web"]

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
GR, UTIL = "DCGM_FI_PROF_GR_ENGINE_ACTIVE", "DCGM_FI_DEV_GPU_UTIL"
ENERGY, MEMORY = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "DCGM_FI_DEV_FB_USED"
NODE = {"UUID": "GPU-1", "gpu": "0", "Hostname": "n1", "modelName": "NVIDIA H100", "job": "dcgm", "instance": "n1:9400"}
EXPORTER = {"pod": "exporter", "namespace": "monitoring"}
#: Seconds since BEGIN -> value, by metric and labels.
Told = Sequence[tuple[str, Mapping[str, str], Mapping[float, float]]]


def openmetrics(told: Told) -> str:
    """The samples as OpenMetrics text with their times."""
    text = io.StringIO()
    for metric in dict.fromkeys(name for name, _, _ in told):
        text.write(f"# TYPE {metric} gauge\n")
        for labels, samples in ((labels, samples) for name, labels, samples in told if name == metric):
            inside = ",".join(f'{name}="{value}"' for name, value in labels.items())
            for second, value in samples.items():
                text.write(f"{metric}{{{inside}}} {_written(value)} {BEGIN.timestamp() + second:.3f}\n")
    return text.getvalue() + "# EOF\n"


def _written(value: float) -> str:
    return "NaN" if math.isnan(value) else str(value)


def every(
    seconds: float, value: float | Callable[[float], float], begin: float = 0, end: float = 3600
) -> dict[float, float]:
    """A sample each `seconds` in (begin, end]."""
    count = round((end - begin) / seconds)
    times = [begin + seconds * number for number in range(1, count + 1)]
    return {time: value(time) if callable(value) else value for time in times}


def up(
    labels: Mapping[str, str] = NODE, own: Mapping[str, str] | None = None, end: float = 3600
) -> tuple[str, Mapping[str, str], dict[float, float]]:
    """That the target was there, with the labels that Prometheus itself gives it."""
    return "up", {"job": labels["job"], "instance": labels["instance"], **(own or {})}, every(30, 1, end=end)


@contextmanager
def served(folder: Path, told: Told) -> Iterator[str]:
    with prometheus(folder / "prometheus", blocks=openmetrics(told)) as endpoint:
        yield endpoint


def collect(
    world: Any, endpoint: str, *, now: timedelta = timedelta(hours=12), kind: str = "prometheus", **source: Any
) -> Any:
    with clock.fixed(BEGIN + now):
        return world.collect(kind, None, endpoint=endpoint, **{"since": "2026-11-01", **source})


def usage(world: Any) -> list[dict[str, Any]]:
    return list(world.rows(GPU_USAGE, "gpu_uuid, started_at"))


def total(rows: Sequence[Mapping[str, Any]], column: str = "busy_seconds") -> float:
    return sum(row[column] or 0 for row in rows)


def reading(world: Any, *told: Any, **source: Any) -> list[dict[str, Any]]:
    """What lands of these samples."""
    with served(world.folder, told) as endpoint:
        collect(world, endpoint, **source)
    return usage(world)


def test_a_sample_covers_the_time_since_the_one_before_and_at_most_two_intervals(world: Any) -> None:
    rows = reading(world, up(), (GR, NODE, {**every(10, 0.5, end=600), **every(10, 0.25, 1200, 1800)}))
    assert total(rows, "covered_seconds") == 600 + 20 + 590  # of 600 s in between, 580 nobody watched
    assert total(rows) == pytest.approx(300 + 0.25 * 610)
    assert max(row["covered_seconds"] for row in rows) == 20
    assert {(row["busy_source"], row["state"], row["node_id"]) for row in rows} == {("dcgm_gr", "ok", "n1")}


@pytest.mark.heavy
def test_the_engines_activity_is_believed_before_the_polled_utilisation(world: Any) -> None:
    rows = reading(world, up(), (GR, NODE, every(10, 0.5, end=300)), (UTIL, NODE, every(10, 100, end=600)))
    assert [row["busy_source"] for row in rows] == ["dcgm_gr"] * 30 + ["dcgm_util"] * 30
    assert total(rows) == 150 + 300


@pytest.mark.slow
def test_pods_that_share_a_gpu_repeat_its_value_and_it_counts_once(world: Any) -> None:
    """dcgm-exporter issues 582 and 642, PR 594: with virtual GPUs the device's value comes again for each pod."""
    pods = [
        {**NODE, "exported_pod": f"p{number}", "exported_namespace": "serving", "vgpu": str(number)}
        for number in range(4)
    ]
    with served(world.folder, [up(own=EXPORTER), *((UTIL, pod, every(10, 50)) for pod in pods)]) as endpoint:
        result = collect(world, endpoint)[0]
    rows = usage(world)
    assert (result.read, result.landed, result.duplicate) == (1440, 360, 1080)
    assert (total(rows, "covered_seconds"), total(rows)) == (3600, 1800)
    assert {(row["owner_pod"], row["owner_count"]) for row in rows} == {(None, 4)}


def test_a_pod_that_follows_another_is_the_owner_from_its_first_sample(world: Any) -> None:
    """Each pod makes a series of its own: they are joined by time."""
    first, second = (
        {**NODE, "exported_pod": pod, "exported_namespace": "serving", "exported_container": "vllm"}
        for pod in ("a", "b")
    )
    rows = reading(world, up(own=EXPORTER), (GR, first, every(10, 1, end=300)), (GR, second, every(10, 0.5, 300, 600)))
    assert [row["owner_pod"] for row in rows] == ["a"] * 30 + ["b"] * 30
    assert {(row["owner_namespace"], row["owner_container"], row["owner_count"]) for row in rows} == {
        ("serving", "vllm", 1)
    }
    assert (total(rows, "covered_seconds"), total(rows)) == (600, 450)


def test_the_exporter_is_nobodys_workload(world: Any) -> None:
    """dcgm-exporter issue 340: of a GPU without one, `pod` is the exporter's, and looks like an owner."""
    idle = {**NODE, "UUID": "GPU-2", "pod": "exporter", "namespace": "monitoring", "container": "exporter"}
    busy = {**idle, "UUID": "GPU-1", "exported_pod": "a", "exported_namespace": "serving"}
    kept = {**NODE, "UUID": "GPU-3", "pod": "b", "namespace": "serving", "instance": "n2:9400"}  # honor_labels
    bare = {**idle, "UUID": "GPU-4", "instance": "n2:9400"}
    dark = {**NODE, "UUID": "GPU-5", "pod": "c", "instance": "n3:9400"}  # nobody says whose pod that is
    rows = reading(
        world,
        up(idle, EXPORTER),
        up(kept, EXPORTER),
        *((GR, gpu, every(30, 0.1)) for gpu in (idle, busy, kept, bare, dark)),
    )
    assert {(row["gpu_uuid"], row["owner_pod"], row["owner_namespace"]) for row in rows} == {
        ("GPU-1", "a", "serving"),
        ("GPU-2", None, None),
        ("GPU-3", "b", "serving"),
        ("GPU-4", None, None),
        ("GPU-5", None, None),
    }


@pytest.mark.slow
def test_a_mig_instance_is_a_gpu_of_its_own_and_its_board_is_none(world: Any) -> None:
    board = {**NODE, "exported_pod": "", "UUID": "GPU-1"}
    slices = [{**board, "GPU_I_ID": number, "GPU_I_PROFILE": "3g.40gb"} for number in ("1", "2")]
    rows = reading(
        world, up(),
        (GR, slices[0], every(10, 0.5)), (GR, slices[1], every(10, 0.25)),
        (UTIL, board, every(10, 0)), *((UTIL, one, every(10, 0)) for one in slices),
        *((ENERGY, one, every(10, lambda second: 1e6 * second)) for one in slices),
    )  # fmt: skip
    found = {key: total([row for row in rows if row["gpu_uuid"] == key]) for key in {row["gpu_uuid"] for row in rows}}
    assert found == {"GPU-1/1": 1800, "GPU-1/2": 900}
    assert {(row["parent_gpu_uuid"], row["gpu_instance_id"], row["busy_source"]) for row in rows} == {
        ("GPU-1", "1", "dcgm_gr"), ("GPU-1", "2", "dcgm_gr")
    }  # fmt: skip
    assert {row["energy_joules"] for row in rows} == {None}  # there is one counter for the board


def test_energy_is_what_the_counter_grew_by_and_a_reset_is_no_negative(world: Any) -> None:
    def counter(second: float) -> float:
        return 5e9 + 300_000 * second if second <= 1800 else 400_000 * (second - 1800)

    rows = reading(
        world, up(), (GR, NODE, every(10, 0.5)), (ENERGY, NODE, every(10, counter)), (MEMORY, NODE, every(10, 1024))
    )
    assert total(rows, "energy_joules") == pytest.approx(300 * 1790 + 400 * 1790)
    assert min(row["energy_joules"] for row in rows[1:]) == 0  # over the reset
    assert {row["energy_source"] for row in rows[1:]} == {"counter"}
    assert {row["memory_used_bytes"] for row in rows} == {1024 * 2**20}


@pytest.mark.heavy
def test_energy_that_stands_still_says_that_nothing_was_observed(world: Any) -> None:
    """gpu-monitoring-tools issue 188: after a restart of the host engine the exporter repeats what it last knew."""
    still = every(10, lambda second: 300_000 * min(max(second, 600), 1500))
    calm = {**NODE, "UUID": "GPU-2"}
    rows = reading(
        world, up(), (GR, NODE, every(10, 0.9)), (ENERGY, NODE, still),
        (GR, calm, every(10, 0.9)), (ENERGY, calm, every(10, 0)),  # it has no counter
    )  # fmt: skip
    stuck = [row for row in rows if row["state"] == "stuck"]
    assert {row["gpu_uuid"] for row in stuck} == {"GPU-1"}
    assert (str(stuck[0]["ended_at"].time()), len(stuck)) == ("00:25:10", 210)
    assert (total(stuck, "covered_seconds"), total(stuck)) == (0, 0)
    assert total([row for row in rows if row["gpu_uuid"] == "GPU-1"], "covered_seconds") == 1500


@pytest.mark.heavy
def test_values_that_cannot_be_are_rejected_with_their_series(world: Any) -> None:
    blank = 9223372036854775794
    nameless = {name: value for name, value in NODE.items() if name != "UUID"}
    with served(
        world.folder,
        [
            up(), (UTIL, NODE, {10: 50, 20: blank, 30: 150, 40: -1, 50: math.nan, 60: 50}),
            (ENERGY, NODE, {10: 1e6, 20: blank, 30: 1.5e6, 60: 2e6}), (MEMORY, NODE, {10: 5, 20: blank}),
            (UTIL, nameless, {10: 50}),
        ],
    ) as endpoint:  # fmt: skip
        result = collect(world, endpoint)[0]
    assert (result.read, result.landed, result.rejected) == (9, 2, 7)
    reasons = " ".join(reason for _, reason in world.rejects())
    for part in (
        "is negative: -1",
        "nan is no number",
        "9.22337e+18 cannot be",
        "150 cannot be",
        "no label tells the GPU",
    ):
        assert part in reasons
    assert [row["energy_joules"] for row in usage(world)] == [None, 1000]


@pytest.mark.heavy
def test_what_is_open_is_read_again_and_what_is_settled_is_not(world: Any) -> None:
    with served(world.folder, [up(), (GR, NODE, every(10, 0.5))]) as endpoint:
        early = [result.landed for result in collect(world, endpoint, now=timedelta(minutes=30))]
        later = [result.landed for result in collect(world, endpoint, now=timedelta(hours=1))]
        assert (early, later) == ([180], [360])
        assert len(usage(world)) == 360
        collect(world, endpoint, now=timedelta(hours=20))  # it settles
        pins = world.lake.pins([GPU_USAGE, LOADS])
        assert {result.status for result in collect(world, endpoint, now=timedelta(hours=20))} == {"unchanged"}
        assert world.lake.pins([GPU_USAGE, LOADS]) == pins
    assert total(usage(world), "covered_seconds") == 3600


@pytest.mark.heavy
def test_a_sample_belongs_to_one_window_and_reaches_back_into_the_one_before(world: Any) -> None:
    six, joules = 6 * 3600.0, every(10, lambda second: 300_000 * second, 20_000, 24_000)
    told = [up(end=7 * 3600), (GR, NODE, every(10, 0.5, 20_000, 24_000)), (ENERGY, NODE, joules)]
    with served(world.folder, told) as endpoint:
        results = collect(world, endpoint)
    assert [result.read for result in results] == [160, 240]
    assert (total(usage(world), "covered_seconds"), total(usage(world), "energy_joules")) == (4000, 300 * 3990)
    assert (
        len([row for row in usage(world) if row["started_at"] == BEGIN.replace(tzinfo=None) + timedelta(seconds=six)])
        == 1
    )


@pytest.mark.heavy
def test_what_the_server_has_forgotten_stays_in_the_lake(world: Any) -> None:
    day = timedelta(days=1)
    with served(world.folder / "all", [up(), (GR, NODE, every(30, 0.5))]) as endpoint:
        collect(world, endpoint)
    later = every(30, 0.5, 86400, 90000)
    with served(world.folder / "rest", [(GR, NODE, later), ("up", up()[1], later)]) as endpoint:
        collect(world, endpoint, now=day + timedelta(hours=12), constants={"state": "seen"})
    assert total(usage(world), "covered_seconds") == 7200


@pytest.mark.heavy
def test_a_window_of_which_the_server_has_forgotten_the_begin_stays_as_it_landed(world: Any) -> None:
    with served(world.folder / "all", [up(end=7200), (GR, NODE, every(30, 0.5, end=7200))]) as endpoint:
        collect(world, endpoint)
    later = every(30, 0.5, 5400, 7200)
    with served(world.folder / "rest", [(GR, NODE, later), ("up", up()[1], later)]) as endpoint:
        collect(world, endpoint, constants={"state": "seen"})
    assert total(usage(world), "covered_seconds") == 7200


def test_too_many_samples_in_one_answer_are_asked_for_in_smaller_pieces(world: Any, web: Web) -> None:
    asked: list[float] = []

    def answer(question: Asked) -> Answered:
        query = question.query["query"][0]
        if question.path.endswith("query_range"):
            return said([{"metric": {}, "values": [[BEGIN.timestamp() + 3600, "1"]]}])
        if "[" not in query or GR not in query:
            return said([])
        length, end = float(query.split("[")[1].split("ms")[0]), float(question.query["time"][0])
        if length > 1_000_000:
            text = "query processing would load too many samples into memory in query execution"
            return Answered(
                json.dumps({"status": "error", "errorType": "execution", "error": text}).encode(), status=422
            )
        asked.append(length)
        times = [end - length / 1000 + 10 * number for number in range(int(length // 10000) + 1)]  # with its begin
        return said([{"metric": NODE, "values": [[time, "0.5"] for time in times if time > BEGIN.timestamp()]}])

    web.answer = answer
    (result,) = collect(world, web.endpoint, now=timedelta(hours=1))
    rows = usage(world)
    assert (result.read, result.duplicate) == (360, 0)
    assert max(asked) == 900_000
    assert len({row["ended_at"] for row in rows}) == len(rows) == 360
    assert total(rows) == 1800


def said(result: Sequence[Any]) -> Answered:
    return Answered(json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}).encode())


def test_a_tenant_a_token_a_path_and_matchers_go_with_every_question(
    world: Any, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.answer = lambda question: said(
        [{"metric": {}, "values": [[BEGIN.timestamp(), "1"]]}] if question.path.endswith("query_range") else []
    )
    monkeypatch.setenv("MIMIR_TOKEN", "secret")
    more: dict[str, Any] = {"export": "acme", "key_env": "MIMIR_TOKEN", "select": 'cluster="prod"'}
    with clock.fixed(BEGIN + timedelta(hours=1)):
        world.collect("prometheus", None, endpoint=web.endpoint + "/prometheus", since="2026-11-01", **more)
    assert {question.path for question in web.asked} == {
        "/prometheus/api/v1/query_range", "/prometheus/api/v1/query"
    }  # fmt: skip
    for question in web.asked:
        assert question.headers["x-scope-orgid"] == "acme"
        assert question.headers["authorization"] == "Bearer secret"
        assert '{cluster="prod"' in question.query["query"][0]
    monkeypatch.setenv("MIMIR_TOKEN", "user:secret")
    collect(world, web.endpoint, **more)
    assert web.asked[-1].headers["authorization"] == "Basic dXNlcjpzZWNyZXQ="


@pytest.mark.parametrize(
    "answer",
    [
        Answered(b"<html>log in</html>"),
        Answered(b"[]"),
        Answered(b'{"status": "error", "error": "no"}'),
        Answered(b'{"status": "success", "data": {"resultType": "scalar", "result": [1, "1"]}}'),
        Answered(b'{"status": "success", "data": {"result": [{"metric": {}, "values": [[1]]}]}}'),
        Answered(b'{"status": "success", "data": {"result": [{"metric": {}, "values": [[1, "x"]]}]}}'),
        Answered(b'{"status": "success", "data": {"result": [{"metric": 1, "values": []}]}}'),
        Answered(b'{"status": "success", "data": null}'),
        Answered(b'{"status": "error", "error": "parse error"}', status=400),
        Answered(b"who are you?", status=401),
    ],
)
def test_an_answer_that_is_none_is_an_error_with_what_to_do_and_lands_nothing(
    world: Any, web: Web, answer: Answered
) -> None:
    web.answer = lambda _: answer
    with pytest.raises(SourceError, match=r"(HTTP 40\d|none of Prometheus's HTTP API).*Fix: "):
        collect(world, web.endpoint)
    assert world.lake.version(LOADS) is None


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ({"endpoint": None}, "endpoint is missing"),
        ({"key_env": "NO_SUCH_TOKEN"}, "NO_SUCH_TOKEN is not set"),
        ({"columns": {"gpus": "UUID"}}, "'gpus' is no column of kind prometheus"),
        ({"path": "*.csv"}, "does not take it"),
        ({"since": "2027-01-01"}, "still to come"),
    ],
)
def test_a_setting_that_is_wrong_is_named(world: Any, source: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason), clock.fixed(BEGIN + timedelta(hours=1)):
        world.collect("prometheus", **{"path": None, "endpoint": "http://127.0.0.1:9", "since": "2026-11-01", **source})


@pytest.mark.heavy
def test_another_exporter_is_named_and_its_names_can_be_said(world: Any) -> None:
    card = {"serial_number": "S1", "hostname": "n1", "job": "amd", "instance": "n1:5000"}
    told = [("gpu_gfx_activity", card, every(30, 50)), up(card)]
    rows = reading(world, *told, exporter="rocm")
    assert {(row["gpu_uuid"], row["busy_source"]) for row in rows} == {("S1", "amd")}
    assert total(rows) == 1800


def test_metrics_labels_and_scale_of_an_unknown_exporter_stand_in_the_file(world: Any) -> None:
    card = {"card": "7", "host": "n1", "job": "x", "instance": "n1:1"}
    names = {"gpu_uuid": "host card", "node_id": "host", "busy_fraction": {"from": "x_busy", "unit": "percent"}}
    rows = reading(world, ("x_busy", card, every(30, 25)), up(card), columns=names)
    assert {(row["gpu_uuid"], row["node_id"], row["busy_source"]) for row in rows} == {("n1/7", "n1", "file")}
    assert total(rows) == 900


@pytest.mark.heavy
def test_two_days_of_samples_each_ten_seconds_are_read_whole(world: Any) -> None:
    """At 10 s, 11,000 points are 30.5 hours: more than a server resamples for one question."""
    gpus = [{**NODE, "UUID": f"GPU-{number}"} for number in range(8)]
    two_days = 2 * 86400
    told = [(GR, gpu, every(10, lambda second: second % 100 / 100, end=two_days)) for gpu in gpus]
    with served(world.folder, [*told, up(end=two_days)]) as endpoint:
        results = collect(world, endpoint, now=timedelta(days=3))
        assert {result.status for result in collect(world, endpoint, now=timedelta(days=3))} == {"unchanged"}
    assert sum(result.landed for result in results) == 8 * 17280
    (sums,) = world.query(
        GPU_USAGE, "select sum(covered_seconds) c, sum(busy_seconds) b, count(distinct gpu_uuid) g from lake.gpu_usage"
    )
    assert sums == {"c": 8 * two_days, "b": pytest.approx(8 * two_days * 0.45), "g": 8}


@pytest.mark.heavy
@pytest.mark.parametrize("honor", [False, True])
def test_a_live_page_scraped_each_second_gives_the_busy_time_and_the_owners(
    world: Any, web: Web, *, honor: bool
) -> None:
    """GPU-1 is shared by two pods, GPU-2 has one, GPU-3 nobody, GPU-4 is cut in two: the true busy time within 1 %."""
    begun = time.time()

    def worked(moment: float) -> float:
        """Busy seconds since the test began: at 90 % and 20 % in turns of 3 s."""
        turns, rest = divmod(moment - begun, 6)
        return float(turns * 3.3 + min(rest, 3) * 0.2 + max(rest - 3, 0) * 0.9)

    def page(_: Asked) -> Answered:
        now = time.time()
        gpus = {
            'UUID="GPU-1",pod="a",namespace="serving"': worked(now)
            - worked(now - 1),  # the mean of the last second, as DCGM gives
            'UUID="GPU-1",pod="b",namespace="serving"': worked(now)
            - worked(now - 1),  # the mean of the last second, as DCGM gives
            'UUID="GPU-2",pod="c",namespace="serving",container="vllm"': 0.5,
            'UUID="GPU-3"': 0.0,
            'UUID="GPU-4",GPU_I_ID="1",pod="d",namespace="serving"': 0.25,
            'UUID="GPU-4",GPU_I_ID="2"': 0.75,
        }
        lines = [f"# TYPE {GR} gauge", *(f"{GR}{{{labels}}} {value}" for labels, value in gpus.items())]
        seconds = now - begun
        joules = 1000 * (700 * seconds if seconds < 7 else 700 * (seconds - 7))  # the driver is loaded anew
        lines += [f"# TYPE {ENERGY} counter", f'{ENERGY}{{UUID="GPU-2"}} {joules}']
        return Answered(("\n".join(lines) + "\n").encode(), headers={"Content-Type": "text/plain; version=0.0.4"})

    web.answer = page
    with prometheus(world.folder / "prometheus", target=web.endpoint, honor=honor) as endpoint:
        time.sleep(14)
        since = datetime.now(UTC).date().isoformat()
        world.collect("prometheus", None, endpoint=endpoint, since=since)
    rows = usage(world)
    owners = {
        (row["gpu_uuid"], row["owner_namespace"], row["owner_pod"], row["owner_container"], row["owner_count"])
        for row in rows
    }
    assert owners == {
        ("GPU-1", None, None, None, 2),
        ("GPU-2", "serving", "c", "vllm", 1),
        ("GPU-3", None, None, None, 0),
        ("GPU-4/1", "serving", "d", None, 1),
        ("GPU-4/2", None, None, None, 0),
    }
    for gpu, share in (("GPU-2", 0.5), ("GPU-3", 0.0), ("GPU-4/1", 0.25), ("GPU-4/2", 0.75)):
        own = [row for row in rows if row["gpu_uuid"] == gpu]
        assert total(own) == pytest.approx(share * total(own, "covered_seconds"), rel=1e-9)
        assert total(own, "covered_seconds") == pytest.approx(
            (own[-1]["ended_at"] - own[0]["started_at"]).total_seconds(), rel=1e-6
        )
    shared = [row for row in rows if row["gpu_uuid"] == "GPU-1"]
    first, last = (
        moment.replace(tzinfo=UTC).timestamp() for moment in (shared[0]["started_at"], shared[-1]["ended_at"])
    )
    assert total(shared) == pytest.approx(worked(last) - worked(first), rel=0.01)
    energy = [row["energy_joules"] for row in rows if row["gpu_uuid"] == "GPU-2" and row["energy_joules"] is not None]
    assert min(energy) == 0
    assert sum(energy) == pytest.approx(700 * (len(energy) - 1), rel=0.05)


@pytest.mark.heavy
def test_a_preview_shows_rows_of_the_newest_window_that_has_any(world: Any) -> None:
    with served(world.folder, [up(), (GR, NODE, every(30, 0.5))]) as endpoint, clock.fixed(BEGIN + timedelta(hours=20)):
        config = world.config("prometheus", None, endpoint=endpoint, since="2026-11-01")
        rows = collector("prometheus").preview("one", config.sources["one"], config)
    assert rows["gpu_uuid"].to_list() == ["GPU-1"] * 3


@pytest.mark.heavy
def test_a_server_without_the_metric_is_no_error_and_is_said(world: Any) -> None:
    with served(world.folder, [("other", NODE, every(30, 1))]) as endpoint:
        assert collect(world, endpoint) == []
    assert "the server has no gpu in this time" in world.report.messages[0]


@pytest.mark.heavy
def test_two_servers_that_scrape_one_gpu_in_turns_count_it_once(world: Any) -> None:
    """A pair behind Thanos, not deduplicated: a gap is judged by the interval of each, not of both together."""
    first, second = ({**NODE, "prometheus_replica": name} for name in "ab")
    late = {second + 7: value for second, value in every(30, 0.5, end=1800).items()}
    rows = reading(world, up(), (GR, first, every(30, 0.5, end=3600)), (GR, second, late))
    assert total(rows, "covered_seconds") == 3600
    assert total(rows) == 1800
