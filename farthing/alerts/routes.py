"""Which channels are told of an alert: the first route that matches says so, else the default."""

from __future__ import annotations

import re

from farthing.alerts.alert import Alert
from farthing.config import Alerts
from farthing.pools import regex


def channels(settings: Alerts, alert: Alert) -> list[str]:
    """The names of the channels that are told of `alert`, each once; none when it is muted.

    A route matches when each of its keys does: kind, event, severity, dimension, the alert's own dimension by its name,
    or what its context has. A route for a dimension that the alert says nothing about does not match.
    """
    if alert.muted:
        return []
    values = {
        **alert.context,
        **({} if alert.key is None else {alert.dimension: alert.key}),
        "dimension": alert.dimension,
        "kind": alert.kind,
        "event": alert.event,
        "severity": alert.severity,
    }
    for route in settings.routes:
        if all(
            name in values and re.fullmatch(regex(patterns), values[name], re.DOTALL)
            for name, patterns in route.match.items()
        ):
            return list(dict.fromkeys(route.channels))
    return list(settings.channels if settings.default is None else dict.fromkeys(settings.default))
