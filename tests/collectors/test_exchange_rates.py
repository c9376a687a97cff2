"""Exchange rates: the ECB's files as people download them, its data portal's, and a small table of one's own."""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from farthing.errors import ConfigError
from farthing.lake.schemas import EXCHANGE_RATES

HISTORY = """\
Date,USD,JPY,CYP,GBP,
2026-11-24,1.1525,178.05,N/A,0.8712,
2026-11-23,1.1510,177.9,N/A,N/A,
2007-12-31,1.4721,164.93,0.585274,0.73335,
"""
TODAY = "Date, USD, JPY, GBP, \n24 November 2026, 1.1525, 178.05, 0.8712, \n"
PORTAL = """\
KEY,FREQ,CURRENCY,CURRENCY_DENOM,EXR_TYPE,EXR_SUFFIX,TIME_PERIOD,OBS_VALUE,OBS_STATUS,UNIT_MULT,TITLE
EXR.D.USD.EUR.SP00.A,D,USD,EUR,SP00,A,2026-11-20,1.1525,A,0,"US dollar, Euro"
EXR.D.USD.EUR.SP00.A,D,USD,EUR,SP00,A,2026-11-21,,H,0,"US dollar, Euro"
EXR.D.JPY.EUR.SP00.A,D,JPY,EUR,SP00,A,2026-11-20,178.05,A,0,"Japanese yen, Euro"
"""


def rates(world: Any) -> dict[tuple[str, str, str], Decimal]:
    return {
        (row["day"].isoformat(), row["currency"], row["base"]): row["rate"].normalize()
        for row in world.rows(EXCHANGE_RATES)
    }


def packed(*names: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, HISTORY)
    return made.getvalue()


def test_each_cell_of_the_wide_table_that_has_a_rate_is_one(world: Any) -> None:
    world.write("eurofxref-hist.csv", HISTORY)
    result = world.one("exchange_rates", "*.csv")
    assert (result.read, result.landed, result.rejected, result.form) == (9, 9, 0, "ECB reference rates")
    assert rates(world) == {
        ("2026-11-24", "USD", "EUR"): Decimal("1.1525"),
        ("2026-11-24", "JPY", "EUR"): Decimal("178.05"),
        ("2026-11-24", "GBP", "EUR"): Decimal("0.8712"),
        ("2026-11-23", "USD", "EUR"): Decimal("1.151"),
        ("2026-11-23", "JPY", "EUR"): Decimal("177.9"),
        ("2007-12-31", "USD", "EUR"): Decimal("1.4721"),
        ("2007-12-31", "JPY", "EUR"): Decimal("164.93"),
        ("2007-12-31", "CYP", "EUR"): Decimal("0.585274"),
        ("2007-12-31", "GBP", "EUR"): Decimal("0.73335"),
    }


def test_the_day_in_words_of_the_newest_rates_is_a_day(world: Any) -> None:
    world.write("eurofxref.csv", TODAY)
    assert world.one("exchange_rates", "*.csv").landed == 3
    assert {row["day"] for row in world.rows(EXCHANGE_RATES)} == {date(2026, 11, 24)}


def test_the_zip_of_the_ecb_is_read_as_it_comes(world: Any) -> None:
    world.write("eurofxref-hist.zip", packed("eurofxref-hist.csv"))
    result = world.one("exchange_rates", "*.zip")
    assert (result.landed, result.form) == (9, "ECB reference rates")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (packed("one.csv", "two.csv"), "the .zip holds 2 files; one CSV file is expected"),
        (packed("one.csv")[:100], "this is no readable .zip"),
    ],
    ids=["two files", "cut short"],  # a packed file carries its time, and workers must name a case alike
)
def test_a_zip_that_is_not_one_whole_file_fails_as_a_whole(world: Any, content: bytes, problem: str) -> None:
    world.write("rates.zip", content)
    result = world.one("exchange_rates", "*.zip")
    assert result.status == "failed"
    assert problem in result.problem


def test_the_long_table_of_the_data_portal_is_read_and_a_day_without_a_value_has_no_rate(world: Any) -> None:
    world.write("portal.csv", PORTAL)
    result = world.one("exchange_rates", "portal.csv")
    assert (result.read, result.landed, result.form) == (2, 2, "ECB data portal")
    assert rates(world) == {
        ("2026-11-20", "USD", "EUR"): Decimal("1.1525"),
        ("2026-11-20", "JPY", "EUR"): Decimal("178.05"),
    }


def test_the_wide_table_of_the_data_portal_is_read_by_the_keys_in_its_header(world: Any) -> None:
    header = '"DATE","TIME PERIOD","US dollar/Euro (EXR.D.USD.EUR.SP00.A)","Yen/Euro (EXR.D.JPY.EUR.SP00.A)"\n'
    world.write(
        "portal.csv", header + '"2026-11-20","20 Nov 2026","1.1525","178.05"\n"2026-11-21","21 Nov 2026","",""\n'
    )
    result = world.one("exchange_rates", "portal.csv")
    assert (result.read, result.landed, result.form) == (2, 2, "ECB reference rates")
    assert rates(world) == {
        ("2026-11-20", "USD", "EUR"): Decimal("1.1525"),
        ("2026-11-20", "JPY", "EUR"): Decimal("178.05"),
    }


def test_what_the_portal_says_of_months_or_indices_is_no_rate_of_a_day(world: Any) -> None:
    header, row, *_ = PORTAL.splitlines()
    rows = [row.replace(",D,", ",M,"), row.replace("SP00,A", "EN00,A"), row.replace("A,0", "A,2")]
    world.write("portal.csv", "\n".join([header, *rows]) + "\n")
    assert world.one("exchange_rates", "portal.csv").rejected == 3
    assert world.rejects() == [
        (2, "FREQ is M, not D: this is no rate of a day"),
        (3, "EXR_TYPE is EN00, not SP00: this is no rate of a day"),
        (4, "UNIT_MULT is 2, not 0: this is no rate of a day"),
    ]


def test_a_table_of_ones_own_takes_a_column_map(world: Any) -> None:
    world.write("book.csv", "on,of,in,rate\n2026-10-01,CHF,USD,0.8012345678901234\n")
    result = world.one("exchange_rates", "book.csv", columns={"day": "on", "currency": "of", "base": "in"})
    assert (result.landed, result.form) == (1, "table of rates")
    assert rates(world) == {("2026-10-01", "CHF", "USD"): Decimal("0.8012345678901234")}


def test_a_wide_table_in_another_base_says_so_by_a_constant(world: Any) -> None:
    world.write("wide.csv", "Date,EUR\n2026-10-01,0.87\n")
    assert world.one("exchange_rates", "wide.csv", constants={"base": "USD"}).landed == 1
    assert rates(world) == {("2026-10-01", "EUR", "USD"): Decimal("0.87")}


def test_a_table_without_what_a_rate_needs_is_an_error_that_names_it(world: Any) -> None:
    world.write("book.csv", "day,currency,price\n2026-10-01,CHF,0.8\n")
    with pytest.raises(ConfigError, match="required column 'base'"):
        world.one("exchange_rates", "book.csv")


NO_RATES = {
    "2026-10-01,USD,EUR,0": "rate is not above 0: 0",
    "2026-10-01,USD,EUR,-1.15": "rate is not above 0: -1.15",
    "2026-10-01,USD,EUR,1.15 USD": "rate: '1.15 USD' is no plain decimal number",
    "2026-10-01,USD,EUR,1000000000": "rate 1000000000.000000000000000000000000 is not between 0.00000001 and 100000000",
    "2026-10-01,USD,EUR,0.1234567890123456789": "rate 0.123456789012345678900000 has more than 18 decimals",
    "2026-10-01,USD,EUR,": "rate is missing",
    "2026-10-01,usd,EUR,1.15": "currency usd is no ISO 4217 currency code",
    "2026-10-01,USD,XXX,1.15": "base XXX is no ISO 4217 currency code",
    "2026-10-01,EUR,EUR,1": "currency and base are the same",
    "01.10.2026,USD,EUR,1.15": "day: '01.10.2026' is no day",
    "2026-10-01,USD,EUR": "the line has 3 fields, the header has 4",
}


def test_a_row_that_is_no_rate_is_refused_with_line_and_reason(world: Any) -> None:
    world.write("book.csv", "\n".join(["day,currency,base,rate", "2026-10-02,USD,EUR,1.16", *NO_RATES]) + "\n")
    result = world.one("exchange_rates", "book.csv")
    assert (result.landed, result.rejected) == (1, len(NO_RATES))
    for (line, said), (number, reason) in zip(world.rejects(), enumerate(NO_RATES.values(), 3), strict=True):
        assert (line, said[: len(reason)]) == (number, reason)


def test_a_bad_cell_and_a_bad_day_of_the_wide_table_name_the_line_of_the_file(world: Any) -> None:
    bad = HISTORY.replace("177.9,", "0,").replace("0.73335", "n.n.").replace("2026-11-24,", "yesterday,")
    world.write("eurofxref-hist.csv", bad + "2007-12-28,1.4,1\n")
    result = world.one("exchange_rates", "*.csv")
    assert (result.read, result.landed, result.rejected) == (8, 4, 4)
    said = world.rejects()
    assert [line for line, _ in said] == [2, 3, 4, 5]
    assert said[0][1] == "Date: 'yesterday' is no day"
    assert said[1][1].startswith("rate is not above 0: 0")
    assert said[2][1].startswith("rate: 'n.n.' is no plain decimal number")
    assert said[3][1] == "the line has 3 fields, the header has 6"


def test_of_one_day_given_twice_in_a_file_the_last_line_counts(world: Any) -> None:
    world.write("hist.csv", "Date,USD,JPY,\n2026-11-24,1.1,170,\n2026-11-24,1.2,N/A,\n")
    result = world.one("exchange_rates", "hist.csv")
    assert (result.read, result.landed, result.duplicate) == (3, 2, 1)
    assert rates(world) == {
        ("2026-11-24", "USD", "EUR"): Decimal("1.2"),
        ("2026-11-24", "JPY", "EUR"): Decimal(170),
    }


def test_collected_again_nothing_changes_and_a_newer_download_replaces_the_older(world: Any) -> None:
    world.write("hist.csv", HISTORY)
    assert world.one("exchange_rates", "hist.csv").status == "landed"
    assert world.one("exchange_rates", "hist.csv").status == "unchanged"
    world.write("hist.csv", HISTORY.replace("Date,USD,JPY,CYP,GBP,\n", "Date,USD,JPY,CYP,GBP,\n2026-11-25,1.2,,,,\n"))
    assert world.one("exchange_rates", "hist.csv").landed == 10
    assert len(world.rows(EXCHANGE_RATES)) == 10


def test_the_newest_rates_beside_the_history_add_only_what_that_does_not_have(world: Any) -> None:
    world.write("a.csv", HISTORY)
    world.write("b.csv", TODAY.replace("24 November", "25 November"))
    world.write("c.csv", TODAY)
    landed = {result.file: (result.landed, result.duplicate) for result in world.collect("exchange_rates", "*.csv")}
    assert landed == {"a.csv": (9, 0), "b.csv": (3, 0), "c.csv": (0, 3)}


def test_an_address_is_read_like_a_file(world: Any, tmp_path: Path) -> None:
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "eurofxref-hist.zip").write_bytes(packed("eurofxref-hist.csv"))
    with served(tmp_path / "served") as address:
        result = world.one("exchange_rates", f"{address}/eurofxref-hist.zip")
    assert (result.landed, result.form) == (9, "ECB reference rates")


def test_the_preview_shows_rates(world: Any) -> None:
    from tests.collectors.conftest import collector

    world.write("hist.csv", HISTORY)
    made = world.config("exchange_rates", "hist.csv")
    shown = collector("exchange_rates").preview("one", made.sources["one"], made)
    assert shown.select("currency", "base").rows() == [("USD", "EUR")] * 3


@contextmanager
def served(folder: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
