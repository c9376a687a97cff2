"""A message as an e-mail of text and HTML, and its way to an SMTP server, never without TLS."""

from __future__ import annotations

import hashlib
import mimetypes
import smtplib
import ssl
from contextlib import suppress
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from pathlib import Path

from farthing import clock
from farthing.alerts import words
from farthing.alerts.alert import Alert, Message
from farthing.alerts.outcome import PassingError, RefusedError
from farthing.config import Channel

_PORTS = {"starttls": 587, "tls": 465}
_SUBJECT_CHARACTERS = 150
_CHART_BYTES = 2_000_000


def letter(message: Message, channel: Channel) -> EmailMessage:
    """The e-mail; the same alerts have the same Message-ID, by which mail servers know what comes twice."""
    sender = channel.from_ or ""
    mail = EmailMessage()
    mail["Subject"] = words.cut(words.clean(message.subject), _SUBJECT_CHARACTERS)
    mail["From"] = _address(sender)
    mail["To"] = [_address(one) for one in channel.to]
    mail["Date"] = format_datetime(clock.now())
    said = "\n".join(f"{alert.identity} {alert.event}" for alert in message.everything)
    number = hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()[:32]
    mail["Message-ID"] = f"<{number}@{parseaddr(sender)[1].rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence answers it
    mail.set_content(words.plain(message))
    charts = [(alert.identity, *chart) for alert in message.alerts if (chart := _chart(alert)) is not None]
    shown = {name: f"chart{place}" for place, (name, kind, _) in enumerate(charts) if kind == "png"}
    mail.add_alternative(words.page(message, shown), subtype="html")
    page = mail.get_payload()[1]  # type: ignore[index]
    for name, kind, data in charts:
        if name in shown:
            page.add_related(data, "image", kind, cid=f"<{shown[name]}>")  # type: ignore[union-attr]
        else:  # few programs show SVG in a text
            mail.add_attachment(data, "image", kind, filename="chart.svg")
    for file in message.attachments:
        kind, _, subtype = (mimetypes.guess_type(file.name)[0] or "application/octet-stream").partition("/")
        mail.add_attachment(file.content, kind, subtype, filename=file.name)
    return mail


class Delivery:
    """One e-mail on its way; who has it is not sent it again when the way is tried once more."""

    def __init__(self, mail: EmailMessage, channel: Channel, password: str | None, trust: ssl.SSLContext) -> None:
        self._mail, self._channel, self._password, self._trust = mail, channel, password, trust
        self._left = [parseaddr(address)[1] for address in channel.to]
        self._refused: dict[str, str] = {}

    def send(self, silence_seconds: float) -> str:
        """Bring it to all who do not have it, once, and give what came back.

        Raises:
            PassingError: no answer, or not now.
            RefusedError: the server takes it for nobody.
        """
        try:
            server = self._connected(silence_seconds)
            try:
                self._log_in(server)
                said = self._hand_over(server)
            except BaseException:
                server.close()
                raise
            with suppress(smtplib.SMTPException, OSError):  # it has the message: how it says goodbye is no matter
                server.quit()
        except smtplib.SMTPResponseException as error:
            raise _classed(error.smtp_code, error.smtp_error) from None
        except smtplib.SMTPException as error:  # an OSError, so that it comes first
            if isinstance(error, smtplib.SMTPServerDisconnected):
                raise PassingError(f"no whole answer ({error})") from None
            raise RefusedError(f"the server cannot do what is needed: {error}") from None
        except OSError as error:
            raise PassingError(f"no whole answer ({str(error) or type(error).__name__})") from None
        return said

    @property
    def left_out(self) -> int:
        """How many recipients do not have it."""
        return len(self._left) + len(self._refused)

    @property
    def reached(self) -> bool:
        """Whether somebody has it."""
        return self.left_out < len(self._channel.to)

    def _connected(self, silence_seconds: float) -> smtplib.SMTP:
        host, security = self._channel.host or "", self._channel.security
        port = self._channel.port or _PORTS[security]
        if security == "tls":
            return smtplib.SMTP_SSL(host, port, timeout=silence_seconds, context=self._trust)
        server = smtplib.SMTP(host, port, timeout=silence_seconds)
        try:
            server.starttls(context=self._trust)
        except BaseException:
            server.close()
            raise
        return server

    def _log_in(self, server: smtplib.SMTP) -> None:
        if self._channel.username is not None and self._password is not None:
            server.login(self._channel.username, self._password)

    def _hand_over(self, server: smtplib.SMTP) -> str:
        everybody = len(self._channel.to)
        try:
            later = server.send_message(self._mail, to_addrs=self._left)
        except smtplib.SMTPRecipientsRefused as error:
            later = error.recipients
        self._refused |= {who: _words(*said) for who, said in later.items() if said[0] >= 500}
        self._left = [who for who, said in later.items() if said[0] < 500]
        if self._left:
            said = next(_words(*later[who]) for who in self._left)
            raise PassingError(f"not taken for {len(self._left)} of {everybody} recipients: {said}")
        if len(self._refused) == everybody:
            raise RefusedError(f"taken for nobody: {next(iter(self._refused.values()))}")
        if self._refused:
            said = "; ".join(f"{who}: {answer}" for who, answer in self._refused.items())
            return f"taken, but not for {len(self._refused)} of {everybody} recipients ({said})"
        return "taken"


def _classed(code: int, said: bytes | str) -> PassingError | RefusedError:
    return RefusedError(_words(code, said)) if code >= 500 else PassingError(_words(code, said))


def _words(code: int, said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return f"SMTP {code}: {' '.join(text.split())}"


def _address(text: str) -> Address:
    name, address = parseaddr(text)
    return Address(name, addr_spec=address)


def _chart(alert: Alert) -> tuple[str, bytes] | None:
    """The kind and the bytes of a picture that lies in a file; an alert goes out although its picture is gone."""
    path = Path(alert.chart)
    kind = {".png": "png", ".svg": "svg+xml"}.get(path.suffix.lower())
    if not alert.chart or "://" in alert.chart or kind is None:
        return None
    try:
        return (kind, path.read_bytes()) if path.stat().st_size <= _CHART_BYTES else None
    except OSError:
        return None
