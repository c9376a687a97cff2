"""Pages show all currencies in the reporting one, where it is configured, and say by which rates, or what lacks."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from farthing import figures
from tests import exchange

Open = Callable[..., AppTest]
RATES = "converted at the rates of each day \\(ecb\\), 1 Oct \N{EN DASH} 2 Oct 2026"


def said(app: AppTest) -> str:
    assert not app.exception
    return "\n".join(str(one.value) for one in (*app.markdown, *app.subheader))


def chosen(app: AppTest, period: str) -> AppTest:
    return app.selectbox(key="period").set_value(period).run()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exchange.publish(tmp_path_factory.mktemp("company"))


@pytest.mark.slow
def test_the_first_page_gives_the_totals_of_all_currencies_and_the_rates(project: Path, opened: Open) -> None:
    text = said(chosen(opened(project, "overview"), "2026-10"))
    assert "**All currencies in EUR**: spend 97.00 · revenue 250.00 · gross margin 93.2 %" in text
    assert RATES in text
    text = said(chosen(opened(project, "overview"), "2026-11"))
    assert f"**All currencies in EUR**: spend {figures.MISSING} · revenue {figures.MISSING}" in text
    assert r"no rate] 5\.00 CHF on 1 day" in text


@pytest.mark.slow
def test_the_page_of_bills_has_each_currency_with_its_rates_and_no_sum_where_one_lacks(
    project: Path, opened: Open
) -> None:
    app = chosen(opened(project, "bills"), "2026-10")
    assert f"All currencies together are 97.00 EUR, {RATES}" in said(app)
    [table] = [one.value for one in app.dataframe if list(one.value.columns)[:2] == ["currency", "ledger"]]
    rows = {row["currency"]: row for row in table.to_dict("records")}
    assert (rows["USD"]["in EUR"], rows["EUR"]["in EUR"]) == (90, 7)
    assert (rows["USD"]["lowest rate"], rows["USD"]["highest rate"]) == (Decimal("0.625"), Decimal("0.8"))
    app = chosen(opened(project, "bills"), "2026-11")
    assert r"What all currencies are in EUR is not known: no rate for 5\.00 CHF on 1 day" in said(app)
