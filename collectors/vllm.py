"""vLLM: what its servers say of each request in traces, among it how long it waited for a place in a batch."""

from __future__ import annotations

from collectors.traces import Traces

COLLECTOR = Traces(server=True)
