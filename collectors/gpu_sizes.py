"""Which GPUs the clouds' instances have, for catalogues that name only the instance."""

from __future__ import annotations

import re

#: Family of an AWS instance -> model of its GPUs; AWS itself says how many.
_AWS = {
    "p3": "V100-16GB",
    "p3dn": "V100-32GB",
    "p4d": "A100-40GB",
    "p4de": "A100-80GB",
    "p5": "H100-80GB",
    "p5e": "H200-141GB",
    "p5en": "H200-141GB",
    "p6-b200": "B200",
    "p6-b300": "B300",
    "g4dn": "T4",
    "g5": "A10G",
    "g6": "L4",
    "gr6": "L4",
    "g6e": "L40S",
}
#: Azure size -> model and number of its GPUs. Sizes with a part of a GPU are not here: they have no whole one.
_AZURE = {
    "NC6s_v3": ("V100-16GB", 1),
    "NC12s_v3": ("V100-16GB", 2),
    "NC24s_v3": ("V100-16GB", 4),
    "NC24rs_v3": ("V100-16GB", 4),
    "ND40rs_v2": ("V100-32GB", 8),
    "NC4as_T4_v3": ("T4", 1),
    "NC8as_T4_v3": ("T4", 1),
    "NC16as_T4_v3": ("T4", 1),
    "NC64as_T4_v3": ("T4", 4),
    "NV36ads_A10_v5": ("A10", 1),
    "NV36adms_A10_v5": ("A10", 1),
    "NV72ads_A10_v5": ("A10", 2),
    "NC24ads_A100_v4": ("A100-80GB", 1),
    "NC48ads_A100_v4": ("A100-80GB", 2),
    "NC96ads_A100_v4": ("A100-80GB", 4),
    "ND96asr_v4": ("A100-40GB", 8),
    "ND96amsr_A100_v4": ("A100-80GB", 8),
    "NC40ads_H100_v5": ("H100-94GB", 1),
    "NC80adis_H100_v5": ("H100-94GB", 2),
    "NCC40ads_H100_v5": ("H100-94GB", 1),
    "ND96is_H100_v5": ("H100-80GB", 8),
    "ND96isr_H100_v5": ("H100-80GB", 8),
    "ND96is_H200_v5": ("H200-141GB", 8),
    "ND96isr_H200_v5": ("H200-141GB", 8),
    "ND96is_MI300X_v5": ("MI300X", 8),
    "ND96isr_MI300X_v5": ("MI300X", 8),
    "ND128isr_NDR_GB200_v6": ("GB200", 4),
}
_AZURE_LOWER = {size.lower(): gpus for size, gpus in _AZURE.items()}
#: As Google writes its GPU SKUs: "Nvidia H100 80GB GPU running in Iowa", "Nvidia Tesla A100 GPU attached to Spot ...".
_GOOGLE = re.compile(r"(?:.*Nvidia (?:Tesla )?)?((?:[ABHLPTV]|GB|RTX )\d+[A-Z]?)\b(?: (\d+) ?GB)?")


def of_aws(instance_type: str) -> str | None:
    """The model of an AWS instance's GPUs; None where it is not in the table."""
    return _AWS.get(instance_type.partition(".")[0])


def of_azure(size: str) -> tuple[str | None, int | None]:
    """Model and number of the GPUs of an Azure size, with or without `Standard_`; None where it is not in the table."""
    return _AZURE_LOWER.get(size.lower().removeprefix("standard_"), (None, None))


def of_google(description: str) -> str | None:
    """The model in a Google SKU's description; None where it names none."""
    found = _GOOGLE.match(description)
    return None if found is None else found[1] + (f"-{found[2]}GB" if found[2] else "")
