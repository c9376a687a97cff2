"""Who is told what, and how: `[alerts]`, its channels, and the routes between alerts and channels."""

from __future__ import annotations

from email.errors import MessageError
from email.headerregistry import Address
from email.utils import parseaddr
from typing import Annotated, Literal, get_args

from pydantic import Field, field_validator, model_validator

from farthing.config.section import Name, Patterns, Section

AlertKind = Literal["anomaly", "budget", "landing", "data", "run", "report"]
AlertEvent = Literal["open", "doubled", "closed", "threshold"]
Severity = Literal["info", "warning", "critical"]

#: Secrets are named, never written: a key that holds one is the name of an environment variable.
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]

_NEEDED = {
    "slack": {"url_env"},
    "email": {"host", "from", "to"},
    "webhook": {"url_env", "secret_env"},
    "stdout": set[str](),
}
_TAKEN = {
    "slack": {"ca_file"},
    "email": {"port", "security", "username", "password_env", "ca_file"},
    "webhook": {"ca_file"},
    "stdout": set[str](),
}


class Channel(Section):
    """`[alerts.channels.NAME]`: a place where people or programs are told."""

    kind: Literal["slack", "email", "webhook", "stdout"]
    url_env: VariableName | None = None  # slack, webhook: the environment variable with the https:// address
    secret_env: VariableName | None = None  # webhook: the one with the key that signs
    host: str | None = None  # email: the SMTP server
    port: int | None = Field(default=None, ge=1, le=65535)  # by default 587, with security tls 465
    security: Literal["starttls", "tls"] = "starttls"
    from_: str | None = Field(default=None, alias="from")
    to: list[str] = Field(default_factory=list)
    username: str | None = None
    password_env: VariableName | None = None
    ca_file: str | None = None  # PEM file of certificate authorities that are trusted besides the usual ones

    @field_validator("from_", "to")
    @classmethod
    def _addresses(cls, value: str | list[str] | None) -> str | list[str] | None:
        for address in [value] if isinstance(value, str) else value or []:
            try:
                Address(addr_spec=parseaddr(address)[1])
                if not (address.isprintable() and "@" in address):
                    raise ValueError
            except (ValueError, IndexError, MessageError):
                raise ValueError(f"'{address}' is no e-mail address, for example 'finops@acme.example'") from None
        return value

    @model_validator(mode="after")
    def _complete(self) -> Channel:
        given = {"from" if name == "from_" else name for name in self.model_fields_set} - {"kind"}
        if missing := sorted(_NEEDED[self.kind] - given):
            raise ValueError(f"a channel of kind '{self.kind}' needs {', '.join(missing)}")
        if unused := sorted(given - _NEEDED[self.kind] - _TAKEN[self.kind]):
            raise ValueError(f"a channel of kind '{self.kind}' has no {', '.join(unused)}")
        if self.kind == "email" and not self.to:
            raise ValueError("to names nobody")
        if (self.username is None) != (self.password_env is None):
            raise ValueError("username and password_env go together")
        return self


class Route(Section):
    """`[[alerts.routes]]`: which channels are told; the first route that matches takes an alert."""

    #: kind, event, severity, or a dimension (team, model, ...) -> pattern; none takes all.
    match: dict[str, Patterns] = Field(default_factory=dict)
    channels: list[Name]  # an empty list mutes: such alerts are kept and told to nobody

    @field_validator("match")
    @classmethod
    def _possible(cls, value: dict[str, Patterns]) -> dict[str, Patterns]:
        for name, known in (("kind", AlertKind), ("event", AlertEvent), ("severity", Severity)):
            patterns = value.get(name, [])
            for pattern in [patterns] if isinstance(patterns, str) else patterns:
                if not set(pattern) & set("*?") and pattern not in get_args(known):
                    raise ValueError(f"no alert has the {name} '{pattern}'; there are {', '.join(get_args(known))}")
        return value


class Alerts(Section):
    """`[alerts]`: who is told of anomalies, budgets and failures."""

    channels: dict[Name, Channel] = Field(default_factory=dict)
    routes: list[Route] = Field(default_factory=list)
    default: list[Name] | None = None  # channels of what no route takes; by default all
    maximum: int = Field(default=20, ge=1, le=20)  # alerts spelled out in one message; the others are counted
    give_up_after: int = Field(default=24, ge=1)  # runs that try to deliver an alert before it is a dead letter
    #: Where the dashboard is, for links.
    dashboard_url: Annotated[str, Field(pattern=r"^https?://[^\s<>|\"?#@]+$", max_length=200)] | None = None

    @model_validator(mode="after")
    def _known_channels(self) -> Alerts:
        named = [*(self.default or []), *(name for route in self.routes for name in route.channels)]
        if unknown := sorted(set(named) - set(self.channels)):
            raise ValueError(f"there is no channel {', '.join(unknown)}; add [alerts.channels.{unknown[0]}]")
        return self
