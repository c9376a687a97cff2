"""Units of measure as FOCUS writes them, from whatever a provider writes.

FOCUS 1.2 (attribute Unit Format) knows `GB`, `GB-Hours`, `GB/Hour`, `1000 Requests` and `Units/3 Months`: sizes and
times have fixed names, and a time after a hyphen stands in the plural.
"""

from __future__ import annotations

import re
from functools import lru_cache

import polars as pl

_TIMES = {
    "Second": "s sec secs second seconds segundo segundos sekunde sekunden seconde secondes 秒",
    "Minute": "min mins minute minutes minuto minutos minuten 分 分钟",
    "Hour": "h hr hrs hour hours hora horas stunde stunden heure heures ora ore uur uren 小时 時間",
    "Day": "d day days dia dias día días tag tage jour jours giorno giorni dag dagen 天 日",
    "Month": "mo mos month months mes meses monat monate mois mese mesi maand maanden 月",
    "Year": "yr yrs year years año años jahr jahre an ans anno anni jaar 年",
}
_PREFIXES = {"K": "kilo", "M": "mega", "G": "giga", "T": "tera", "P": "peta", "E": "exa"}
_BINARY = {"Ki": "kibi", "Mi": "mebi", "Gi": "gibi", "Ti": "tebi", "Pi": "pebi", "Ei": "exbi"}
_SIZES = {"b", "B"} | {f"{one}{size}" for one in (*_PREFIXES, *_BINARY) for size in "bB"}
_SIZE_OF = {
    **{size.lower(): size for size in sorted(_SIZES, reverse=True) if size.endswith("B")},
    **{f"{word}{of}": f"{short}B" for short, word in (_PREFIXES | _BINARY).items() for of in ("byte", "bytes")},
    **dict.fromkeys(("byte", "bytes"), "B"),
    **dict.fromkeys(("bit", "bits"), "b"),
}
_TIME_OF = {word: time for time, words in _TIMES.items() for word in words.split()}
_MULTIPLES = {"": 1, "K": 1_000, "M": 1_000_000, "B": 1_000_000_000}
_WORDS = {"obj": "Object", "objs": "Objects", "req": "Request", "reqs": "Requests"}

_SIZE = "|".join(sorted(_SIZES))
_COUNT = r"[A-Za-z][A-Za-z0-9]*(?: [A-Za-z][A-Za-z0-9]*)*"
_ONE, _MANY = "|".join(_TIMES), "|".join(f"{time}s" for time in _TIMES)
#: What the attribute Unit Format allows.
UNIT_FORMAT = re.compile(
    rf"(?:{_SIZE}|{_COUNT})(?:-(?:{_MANY})|/(?:{_ONE})|/\d+ (?:{_MANY}))?|\d+ (?:{_SIZE}|{_COUNT})", re.ASCII
)


def in_focus_units(unit: pl.Expr) -> pl.Expr:
    """Units as FOCUS writes them; null stays null."""
    return unit.map_batches(_translated, return_dtype=pl.String, is_elementwise=True)


def _translated(units: pl.Series) -> pl.Series:
    known = units.drop_nulls().unique()
    return units.replace_strict(known, [focus_unit(one) for one in known], default=None, return_dtype=pl.String)


@lru_cache(maxsize=10_000)
def focus_unit(text: str) -> str | None:
    """A unit in the form of FOCUS, `Units` where nothing but a number is said; null for no text.

    `Hrs` is `Hours`, `GB-Mo` is `GB-Months`, `gibibyte month` is `GiB-Months`, `10K` is `10000 Units`.
    """
    rest = re.sub(r"\([^)]*\)", " ", text.replace("(s)", "s")).strip()
    if not rest:
        return None
    rest, count = re.sub(r"^\d+[KMB]?-", "", rest), 1  # "64K-Chunks" are chunks
    if found := re.match(r"(\d[\d,]*) ?([KMB](?![A-Za-z]))?(?![\d.])\s*", rest):
        count = int(found[1].replace(",", "")) * _MULTIPLES[found[2] or ""]
        rest = re.sub(r"^1 ", "", rest[found.end() :])
    elif rest[:1].isdigit():
        return "Units"  # of something that FOCUS cannot count, such as 1.5 of it
    rest = re.sub(r"(?i)^(per|por|pro|par)\s+", "", rest)
    what, _, per = re.sub(r"(?i)\s+(per|por|pro|par)\s+", "/", rest).partition("/")
    made = _rate(_words(what), per, count) if _words(per) else _plain(_words(what), count)
    return made if UNIT_FORMAT.fullmatch(made) else "Units"


def _plain(words: list[str], count: int) -> str:
    time = _TIME_OF.get(words[-1].lower()) if words else None
    if time is None:
        unit, joint, times = _named(words) or "Units", "", ""
    else:
        unit, joint, times = _named(words[:-1]), "-", f"{time}s"
    if not unit:
        return times if count == 1 else f"{count} {times}"
    return f"{unit}{joint}{times}" if count == 1 else f"{count} {unit} {times}".rstrip()


def _rate(words: list[str], per: str, count: int) -> str:
    interval, over = re.match(r"\s*(\d*)", per)[1], _words(re.sub(r"^\s*\d+", "", per))  # type: ignore[index]
    time = _TIME_OF.get(over[-1].lower()) if over else None
    unit = _named(words) or "Units"
    if time is None:
        made = " per ".join(filter(None, (unit, _named(over))))
        return made if count == 1 else f"{count} {made}"
    if count != 1:  # FOCUS has no form for a number of units in a time
        return f"{count} {re.sub('^Units$', 'Unit', unit)} {time}s"
    return f"{unit}/{time}" if interval in ("", "1") else f"{unit}/{interval} {time}s"


def _words(text: str) -> list[str]:
    """The words of a unit by their letters alone; numbers (`1,000s` is one) are none, nor is what nobody knows."""
    found = re.findall(r"[^\W_][\w.,]*", text)
    words = [re.sub(r"[\W_]", "", word) for word in found if not word[0].isnumeric()]
    return [word for word in words if word.isascii() or word.lower() in _TIME_OF]


def _named(words: list[str]) -> str:
    """The words of a unit that counts or sizes something, as FOCUS writes them."""
    made = []
    for word in words:
        plain = word.lower()
        if word in _SIZES:
            made.append(word)
        elif plain in _SIZE_OF:
            made.append(_SIZE_OF[plain])
        elif plain in _WORDS:
            made.append(_WORDS[plain])
        elif plain in _TIME_OF and len(plain) > 2:
            made.append(f"{_TIME_OF[plain]}s")
        else:
            made.append(word[:1].upper() + word[1:] if word.islower() else word)
    return " ".join(filter(None, made))
