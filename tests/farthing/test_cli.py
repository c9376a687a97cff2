"""The command line as a whole: help, documentation, exit codes, and what a user sees when something goes wrong."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

import farthing as package
from farthing import warehouse
from farthing.cli import app
from tests.farthing.commands import farthing
from tests.worlds import TOML, tiny

DOCS = Path(package.__file__).resolve().parent.parent / "docs" / "cli.md"


def _commands(group: Any = None, path: str = "farthing") -> Iterator[tuple[str, Any]]:
    commands: dict[str, Any] = getattr(group or typer.main.get_command(app), "commands", {})
    for name, command in commands.items():
        below = getattr(command, "commands", None)
        if below is None or command.invoke_without_command:
            yield f"{path} {name}", command
        if below is not None:
            yield from _commands(command, f"{path} {name}")


COMMANDS = dict(_commands())


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_has_help_an_example_and_help_for_each_option(path: str) -> None:
    command = COMMANDS[path]
    said = farthing(*path.split()[1:], "--help")
    assert said.code == 0
    assert command.help
    assert re.search(rf"Example: {path}\b", said.out), said.out
    undocumented = [parameter.name for parameter in command.params if not getattr(parameter, "help", None)]
    assert undocumented == []


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_is_documented_with_an_example(path: str) -> None:
    sections = re.split(r"^### ", DOCS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    section = next((text for text in sections if text.startswith(f"`{path}`\n")), "")
    assert re.search(rf"```\n{path}\b.*\n```", section), f"docs/cli.md has no section with an example for `{path}`"


def test_no_command_is_documented_that_is_not_there() -> None:
    assert set(re.findall(r"^### `(.+)`$", DOCS.read_text(encoding="utf-8"), flags=re.MULTILINE)) == set(COMMANDS)


@pytest.mark.parametrize("path", sorted(set(COMMANDS) - {"farthing dashboard", "farthing agent"}))
def test_every_command_that_prints_a_table_offers_json_and_a_project(path: str) -> None:
    options = {option for parameter in COMMANDS[path].params for option in parameter.opts}
    assert {"--json", "--project"} <= options


def test_the_version_is_shown() -> None:
    assert farthing("--version").out.strip() == package.__version__


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["query"],
        ["collect", "--nonsense"],
        ["reconcile", "October"],
        ["reconcile", "2026-13"],
        ["build", "--as-of", "yesterday"],
        ["build", "--from", "2026-02-30"],
        ["tables", "--json", "--csv"],
    ],
)
def test_wrong_usage_exits_2_and_says_so_without_a_traceback(arguments: list[str], tiny_project: Path) -> None:
    project = [] if arguments == ["nonsense"] else ["--project", str(tiny_project)]
    said = farthing(*arguments, *project)
    assert said.code == 2
    assert said.out == ""
    assert "Traceback" not in said.err
    assert said.err


def test_the_project_is_found_upwards_from_the_current_folder(
    tiny_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_project / "bills")
    assert farthing("query", "select 1 as one", "--json").value == [{"one": 1}]


def test_the_environment_names_the_project_as_the_dashboard_is_told_it(
    tiny_project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FARTHING_PROJECT", str(tiny_project))
    assert farthing("query", "select 1 as one", "--json").value == [{"one": 1}]


def test_a_folder_that_is_no_project_exits_2_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for said in (farthing("build"), farthing("build", "--project", tmp_path)):
        assert said.code == 2
        assert "farthing init" in said.err


def test_a_mistake_in_the_configuration_names_file_and_key(tmp_path: Path) -> None:
    tiny(tmp_path / "company", toml=TOML.replace('driver = "requests"', 'drivr = "requests"'))
    said = farthing("collect", "--project", tmp_path / "company")
    assert said.code == 2
    assert "farthing.toml" in said.err
    assert "pools.2.drivr" in said.err


def test_a_broken_environment_variable_is_said_in_words(tiny_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FARTHING_LAKE", "/somewhere")
    said = farthing("build", "--project", tiny_project)
    assert said.code == 2
    assert "bug" not in said.err


def test_a_bug_prints_no_traceback_but_writes_one_into_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny(tmp_path / "company")

    def broken(_config: object) -> None:
        raise ZeroDivisionError("what nobody thought of")

    monkeypatch.setattr(warehouse, "open_warehouse", broken)
    said = farthing("query", "select 1", "--project", folder)
    assert said.code == 1
    assert "Traceback" not in said.out + said.err
    assert "what nobody thought of" in said.err
    [report] = (folder / ".farthing").iterdir()
    assert str(report) in said.err.replace("\n", "")
    text = report.read_text(encoding="utf-8")
    assert "Traceback" in text
    assert package.__version__ in text


def _child(*arguments: object) -> subprocess.Popen[str]:
    """The command in a process of its own, which says `ready` when its imports are done."""
    # A job that a shell put into the background ignores Ctrl-C: the child takes it as from a terminal.
    listening = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{listening}; from farthing.cli import main; print('ready', flush=True); main()"
    child = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(DOCS.parent.parent)},
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


@pytest.mark.slow
def test_ctrl_c_stops_with_130_and_one_line(tiny_project: Path) -> None:
    endless = "select count(*) from range(100000000) a, range(100000) b where sin(a.range) * cos(b.range) > 0.5"
    child = _child("query", endless, "--project", tiny_project)
    time.sleep(4)
    child.send_signal(signal.SIGINT)
    try:
        out, err = child.communicate(timeout=30)
    finally:
        child.kill()
    assert child.returncode == 130
    assert out == ""
    assert len(err.strip().splitlines()) == 1, err


def test_ctrl_c_inside_a_build_stops_the_same_way(tiny_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise RuntimeError("Query interrupted")  # what DuckDB makes of the signal

    monkeypatch.setattr("farthing.build.build", interrupted)
    said = farthing("build", "--project", tiny_project)
    assert said.code == 130
    assert "stopped" in said.err


@pytest.mark.slow
def test_a_reader_that_closes_the_pipe_is_no_error(tiny_project: Path) -> None:
    child = _child("query", "from range(2000000)", "--csv", "--project", tiny_project)
    assert child.stdout is not None
    assert child.stderr is not None
    assert child.stdout.readline() == "range\n"
    child.stdout.close()
    assert child.stderr.read() == ""
    child.stderr.close()
    child.wait(timeout=30)


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["tables"],
        ["tables", "user_day"],
        ["query", "from cost_ledger"],
        ["reconcile", "2026-10"],
        ["pools", "test"],
        ["doctor"],
        ["explain", "user", "alice"],
        ["explain", "request", "req-04"],
        ["explain", "charge", "bills/october.csv:12"],
        ["collect"],
        ["build"],
    ],
)
def test_json_is_one_value_and_nothing_else_and_csv_is_one_table(arguments: list[str], tiny_project: Path) -> None:
    as_json = farthing(*arguments, "--json", "--project", tiny_project)
    assert as_json.code in (0, 1)
    assert isinstance(json.loads(as_json.out), list | dict)
    as_csv = farthing(*arguments, "--csv", "--project", tiny_project)
    assert as_csv.code == as_json.code
    lines = as_csv.out.splitlines()
    assert len(lines) > 1
    assert "," in lines[0]
