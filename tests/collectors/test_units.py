"""Units, regions and machines come out as FOCUS names them, whoever wrote the bill."""

from __future__ import annotations

import json
import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors import regions
from collectors.machines import aws_gpus, azure_gpus, google_gpus, price_details
from collectors.units import UNIT_FORMAT, focus_unit, in_focus_units

#: FOCUS 1.2, Unit Format: `<units>`, `<unit>-<times>`, `<units>/<time>`, `<n> <units>`, `<units>/<n> <times>`.
_TIME = "(?:Second|Minute|Hour|Day|Month|Year)"
_UNIT = r"[A-Za-z][A-Za-z0-9]*(?: [A-Za-z][A-Za-z0-9]*)*"
FORMAT = re.compile(
    rf"{_UNIT}|{_UNIT}-{_TIME}s|{_UNIT}/{_TIME}|[0-9]+ {_UNIT}|{_UNIT}/[0-9]+ {_TIME}s",
)
UNITS = {
    # AWS
    "Hrs": "Hours", "GB-Mo": "GB-Months", "GB-month": "GB-Months", "GB": "GB", "Requests": "Requests",
    "Terabytes": "TB",
    "DPU-Hour": "DPU-Hours", "IOPS-Mo": "IOPS-Months", "IOs": "IOs", "64K-Chunks": "Chunks", "days": "Days",
    "Lambda-GB-Second": "Lambda GB-Seconds", "Obj-Month": "Object-Months", "vCPU-Hours": "vCPU-Hours",
    "ReadCapacityUnit-Hrs": "ReadCapacityUnit-Hours", "API Request": "API Request", "seconds": "Seconds",
    # Google
    "hour": "Hours", "gibibyte": "GiB", "gibibyte month": "GiB-Months", "gibibyte hour": "GiB-Hours", "count": "Count",
    "tebibyte month": "TiB-Months", "byte-seconds": "B-Seconds", "bytes": "B", "mebibyte": "MiB",
    # Azure
    "1 Hour": "Hours", "100 Hours": "100 Hours", "1 GB": "GB", "1 GB/Month": "GB/Month", "1/Month": "Units/Month",
    "10K": "10000 Units", "1M": "1000000 Units", "1000000": "1000000 Units", "1/Day": "Units/Day",
    "1/10 Days": "Units/10 Days", "10K/Month": "10000 Unit Months", "100 GB/Month": "100 GB Months",
    "1 GiB Hour": "GiB-Hours", "1 1 Hour": "Hours", "1 GB/月": "GB/Month", "1 小时": "Hours", "1 por mes": "Months",
    "10 Stunden": "10 Hours", "Minute(s)": "Minutes", "10 Database Units (DU)": "10 Database Units",
    # what is right already, and what nobody can read
    "GB-Hours": "GB-Hours", "1000 Requests": "1000 Requests", "Units/3 Months": "Units/3 Months", "kWh": "kWh",
    "1.5 Things": "Units", "東京": "Units", "%": "Units", " ": None,
}  # fmt: skip


@pytest.mark.parametrize(("theirs", "ours"), UNITS.items())
def test_a_unit_of_a_bill_is_the_unit_of_focus_and_stays_so(theirs: str, ours: str | None) -> None:
    assert focus_unit(theirs) == ours
    assert ours is None or focus_unit(ours) == ours


@given(
    st.text(max_size=30) | st.from_regex(r"\d{0,4}[KM]?[ /-]?(GB|Hrs|hour|mo)?[ /-](GiB|x|days|Mo)?", fullmatch=True)
)
def test_whatever_a_bill_writes_comes_out_in_the_form_of_focus(theirs: str) -> None:
    ours = focus_unit(theirs)
    assert (ours is None) == (not re.sub(r"\([^)]*\)", " ", theirs.replace("(s)", "s")).strip())
    if ours is not None:
        assert FORMAT.fullmatch(ours)
        assert UNIT_FORMAT.fullmatch(ours)


def test_columns_of_units_are_read_as_they_stand_with_their_gaps() -> None:
    units = pl.DataFrame({"unit": ["Hrs", None, "GB-Mo", "Hrs"]}).lazy().select(in_focus_units(pl.col("unit")))
    assert units.collect()["unit"].to_list() == ["Hours", None, "GB-Months", "Hours"]


def test_regions_have_the_names_of_their_providers_and_azures_are_found_whichever_way_they_are_written() -> None:
    asked = pl.DataFrame({"at": ["us-east-1", "US East", "East US 2", "westeurope", "Mars", "EU West", None]})
    found = asked.select(
        regions.named(pl.col("at"), regions.AWS).alias("aws"), regions.azure_id(pl.col("at")).alias("azure")
    )
    assert found["aws"].to_list() == ["US East (N. Virginia)", *[None] * 6]
    assert found["azure"].to_list() == [None, "eastus", "eastus2", "westeurope", "mars", "westeurope", None]
    assert len(regions.AZURE) > 60
    assert all(re.fullmatch("[a-z]+[0-9]?", region) for region in regions.AZURE)


def test_a_size_has_its_gpus_by_its_name_and_nothing_where_the_tables_have_none() -> None:
    sizes = pl.DataFrame(
        {
            "aws": ["p5.48xlarge", "ml.g5.12xlarge", "m5.large", None],
            "azure": ["Standard_ND96isr_H100_v5", "standard_nc24ads_a100_v4", "Standard_NV6ads_A10_v5", None],
            "gcp": ["a3-highgpu-8g", "g2-standard-24", "n2-standard-8", None],
        }
    ).select(aws_gpus(pl.col("aws")), azure_gpus(pl.col("azure")), google_gpus(pl.col("gcp")))
    assert sizes.rows() == [("8", "8", "8"), ("4", "1", "2"), (None, None, None), (None, None, None)]


def test_price_details_are_json_of_what_is_known_and_numbers_are_numbers() -> None:
    rows = pl.DataFrame({"type": ["a", 'b"', None], "cores": ["96", "many", "8"], "os": ["Linux", None, None]})
    made = rows.select(price_details(pl.col("type"), {"CoreCount": pl.col("cores")}, {"OperatingSystem": pl.col("os")}))
    told = [value and json.loads(value) for value in made.to_series()]
    assert told == [
        {"InstanceType": "a", "CoreCount": 96, "OperatingSystem": "Linux"}, {"InstanceType": 'b"'}, None,
    ]  # fmt: skip
