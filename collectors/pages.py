"""Pages of a vendor's report as flat rows of text, and what charges and usage are made of from them.

The pages of OpenAI and Anthropic are alike: buckets of time (`data`), each with results. A result and its bucket become
one flat row: `{"amount": {"value": 1}}` is `amount_value = "1"`, numbers keep the digits they were written with, and
what is null is not there. The CSV files that the vendors' consoles export are rows of the same kind.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from collectors.lines import UnreadableError, blocks
from collectors.raw import LINE, RAW, CsvFile
from collectors.statements import rows_of

Row = dict[str, str]


def loads(text: str) -> Any:
    """JSON whose numbers are the text that they were written in.

    Raises:
        ValueError: it is no JSON.
    """
    return json.loads(text, parse_float=str, parse_int=str)


def rows_of_page(page: Any) -> Iterator[Row]:
    """The results of a page, each with its bucket.

    Raises:
        UnreadableError: it is no such page.
    """
    if not isinstance(page, dict) or not isinstance(page.get("data"), list):
        raise UnreadableError("this is no page of a report: it has no list 'data'")
    for bucket in page["data"]:
        if not isinstance(bucket, dict) or not isinstance(bucket.get("results"), list):
            raise UnreadableError("this is no page of a report: a bucket has no list 'results'")
        shared = {key: value for key, value in bucket.items() if key not in ("results", "object")}
        for result in bucket["results"]:
            if not isinstance(result, dict):
                raise UnreadableError("this is no page of a report: a result is no object")
            yield _flat({**shared, **result})


def _flat(value: Mapping[str, Any], prefix: str = "") -> Row:
    flat: Row = {}
    for key, inner in value.items():
        if isinstance(inner, dict):
            flat.update(_flat(inner, f"{prefix}{key}_"))
        elif inner is not None:
            flat[prefix + key] = inner if isinstance(inner, str) else json.dumps(inner, ensure_ascii=False)
    return flat


def _is_json(path: Path) -> bool:
    return next(blocks(path)).data.lstrip()[:1] in (b"{", b"[")


def looks_like_report(path: Path) -> bool:
    """Whether a file may be a saved report, by its beginning: a log of requests may be too long to be read for that."""
    begin = next(blocks(path)).data[:4096]
    return begin.lstrip()[:1] not in (b"{", b"[") or (b'"data"' in begin and b'"results"' in begin)


def names_of(path: Path) -> frozenset[str]:
    """The names by which the form of a saved file is told: a CSV file's header, or what the rows of its pages have."""
    if _is_json(path):
        return frozenset(name for row in _rows_of_json(path) for name in row)
    return frozenset(CsvFile(path).columns)


def more_follow(path: Path) -> bool:
    """Whether a saved file ends with a page that says that there are more."""
    pages = list(_pages(_text(path))) if _is_json(path) else []
    return bool(pages) and isinstance(pages[-1], dict) and pages[-1].get("has_more") in (True, "true")


def rows_of_file(path: Path, folder: Path) -> Iterator[tuple[int, str | None, Row]]:
    """The rows of a saved file with their line and, where it is known, their text; a damaged line has only PROBLEM."""
    if _is_json(path):
        for line, row in enumerate(_rows_of_json(path), 1):
            yield line, json.dumps(row, ensure_ascii=False), row
        return
    for cells in rows_of([path], folder).collect().iter_rows(named=True):
        number, text = cells.pop(LINE), cells.pop(RAW, None)
        yield number, text, {name: value for name, value in cells.items() if value not in (None, "")}


def _rows_of_json(path: Path) -> Iterator[Row]:
    """The rows of pages that stand one after the other, or in a list."""
    for page in _pages(_text(path)):
        yield from rows_of_page(page)


def _text(path: Path) -> str:
    pieces = list(blocks(path))
    if broken := [one for piece in pieces for one in piece.broken]:
        raise UnreadableError(broken[0].reason)
    try:
        return b"".join(piece.data for piece in pieces).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableError("the file is not UTF-8 text") from error


def _pages(text: str) -> Iterator[Any]:
    decoder = json.JSONDecoder(parse_float=str, parse_int=str)
    text, place = text.strip(), 0
    try:
        while place < len(text):
            value, place = decoder.raw_decode(text, place)
            yield from value if isinstance(value, list) else [value]
            while place < len(text) and text[place] in " \t\r\n":
                place += 1
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"these are no saved pages of a report ({error})") from error


def charge(provider: str, service: str, begin: datetime, end: datetime, amount: str | None) -> Row:
    """A charge for the use of a model, with what FOCUS demands of each.

    Raises:
        ValueError: there is no amount.
    """
    if amount is None:
        raise ValueError("the amount is missing")
    month = begin.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return {
        "ChargeCategory": "Usage",
        "ChargeFrequency": "Usage-Based",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceSubcategory": "Generative AI",
        "ServiceName": service,
        **dict.fromkeys(("ProviderName", "PublisherName", "InvoiceIssuerName", "ServiceProviderName"), provider),
        "ChargePeriodStart": begin.isoformat(),
        "ChargePeriodEnd": end.isoformat(),
        "BillingPeriodStart": month.isoformat(),
        "BillingPeriodEnd": (month + timedelta(days=32)).replace(day=1).isoformat(),
        **dict.fromkeys(("BilledCost", "EffectiveCost", "ContractedCost"), amount),
    }


def renamed(row: Row, names: Mapping[str, str]) -> Row:
    """What `row` has under the vendor's names (keys), under ours; taken out of it."""
    return {ours: row.pop(theirs) for theirs, ours in names.items() if theirs in row}


def unix_time(row: Row, name: str) -> datetime:
    """The moment of seconds since 1970; taken out of `row`.

    Raises:
        ValueError: there is none, or it is no number of this century.
    """
    text = row.pop(name, "nothing")
    try:
        moment = datetime.fromtimestamp(int(Decimal(text)), UTC)
    except (ArithmeticError, ValueError, OSError):
        raise ValueError(f"{name}: '{text}' is no time (seconds since 1970)") from None
    return moment


def iso_time(row: Row, name: str) -> datetime:
    """The moment of ISO 8601 text, UTC where it names no zone; taken out of `row`.

    Raises:
        ValueError: there is none, or it is no time.
    """
    text = row.pop(name, "nothing")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{name}: '{text}' is no time (ISO 8601)") from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def total(row: Row, names: Iterable[str]) -> str | None:
    """The sum of counts; None when one of them is not known.

    Raises:
        ValueError: one of them is no number.
    """
    values = [row.get(name) for name in names]
    if None in values:
        return None
    try:
        return format(sum((Decimal(value) for value in values if value is not None), Decimal()), "f")
    except ArithmeticError:
        raise ValueError(f"{', '.join(names)}: {', '.join(map(str, values))} are not all numbers") from None
