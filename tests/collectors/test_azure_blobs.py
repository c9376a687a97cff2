"""Exports in a real blob store: the newest finished run of each scope and month, whole or not at all."""

from __future__ import annotations

import gzip
import io
import json
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from collectors.azure_blobs import reach
from farthing.config import Source
from farthing.errors import ConfigError, SourceError
from farthing.lake.schemas import CHARGES, LOADS
from tests.collectors.test_azure import ACTUAL, AMORTIZED, EA, line, totals
from tests.servers import AZURITE_KEY, Blobs

pytestmark = pytest.mark.heavy

SCOPE = "/providers/Microsoft.Billing/billingAccounts/77"
FOCUS = (
    "BilledCost,EffectiveCost,BillingCurrency,ChargeCategory,BillingPeriodStart,BillingPeriodEnd,ChargePeriodStart,"
    "ChargePeriodEnd\n{billed},{effective},EUR,Usage,2026-09-01T00:00Z,2026-10-01T00:00Z,2026-09-02T00:00Z,2026-09-03T00:00Z\n"
)


class Export:
    """What Cost Management writes: folders of runs, the manifest last."""

    def __init__(self, store: Blobs, name: str = "daily", view: str = "ActualCost", folder: str = "costs") -> None:
        self.store, self.name, self.view, self.folder, self.scope = store, name, view, folder, SCOPE

    def run(
        self,
        number: int,
        *parts: str | bytes,
        month: str = "20260901-20260930",
        count: int | None = None,
        suffix: str = "csv",
        manifest: bool = True,
        month_first: bool = False,
    ) -> str:
        """The folder of run `number` of a month."""
        place = f"{month}/{self.name}" if month_first else f"{self.name}/{month}"
        folder = f"{self.folder}/{place}/20260910{number:04}/0a1b2c3d-0000-4000-8000-{number:012}"
        written = []
        for part, content in enumerate(parts):
            blob = f"{folder}/part_{part}_0001.{suffix}"
            self.store.put(blob, content)
            written.append({"blobName": blob, "byteCount": len(content)})
        rows = sum(text.strip().count("\n") for text in parts if isinstance(text, str)) if count is None else count
        told = {
            "manifestVersion": "2024-04-01",
            "blobCount": len(written),
            "dataRowCount": rows,
            "exportConfig": {
                "exportName": self.name,
                "resourceId": f"{self.scope}/providers/Microsoft.CostManagement/exports/{self.name}",
                "dataVersion": "2024-08-01",
                "type": self.view,
            },
            "runInfo": {"runId": f"run-{number}", "startDate": f"{month[:4]}-{month[4:6]}-01T00:00:00"},
            "blobs": written,
        }
        if manifest:
            self.store.put(f"{folder}/manifest.json", "\ufeff" + json.dumps(told))
        return folder


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", AZURITE_KEY)


def collect(world: Any, store: Blobs, path: str = "costs/daily", **source: Any) -> list[Any]:
    world.report.messages.clear()
    return list(
        world.collect("azure", None, export=f"az://{store.container}/{path}", endpoint=store.endpoint, **source)
    )


def one(world: Any, store: Blobs, path: str = "costs/daily", **source: Any) -> Any:
    [result] = collect(world, store, path, **source)
    return result


def test_the_newest_finished_run_of_a_month_is_the_month(world: Any, blobs: Blobs) -> None:
    export = Export(blobs)
    export.run(1, EA + line("1"))
    export.run(2, EA + line("3"), EA + line("4"))
    export.run(3, EA + line("100"), manifest=False)  # its manifest is still to come
    result = one(world, blobs)
    assert (result.file, result.form, result.landed) == (f"{SCOPE.lower()} 2026-09", "ActualCost 2024-08-01", 2)
    assert totals(world) == (7, 7)
    assert one(world, blobs).status == "unchanged"


def test_a_restated_month_takes_its_own_place_and_no_other(world: Any, blobs: Blobs) -> None:
    export = Export(blobs)
    export.run(1, EA + line("1"), month="20260801-20260831")
    export.run(2, EA + line("2"))
    collect(world, blobs)
    assert totals(world) == (3, 3)
    export.run(
        3, EA.replace("Tags", "CostCenter,Tags") + line("5").replace(",\n", ",c,\n") + line("6").replace(",\n", ",,\n")
    )
    assert [result.status for result in collect(world, blobs)] == ["unchanged", "landed"]
    assert totals(world) == (12, 12)
    landed = [row["landed"] for row in world.rows(LOADS, "loaded_at") if row["status"] == "landed"]
    assert landed == [1, 1, 2]  # what the month was before can be seen


def test_a_run_that_overwrites_the_one_before_is_seen(world: Any, blobs: Blobs) -> None:
    export = Export(blobs)
    export.run(1, EA + line("1"))
    one(world, blobs)
    export.run(1, EA + line("2"))
    assert one(world, blobs).status == "landed"
    assert totals(world) == (2, 2)


@pytest.mark.parametrize("fault", ["count", "missing"])
def test_a_month_that_is_not_whole_does_not_land_and_the_old_one_stays(world: Any, blobs: Blobs, fault: str) -> None:
    export = Export(blobs)
    export.run(1, EA + line("1"))
    one(world, blobs)
    folder = export.run(2, EA + line("2"), EA + line("3"), count=3 if fault == "count" else None)
    if fault == "missing":
        blobs.delete(f"{folder}/part_1_0001.csv")
    result = one(world, blobs)
    assert result.status == "failed"
    assert (
        "says 3 rows and 2 are there" if fault == "count" else "part_1_0001.csv, which is not there"
    ) in result.problem
    assert totals(world) == (1, 1)


def test_gzip_and_parquet_are_told_by_what_they_are(world: Any, blobs: Blobs) -> None:
    Export(blobs, "zipped").run(1, gzip.compress((EA + line("1")).encode()), count=1)
    parquet = io.BytesIO()
    pl.read_csv(io.StringIO(EA + line("0.1")), schema_overrides={"CostInBillingCurrency": pl.Float64}).with_columns(
        pl.lit("8/1/2026").alias("BillingPeriodStartDate")
    ).write_parquet(parquet)
    Export(blobs, "columnar").run(1, parquet.getvalue(), count=1, suffix="snappy.parquet", month="20260801-20260831")
    assert [result.landed for result in collect(world, blobs, "costs")] == [1, 1]
    assert totals(world)[0] == Decimal("1.1")


def test_actual_and_amortized_exports_of_a_scope_are_one_set_of_charges(world: Any, blobs: Blobs) -> None:
    Export(blobs, "actual").run(1, ACTUAL)
    amortized = Export(blobs, "amortized", "AmortizedCost")
    amortized.scope = SCOPE.lower()  # Azure writes ids in both
    amortized.run(1, AMORTIZED)
    Export(blobs, "prices", "PriceSheet").run(1, "a,b\n")
    result = one(world, blobs, "costs")
    assert (result.form, result.landed) == ("ActualCost 2024-08-01 + AmortizedCost 2024-08-01", 5)
    assert totals(world) == (40, 11)
    assert len({row["x_charge_id"] for row in world.rows(CHARGES)}) == 5


def test_a_focus_export_has_both_views_and_needs_no_other(world: Any, blobs: Blobs) -> None:
    Export(blobs, "actual").run(1, ACTUAL)
    assert one(world, blobs, "costs").landed == 4
    Export(blobs, "focus", "FocusCost").run(2, FOCUS.format(billed="7", effective="8"))
    assert one(world, blobs, "costs").form == "FocusCost 2024-08-01"
    assert totals(world) == (7, 8)


def test_an_export_is_found_by_its_name_below_the_months_too(world: Any, blobs: Blobs) -> None:
    Export(blobs, "daily").run(1, EA + line("1"), month_first=True)
    Export(blobs, "other").run(2, EA + line("9"), month_first=True)
    assert one(world, blobs, "costs/daily").landed == 1
    assert totals(world) == (1, 1)


def test_months_before_since_are_left_alone(world: Any, blobs: Blobs) -> None:
    export = Export(blobs)
    export.run(1, EA + line("1"), month="20260801-20260831")
    export.run(2, EA + line("2"))
    assert one(world, blobs, since="2026-09-01").file.endswith("2026-09")


def test_without_any_manifest_it_says_what_to_wait_for(world: Any, blobs: Blobs) -> None:
    Export(blobs).run(1, EA + line("1"), manifest=False)
    with pytest.raises(SourceError, match="no run of an export with costs has finished"):
        collect(world, blobs)


def test_a_manifest_that_is_none_is_named(world: Any, blobs: Blobs) -> None:
    blobs.put("costs/daily/manifest.json", "{}")
    with pytest.raises(SourceError, match=r"costs/daily/manifest\.json: the manifest is not one of an export"):
        collect(world, blobs)


def test_a_wrong_key_and_a_missing_container_are_told_apart(
    world: Any, blobs: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SourceError, match="it is not there"):
        collect(world, Blobs("farthing-none", blobs.endpoint))
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "bm90IHRoZSBrZXk=")
    with pytest.raises(SourceError, match=r"missing or expired|grant the role"):
        collect(world, blobs)


@pytest.mark.parametrize(
    ("export", "endpoint", "url", "path"),
    [
        ("https://a.blob.core.windows.net/x/costs/daily", None, "https://a.blob.core.windows.net/x", "costs/daily"),
        ("az://x/costs/", "https://a.blob.core.chinacloudapi.cn", "https://a.blob.core.chinacloudapi.cn/x", "costs"),
        ("az://x", None, "https://named.blob.core.windows.net/x", ""),
    ],
)  # fmt: skip
def test_an_address_names_account_container_and_path(
    monkeypatch: pytest.MonkeyPatch, export: str, endpoint: str | None, url: str, path: str
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "named")
    container, found = reach("one", Source(kind="azure", export=export, endpoint=endpoint))
    assert (container.url, found) == (url, path)


@pytest.mark.parametrize("export", ["s3://bucket/x", "https://host", "costs/daily"])
def test_an_address_that_is_no_container_is_named(world: Any, export: str) -> None:
    with pytest.raises(ConfigError, match="no container of blob storage"):
        world.collect("azure", None, export=export)


def test_a_collection_stopped_between_its_commits_ends_as_if_it_had_not_been(
    world: Any, blobs: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = Export(blobs)
    export.run(1, EA + line("1"))
    collect(world, blobs)
    export.run(2, EA + line("2") + line("bad"))

    class Killed(BaseException):
        pass

    append = world.lake.append

    def stop(table: Any, *args: Any, **options: Any) -> Any:
        if table is LOADS and "began" not in options["load"]:
            raise Killed
        return append(table, *args, **options)

    monkeypatch.setattr(world.lake, "append", stop)
    with pytest.raises(Killed):
        collect(world, blobs)
    monkeypatch.setattr(world.lake, "append", append)
    result = one(world, blobs)
    assert (result.status, result.landed, result.rejected) == ("landed", 1, 1)
    assert totals(world) == (2, 2)
    assert len(world.rejects()) == 1
    assert one(world, blobs).status == "unchanged"
