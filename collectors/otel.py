"""OpenTelemetry: traces of applications, gateways and servers that follow its conventions for generative AI."""

from __future__ import annotations

from collectors.traces import Traces

COLLECTOR = Traces()
