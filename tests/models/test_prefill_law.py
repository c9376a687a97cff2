"""The prefill law: a planted line is found under noise, and nothing is learned from too little."""

from __future__ import annotations

import random
from statistics import median, quantiles

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.prefill_law import Bin, Delays, PrefillLaw, learn, with_stall

SIZES = (100, 200, 400, 800, 1600, 3200, 6400)


def planted(p0_us: float, slope: float, *, seed: int = 1, each: int = 200) -> list[Bin]:
    """Bins of requests whose first token waits in a queue: most of them for long, some not at all."""
    rng = random.Random(seed)
    bins = []
    for size in SIZES:
        tokens = [size * rng.uniform(0.95, 1.05) for _ in range(each)]
        queue = [0.0 if rng.random() < 0.3 else rng.expovariate(1 / 500_000) for _ in range(each)]
        waited = [p0_us + slope * n + late for n, late in zip(tokens, queue, strict=True)]
        bins.append(Bin(each, median(tokens), quantiles(waited, n=20)[0], 40_000))
    return bins


@given(p0=st.integers(1_000, 200_000), slope=st.integers(20, 2_000), seed=st.integers(0, 50))
def test_a_planted_line_is_found_under_queueing(p0: int, slope: int, seed: int) -> None:
    law = learn(planted(p0, slope, seed=seed), minimum_requests=200)
    assert law is not None
    assert law.p1_ns == pytest.approx(slope * 1000, rel=0.05)
    assert law.p0_us == pytest.approx(p0, abs=0.05 * slope * 1600 + 1)
    assert (law.decode_us, law.requests) == (40_000, 200 * len(SIZES))
    assert 0 <= law.fit_error < 0.1


def test_an_exact_line_is_found_exactly_and_one_wild_bin_does_not_bend_it() -> None:
    bins = [Bin(50, size, 10_000 + 100 * size) for size in SIZES]
    assert learn(bins, minimum_requests=1) == PrefillLaw(10_000, 100_000, 0, 350, 0.0)
    bins[0] = Bin(50, SIZES[0], 5_000_000)
    law = learn(bins, minimum_requests=1)
    assert law is not None
    assert (law.p0_us, law.p1_ns) == (10_000, 100_000)


def test_sizes_far_apart_tell_the_slope_and_near_ones_are_noise() -> None:
    noisy = [Bin(50, 1000 + number, 110_000 - 500 * number) for number in range(6)]
    law = learn([*noisy, Bin(50, 20_000, 2_010_000)], minimum_requests=1)
    assert law is not None
    assert law.p1_ns == pytest.approx(100_000, rel=0.01)


@given(order=st.permutations(planted(20_000, 150)))
def test_the_order_of_bins_does_not_matter(order: list[Bin]) -> None:
    assert learn(order, minimum_requests=200) == learn(planted(20_000, 150), minimum_requests=200)


@pytest.mark.parametrize(
    "bins",
    [
        [],
        planted(1, 1)[:2],  # two sizes: any two points are on a line
        planted(1, 1, each=19),  # bins whose low quantile still has queueing in it
        [Bin(100, 500, 10_000)] * 5,  # one size only
    ],
)
def test_too_little_teaches_nothing(bins: list[Bin]) -> None:
    assert learn(bins, minimum_requests=20) is None


def test_fewer_requests_than_configured_teach_nothing() -> None:
    bins = planted(1_000, 100, each=100)
    assert learn(bins, minimum_requests=701) is None
    assert learn(bins, minimum_requests=700) is not None


@given(
    bins=st.lists(
        st.builds(Bin, st.integers(0, 500), st.floats(1, 1e6), st.floats(1, 1e9), st.none() | st.floats(0, 1e6)),
        max_size=8,
    )
)
def test_neither_offset_nor_slope_nor_pace_is_negative_so_cost_never_falls_with_length(bins: list[Bin]) -> None:
    law = learn(bins, minimum_requests=20)
    if law is not None:
        assert min(law.p0_us, law.p1_ns, law.decode_us) >= 0
        assert law.fit_error >= 0


def test_a_falling_line_is_no_law_of_falling_cost() -> None:
    law = learn([Bin(50, size, 1_000_000 - 100 * size) for size in SIZES], minimum_requests=1)
    assert law is not None
    assert law.p1_ns == 0
    assert law.fit_error > 0.05  # it says that it does not fit


def _delays(stall0: float, stall1: float, *, delayed: int = 500) -> Delays:
    """Sums of decode phases that follow the model exactly: steps of 20 ms and 1 ms for each request beside."""
    rng = random.Random(3)
    products = [[0] * 4 for _ in range(4)]
    targets = [0] * 4
    for _ in range(500):
        steps, batch = rng.randint(8, 400), rng.randint(1, 30)
        prompts, tokens = rng.randint(0, 9), rng.randint(50, 4000)
        x = [steps * 1000, steps * batch * 1000, prompts * 1000, prompts * tokens * 1000]
        y = round(steps * 20_000 + steps * batch * 1000 + prompts * stall0 + prompts * tokens * stall1)
        for i in range(4):
            targets[i] += x[i] * y
            for j in range(4):
                products[i][j] += x[i] * x[j]
    return Delays(500, delayed, products, targets)


LAW = PrefillLaw(p0_us=10_000, p1_ns=100_000, decode_us=20_000, requests=500, fit_error=0.01)


def test_a_planted_stall_is_found() -> None:
    law = with_stall(LAW, _delays(5_000, 60), typical_tokens=1000)
    assert law.stall0_us == pytest.approx(5_000, abs=20)
    assert law.stall1_ns == pytest.approx(60_000, rel=0.001)
    assert (law.p0_us, law.p1_ns) == (LAW.p0_us, LAW.p1_ns)


@pytest.mark.parametrize(
    "delays",
    [
        _delays(5_000, 60, delayed=99),  # too few
        _delays(5_000, 29),  # grows by less than 0.3 of the slope
        _delays(5_000, 200),  # more than the whole prefill
        _delays(-200_000, 60),  # less than nothing
        Delays(500, 500, [[0] * 4] * 4, [0] * 4),  # no single solution
    ],
)
def test_a_stall_that_is_noise_is_not_used(delays: Delays) -> None:
    assert with_stall(LAW, delays, typical_tokens=1000) == LAW
