"""Named moments around every commit, so that tests can stop or kill farthing exactly there.

`lake.TABLE.before` and `lake.TABLE.after` surround each write of rows to a lake table, `publish.before` and
`publish.after` the publishing of a warehouse. `ship.put.before`, `ship.put.after` and `ship.seen` (its arrival was read
back) are those of what a GPU node ships. Outside tests nothing is registered and `reached` does nothing.
"""

from __future__ import annotations

from collections.abc import Callable

_callbacks: dict[str, Callable[[], None]] = {}


def reached(name: str) -> None:
    """Say that the moment `name` has come: calls what `on` registered for it."""
    callback = _callbacks.get(name)
    if callback is not None:
        callback()


def on(name: str, callback: Callable[[], None] | None) -> None:
    """Call `callback` each time the moment `name` comes; None takes the registration back."""
    if callback is None:
        _callbacks.pop(name, None)
    else:
        _callbacks[name] = callback
