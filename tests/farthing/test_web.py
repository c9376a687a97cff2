"""A server that is busy, broken or slow is asked again; one that refuses is named with what to do."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
import stamina

from farthing import web as http
from farthing.errors import SourceError
from tests.servers import Answered, Asked, Web, web  # noqa: F401  # fixtures


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3):
        yield


def fetched(url: str, **settings: object) -> bytes:
    into = io.BytesIO()
    http.fetch(url, into, source="bill", **settings)  # type: ignore[arg-type]
    return into.getvalue()


def one_after_the_other(served: Web, *answers: Answered) -> None:
    left = list(answers)

    def answer(_: Asked) -> Answered:
        return left.pop(0) if len(left) > 1 else left[0]

    served.answer = answer


@pytest.mark.parametrize(
    "trouble",
    [
        Answered(status=429, headers={"Retry-After": "0"}),
        Answered(status=429),
        Answered(status=500, body=b"oops"),
        Answered(status=529),
        Answered(b"half", cut=100),
    ],
    ids=["throttled", "throttled without a time", "failed", "overloaded", "cut"],
)
def test_a_passing_trouble_is_not_seen(web: Web, trouble: Answered) -> None:  # noqa: F811
    one_after_the_other(web, trouble, Answered(b"whole"))
    assert fetched(web.endpoint + "/x") == b"whole"
    assert len(web.asked) == 2


def test_a_slow_answer_is_given_up_and_named(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr(http, "ANSWER_SECONDS", 0.05)
    web.answer = lambda _: Answered(b"drop by drop", pause=0.03)
    with pytest.raises(SourceError, match=r"/x: no whole answer \(not whole after 0 s\)"):
        fetched(web.endpoint + "/x")
    assert len(web.asked) == 3


def test_a_silent_server_is_given_up(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr(http, "SILENCE_SECONDS", 0.05)
    web.answer = lambda _: Answered(b"ab", pause=0.3)
    with pytest.raises(SourceError, match="no whole answer"):
        fetched(web.endpoint + "/x")


def test_throttling_without_end_says_later_and_nothing_secret(web: Web) -> None:  # noqa: F811
    web.answer = lambda _: Answered(status=429, headers={"Retry-After": "1"})
    with pytest.raises(SourceError, match=r"asked less often .HTTP 429.*again later") as caught:
        fetched(web.endpoint + "/x?signature=secret")
    assert "secret" not in str(caught.value)


def test_a_wait_of_an_hour_is_not_waited(web: Web) -> None:  # noqa: F811
    web.answer = lambda _: Answered(status=429, headers={"Retry-After": "3600"})
    with pytest.raises(SourceError, match="to wait 3600 s"):
        fetched(web.endpoint + "/x")
    assert len(web.asked) == 1


def test_a_refusal_is_told_at_once_with_what_the_server_says(web: Web) -> None:  # noqa: F811
    web.answer = lambda _: Answered(b'{"error": "key expired"}', status=401)
    with pytest.raises(SourceError, match=r'HTTP 401 Unauthorized: {"error": "key expired"}.*make a key'):
        fetched(web.endpoint + "/x", headers={"x-api-key": "k"}, fix="make a key.")
    assert len(web.asked) == 1


def test_a_key_is_not_carried_along_a_redirect(web: Web) -> None:  # noqa: F811
    web.answer = lambda _: Answered(status=302, headers={"Location": "/elsewhere"})
    with pytest.raises(SourceError, match="HTTP 302"):
        fetched(web.endpoint + "/x", headers={"x-api-key": "k"})
    assert [asked.path for asked in web.asked] == ["/x"]


def test_nobody_there_is_an_error_in_words() -> None:
    with pytest.raises(SourceError, match="no whole answer"):
        fetched("http://127.0.0.1:1/x")


def test_a_strange_address_is_an_error_in_words() -> None:
    with pytest.raises(SourceError, match=r"no address|no whole answer"):
        fetched("http://[/x")
