"""Variance against a plan: worked out by hand, and exact whatever the figures are."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from models.plan_variance import Effects, Line, added, split


def line(
    provider: str | None,
    planned: tuple[str | None, str],
    actual: tuple[str | None, str],
    rate: str | None = None,
) -> Line:
    """Quantity and amount as planned, then as they came."""

    def number(text: str | None) -> Decimal | None:
        return None if text is None else Decimal(text)

    return Line(provider, number(planned[0]), Decimal(planned[1]), number(rate), number(actual[0]), Decimal(actual[1]))


def effects(volume: str, mix: str, rate: str, unsplit: str = "0") -> Effects:
    return Effects(Decimal(volume), Decimal(mix), Decimal(rate), Decimal(unsplit))


#: 100,000 GPU hours at 2.00 were planned at one cloud; 150,000 came, a third of them each at 2.40, 4.00 and 5.60.
THREE_CLOUDS = [
    line("AWS", ("100000", "200000"), ("50000", "120000")),
    line("Google Cloud", (None, "0"), ("50000", "200000")),
    line("Microsoft", (None, "0"), ("50000", "280000")),
]


def test_a_plan_of_200_k_that_became_600_k_by_three_clouds_prices_is_split_as_by_hand() -> None:
    # volume: half as much again of the plan, 200,000 x 0.5. At AWS 150,000 hours were then due at 2.00 and 50,000 came:
    # -200,000 of mix; what the others took is mix: 200,000 and 280,000. Rate: 50,000 hours at 0.40 more than planned.
    assert split(THREE_CLOUDS) == [
        effects("100000", "-200000", "20000"),
        effects("0", "200000", "0"),
        effects("0", "280000", "0"),
    ]
    assert added(split(THREE_CLOUDS)) == effects("100000", "280000", "20000")
    assert added(split(THREE_CLOUDS)).variance == 600_000 - 200_000


def test_a_price_that_was_planned_without_a_quantity_makes_the_dearer_part_a_rate() -> None:
    lines = [THREE_CLOUDS[0], line("Google Cloud", ("0", "0"), ("50000", "200000"), rate="3")]
    assert split(lines)[1] == effects("0", "150000", "50000")


def test_more_of_the_same_is_volume_alone() -> None:
    lines = [line("a", ("10", "20"), ("15", "30")), line("b", ("30", "90"), ("45", "135"))]
    assert added(split(lines)) == effects("55", "0", "0")


def test_another_price_of_the_same_is_rate_alone() -> None:
    lines = [line("a", ("10", "20"), ("10", "25")), line("b", ("30", "90"), ("30", "80"))]
    assert added(split(lines)) == effects("0", "0", "-5")


def test_the_same_moved_to_the_dearer_provider_is_mix_alone() -> None:
    lines = [line("a", ("10", "20"), ("5", "10")), line("b", ("10", "50"), ("15", "75"))]
    assert added(split(lines)) == effects("0", "15", "0")


def test_a_cost_without_use_is_not_split_and_neither_is_an_amount_without_a_quantity() -> None:
    lines = [
        line("a", ("10", "20"), ("10", "20")),
        line(None, (None, "0"), (None, "7")),
        line("support", (None, "5"), ("3", "6")),
    ]
    assert split(lines) == [effects("0", "0", "0"), effects("0", "0", "0", "7"), effects("0", "0", "0", "1")]


def test_without_any_planned_quantity_nothing_is_split() -> None:
    assert split([line("a", ("0", "0"), ("10", "20"))]) == [effects("0", "0", "0", "20")]


def test_what_was_planned_and_not_used_is_volume_and_a_fee_that_came_all_the_same_is_not_split() -> None:
    assert split([line("a", ("10", "20"), ("0", "3"))]) == [effects("-20", "0", "0", "3")]


MONEY = st.decimals(-1_000_000, 1_000_000, places=12)
PLANNED = st.one_of(st.none(), st.decimals(0, 10**6, places=6))
LINES = st.lists(
    st.builds(
        Line,
        st.text("abc", max_size=2),
        PLANNED,
        st.decimals(0, 10**6, places=12),
        st.one_of(st.none(), st.decimals(0, 100, places=12)),
        PLANNED,
        MONEY,
    ),
    max_size=6,
)


@given(LINES)
def test_the_effects_add_up_to_the_variance_to_the_last_decimal(lines: list[Line]) -> None:
    found = split(lines)
    for one, effect in zip(lines, found, strict=True):
        assert effect.variance == one.actual_cost - one.planned_amount
        assert all(value == round(value, 12) for value in (effect.volume, effect.mix, effect.rate, effect.unsplit))
    assert added(found).variance == sum((one.actual_cost - one.planned_amount for one in lines), Decimal(0))


@given(LINES)
def test_the_order_of_the_lines_changes_no_effect(lines: list[Line]) -> None:
    backwards = lines[::-1]
    assert split(backwards) == split(lines)[::-1]
