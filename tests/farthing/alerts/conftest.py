from __future__ import annotations

from tests.farthing.alerts.takers import authority, ca_file, certificate, https, smtp

__all__ = ["authority", "ca_file", "certificate", "https", "smtp"]
