"""A message as text that people read: plain for terminals and e-mails, HTML for e-mails."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterator

from farthing.alerts.alert import Alert, Message

#: No text of an alert is longer in a message; what is longer is cut where one sees it.
_LONGEST = 2000
_MOST_CAUSES = 10
_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
#: Characters that turn the direction of what follows: an id with one could show as another.
_TURNING = {chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
_EVENTS = {"open": "new", "doubled": "doubled", "closed": "over", "threshold": "threshold passed"}


def clean(value: str) -> str:
    """`value` in one line, without characters that move a cursor or turn the direction of writing."""
    kept = "".join(" " if unicodedata.category(one) in ("Cc", "Cs") or one in _TURNING else one for one in value)
    return " ".join(kept.split())


def cut(value: str, limit: int) -> str:
    """`value` in at most `limit` characters; an ellipsis says where it was cut."""
    return value if len(value) <= limit else value[: limit - 1] + _ELLIPSIS


def heading(alert: Alert) -> str:
    """The first line of an alert: how severe, what, and whether it is new."""
    return f"{alert.severity}: {cut(clean(alert.title), 300)} ({_EVENTS[alert.event]})"


def parts(alert: Alert) -> Iterator[tuple[str, list[str]]]:
    """What there is to say below the heading: a label, which may be empty, and lines, none of them empty."""
    causes = [cause for cause in map(clean, alert.why) if cause]
    left = len(causes) - _MOST_CAUSES
    for label, lines in (
        ("", [alert.what]),
        ("How much", [alert.money]),
        ("Why", [*causes[:_MOST_CAUSES], *([f"and {left} more"] if left > 0 else [])]),
        ("What to do", [alert.what_to_do]),
    ):
        if said := [cut(line, _LONGEST) for line in map(clean, lines) if line]:
            yield label, said


def more(message: Message) -> str:
    """The line about what is not spelled out; empty when all is."""
    return f"and {message.more:,} more: `farthing alerts` lists them all" if message.more else ""


def plain(message: Message) -> str:
    """The message as plain text."""
    lines: list[str] = []
    for alert in message.alerts:
        lines.append(heading(alert))
        for label, said in parts(alert):
            if len(said) == 1:
                lines.append(f"  {label}: {said[0]}" if label else f"  {said[0]}")
            else:
                lines += [f"  {label}:", *(f"  - {one}" for one in said)]
        lines += [f"  {link}" for link in links(message, alert).values()]
        lines.append("")
    return "\n".join([*lines, *([more(message), ""] if message.more else [])])


def page(message: Message, pictures: dict[str, str] | None = None) -> str:
    """The message as HTML; `pictures` gives the content id of the picture of an alert's identity."""
    rows = []
    for alert in message.alerts:
        said = [f'<h2 style="font-size:16px;margin:24px 0 8px">{html.escape(heading(alert))}</h2>']
        for label, lines in parts(alert):
            name = f"<b>{label}</b>: " if label else ""
            if len(lines) == 1:
                said.append(f"<p>{name}{html.escape(lines[0])}</p>")
            else:
                said.append(f"<p>{name}</p><ul>{''.join(f'<li>{html.escape(one)}</li>' for one in lines)}</ul>")
        if identifier := (pictures or {}).get(alert.identity):
            said.append(f'<p><img src="cid:{html.escape(identifier)}" alt="Chart" style="max-width:100%"></p>')
        shown = [f'<a href="{html.escape(link)}">{name}</a>' for name, link in links(message, alert).items()]
        said += [f"<p>{' | '.join(shown)}</p>"] if shown else []
        rows += said
    rows += [f"<p>{html.escape(more(message))}</p>"] if message.more else []
    body = "\n".join(rows)
    return f'<!doctype html>\n<html><body style="font-family:sans-serif;max-width:720px">\n{body}\n</body></html>\n'


def links(message: Message, alert: Alert) -> dict[str, str]:
    """Where one can look: the page of the dashboard, and the chart where it has an address."""
    found = {"Open in farthing": message.link(alert)}
    if alert.chart.startswith("https://") and len(alert.chart) <= 500 and alert.chart.isprintable():
        found["Chart"] = "".join(one if one not in "<>|\"' " else f"%{ord(one):02X}" for one in alert.chart)
    return {name: link for name, link in found.items() if link}
