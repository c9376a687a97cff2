"""`collect --listen`: traces that are sent are kept in a folder, which the next `collect` reads."""

from __future__ import annotations

import fnmatch
import re
import signal
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from farthing import console
from farthing.cli import common
from farthing.config import Config
from farthing.console import Form
from farthing.errors import ConfigError, FarthingError
from farthing.lake.schemas import REQUESTS, SPANS

if TYPE_CHECKING:
    from collectors.otlp_spool import Spool
    from farthing.lake import Lake

_KINDS = ("otel", "vllm")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_LOOK_SECONDS = 1.0
_CLEAN_SECONDS = 600.0
#: What a segment is called, for example.
_NAME = "otlp-20261101T100000000000-1.jsonl"


def receive(config: Config, names: Sequence[str], listen: str, folder: Path | None) -> None:
    """Receive traces at `listen` for the one source that is named, until SIGTERM or Ctrl-C.

    Raises:
        ConfigError: the source cannot read what is received, a package is missing, or nobody may listen there.
    """
    from collectors.otlp_messages import parsed
    from collectors.otlp_names import allowed
    from collectors.otlp_receiver import Receiver
    from collectors.otlp_spool import Spool
    from collectors.traces import own_attributes

    if len(names) != 1:
        raise typer.BadParameter("--listen takes the name of one source, for example `farthing collect otlp --listen`.")
    host, port = address(listen)
    place = _folder(config, names[0], folder)
    parsed(b"")  # a missing package is said now, not to the first client
    traces = [source for source in config.sources.values() if source.kind in _KINDS]
    keep = allowed(name for source in traces for name in own_attributes(source))
    try:
        spool = Spool(place)
    except OSError as error:
        raise ConfigError(
            f"cannot be written: {error.strerror}.", file=place, fix="name another folder with --spool."
        ) from error
    receiver = Receiver(host, port, spool, keep, _say)
    stopped = threading.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda *_: stopped.set())
    serving = threading.Thread(target=receiver.serve)
    serving.start()
    _say(f"listening on http://{host}:{receiver.port}/v1/traces, for {place}")
    if host not in _LOOPBACK:
        _say("whoever reaches this address can write to the folder: let only your own machines.")
    if names[0] in config.sources:
        threading.Thread(target=_keep_clean, args=(config, names[0], spool, stopped), daemon=True).start()
    try:
        while not stopped.wait(_LOOK_SECONDS):
            receiver.seal_old()
    finally:
        receiver.stop()
        serving.join()
    _say(f"stopped; {receiver.taken:,} exports were taken.")


def address(listen: str) -> tuple[str, int]:
    """Host and port of `host:port`, `[host]:port` or a port alone, which is one of this machine only.

    Raises:
        typer.BadParameter: it is none of them.
    """
    found = re.fullmatch(r"(?:(?:\[([0-9a-fA-F:]+)\]|([^:\[\]]*)):)?(\d{1,5})", listen)
    if not found or int(found[3]) > 65535:
        raise typer.BadParameter(f"'{listen}' is no address; write it like 127.0.0.1:4318.")
    return found[1] or found[2] or "127.0.0.1", int(found[3])


def _folder(config: Config, name: str, given: Path | None) -> Path:
    """Where what is received goes: where the source `name` reads, or the folder that was given."""
    source = config.sources.get(name)
    if source is None:
        if given is not None:
            return given.resolve()
        raise ConfigError(
            "there is no such source to receive for.",
            key=f"sources.{name}",
            fix='kind = "otel" and path = "traces/*.jsonl", or name a folder with --spool.',
        )
    if source.kind not in _KINDS:
        raise ConfigError(f"kind '{source.kind}' reads no traces.", key=f"sources.{name}.kind", fix='kind = "otel".')
    if given is not None:
        return given.resolve()
    for pattern in source.patterns:
        path = Path(config.location(pattern))
        if "://" not in pattern and not re.search(r"[*?\[]", str(path.parent)) and fnmatch.fnmatch(_NAME, path.name):
            return path.parent
    raise ConfigError(
        f"it would not read what is received, files like {_NAME}.",
        key=f"sources.{name}.path",
        fix='path = "traces/*.jsonl", or name a folder with --spool.',
    )


def _keep_clean(config: Config, name: str, spool: Spool, stopped: threading.Event) -> None:
    """Remove from time to time what has landed."""
    from farthing.locks import alone

    while True:
        with suppress(FarthingError, OSError):  # the next time will do
            lake = common.open_lake(config)
            with alone(config.root, "collect", lambda _: None):
                clean(config, lake, name, spool)
        if stopped.wait(_CLEAN_SECONDS):
            return


def clean(config: Config, lake: Lake, name: str, spool: Spool) -> list[Path]:
    """Remove the segments that have landed, as they are, in every table; the newest stays, so that one is there."""
    from collectors.landing import landed_files

    tables = (REQUESTS, SPANS)
    known = landed_files(lake, tables, name)
    root, removed = config.root.resolve(), []
    for path in spool.sealed()[:-1]:
        facts = path.stat()
        called = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
        mark = f"{facts.st_size}-{facts.st_mtime_ns}-"
        if all(known.get((table.name, called), "").startswith(mark) for table in tables):
            path.unlink()
            removed.append(path)
    return removed


def _say(text: str) -> None:
    console.say(text, form=Form.JSON)
