"""What each GPU did, from the samples that a Prometheus has of its exporter: NVIDIA's DCGM, or another by its names."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import polars as pl

from collectors import gpu_series, gpu_usage
from collectors.gpu_exporters import Exporter, Metric, exporter_of
from collectors.promql import Server
from collectors.raw import LINE, PROBLEM, RAW
from collectors.windows import Asked, Window
from farthing.config import Source

#: A sample covers the time since the one before, at most this many times the scrape interval.
_GAP = 2
#: Where no two samples tell: the interval of dcgm-exporter.
_INTERVAL_MS = 30_000
#: The same energy for so long is a reading that stands still, not a GPU that draws nothing.
_STALE = timedelta(minutes=10)
#: What is read before a window, for the sample before its first; and after it, for counters that stand still.
_BEFORE, _AFTER = timedelta(minutes=15), timedelta(minutes=11)

#: The columns of a row, besides its notes.
_COLUMNS: dict[str, pl.DataType] = {
    **dict.fromkeys(("gpu_uuid", "parent_gpu_uuid", "gpu_instance_id", "node_id"), pl.String()),
    **dict.fromkeys(("started_at", "ended_at"), pl.Datetime("us", "UTC")),
    **dict.fromkeys(("covered_seconds", "busy_seconds"), pl.Float64()),
    "busy_source": pl.String(),
    "sm_active_seconds": pl.Float64(),
    "memory_used_bytes": pl.Int64(),
    "energy_joules": pl.Float64(),
    "energy_source": pl.String(),
    **dict.fromkeys(("owner_pod", "owner_namespace", "owner_container"), pl.String()),
    "owner_count": pl.Int64(),
    "state": pl.String(),
}
_NOTES: dict[str, pl.DataType] = {LINE: pl.Int64(), RAW: pl.String(), PROBLEM: pl.String()}


class Telemetry(Asked):
    """The collector of a GPU exporter's samples: four windows a day, read hour by hour."""

    title = "gpu"

    def metrics(self, name: str, source: Source) -> Sequence[str]:
        """Those that tell how busy a GPU is."""
        return exporter_of(name, source).metrics

    def rows(self, name: str, source: Source, server: Server, window: Window) -> pl.DataFrame:
        """A row per GPU and sample in the window, those that repeat it, and what cannot be.

        Raises:
            ConfigError: a column names nothing that an exporter gives.
            SourceError: the server refuses or does not answer.
        """
        exporter = exporter_of(name, source)
        begin, end = window.begin - _BEFORE, window.end
        series, targets = gpu_series.read(server, exporter.busy, begin, end)
        busy = gpu_series.samples(series, targets, exporter, most=1.0)
        joined = gpu_series.boards_only(busy.joined)
        if joined.is_empty() and busy.refused.is_empty():
            return _frame(pl.DataFrame(schema=_COLUMNS), [])
        # Of metrics that mean the same, each moment has the one that is believed most; of its series the largest value.
        best = joined.filter(pl.col("rank") == pl.col("rank").min().over("gpu_uuid", "t"))
        rows = _with_intervals(_one_per_moment(best), best, source.sample_seconds)
        late = min(window.end + _AFTER, window.now)
        refused = [busy.refused]
        for column, metric in (("memory_used_bytes", exporter.memory), ("sm_active", exporter.sm_active)):
            if metric:
                most = 1.0 if column == "sm_active" else gpu_series.ABSURD
                rows, bad = _beside(server, exporter, metric, rows, column, window, most)
                refused.append(bad)
        if exporter.energy:
            found, targets = gpu_series.read(server, [exporter.energy], begin, late)
            most = gpu_series.absurd_joules(exporter.energy)
            energy = gpu_series.samples(found, targets, exporter, most=most)
            rows = _with_energy(rows, energy.joined.group_by("board", "t").agg(pl.col("value").max()))
            refused.append(energy.refused)
        inside = (pl.col("t") > _ms(window.begin)) & (pl.col("t") <= _ms(window.end))
        # Series that repeat a GPU's value for each pod are rows that another stands for.
        counted = rows.filter(inside).select(pl.all().repeat_by("count").explode())
        return _frame(_finished(counted), [one.filter(inside) for one in refused])


def _one_per_moment(best: pl.DataFrame) -> pl.DataFrame:
    """One row per GPU and moment: the largest value, and its owner where it has just one."""
    # Kubernetes names pods within a namespace.
    pod = pl.concat_str(pl.col("owner_namespace").fill_null(""), pl.lit("/"), pl.col("owner_pod"))
    alone = pl.col("pod").drop_nulls().n_unique() == 1
    return (
        best.with_columns(pod.alias("pod"))
        .sort("gpu_uuid", "t", "series")
        .group_by("gpu_uuid", "t", maintain_order=True)
        .agg(
            pl.col("board", "gpu_instance_id", "node_id", "origin").first(),
            pl.col("value").max(),
            pl.len().alias("count"),
            pl.col("pod").drop_nulls().n_unique().cast(pl.Int64).alias("owner_count"),
            *(
                pl.when(alone).then(pl.col(name).drop_nulls().first()).alias(name)
                for name in ("owner_pod", "owner_namespace")
            ),
            pl.when(alone & (pl.col("owner_container").drop_nulls().n_unique() == 1))
            .then(pl.col("owner_container").drop_nulls().first())
            .alias("owner_container"),
        )
    )


def _with_intervals(rows: pl.DataFrame, points: pl.DataFrame, sample_seconds: float | None) -> pl.DataFrame:
    """`rows` with `from_t`: the sample before, at most two scrape intervals back; of a first sample, one."""
    if sample_seconds:
        known = rows.with_columns(pl.lit(round(sample_seconds * 1000)).cast(pl.Int64).alias("interval"))
    else:
        # Of each series alone: two servers that scrape one GPU have samples in between.
        apart = points.sort("series", "t").with_columns(
            (pl.col("t") - pl.col("t").shift().over("series")).alias("apart")
        )
        usual = apart.group_by("gpu_uuid").agg(pl.col("apart").median().round().cast(pl.Int64).alias("interval"))
        everywhere = apart["apart"].median()
        fallback = round(everywhere) if isinstance(everywhere, float) else _INTERVAL_MS
        known = rows.join(usual, on="gpu_uuid", how="left").with_columns(pl.col("interval").fill_null(fallback))
    before = pl.col("t").shift().over("gpu_uuid")
    reach = pl.max_horizontal(before, pl.col("t") - _GAP * pl.col("interval"))
    return known.sort("gpu_uuid", "t").with_columns(
        pl.when(before.is_null()).then(pl.col("t") - pl.col("interval")).otherwise(reach).alias("from_t")
    )


def _beside(
    server: Server, exporter: Exporter, metric: Metric, rows: pl.DataFrame, column: str, window: Window, most: float
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`rows` with another metric of the same moment, and what of it cannot be."""
    found = [(0, metric, series) for series in server.raw(server.selector(metric.name), window.begin, window.end)]
    read = gpu_series.samples(found, gpu_series.Targets({}), exporter, most=most)
    values = read.joined.group_by("gpu_uuid", "t").agg(pl.col("value").max().alias(column))
    return rows.join(values, on=["gpu_uuid", "t"], how="left", maintain_order="left"), read.refused


def _with_energy(rows: pl.DataFrame, energy: pl.DataFrame) -> pl.DataFrame:
    """`rows` with the energy since the row before, and `stuck` where the counter stood still for too long.

    A MIG instance has none: there is one counter for the whole board.
    """
    counted = gpu_series.joules_grown(energy)
    rows = rows.join(counted, on=["board", "t"], how="left", maintain_order="left").sort("gpu_uuid", "t")
    known = pl.col("counted").forward_fill().over("gpu_uuid")
    joules = pl.col("counted") - known.shift().over("gpu_uuid")
    rows = rows.with_columns(pl.when(pl.col("gpu_instance_id").is_null()).then(joules).alias("energy_joules"))
    still = gpu_series.stale(energy, _STALE)
    if still.is_empty():
        return rows
    spans = rows.select("gpu_uuid", "board", "t").join(still, on="board", how="inner")
    stuck = spans.filter((pl.col("t") > pl.col("from_t")) & (pl.col("t") <= pl.col("to_t")))
    marks = stuck.select("gpu_uuid", "t").unique().with_columns(pl.lit("stuck").alias("state"))
    return rows.join(marks, on=["gpu_uuid", "t"], how="left", maintain_order="left")


def _finished(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows in the lake's columns."""
    given = set(rows.columns)
    rows = rows.with_columns(
        *(pl.lit(None, pl.Float64()).alias(name) for name in ("memory_used_bytes", "sm_active") if name not in given),
        *([] if "energy_joules" in given else [pl.lit(None, pl.Float64()).alias("energy_joules")]),
        *([] if "state" in given else [pl.lit(None, pl.String()).alias("state")]),
    )
    stuck = pl.col("state") == "stuck"
    length = pl.when(stuck.fill_null(value=False)).then(0.0).otherwise((pl.col("t") - pl.col("from_t")) / 1000)
    return rows.select(
        "gpu_uuid",
        pl.when(pl.col("gpu_instance_id").is_not_null()).then(pl.col("board")).alias("parent_gpu_uuid"),
        "gpu_instance_id",
        "node_id",
        pl.from_epoch("from_t", "ms").dt.cast_time_unit("us").dt.replace_time_zone("UTC").alias("started_at"),
        pl.from_epoch("t", "ms").dt.cast_time_unit("us").dt.replace_time_zone("UTC").alias("ended_at"),
        length.alias("covered_seconds"),
        (pl.col("value") * length).alias("busy_seconds"),
        pl.col("origin").alias("busy_source"),
        (pl.col("sm_active") * length).alias("sm_active_seconds"),
        pl.col("memory_used_bytes").round().cast(pl.Int64),
        "energy_joules",
        pl.when(pl.col("energy_joules").is_not_null()).then(pl.lit("counter")).alias("energy_source"),
        *("owner_pod", "owner_namespace", "owner_container", "owner_count"),
        pl.col("state").fill_null("ok"),
    ).cast(_COLUMNS)  # type: ignore[arg-type]


def _frame(rows: pl.DataFrame, refused: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Rows with their lines, those that are refused with the reason; of rows with the same key the last one lands."""
    why = [pl.col("raw").alias(RAW), pl.col("reason").alias(PROBLEM)]
    parts = [rows, *(one.sort("series", "t").select(why) for one in refused if not one.is_empty())]
    return (
        pl.concat(parts, how="diagonal_relaxed")
        .with_row_index(LINE, offset=1)
        .select(_note(name, kind, parts) for name, kind in {**_NOTES, **_COLUMNS}.items())
    )


def _note(name: str, kind: pl.DataType, parts: Sequence[pl.DataFrame]) -> pl.Expr:
    known = name == LINE or any(name in part.columns for part in parts)
    return (pl.col(name) if known else pl.lit(None)).cast(kind).alias(name)


def _ms(moment: datetime) -> int:
    return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)


COLLECTOR = Telemetry(gpu_usage.KIND)
