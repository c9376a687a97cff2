"""What the cards of a scenario need besides the month: prices of where requests and machines go, classes, paths."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import numpy as np

from farthing.build import model_prices
from farthing.build.model_prices import NO_LIMIT, PROVISIONED, TIERS, Rate
from farthing.config import Config
from farthing.errors import ConfigError
from farthing.whatif import machines
from farthing.whatif import scenario as scenario_file
from farthing.whatif.month import Month, unit_prices
from models.whatif.caching import SemanticCache, same_class
from models.whatif.card import Used
from models.whatif.fleet import Fleet, FleetLever
from models.whatif.inputs import Floats
from models.whatif.joint import Sold
from models.whatif.log import Ints, Log, Price, Which
from models.whatif.moves import Cloud, ToApi, ToOwnGpus
from models.whatif.reserved import Reserved
from models.whatif.routing import Routing, Target
from models.whatif.scenario import Scenario
from models.whatif.simulate import Facts

_EPOCH = date(1970, 1, 1)


def gather(con: duckdb.DuckDBPyConnection, config: Config, scenario: Scenario, file: Path, month: Month) -> Facts:
    """Everything that the cards of `scenario` ask, which lies in `file`; paths in it are from its folder.

    Raises:
        ConfigError: a file that a card names cannot be used, or a pool that it names has no GPUs.
    """
    sold: dict[str, Sold] = {}
    classes: dict[str, Ints] = {}
    paths: dict[str, Floats] = {}
    listed: dict[str, Used] = {}
    for card in scenario.cards:
        if isinstance(card, Routing | ToApi):
            sold[card.name] = _sold(config, month, card.which, card.to)
        elif isinstance(card, SemanticCache):
            classes[card.name] = same_class(scenario_file.classes(file.parent / card.classes), month.request_ids)
        elif isinstance(card, Reserved) and card.paths is not None:
            if len(card.among(month.fleets)) != 1:
                raise ConfigError(
                    "paths are of one GPU model, and not one fits.", file=file, key=f"cards.{card.name}.paths",
                    fix="name it with gpu_models.",
                )  # fmt: skip
            paths[card.name] = scenario_file.paths(file.parent / card.paths)
        elif isinstance(card, Cloud) and card.gpu_hour is None:
            offer = _offer(con, card, card.among(month.fleets), month)
            listed |= {card.name: offer} if offer is not None else {}
    _pools_are_there(scenario, file, month)
    return Facts(month.log, month.fleets, month.days, sold, classes, paths, listed)


def _pools_are_there(scenario: Scenario, file: Path, month: Month) -> None:
    known = sorted({fleet.pool for fleet in month.fleets})
    asked = {("fleets", terms.pool) for terms in scenario.fleets}
    for card in scenario.cards:
        pool = card.pool if isinstance(card, FleetLever | ToApi | ToOwnGpus) else None
        if pool is not None:
            asked.add((f"cards.{card.name}", pool))
    for key, pool in sorted(asked):
        if pool not in known:
            raise ConfigError(
                f"pool '{pool}' has no GPUs in the month.",
                file=file,
                key=key,
                fix=f"one of {', '.join(known)}." if known else "leave it out: the month has no GPUs.",
            )


def _offer(con: duckdb.DuckDBPyConnection, card: Cloud, fleets: list[Fleet], month: Month) -> Used | None:
    models = sorted({fleet.gpu_model for fleet in fleets})
    wanted = card.to_gpu_model or (models[0] if len(models) == 1 else None)
    if wanted is None:
        return None
    return machines.offered(con, card.provider, wanted, card.region, month.currency, month.last)


def _sold(config: Config, month: Month, which: Which, to: Target) -> Sold:
    """The prices of a target, and how its provider's bills of the month compare with its prices."""
    if to.input is not None and to.output is not None:
        cached = to.input if to.cached_input is None else to.cached_input
        unit = unit_prices([to.input, cached, to.input, to.input, to.output, to.output])
        return Sold(
            [Price(tier, -(10**9), 10**9, 0, 1440, -1, NO_LIMIT, unit, 0.0) for tier in (*TIERS, PROVISIONED)], 1.0
        )
    provider = to.provider or _usual_provider(month.log, which)
    for asked in dict.fromkeys((provider, None)) if to.provider is None else (provider,):
        rates = [rate for rate, _, _ in model_prices.prices_of(config, asked, to.model, to.model)]
        prices = [_price(rate) for rate in rates if rate.currency == month.currency]
        if prices:
            return Sold(prices, month.bill_rates.get((asked or "").lower(), 1.0))
    return Sold([], 1.0)


def _usual_provider(log: Log, which: Which) -> str | None:
    """Who serves most of the requests now."""
    names = log.names["provider"]
    codes = names.codes[which.of(log)]
    codes = codes[codes >= 0]
    return names.names[int(np.bincount(codes).argmax())] if len(codes) else None


def _price(rate: Rate) -> Price:
    return Price(
        rate.tier,
        (rate.valid_from - _EPOCH).days,
        10**9 if rate.valid_to is None else (rate.valid_to - _EPOCH).days,
        rate.minute_from,
        rate.minute_to,
        rate.tokens_over,
        NO_LIMIT if rate.tokens_upto is None else rate.tokens_upto,
        unit_prices(
            [rate.input, rate.cached_input, rate.cache_write, rate.cache_write_1h, rate.output, rate.reasoning]
        ),
        float(rate.request),
    )
