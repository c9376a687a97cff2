from __future__ import annotations

from tests.servers import moto_endpoint, s3, web

__all__ = ["moto_endpoint", "s3", "web"]
