"""The lake's tables, in one place: Arrow schema, partition and key of each (DESIGN section 3).

Times are `timestamp[us, UTC]`, money is `decimal128(38, 12)` in the row's `BillingCurrency`; a missing value is
null and never zero. Every collected row carries `x_source` (the configured source) and `x_load` (the load that
brought it).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa

MONEY = pa.decimal128(38, 12)
#: A number as the file wrote it, before the one rounding at landing.
EXACT = pa.decimal128(38, 24)
TIME = pa.timestamp("us", tz="UTC")
TEXT = pa.string()
COUNT = pa.int64()
REAL = pa.float64()
DAY = pa.date32()
FLAG = pa.bool_()

#: FOCUS Cost and Usage 1.2, then what 1.3 and 1.4 added; names and types are the specification's.
_FOCUS_TEXT = """
AvailabilityZone BillingAccountId BillingAccountName BillingAccountType CapacityReservationId
CapacityReservationStatus ChargeCategory ChargeClass ChargeDescription ChargeFrequency CommitmentDiscountCategory
CommitmentDiscountId CommitmentDiscountName CommitmentDiscountStatus CommitmentDiscountType CommitmentDiscountUnit
ConsumedUnit InvoiceId InvoiceIssuerName PricingCategory PricingCurrency PricingUnit ProviderName PublisherName
RegionId RegionName ResourceId ResourceName ResourceType ServiceCategory ServiceName ServiceSubcategory SkuId
SkuMeter SkuPriceDetails SkuPriceId SubAccountId SubAccountName SubAccountType Tags
AllocatedMethodDetails AllocatedMethodId AllocatedResourceId AllocatedResourceName AllocatedTags ContractApplied
HostProviderName ServiceProviderName CommitmentProgramEligibilityDetails InvoiceDetailId
""".split()
_FOCUS_NUMBERS = """
CommitmentDiscountQuantity ConsumedQuantity ContractedUnitPrice ListUnitPrice PricingQuantity
PricingCurrencyContractedUnitPrice PricingCurrencyEffectiveCost PricingCurrencyListUnitPrice
""".split()
FOCUS_MONEY = ["BilledCost", "EffectiveCost", "ListCost", "ContractedCost"]
FOCUS_TIMES = ["BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd"]
#: The columns that a ledger can be made from; each keeps what rounding at landing took beside it.
COST_COLUMNS = ["EffectiveCost", "BilledCost"]


@dataclass(frozen=True)
class Table:
    """One lake table: its Arrow schema, the columns it is partitioned by, its key, and columns never null."""

    name: str
    schema: pa.Schema
    partition_by: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    required: tuple[str, ...] = field(default=())

    @property
    def columns(self) -> list[str]:
        """Names of all columns, in order."""
        return list(self.schema.names)


def _schema(columns: dict[str, pa.DataType], *, collected: bool = True) -> pa.Schema:
    origin = {"x_source": TEXT, "x_load": TEXT} if collected else {}
    return pa.schema([pa.field(name, kind) for name, kind in {**columns, **origin}.items()])


CHARGES = Table(
    "charges",
    _schema(
        {
            "billing_month": DAY,
            "x_charge_id": TEXT,  # x_load and line: FOCUS has no row id, equal rows can both be real
            "BillingCurrency": TEXT,
            **dict.fromkeys(FOCUS_TIMES, TIME),
            **dict.fromkeys(FOCUS_MONEY, MONEY),
            **{f"x_{name}Rounding": EXACT for name in COST_COLUMNS},  # landed + rounding = file, exactly
            **dict.fromkeys(_FOCUS_NUMBERS, EXACT),
            **dict.fromkeys(_FOCUS_TEXT, TEXT),  # Tags, SkuPriceDetails, Allocated*: JSON text
            "x_extra": TEXT,  # columns that FOCUS does not know, as one JSON object
        }
    ),
    partition_by=("x_source", "billing_month"),
    required=("BillingCurrency", *FOCUS_TIMES, *COST_COLUMNS),
)

GPU_USAGE = Table(
    "gpu_usage",
    _schema(
        {
            "day": DAY,
            "gpu_uuid": TEXT,
            "parent_gpu_uuid": TEXT,
            "gpu_instance_id": TEXT,
            "node_id": TEXT,
            "started_at": TIME,
            "ended_at": TIME,
            "covered_seconds": REAL,
            "busy_seconds": REAL,
            "busy_source": TEXT,
            "sm_active_seconds": REAL,
            "memory_used_bytes": COUNT,
            "energy_joules": REAL,
            "energy_source": TEXT,
            "owner_pod": TEXT,
            "owner_namespace": TEXT,
            "owner_container": TEXT,
            "owner_count": COUNT,
            "state": TEXT,
        }
    ),
    partition_by=("day",),
    key=("gpu_uuid", "started_at"),
    required=("gpu_uuid", "started_at", "ended_at", "covered_seconds", "busy_seconds"),
)

GPU_INVENTORY = Table(
    "gpu_inventory",
    _schema(
        {
            "gpu_uuid": TEXT,
            "parent_gpu_uuid": TEXT,
            "node_id": TEXT,
            "ResourceId": TEXT,
            "replica_id": TEXT,
            "gpu_model": TEXT,
            "mig_profile": TEXT,
            "share": REAL,  # of a time-sliced GPU, in (0, 1]
            "team_id": TEXT,  # who owns the replica: carries its idle line
            "model": TEXT,  # what the replica serves: the model of its idle line
            "provider": TEXT,  # with region and instance_type: whose list price the resource has
            "region": TEXT,
            "instance_type": TEXT,
            "valid_from": TIME,
            "valid_to": TIME,
        }
    ),
    key=("gpu_uuid", "replica_id", "valid_from"),
    required=("gpu_uuid", "ResourceId", "valid_from"),
)

REQUESTS = Table(
    "requests",
    _schema(
        {
            "day": DAY,
            "request_id": TEXT,
            "provider_request_id": TEXT,
            "started_at": TIME,
            "first_token_at": TIME,
            "ended_at": TIME,
            "user_id": TEXT,
            "team_id": TEXT,
            "customer_id": TEXT,
            "model": TEXT,
            "response_model": TEXT,
            "provider": TEXT,
            "service_tier": TEXT,
            "region": TEXT,
            "replica_id": TEXT,
            "input_tokens": COUNT,
            "cached_input_tokens": COUNT,
            "cache_write_tokens": COUNT,
            "cache_write_1h_tokens": COUNT,
            "output_tokens": COUNT,
            "reasoning_tokens": COUNT,
            "usage_quality": TEXT,
            "work_units": REAL,
            "work_unit": TEXT,
            "status": TEXT,
            "trace_id": TEXT,
            "span_id": TEXT,
            "parent_span_id": TEXT,
            "seen_by": TEXT,  # client, gateway or server: the same call may be logged by all three
            "operation": TEXT,
            "agent": TEXT,
            "tool": TEXT,
            "session_id": TEXT,
            "feature": TEXT,
            "environment": TEXT,
            "prompt_hash": TEXT,
            "gateway_cache_hit": FLAG,
            "reported_cost": EXACT,
            "updated_at": TIME,
            "tags": TEXT,
        }
    ),
    partition_by=("day",),
    key=("x_source", "request_id"),
    required=("request_id", "started_at", "model", "usage_quality"),
)

#: Spans of traces, also of those that hold requests: who asked, and on whose behalf, often stands on a parent span.
SPANS = Table(
    "spans",
    _schema(
        {
            "day": DAY,
            "trace_id": TEXT,  # 32 hexadecimal digits, as in requests
            "span_id": TEXT,  # 16
            "parent_span_id": TEXT,
            "request_id": TEXT,  # of the request that this span is itself; null: it is none
            "started_at": TIME,
            "ended_at": TIME,
            "name": TEXT,
            "span_kind": TEXT,  # client, server, internal, producer or consumer
            "operation": TEXT,
            "status": TEXT,
            "user_id": TEXT,
            "team_id": TEXT,
            "customer_id": TEXT,
            "agent": TEXT,
            "tool": TEXT,
            "session_id": TEXT,
            "feature": TEXT,
            "environment": TEXT,
            "service": TEXT,
            "service_instance": TEXT,
            "provider_request_id": TEXT,
        }
    ),
    partition_by=("day",),
    key=("x_source", "trace_id", "span_id"),
    required=("trace_id", "span_id", "started_at"),
)

JOBS = Table(
    "jobs",
    _schema(
        {
            "job_id": TEXT,
            "run_id": TEXT,
            "experiment": TEXT,
            "model_produced": TEXT,
            "team_id": TEXT,
            "user_id": TEXT,
            "gpu_uuids": TEXT,  # one per space or comma; else node_id with gpu_count
            "node_id": TEXT,  # as many
            "gpu_count": COUNT,  # on all of them
            "started_at": TIME,
            "ended_at": TIME,
            "status": TEXT,
            "last_checkpoint_at": TIME,
        }
    ),
    key=("job_id",),
    required=("job_id", "started_at"),
)

IDENTITIES = Table(
    "identities",
    _schema(
        {
            "id": TEXT,
            "kind": TEXT,
            "user_id": TEXT,
            "customer_id": TEXT,
            "team_id": TEXT,
            "plan": TEXT,
            "cost_center": TEXT,
            "valid_from": TIME,
            "valid_to": TIME,
        }
    ),
    key=("id", "valid_from"),  # requests name an id without its kind: it stands for one party at a time
    required=("id",),
)

REVENUE = Table(
    "revenue",
    _schema({"customer_id": TEXT, "user_id": TEXT, "plan": TEXT, "period": DAY, "amount": MONEY, "currency": TEXT}),
    key=("customer_id", "user_id", "plan", "period", "currency"),
    required=("customer_id", "period", "amount", "currency"),
)

#: What finance has on paper, to hold the bills against.
INVOICES = Table(
    "invoices",
    _schema(
        {
            "provider": TEXT,
            "account": TEXT,
            "InvoiceId": TEXT,
            "month": DAY,
            "amount": MONEY,
            "tax": MONEY,
            "currency": TEXT,
        }
    ),
    key=("provider", "account", "InvoiceId", "month", "currency"),
    required=("provider", "month", "amount", "currency"),
)

#: What is planned to be spent in a month, by scope; where the plan says so also how much of what, and at which rate.
BUDGETS = Table(
    "budgets",
    _schema(
        {
            "month": DAY,
            "name": TEXT,
            "dimension": TEXT,
            "key": TEXT,
            "provider": TEXT,
            "amount": MONEY,
            "currency": TEXT,
            "quantity": MONEY,
            "unit": TEXT,
            "rate": EXACT,
        }
    ),
    key=("month", "name", "dimension", "key", "provider", "currency"),
    required=("month", "name", "dimension", "amount", "currency"),
)

METRICS = Table(
    "metrics",
    _schema({"day": DAY, "dimension": TEXT, "key": TEXT, "name": TEXT, "quantity": MONEY}),
    key=("day", "dimension", "key", "name"),
    required=("day", "dimension", "key", "name", "quantity"),
)

#: List prices, dated: what a GPU costs before any discount. `valid_to` is the first day on which it holds no more.
GPU_PRICES = Table(
    "gpu_prices",
    _schema(
        {
            "provider": TEXT,
            "region": TEXT,  # null: all of them
            "instance_type": TEXT,
            "sku": TEXT,
            "gpu_model": TEXT,
            "gpus": COUNT,
            "pricing_category": TEXT,
            "commitment_term": TEXT,
            "covers": TEXT,  # instance, or a part of it that is billed apart
            "price_per_instance_hour": EXACT,
            "price_per_gpu_hour": EXACT,
            "currency": TEXT,
            "valid_from": DAY,
            "valid_to": DAY,
            "origin": TEXT,
        }
    ),
    key=(
        *("provider", "region", "instance_type", "sku", "pricing_category", "commitment_term", "covers"),
        *("currency", "valid_from"),
    ),
    required=("provider", "pricing_category", "covers", "currency", "valid_from"),
)

#: How many units of `currency` one of `base` is worth.
EXCHANGE_RATES = Table(
    "exchange_rates",
    _schema({"day": DAY, "currency": TEXT, "base": TEXT, "rate": EXACT}),
    key=("day", "currency", "base"),
    required=("day", "currency", "base", "rate"),
)

#: What vendors of model APIs say was used; requests are what we say. Amounts are in `charges`.
VENDOR_USAGE = Table(
    "vendor_usage",
    _schema(
        {
            "day": DAY,
            "started_at": TIME,
            "ended_at": TIME,
            "provider": TEXT,
            "operation": TEXT,
            "model": TEXT,
            "sub_account_id": TEXT,
            "api_key_id": TEXT,
            "user_id": TEXT,
            "service_tier": TEXT,
            "input_tokens": COUNT,
            "cached_input_tokens": COUNT,
            "cache_write_tokens": COUNT,
            "cache_write_1h_tokens": COUNT,
            "output_tokens": COUNT,
            "requests": COUNT,
            "x_extra": TEXT,  # what the vendor counts besides, as one JSON object
        }
    ),
    required=("day", "started_at", "ended_at", "provider"),
)

REJECTS = Table(
    "rejects",
    _schema(
        {
            "table": TEXT,
            "file": TEXT,
            "line": COUNT,
            "raw": TEXT,
            "reason": TEXT,
            "said": TEXT,  # of a charge: account, invoice and amount, as far as they could be read, one JSON object
            "rejected_at": TIME,
        }
    ),
)

LOADS = Table(
    "loads",
    _schema(
        {
            "table": TEXT,
            "file": TEXT,
            "identity": TEXT,  # size and modification time, or the object's etag
            "status": TEXT,  # landed | failed | recalled: to be read again for the sake of another file
            "problem": TEXT,  # why a failed file could not be read as a whole
            "read": COUNT,
            "landed": COUNT,
            "duplicate": COUNT,
            "rejected": COUNT,
            "aside": COUNT,  # lines that the format has for something else; none of those read
            "loaded_at": TIME,
        }
    ),
    key=("x_load",),
)

_PARTY = {
    "provider": TEXT,
    "model": TEXT,
    "user_id": TEXT,
    "team_id": TEXT,
    "customer_id": TEXT,
    "feature": TEXT,
    "environment": TEXT,
    "dimensions": TEXT,  # the tags of [ledger] dimensions, as one JSON object
}


def _built(name: str, columns: dict[str, pa.DataType]) -> Table:
    return Table(name, _schema({"day": DAY, **columns}, collected=False), partition_by=("day",))


COST_LEDGER = _built(
    "cost_ledger",
    {
        "pool": TEXT,
        "kind": TEXT,
        **_PARTY,
        "BillingCurrency": TEXT,
        "cost": MONEY,
        "provisional": FLAG,  # no bill confirms it yet
        "estimated": FLAG,  # how it was divided: no telemetry watched
    },
)
REQUEST_COSTS = _built(
    "request_costs",
    {
        "method": TEXT,
        "pool": TEXT,
        "x_source": TEXT,
        "request_id": TEXT,
        "BillingCurrency": TEXT,
        "cost": MONEY,
        "provisional": FLAG,
        "estimated": FLAG,
    },
)
USAGE_DAYS = _built(
    "usage_days",
    {
        **_PARTY,
        "requests": COUNT,
        "requests_without_usage": COUNT,
        "input_tokens": COUNT,
        "cached_input_tokens": COUNT,
        "cache_write_tokens": COUNT,
        "output_tokens": COUNT,
        "reasoning_tokens": COUNT,
    },
)
PRICE_DAYS = _built(
    "price_days",
    {
        "provider": TEXT,
        "model": TEXT,
        "asked_model": TEXT,
        "service_tier": TEXT,
        "how": TEXT,  # which name had the price
        "price_provider": TEXT,
        "price_model": TEXT,
        "currency": TEXT,  # null: no price is known
        "requests": COUNT,
        "requests_not_reported": COUNT,
        "input_tokens": COUNT,
        "cached_input_tokens": COUNT,
        "cache_write_tokens": COUNT,
        "cache_write_1h_tokens": COUNT,
        "output_tokens": COUNT,
        "reasoning_tokens": COUNT,
        "cost": MONEY,
        "requests_with_reported_cost": COUNT,
        "reported_cost": MONEY,
        "compared_cost": MONEY,
    },
)
TRUEUP_DAYS = _built(
    "trueup_days",
    {
        "pool": TEXT,
        "provider": TEXT,
        "model": TEXT,  # null: what the bill names no model for
        "BillingCurrency": TEXT,
        "provisional": FLAG,
        "requests": COUNT,
        "requests_not_reported": COUNT,
        "input_tokens": COUNT,
        "cached_input_tokens": COUNT,
        "cache_write_tokens": COUNT,
        "cache_write_1h_tokens": COUNT,
        "output_tokens": COUNT,
        "vendor_requests": COUNT,
        "vendor_input_tokens": COUNT,
        "vendor_cached_input_tokens": COUNT,
        "vendor_cache_write_tokens": COUNT,
        "vendor_cache_write_1h_tokens": COUNT,
        "vendor_output_tokens": COUNT,
        "price_currency": TEXT,
        "priced_cost": MONEY,
        "vendor_priced_cost": MONEY,
        "billed_cost": MONEY,
        "direct_cost": MONEY,
        "handed_cost": MONEY,
        "unexplained_cost": MONEY,
        "unpriced_cost": MONEY,
    },
)
TRACE_DAYS = _built(
    "trace_days",
    {
        "trace_id": TEXT,
        "agent": TEXT,
        "user_id": TEXT,
        "team_id": TEXT,
        "customer_id": TEXT,
        "BillingCurrency": TEXT,
        "llm_calls": COUNT,
        "input_tokens": COUNT,
        "output_tokens": COUNT,
        "started_at": TIME,
        "ended_at": TIME,
        "cost": MONEY,
        "provisional_cost": MONEY,
    },
)
GPU_DAYS = _built(
    "gpu_days",
    {
        "pool": TEXT,
        "gpu_uuid": TEXT,
        "replica_id": TEXT,
        "node_id": TEXT,
        "ResourceId": TEXT,
        "gpu_model": TEXT,
        "BillingCurrency": TEXT,
        "provisional": FLAG,
        "billed_seconds": REAL,
        "covered_seconds": REAL,
        "busy_seconds": REAL,
        "gpu_seconds": REAL,  # billed, in whole GPUs: a MIG instance or share counts by its size
        "cost": MONEY,
        "direct_cost": MONEY,
        "training_cost": MONEY,
        "idle_cost": MONEY,
        "unobserved_cost": MONEY,
        "unexplained_cost": MONEY,
    },
)
GPU_HOURS = _built(
    "gpu_hours",
    {
        "hour": COUNT,
        "pool": TEXT,
        "replica_id": TEXT,
        "gpu_model": TEXT,
        "BillingCurrency": TEXT,
        "provisional": FLAG,
        "gpus": COUNT,
        "billed_seconds": REAL,
        "covered_seconds": REAL,
        "busy_seconds": REAL,
        "cost": MONEY,
        "idle_cost": MONEY,
    },
)
JOB_DAYS = _built(
    "job_days",
    {
        "job_id": TEXT,
        "pool": TEXT,
        "BillingCurrency": TEXT,
        "provisional": FLAG,
        "gpu_seconds": REAL,
        "cost": MONEY,
        "lost_cost": MONEY,  # of it: after the last checkpoint of a job that failed
    },
)
SAME_CALLS = _built(
    "same_calls",
    {
        "x_source": TEXT,
        "request_id": TEXT,
        "call_source": TEXT,
        "call_request_id": TEXT,
    },
)
UNMATCHED_DAYS = _built(
    "unmatched_days",
    {
        "subject": TEXT,
        "key": TEXT,
        "requests": COUNT,
        "gpu_seconds": REAL,
        "BillingCurrency": TEXT,
        "cost": MONEY,
    },
)
QUALITY_DAYS = _built(
    "quality_days",
    {"subject": TEXT, "measure": TEXT, "unit": TEXT, "matched": MONEY, "total": MONEY},
)
PREFILL_LAWS = _built(
    "prefill_laws",
    {
        "model": TEXT,
        "gpu_model": TEXT,
        "p0_us": COUNT,  # prefill microseconds = p0_us + p1_ns * uncached input tokens / 1000
        "p1_ns": COUNT,
        "stall0_us": COUNT,  # of it a prompt holds up decoding for stall0_us + stall1_ns * tokens / 1000; null: all
        "stall1_ns": COUNT,
        "decode_us": COUNT,  # microseconds between output tokens, for requests without an end
        "requests": COUNT,
        "fit_error": REAL,  # median relative distance of the quantiles from the line
    },
)
BUILD_DAYS = _built("build_days", {"fingerprint": TEXT, "inherited_laws": TEXT, "built_at": TIME, "version": TEXT})

#: Builds only add to it: what was said once stays.
STATED_DAYS = Table(
    "stated_days",
    _schema(
        {
            "day": DAY,
            "pool": TEXT,
            "BillingCurrency": TEXT,
            "stated_at": TIME,
            "billed_cost": MONEY,
            "provisional_cost": MONEY,
            "cost": MONEY,
        },
        collected=False,
    ),
    key=("day", "pool", "BillingCurrency", "stated_at"),
)

BUILT = (
    COST_LEDGER,
    REQUEST_COSTS,
    USAGE_DAYS,
    PRICE_DAYS,
    TRUEUP_DAYS,
    TRACE_DAYS,
    GPU_DAYS,
    GPU_HOURS,
    JOB_DAYS,
    QUALITY_DAYS,
    UNMATCHED_DAYS,
    SAME_CALLS,
    PREFILL_LAWS,
)

COLLECTED = (
    *(CHARGES, GPU_USAGE, GPU_INVENTORY, GPU_PRICES, REQUESTS, JOBS, IDENTITIES, REVENUE, INVOICES, METRICS),
    *(VENDOR_USAGE, EXCHANGE_RATES, SPANS, BUDGETS),
)
