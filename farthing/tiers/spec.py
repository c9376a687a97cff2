"""tiers.toml, what the owner of prices says: plans now, choices, target, hard limits, assumptions; checked."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from farthing.config.section import Section
from farthing.errors import ConfigError
from models.pricing.menus import Limits as Bounds
from models.pricing.menus import count
from models.pricing.plans import Plan, Terms

MOST_MENUS = 50_000
_SHARES = [Decimal("0.3"), Decimal("0.5"), Decimal("0.7")]
_OVERAGES = [Decimal("1.25"), Decimal("1.5"), Decimal(2)]
_CAPS = [Decimal(0), Decimal("1.5"), Decimal(3)]
_FAIR_USE = [Decimal("1.5"), Decimal(3), Decimal(6)]
Money = Annotated[Decimal, Field(ge=0, max_digits=15)]
Positive = Annotated[Decimal, Field(gt=0, max_digits=15)]
Share = Annotated[float, Field(ge=0, le=1)]
Month = Annotated[str, Field(pattern=r"^\d{4}-\d{2}$")]

EXAMPLE = """\
# What `farthing tiers` works with. Amounts are of one month, in the currency of the costs.
# An allowance and a cap are amounts of cost: so much use, at what it costs to serve.

[[plans]]                       # plans of today; users are matched to them by the column `plan`
name = "pro"
price = 20
# allowance = 12                # cost included; without it, all use is
# overage = 1.5                 # price of each unit of cost beyond the allowance
# cap = 120                     # nothing is served beyond it
# locked_until = "2027-06"      # annual contracts: stays as it is until that month is over

[menu]                          # what may be offered
price_points = [10, 20, 40, 80, 160]
allowance_shares = [0.3, 0.5, 0.7]   # of the fee
overage = [1.25, 1.5, 2]
caps = [0, 1.5, 3]              # fair-use cap as a multiple of the highest fee; 0: none
fair_use = [1.5, 3, 6]          # caps on the plans of today, as multiples of their price: the first lever
minimum_tiers = 2
maximum_tiers = 4
# downgrades = false            # nobody takes a tier cheaper than their plan of today

[target]
margin = 0.60                   # gross margin, with payment and support
confidence = 0.90               # how sure it must be

[limits]                        # hard: no menu that is shown passes one of them, in any month seen
bill_rise = 0.10                # a bill that rises by more hits its user
steep_rise = 1.0                # one that rises by more than this hits steeply: 1.0 is twice the bill
users_hit = 0.25                # of all users
users_hit_steeply = 0.10        # of all users
users_capped = 0.05             # of all users, touched by a cap
overage_share = 0.15            # of revenue
tier_share = 0.02               # each tier has at least this share of users
profit_fall = 0.0               # of today's gross profit

[costs]
payment_share = 0.029
payment_fixed = 0.30            # for each bill
support_per_user = 0
unattributed = "spread"         # cost of nobody: spread over users by their cost, or "leave" it out

[users]
overage_dislike = 0.3           # users take the plan with the least bill + 0.3 x overage
churn = [0.0, 1.0]              # ASSUMPTION, a range: (old / new bill) ^ this stay; never in the promise
growth = 0.0                    # users, a month

[keep]                          # who stays on the plan of today
plans = []
segments = []                   # of the column `segment`

[meter]                         # what is counted and exported
key = "credits"
name = "credit"
cost_per_unit = 0.01            # what one unit costs to serve

# [[unit_cost_changes]]         # planned: from that month on, serving costs so much of what it does
# month = "2026-12"
# factor = 0.8

# [unit_costs."gpt-5"]          # break-even use is said in requests and tokens of these models
# request = 0.004
# million_tokens = 1.9

[run]
horizon_months = 3
draws = 1000
seed = 0
frontier = 12                   # menus shown at most
"""


class PlanNow(Section):
    """`[[plans]]`: a plan of today."""

    name: str = Field(min_length=1)
    price: Money
    allowance: Money | None = None
    overage: Money = Decimal(0)
    cap: Positive | None = None
    locked_until: Month | None = None

    def plan(self) -> Plan:
        """As the mathematics has it."""
        endless = float("inf")
        return Plan(
            self.name,
            float(self.price),
            endless if self.allowance is None else float(self.allowance),
            float(self.overage),
            endless if self.cap is None else float(self.cap),
        )


class Menu(Section):
    """`[menu]`: what may be offered; without price points, rounded multiples of the price of today are."""

    price_points: list[Positive] = Field(default_factory=list)
    allowance_shares: list[Annotated[Decimal, Field(gt=0, le=10)]] = Field(default=_SHARES, min_length=1)
    overage: list[Annotated[Decimal, Field(gt=0, le=100)]] = Field(default=_OVERAGES, min_length=1)
    caps: list[Annotated[Decimal, Field(ge=0)]] = Field(default=_CAPS, min_length=1)
    fair_use: list[Positive] = Field(default=_FAIR_USE)
    minimum_tiers: int = Field(default=2, ge=2, le=6)
    maximum_tiers: int = Field(default=4, ge=2, le=6)

    downgrades: bool | None = None  # by default only where today has one price

    @model_validator(mode="after")
    def _ordered(self) -> Menu:
        if self.minimum_tiers > self.maximum_tiers:
            raise ValueError("minimum_tiers is above maximum_tiers")
        points = set(self.price_points)
        if points and len(points) < self.minimum_tiers:
            raise ValueError(f"{len(points)} price point(s) make no menu of {self.minimum_tiers} tiers")
        return self

    @property
    def numbers(self) -> Sequence[int]:
        """How many tiers a menu may have."""
        return range(self.minimum_tiers, self.maximum_tiers + 1)


class Target(Section):
    """`[target]`: the gross margin to reach, and how sure that must be."""

    margin: Annotated[float, Field(lt=1)] = 0.60
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.90


class Limits(Section):
    """`[limits]`: hard limits; `bill_rise` and `steep_rise` say from which rise on a user is hit."""

    bill_rise: Annotated[float, Field(ge=0)] = 0.10
    steep_rise: Annotated[float, Field(ge=0)] = 1.0
    users_hit: Share = 0.25
    users_hit_steeply: Share = 0.10
    users_capped: Share = 0.05
    overage_share: Share = 0.15
    tier_share: Share = 0.02
    profit_fall: float = 0.0

    def bounds(self) -> Bounds:
        """As the mathematics has them."""
        return Bounds(
            self.users_hit,
            self.users_hit_steeply,
            self.users_capped,
            self.overage_share,
            self.tier_share,
            self.profit_fall,
        )


class Costs(Section):
    """`[costs]`: what comes on top of serving, and what becomes of cost that is nobody's."""

    payment_share: Annotated[float, Field(ge=0, lt=1)] = 0.029
    payment_fixed: Annotated[float, Field(ge=0)] = 0.30
    support_per_user: Annotated[float, Field(ge=0)] = 0.0
    unattributed: Literal["spread", "leave"] = "spread"


class Users(Section):
    """`[users]`: assumptions on what users do."""

    overage_dislike: Annotated[float, Field(ge=0, le=10)] = 0.3
    churn: list[Annotated[float, Field(ge=0, le=20)]] = Field(default=[0.0, 1.0], min_length=2, max_length=2)
    growth: Annotated[float, Field(gt=-1, le=10)] = 0.0

    @model_validator(mode="after")
    def _ordered(self) -> Users:
        if self.churn[0] > self.churn[1]:
            raise ValueError("churn is a range: the lower end comes first")
        return self


class Keep(Section):
    """`[keep]`: plans and segments that are not touched."""

    plans: list[str] = Field(default_factory=list)
    segments: list[str] = Field(default_factory=list)


class MeterOf(Section):
    """`[meter]`: what is counted, and what one unit of it costs to serve."""

    key: Annotated[str, Field(pattern=r"^[a-z0-9]+(?:_[a-z0-9]+)*$", max_length=64)] = "credits"
    name: str = "credit"
    cost_per_unit: Positive = Decimal("0.01")


class UnitCostChange(Section):
    """`[[unit_cost_changes]]`: from `month` on, serving costs `factor` of what it does; bills do not follow."""

    month: Month
    factor: Annotated[float, Field(gt=0)]


class UnitCost(Section):
    """`[unit_costs.MODEL]`: what a request and a million tokens of a model cost."""

    request: Positive | None = None
    million_tokens: Positive | None = None


class Run(Section):
    """`[run]`: how far, how finely, and from which seed."""

    horizon_months: int = Field(default=3, ge=1, le=12)
    draws: int = Field(default=1000, ge=100, le=20_000)
    seed: int = Field(default=0, ge=0)
    frontier: int = Field(default=12, ge=2, le=50)


class Spec(Section):
    """tiers.toml."""

    plans: list[PlanNow] = Field(default_factory=list)
    menu: Menu = Menu()
    target: Target = Target()
    limits: Limits = Limits()
    costs: Costs = Costs()
    users: Users = Users()
    keep: Keep = Keep()
    meter: MeterOf = MeterOf()
    unit_cost_changes: list[UnitCostChange] = Field(default_factory=list)
    unit_costs: dict[str, UnitCost] = Field(default_factory=dict)
    run: Run = Run()

    @model_validator(mode="after")
    def _consistent(self) -> Spec:
        names = [plan.name for plan in self.plans]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"plans has '{twice[0]}' twice")
        if names and (unknown := sorted(set(self.keep.plans) - set(names))):
            raise ValueError(f"keep.plans names '{unknown[0]}', which is none of the plans")
        menu = self.menu
        made = count(
            len(set(menu.price_points)) or 6, len(set(menu.allowance_shares)), len(menu.overage), len(menu.caps),
            menu.numbers,
        )  # fmt: skip
        if made > MOST_MENUS:
            raise ValueError(
                f"these choices make {made:,} menus, more than {MOST_MENUS:,};"
                " name fewer price points, shares, overages or caps"
            )
        return self

    @property
    def terms(self) -> Terms:
        """As the mathematics has them."""
        return Terms(
            self.costs.payment_share,
            self.costs.payment_fixed,
            self.costs.support_per_user,
            self.users.overage_dislike,
            self.limits.bill_rise,
            self.limits.steep_rise,
        )

    def fingerprint(self) -> str:
        """The same for the same choices."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def load(path: Path) -> Spec:
    """Read a spec.

    Raises:
        ConfigError: no such file, not TOML, or a key that is unknown, missing or of the wrong form.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as error:
        raise ConfigError(
            f"cannot be read: {error.strerror or error}.", file=path, fix="`farthing tiers --example > tiers.toml`."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"this is not TOML: {error}.", file=path) from None
    return from_mapping(values, file=path)


def from_mapping(values: dict[str, Any], *, file: Path | str = "tiers.toml") -> Spec:
    """A checked spec from the tables of a file.

    Raises:
        ConfigError: a key is unknown, missing or of the wrong form.
    """
    try:
        return Spec(**values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        message = str(first["msg"]).removeprefix("Value error, ")
        fix = "remove it or check its spelling" if first["type"] == "extra_forbidden" else "write another value"
        more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise ConfigError(
            f"{message}{more}.", file=file, key=key, fix=f"{fix}; docs/pricing.md lists every key."
        ) from None
