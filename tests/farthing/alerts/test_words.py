"""Alerts as values and as text for people."""

from __future__ import annotations

import json
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from farthing.alerts import mail, webhook, words
from farthing.alerts.alert import from_json, message
from farthing.config import Channel
from tests.farthing.alerts.takers import alert, project

POST = Channel.model_validate(
    {"kind": "email", "host": "localhost", "from": "farthing <farthing@acme.example>", "to": ["ops@acme.example"]}
)
#: The smallest PNG: one transparent pixel.
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360000000020001"
    "e221bc330000000049454e44ae426082"
)


@pytest.mark.parametrize("amount", [Decimal("1640.800000000001"), 1640.8, None], ids=["billed", "estimate", "unknown"])
def test_an_alert_comes_back_from_its_text_with_the_kind_of_its_amount(amount: Decimal | float | None) -> None:
    before = alert(amount=amount, currency="USD", context={"team": "support"}, step=2)
    after = from_json(before.to_json())
    assert after == before
    assert type(after.amount) is type(amount)


@pytest.mark.parametrize("text", ["[]", "{}", '{"kind": "noise"}', "no json", '{"amount": "many"}'])
def test_what_is_no_alert_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"alert|Expecting"):
        from_json(text)


@pytest.mark.parametrize(
    "wrong",
    [{"kind": "noise"}, {"event": "again"}, {"severity": "loud"}, {"amount": 1.0}, {"amount": float("nan")}],
    ids=["kind", "event", "severity", "no currency", "no number"],
)
def test_an_alert_of_an_unknown_kind_or_with_half_an_amount_is_not_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="alert"):
        alert(**wrong)


def test_an_amount_without_words_is_said_in_its_currency() -> None:
    said = words.plain(message(project(Path(), {}), [alert(how_much="", amount=Decimal("1640.8"), currency="EUR")]))
    assert "How much: 1,640.80 EUR" in said


def test_text_moves_no_cursor_and_turns_no_writing() -> None:
    hostile = alert(title="a\x1b[2J\u202eb", what="c\r\nd", why=("e\x07",), what_to_do="f\u2066")
    said = words.plain(message(project(Path(), {}), [hostile]))
    assert not [one for one in said if (not one.isprintable() and one != "\n")]
    assert "c d" in said


def test_a_letter_is_text_and_html_with_the_same_content_and_no_markup_of_an_alerts_own() -> None:
    hostile = alert(title="<script>alert(1)</script>\r\nBcc: everybody@acme.example", why=("<b>1</b>", "2"))
    letter = mail.letter(message(project(Path(), {}), [hostile]), POST)
    text, page = letter.iter_parts()
    assert letter["Bcc"] is None
    assert letter["From"] == "farthing <farthing@acme.example>"
    assert "  - <b>1</b>" in text.get_content()
    assert "<script>" not in page.get_content()
    assert "&lt;b&gt;1&lt;/b&gt;" in page.get_content()


class Tags(HTMLParser):
    """The names of all elements and the addresses of all links of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: set[str | None] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.links |= {value for name, value in attrs if name in ("href", "src")}
        assert {name for name, _ in attrs} <= {"href", "src", "alt", "style"}


def test_no_part_of_an_alert_makes_an_element_or_a_link_in_a_letter() -> None:
    hostile = '"><img src=https://evil.example onerror=alert(1)><script>'
    texts: dict[str, Any] = dict.fromkeys(("title", "what", "how_much", "what_to_do", "page", "key", "id"), hostile)
    told = message(
        project(Path(), {"dashboard_url": "https://f.example"}),
        [
            alert(**texts, why=(hostile,), chart=f"https://charts.example/{hostile}"),
            alert(**texts, why=(hostile, hostile)),
        ],
    )
    tags = Tags()
    tags.feed(words.page(told))
    assert tags.names == {"html", "body", "h2", "p", "b", "ul", "li", "a"}
    assert all(str(link).startswith(("https://f.example/", "https://charts.example/")) for link in tags.links)


def test_a_picture_is_in_the_letter_and_one_that_is_gone_keeps_it_from_nobody(tmp_path: Path) -> None:
    (tmp_path / "chart.png").write_bytes(PNG)
    (tmp_path / "chart.svg").write_text("<svg/>", encoding="utf-8")
    alerts = [
        alert(1, chart=str(tmp_path / "chart.png")),
        alert(2, chart=str(tmp_path / "chart.svg")),
        alert(3, chart=str(tmp_path / "gone.png")),
    ]
    letter = mail.letter(message(project(tmp_path, {}), alerts), POST)
    kinds = [part.get_content_type() for part in letter.walk() if not part.is_multipart()]
    assert kinds == ["text/plain", "text/html", "image/png", "image/svg+xml"]
    [page] = [part for part in letter.walk() if part.get_content_type() == "text/html"]
    assert page.get_content().count('src="cid:chart0"') == 1


def test_the_same_alerts_have_the_same_message_id_and_others_another() -> None:
    settings = project(Path(), {})
    ids = [mail.letter(message(settings, [alert(number)]), POST)["Message-ID"] for number in (1, 1, 2)]
    assert ids[0] == ids[1] != ids[2]


def test_a_program_gets_all_alerts_and_amounts_that_lose_no_digit() -> None:
    alerts = [alert(number, amount=Decimal("0.100000000001"), currency="USD") for number in range(30)]
    body = json.loads(json.dumps(webhook.payload(message(project(Path(), {"maximum": 3}), alerts))))
    assert [one["id"] for one in body["alerts"]] == [f"episode-{number}" for number in range(30)]
    assert {one["amount"] for one in body["alerts"]} == {"0.100000000001"}


def test_a_page_of_a_strange_name_is_an_address_still() -> None:
    told = message(project(Path(), {"dashboard_url": "https://f.example/x/"}), [alert()])
    assert told.link(alert(page="users?user=a b|<c>")) == "https://f.example/x/users?user=a%20b%7C%3Cc%3E"
    assert told.link(alert(page="u" * 600)) == "https://f.example/x/"
