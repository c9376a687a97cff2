"""Which machine of which cloud this node is, from the cloud's metadata service: the ResourceId that its bill names.

AWS IMDSv2 (docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html), Google Cloud
(cloud.google.com/compute/docs/metadata), Azure (learn.microsoft.com/azure/virtual-machines/instance-metadata-service).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from farthing.errors import SourceError

TIMEOUT_SECONDS = 1.0
_LINK_LOCAL = "http://169.254.169.254"
_DMI = Path("/sys/class/dmi/id")
#: What the firmware of a virtual machine says of its maker, without asking anybody.
_AZURE_ASSET = "7783-7084-3265-9085-8269-3286-77"


@dataclass(frozen=True)
class Machine:
    """A billed machine: `resource` is its ResourceId in the bill; the rest finds its list price."""

    resource: str
    provider: str | None = None
    region: str | None = None
    instance_type: str | None = None


def cloud_of(dmi: Path = _DMI) -> str | None:
    """AWS, Google Cloud or Microsoft by this machine's firmware; empty: none of them; None: it does not say."""

    def said(name: str) -> str | None:
        try:
            return (dmi / name).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return None

    vendor = said("sys_vendor")
    if vendor is None:
        return None
    if vendor == "Amazon EC2":
        return "AWS"
    if vendor == "Google":
        return "Google Cloud"
    return "Microsoft" if said("chassis_asset_tag") == _AZURE_ASSET else ""


def machine(cloud: str | None, endpoints: Mapping[str, str] | None = None) -> Machine | None:
    """This machine as its cloud bills it; None where no cloud answers. `cloud` as `cloud_of` says it.

    Raises:
        SourceError: it is a cloud's machine, and the metadata service does not answer.
    """
    if cloud == "":
        return None
    for name, ask in _ASK.items():
        if cloud in (None, name):
            found = _asked(ask, (endpoints or {}).get(name, _ENDPOINTS[name]))
            if found is not None:
                return found
    if cloud is None:
        return None
    raise SourceError(
        f"this is a machine of {cloud}, and its metadata service does not answer.",
        source="metadata",
        fix="let the agent reach 169.254.169.254 (in a container: the host's network, or a hop limit of 2), "
        "or name the machine as the bill does in FARTHING_RESOURCE.",
    )


def _asked(ask: Callable[[httpx.Client], Machine | None], endpoint: str) -> Machine | None:
    """The answer of one service; None when there is none, or it is not that cloud's."""
    try:
        with httpx.Client(base_url=endpoint, timeout=TIMEOUT_SECONDS, trust_env=False) as client:
            return ask(client)
    except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _aws(client: httpx.Client) -> Machine:
    token = client.put("/latest/api/token", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"}).raise_for_status()
    told = _json(client, "/latest/dynamic/instance-identity/document", {"X-aws-ec2-metadata-token": token.text.strip()})
    return Machine(told["instanceId"], "AWS", told.get("region"), told.get("instanceType"))


def _google(client: httpx.Client) -> Machine | None:
    answer = client.get("/computeMetadata/v1/?recursive=true", headers={"Metadata-Flavor": "Google"}).raise_for_status()
    if answer.headers.get("Metadata-Flavor") != "Google":
        return None
    told = answer.json()
    instance, zone = told["instance"], told["instance"]["zone"].rpartition("/")[2]
    resource = (
        f"//compute.googleapis.com/projects/{told['project']['projectId']}/zones/{zone}/instances/{instance['id']}"
    )
    kind = instance.get("machineType", "").rpartition("/")[2] or None
    return Machine(resource, "Google Cloud", zone.rpartition("-")[0], kind)


def _azure(client: httpx.Client) -> Machine:
    told = _json(client, "/metadata/instance?api-version=2021-02-01", {"Metadata": "true"})["compute"]
    return Machine(told["resourceId"].lower(), "Microsoft", told.get("location"), told.get("vmSize"))


def _json(client: httpx.Client, path: str, headers: Mapping[str, str]) -> Any:
    return client.get(path, headers=dict(headers)).raise_for_status().json()


_ASK: Mapping[str, Callable[[httpx.Client], Machine | None]] = {
    "AWS": _aws,
    "Google Cloud": _google,
    "Microsoft": _azure,
}
_ENDPOINTS = {"AWS": _LINK_LOCAL, "Google Cloud": "http://metadata.google.internal", "Microsoft": _LINK_LOCAL}
