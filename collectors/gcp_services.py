"""Which FOCUS service category a Google Cloud service, or one of its SKUs, belongs to.

FOCUS gives a service one category. What Compute Engine bills and is no computing has therefore a name of its own.
"""

from __future__ import annotations

import polars as pl

#: Category -> pattern over the service's description; the first that matches counts, so the special stand first.
_OF_SERVICE = {
    "AI and Machine Learning": r"vertex ai|gemini|generative|ai platform|machine learning|\bautoml\b|dialogflow|"
    r"contact center ai|document ai|\bvision\b|natural language|translat|speech|recommend|cloud tpu|"
    r"agent builder|model garden|discovery engine|\b(claude|llama|mistral|anthropic)\b|notebooks",
    "Databases": r"\bsql\b|spanner|firestore|datastore|bigtable|alloydb|memorystore|redis|mongodb",
    "Analytics": r"bigquery|dataflow|dataproc|composer|looker|data fusion|dataplex|data catalog|dataprep|analytics",
    "Networking": r"network|\bdns\b|\bcdn\b|\bvpn\b|interconnect|load balanc|\bnat\b|service mesh|traffic director",
    "Storage": r"storage|filestore|backup|netapp|parallelstore|lustre|artifact analysis",
    "Integration": r"pub/?sub|cloud tasks|workflows|scheduler|eventarc|apigee|application integration|api gateway",
    "Security": r"security|\bkms\b|key management|secret manager|armor|recaptcha|certificate|data loss|chronicle",
    "Identity": r"identity|directory|\biam\b",
    "Management and Governance": r"logging|monitoring|\btrace\b|profiler|operations|support|config|asset inventory",
    "Developer Tools": r"cloud build|artifact registry|container registry|source repositor|workstations|deploy",
    "Mobile": r"firebase",
    "Migration": r"migrat|transfer",
    "Media": r"media|transcoder|live stream|video",
    "Internet of Things": r"\biot\b",
    "Web": r"maps|places|geocod|routes",
    "Business Applications": r"workspace|meet",
    "Compute": r"compute engine|kubernetes|cloud run|app engine|functions|vmware|bare metal|\bbatch\b",
}
#: What Compute Engine bills and is no computing, by the SKU's description; `_NAMES` says what it is called then.
_OF_COMPUTE_ENGINE = {
    "Networking": r"egress|ingress|data transfer|external ip|static ip|load balanc|\bvpn\b|cloud nat|network",
    "Storage": r"\bpd\b|persistent disk|hyperdisk|snapshot|storage (image|pd)|machine image",
}


_NAMES = {"Networking": "Networking", "Storage": "Persistent Disk"}


def service_category(service: pl.Expr, sku: pl.Expr) -> pl.Expr:
    """The FOCUS service category by the descriptions of service and SKU; Other where nothing is known."""
    name = service.fill_null("").str.to_lowercase()
    chosen: pl.Expr = pl.lit("Other")
    for category, pattern in reversed(_OF_SERVICE.items()):
        chosen = pl.when(name.str.contains(pattern)).then(pl.lit(category)).otherwise(chosen)
    return pl.coalesce(_part(service, sku), chosen)


def part_of_compute_engine(service: pl.Expr, sku: pl.Expr) -> pl.Expr:
    """The name of what Compute Engine bills and is no computing; null for everything else."""
    return _part(service, sku).replace_strict(_NAMES, default=None, return_dtype=pl.String)


def _part(service: pl.Expr, sku: pl.Expr) -> pl.Expr:
    name, meter = (text.fill_null("").str.to_lowercase() for text in (service, sku))
    chosen: pl.Expr = pl.lit(None, pl.String)
    for category, pattern in _OF_COMPUTE_ENGINE.items():
        is_that = (name == "compute engine") & meter.str.contains(pattern)
        chosen = pl.when(is_that).then(pl.lit(category)).otherwise(chosen)
    return chosen
