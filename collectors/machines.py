"""What a bill tells of a machine: its size, cores and GPUs, as the keys of SkuPriceDetails that FOCUS defines.

The number of GPUs is the bill's where it says one; else it is in the tables here, by the provider's name of the size.
"""

from __future__ import annotations

import polars as pl

from collectors.frames import case, json_text

#: GPUs -> sizes that have as many. Sizes with a part of a GPU are not in these tables.
_AWS = {
    1: "p3.2xlarge p5.4xlarge g3s.xlarge g3.4xlarge g4dn.xlarge g4dn.2xlarge g4dn.4xlarge g4dn.8xlarge g4dn.16xlarge "
    "g4ad.xlarge g4ad.2xlarge g4ad.4xlarge g5.xlarge g5.2xlarge g5.4xlarge g5.8xlarge g5.16xlarge g5g.xlarge "
    "g5g.2xlarge g5g.4xlarge g5g.8xlarge g6.xlarge g6.2xlarge g6.4xlarge g6.8xlarge g6.16xlarge gr6.4xlarge "
    "gr6.8xlarge g6e.xlarge g6e.2xlarge g6e.4xlarge g6e.8xlarge g6e.16xlarge p2.xlarge",
    2: "g3.8xlarge g4ad.8xlarge g5g.16xlarge g5g.metal",
    4: "g3.16xlarge g4dn.12xlarge g4ad.16xlarge g5.12xlarge g5.24xlarge g6.12xlarge g6.24xlarge g6e.12xlarge "
    "g6e.24xlarge p3.8xlarge p6e-gb200.36xlarge",
    8: "g4dn.metal g5.48xlarge g6.48xlarge g6e.48xlarge p2.8xlarge p3.16xlarge p3dn.24xlarge p4d.24xlarge "
    "p4de.24xlarge p5.48xlarge p5e.48xlarge p5en.48xlarge p6-b200.48xlarge p6-b300.48xlarge",
    16: "p2.16xlarge",
}
_AZURE = {
    1: "nc6 nc6s_v2 nc6s_v3 nd6s nv6 nv12s_v3 nc4as_t4_v3 nc8as_t4_v3 nc16as_t4_v3 nc24ads_a100_v4 nc40ads_h100_v5 "
    "nv36ads_a10_v5 nv36adms_a10_v5 ng32ads_v620_v1 ng32adms_v620_v1",
    2: "nc12 nc12s_v2 nc12s_v3 nd12s nv12 nv24s_v3 nc48ads_a100_v4 nc80adis_h100_v5 nv72ads_a10_v5",
    4: "nc24 nc24r nc24s_v2 nc24rs_v2 nc24s_v3 nc24rs_v3 nd24s nd24rs nv24 nv48s_v3 nc64as_t4_v3 nc96ads_a100_v4 "
    "nd128isr_ndr_gb200_v6 nd128isr_gb300_v6",
    8: "nd40rs_v2 nd96asr_v4 nd96amsr_a100_v4 nd96ams_a100_v4 nd96isr_h100_v5 nd96is_h100_v5 nd96isr_h200_v5 "
    "nd96is_h200_v5 nd96isr_mi300x_v5 nd96is_mi300x_v5",
}
_GOOGLE = {
    1: "g2-standard-4 g2-standard-8 g2-standard-12 g2-standard-16 g2-standard-32 g4-standard-48",
    2: "g2-standard-24 g4-standard-96",
    4: "g2-standard-48 g4-standard-192",
    8: "g2-standard-96 g4-standard-384",
}


def _by_size(table: dict[int, str], prefix: str = "") -> dict[str, str]:
    return {prefix + size: str(count) for count, sizes in table.items() for size in sizes.split()}


_OF_AWS, _OF_AZURE, _OF_GOOGLE = _by_size(_AWS), _by_size(_AZURE, "standard_"), _by_size(_GOOGLE)


def aws_gpus(instance_type: pl.Expr) -> pl.Expr:
    """GPUs of an instance type (`p5.48xlarge`), as text; null where it is not in the table."""
    return instance_type.str.replace("^ml\\.", "").replace_strict(_OF_AWS, default=None, return_dtype=pl.String)


def azure_gpus(size: pl.Expr) -> pl.Expr:
    """GPUs of a size (`Standard_ND96isr_H100_v5`), as text; null where it is not in the table."""
    return size.str.to_lowercase().replace_strict(_OF_AZURE, default=None, return_dtype=pl.String)


def google_gpus(machine_type: pl.Expr) -> pl.Expr:
    """GPUs of a machine type, as text: `a3-highgpu-8g` names them, `g2-standard-24` is in the table."""
    named = machine_type.str.extract(r"^a\d+x?-[a-z]+-(\d+)g(?:-[a-z]+)?$")
    return pl.coalesce(named, machine_type.replace_strict(_OF_GOOGLE, default=None, return_dtype=pl.String))


def price_details(instance_type: pl.Expr, numbers: dict[str, pl.Expr], texts: dict[str, pl.Expr]) -> pl.Expr:
    """SkuPriceDetails as JSON, null without an instance type; of `numbers` what is none is left out."""
    pairs = [
        '"InstanceType":' + json_text(instance_type),
        *(f'"{key}":' + value.str.extract(r"^(\d+(?:\.\d+)?)$") for key, value in numbers.items()),
        *(f'"{key}":' + json_text(value) for key, value in texts.items()),
    ]
    return case((instance_type.is_not_null(), "{" + pl.concat_str(pairs, separator=",", ignore_nulls=True) + "}"))
