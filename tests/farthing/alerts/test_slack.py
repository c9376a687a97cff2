"""What Slack gets: within its limits, whatever an alert says, and text that pings nobody and links nowhere."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.models.blocks import Block

from farthing.alerts import Alert, Message, slack
from farthing.alerts.alert import message
from tests.farthing.alerts.takers import alert, project

#: docs.slack.dev/reference/block-kit: characters of a text by the type of its block, and blocks in a message.
LIMITS = {"header": 150, "section": 3000}
MOST_BLOCKS = 50
OURS = re.compile(r"<https://farthing\.acme\.example/?[^|<>]*\|(Open in farthing|Open|Open farthing|Chart)>")


def problems(body: dict[str, Any]) -> list[str]:
    """What Slack's documentation forbids and `body` has."""
    found = [] if 1 <= len(body["blocks"]) <= MOST_BLOCKS else [f"{len(body['blocks'])} blocks"]
    for block in body["blocks"]:
        text = block["text"]["text"]
        size = len(text.encode("utf-16-le")) // 2
        if not 1 <= size <= LIMITS[block["type"]]:
            found.append(f"{size} characters in a {block['type']}")
        if block["type"] == "header" and block["text"]["type"] != "plain_text":
            found.append("a header that is no plain text")
    if len(json.dumps(body["blocks"])) > 13_000:
        found.append("all blocks together")
    for block in Block.parse_all(body["blocks"]):
        block.validate_json()
    return found


def told(*alerts: Alert, dashboard: str | None = "https://farthing.acme.example") -> Message:
    settings = {} if dashboard is None else {"dashboard_url": dashboard}
    return message(project(Path(), settings), alerts)


def texts(body: dict[str, Any]) -> list[str]:
    return [body["text"], *(block["text"]["text"] for block in body["blocks"])]


HOSTILE = {
    "mentions": "<!channel> & <@U123|you>",
    "a link": "<https://evil.example|Open in farthing>",
    "entities": "&" * 2500,
    "emoji": "\N{PILE OF POO}" * 2500,
    "kana": "\N{HIRAGANA LETTER A}" * 2500,
    "quotes": '"\\' * 2500,
    "nothing": "",
    "controls": " \n\t\x00\x1b[2J",
    "turned": "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe",
}
ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(list(HOSTILE.values()))
ALERTS = st.builds(
    Alert,
    id=ANY,
    kind=st.sampled_from(["anomaly", "budget", "landing", "data", "run"]),
    event=st.sampled_from(["open", "doubled", "closed", "threshold"]),
    severity=st.sampled_from(["info", "warning", "critical"]),
    dimension=st.just("user"),
    key=ANY | st.none(),
    title=ANY,
    what=ANY,
    how_much=ANY,
    amount=st.none() | st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20),
    currency=st.just("USD"),
    why=st.lists(ANY, max_size=12).map(tuple),
    what_to_do=ANY,
    page=ANY,
    chart=ANY | ANY.map(lambda text: f"https://charts.example/{text}"),
)


@pytest.mark.slow
@given(st.lists(ALERTS, min_size=1, max_size=25))
def test_a_message_of_any_alerts_is_within_the_limits_of_block_kit(alerts: list[Alert]) -> None:
    assert not problems(slack.payload(told(*alerts)))


@pytest.mark.parametrize("count", [1, 2, 3, 20, 200])
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_however_many_alerts_of_however_much_text_are_within_the_limits(text: str, count: int) -> None:
    given = dict.fromkeys(("title", "what", "how_much", "what_to_do", "page", "key"), text)
    alerts = [alert(number, **given, why=(text,) * 12) for number in range(count)]
    assert not problems(slack.payload(told(*alerts)))


@given(st.lists(ALERTS, min_size=1, max_size=3))
def test_no_text_of_an_alert_is_markup(alerts: list[Alert]) -> None:
    without_charts = [Alert(**{**vars(one), "chart": ""}) for one in alerts]
    body = slack.payload(told(*without_charts))
    for text in texts(body):
        left = OURS.sub("", text)
        assert "<" not in left
        assert ">" not in left
        assert not re.search(r"&(?!amp;|lt;|gt;)", left)
    assert all(block["text"].get("verbatim", True) for block in body["blocks"])
    assert all(block["text"]["type"] == "plain_text" or block["text"]["verbatim"] for block in body["blocks"])


def test_a_user_id_pings_no_channel_and_is_still_to_be_read() -> None:
    body = slack.payload(told(alert(title="user <!channel> passed 100 USD", what="<https://evil.example|click>")))
    assert "&lt;!channel&gt; passed" in body["blocks"][0]["text"]["text"]
    assert body["blocks"][1]["text"] == {
        "type": "mrkdwn",
        "text": "&lt;https://evil.example|click&gt;",
        "verbatim": True,
    }


def test_what_is_too_long_is_cut_with_an_ellipsis_and_a_link_to_the_whole() -> None:
    body = slack.payload(told(alert(what="x" * 5000, title="y" * 500)))
    header, what, *_, last = (block["text"]["text"] for block in body["blocks"])
    assert (len(header), header[-1]) == (150, "\N{HORIZONTAL ELLIPSIS}")
    assert (len(what), what[-1]) == (2000, "\N{HORIZONTAL ELLIPSIS}")
    assert last == "<https://farthing.acme.example/anomalies?episode=1|Open in farthing>"


def test_an_alert_says_what_how_much_why_what_to_do_and_where() -> None:
    body = slack.payload(told(alert(chart="https://charts.acme.example/7.svg")))
    header, what, how_much, why, to_do, links = (block["text"]["text"] for block in body["blocks"])
    assert header == "warning: Team support spends twice as usual (1) (new)"
    assert what.startswith("Since 3 October")
    assert how_much == "*How much*: 1,640.80 USD more than expected in 4 days"
    assert why.splitlines()[1].startswith("\N{BULLET} model gpt-x: 71 %")
    assert to_do.startswith("*What to do*: Ask team support")
    assert links.endswith(" | <https://charts.acme.example/7.svg|Chart>")


def test_a_digest_has_the_most_urgent_first_and_says_how_many_more_there_are() -> None:
    alerts = [alert(number) for number in range(1, 25)]
    alerts.append(alert(99, severity="critical"))
    body = slack.payload(told(*alerts))
    header, first, *rest, last = (block["text"]["text"] for block in body["blocks"])
    assert header == "acme: 25 alerts, 1 of them critical"
    assert first.startswith("*critical: Team support spends twice as usual (99)")
    assert len(rest) == 19
    assert last.startswith("and 5 more")
    assert "<https://farthing.acme.example|" in last


@pytest.mark.parametrize("count", [1, 2])
def test_without_a_dashboard_there_is_no_link(count: int) -> None:
    body = slack.payload(told(*(alert(number) for number in range(count)), dashboard=None))
    assert not [text for text in texts(body) if "<" in text]
