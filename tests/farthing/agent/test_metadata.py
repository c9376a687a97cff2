"""A node's machine as its cloud bills it, from servers that answer as the clouds document it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from farthing.agent import metadata
from farthing.agent.metadata import Machine
from farthing.errors import SourceError
from tests.servers import Answered, Asked, Web


def only(web: Web, cloud: str) -> dict[str, str]:
    """The endpoints of a network in which `web` is the service of `cloud`, and nobody the others."""
    nobody = "http://127.0.0.1:9"
    return {name: web.endpoint if name == cloud else nobody for name in ("AWS", "Google Cloud", "Microsoft")}


def said(value: object, **headers: str) -> Answered:
    return Answered(json.dumps(value).encode(), headers=headers)


def google(asked: Asked) -> Answered:
    if asked.headers.get("metadata-flavor") != "Google":
        return Answered(status=403)
    zone = "projects/1234/zones/us-central1-a"
    instance = {"id": 8211, "zone": zone, "machineType": "projects/1234/machineTypes/a3-highgpu-8g"}
    return said({"instance": instance, "project": {"projectId": "prod-1"}}, **{"Metadata-Flavor": "Google"})


def azure(asked: Asked) -> Answered:
    if asked.headers.get("metadata") != "true" or "api-version" not in asked.query:
        return Answered(status=400)
    path = "/subscriptions/1/resourceGroups/GPU/providers/Microsoft.Compute/virtualMachines/Node"
    return said({"compute": {"resourceId": path, "location": "westeurope", "vmSize": "Standard_ND96isr_H100_v5"}})


def amazon(asked: Asked) -> Answered:
    if asked.path == "/latest/api/token":
        granted = asked.method == "PUT" and "x-aws-ec2-metadata-token-ttl-seconds" in asked.headers
        return Answered(b"secret") if granted else Answered(status=405)
    if asked.headers.get("x-aws-ec2-metadata-token") != "secret":
        return Answered(status=401)
    return said({"instanceId": "i-0abc", "region": "us-east-1", "instanceType": "p5.48xlarge", "accountId": "1"})


def test_amazon_is_asked_with_a_token_and_says_the_instance_that_the_bill_has(web: Web) -> None:
    web.answer = amazon
    wanted = Machine("i-0abc", "AWS", "us-east-1", "p5.48xlarge")
    for cloud in ("AWS", None):
        assert metadata.machine(cloud, only(web, "AWS")) == wanted


def test_google_says_the_global_name_that_the_bill_has(web: Web) -> None:
    web.answer = google
    resource = "//compute.googleapis.com/projects/prod-1/zones/us-central1-a/instances/8211"
    wanted = Machine(resource, "Google Cloud", "us-central1", "a3-highgpu-8g")
    for cloud in ("Google Cloud", None):
        assert metadata.machine(cloud, only(web, "Google Cloud")) == wanted


def test_azure_says_the_resource_id_which_the_bill_has_in_lower_case(web: Web) -> None:
    web.answer = azure
    resource = "/subscriptions/1/resourcegroups/gpu/providers/microsoft.compute/virtualmachines/node"
    wanted = Machine(resource, "Microsoft", "westeurope", "Standard_ND96isr_H100_v5")
    assert metadata.machine("Microsoft", only(web, "Microsoft")) == wanted


def test_a_service_that_refuses_or_answers_something_else_is_no_cloud(web: Web) -> None:
    web.answer = lambda _: said({"hello": "world"})
    assert metadata.machine(None, dict.fromkeys(("AWS", "Google Cloud", "Microsoft"), web.endpoint)) is None


def test_a_machine_of_a_cloud_whose_service_is_silent_is_an_error_that_says_what_to_do(web: Web) -> None:
    with pytest.raises(SourceError, match="FARTHING_RESOURCE"):
        metadata.machine("AWS", only(web, "Google Cloud"))


def test_a_machine_of_no_cloud_asks_nobody(web: Web) -> None:
    assert metadata.machine("", dict.fromkeys(("AWS", "Google Cloud", "Microsoft"), web.endpoint)) is None
    assert web.asked == []


@pytest.mark.parametrize(
    ("vendor", "asset", "cloud"),
    [
        ("Amazon EC2", "", "AWS"),
        ("Google", "", "Google Cloud"),
        ("Microsoft Corporation", "7783-7084-3265-9085-8269-3286-77", "Microsoft"),
        ("Microsoft Corporation", "none", ""),  # Hyper-V at home
        ("Supermicro", "", ""),
    ],
)
def test_the_firmware_says_whose_machine_it_is(tmp_path: Path, vendor: str, asset: str, cloud: str) -> None:
    (tmp_path / "sys_vendor").write_text(vendor + "\n")
    (tmp_path / "chassis_asset_tag").write_text(asset + "\n")
    assert metadata.cloud_of(tmp_path) == cloud
    assert metadata.cloud_of(tmp_path / "nothing") is None
