"""How a file of sql/ reads: a header that says what, and the form that every other file has."""

from __future__ import annotations

import re

import pytest

from farthing.build import runner

ROOMS = ("staging", "core", "marts", "exports", "checks/bill", "checks/day", "checks/warehouse")
FILES = sorted(runner.texts(*ROOMS).items())


@pytest.mark.parametrize(("name", "text"), FILES, ids=[name for name, _ in FILES])
def test_a_file_says_what_it_is_and_reads_like_the_others(name: str, text: str) -> None:
    table = name.rpartition("/")[2].removesuffix(".sql")
    assert text.startswith(f"-- {table}: ")
    assert text.endswith("\n")
    code = "\n".join(line.partition("--")[0] for line in text.splitlines())
    assert "\t" not in text
    words = re.sub(r"'[^']*'", "''", code)
    assert re.findall(r"\b(SELECT|FROM|WHERE|JOIN|GROUP|AND|AS|CASE|WITH)\b", words) == []
    if not name.startswith("checks"):
        assert re.search(r"^-- grain: ", text, re.MULTILINE)
        assert text.rstrip().endswith("select * from final")
    if not name.startswith("checks") and name.startswith(("core", "marts")):
        money = re.findall(r"cost\w*\s*(?:as|::)\s*double|as double\)\s+as \w*cost", code)
        assert money == []  # no money through DOUBLE


@pytest.mark.parametrize(("name", "text"), [file for file in FILES if file[0].startswith("marts")])
def test_a_mart_says_what_each_of_its_columns_means(name: str, text: str) -> None:
    final = text[text.index("final as (") :]
    body = final[: final.index("\n    from ")]
    columns = [
        re.split(r"\s+as\s+|\.", line.strip().rstrip(","))[-1]
        for line in body.splitlines()[2:]
        if re.match(r"^        [^ )]", line)
    ]
    told = re.findall(r"^-- column (\w+): .+", text, re.MULTILINE)
    assert [column for column in columns if re.fullmatch(r"\w+", column) and column not in told] == []
    assert len(told) == len(set(told))
