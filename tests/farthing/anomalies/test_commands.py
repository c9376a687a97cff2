"""`farthing anomalies`: found, listed, judged and muted from the command line, and any series in a file."""

from __future__ import annotations

import csv
import shutil
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from farthing import clock
from tests.farthing.anomalies.conftest import NOW, SPIKE
from tests.farthing.commands import farthing

pytestmark = pytest.mark.slow  # a project is built and asked for each


@pytest.fixture(scope="module")
def looked_at(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project after one look."""
    folder = tmp_path_factory.mktemp("looked") / "project"
    shutil.copytree(project, folder)
    with clock.fixed(NOW):
        said = farthing("anomalies", "detect", "--project", folder, "--json")
    assert said.code == 1
    assert {row["key"] for row in said.value} >= {"node-1", "heavy"}
    return folder


def test_a_second_look_finds_nothing_new_and_exits_0(looked_at: Path) -> None:
    with clock.fixed(NOW):
        assert farthing("anomalies", "detect", "--project", looked_at).code == 0


def test_the_list_ranks_by_money_and_can_be_narrowed(looked_at: Path) -> None:
    every = farthing("anomalies", "--project", looked_at, "--json").value
    impacts = [row["impact"] for row in every]
    assert impacts == sorted(impacts, reverse=True)
    assert all(row["level"] == "page" for row in every)
    going_on = farthing("anomalies", "--project", looked_at, "--open", "--json").value
    assert 0 < len(going_on) < len(every)
    [spike] = [row for row in every if row["dimension"] == "total" and row["first_day"] == SPIKE.isoformat()]
    assert spike["cause"][0]["slice"] == {"sku": "gb"}
    since = farthing("anomalies", "--project", looked_at, "--since", SPIKE + timedelta(days=1), "--json").value
    assert spike["episode_id"] not in {row["episode_id"] for row in since}
    below = farthing("anomalies", "--project", looked_at, "--details", "--scope", "pool=storage", "--json").value
    assert [row["parent_id"] for row in below] == [spike["episode_id"]]


def test_people_read_what_happened_and_why(looked_at: Path) -> None:
    said = farthing("anomalies", "--project", looked_at).out
    assert "node-1: its GPUs did nothing for 27 days and cost 1,296.00 USD" in said
    assert "sku gb (88." in said
    rows = list(csv.DictReader(farthing("anomalies", "--project", looked_at, "--csv").out.splitlines()))
    assert any("volume +100" in row["why"] for row in rows)


def test_feedback_and_mutes_are_in_the_warehouse_at_once(looked_at: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(looked_at, folder)
    [idle] = [row for row in farthing("anomalies", "--project", folder, "--json").value if row["rule"] == "idle"]
    said = farthing("anomalies", "feedback", idle["episode_id"], "planned", "--note", "spare", "--project", folder)
    assert said.code == 0
    rows = farthing("anomalies", "--project", folder, "--json").value
    assert [(row["state"], row["verdict"]) for row in rows if row["rule"] == "idle"] == [("planned", "planned")]
    until = (NOW.date() + timedelta(days=30)).isoformat()
    [made] = farthing(
        "anomalies", "mute", "--dimension", "user", "--until", until, "--reason", "known", "--project", folder, "--json"
    ).value
    assert made["until_day"] == until
    going_on = farthing("anomalies", "--open", "--project", folder, "--json").value
    assert "user" not in {row["dimension"] for row in going_on}
    [ended] = farthing("anomalies", "mutes", "--end", made["mute_id"], "--project", folder, "--json").value
    assert ended["ended_at"] is not None


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["feedback", "nothing", "true"], "no such episode"),
        (["mute"], "mutes everything"),
        (["mutes", "--end", "nothing"], "no such mute"),
        (["--since", "yesterday"], "no day"),
        (["--out", "x.parquet"], "go with --series"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_mistakes_are_named_and_exit_2(looked_at: Path, arguments: list[str], told: str) -> None:
    said = farthing("anomalies", *arguments, "--project", looked_at)
    assert said.code == 2
    assert told in " ".join(said.err.split())


def _series(folder: Path) -> Path:
    path = folder / "series.csv"
    lines = ["uid,ds,y"]
    for number in range(60):
        day = date(2026, 1, 1) + timedelta(days=number)
        lines.append(f"steady,{day},{150 if number == 50 else 100}")
        if number >= 20:
            lines.append(f"short,{day},{number % 3 + 7}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_any_series_is_judged_without_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out" / "found.parquet"
    said = farthing("anomalies", "--series", _series(tmp_path), "--out", out)
    assert said.code == 0, said.err
    table = pl.read_parquet(out)
    assert table.columns == ["uid", "ds", "expected", "score", "flagged", "episode"]
    assert table.height == 60 + 40
    assert table.schema["flagged"] == pl.Boolean
    flagged = table.filter("flagged")
    assert flagged.select("uid", "ds", "episode").rows() == [("steady", date(2026, 2, 20), 1)]
    assert flagged["expected"].to_list() == pytest.approx([100])
    assert table.filter(pl.col("ds") < date(2026, 1, 15))["score"].null_count() == 14


def test_a_series_file_can_be_csv_and_a_table_and_mistakes_are_named(tmp_path: Path) -> None:
    series = _series(tmp_path)
    assert farthing("anomalies", "--series", series, "--out", tmp_path / "found.csv").code == 0
    assert (tmp_path / "found.csv").read_text().startswith("uid,ds,expected,score,flagged,episode\n")
    assert len(farthing("anomalies", "--series", series, "--json").value) == 100
    assert farthing("anomalies", "--series", tmp_path / "none.csv").code == 2
    assert farthing("anomalies", "--series", series, "--out", tmp_path / "found.txt").code == 2


def test_a_company_of_one_day_has_no_history_and_no_anomaly(tiny_project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(tiny_project, folder)
    said = farthing("anomalies", "detect", "--project", folder, "--json")
    assert (said.code, said.value) == (0, []), said.err
    assert farthing("anomalies", "--project", folder).code == 0
