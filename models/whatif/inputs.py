"""The numbers that a card stands on: each with how sure it is, whether it was measured or assumed, and why."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

Floats = NDArray[np.float64]
Places = NDArray[np.uint32]
Basis = Literal["measured", "assumed"]


class Part(BaseModel):
    """A table of the scenario file; a key that it does not know is an error, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Input(Part):
    """One number: `value`, `range` (low, high: even; low, likeliest, high: a triangle) or `beta` (successes, failures).

    `basis` says whether it was measured or assumed, and `why` from what.
    """

    value: float | None = None
    range: tuple[float, float] | tuple[float, float, float] | None = None
    beta: tuple[float, float] | None = None
    basis: Basis
    why: str

    @model_validator(mode="after")
    def _one_form(self) -> Input:
        if sum(form is not None for form in (self.value, self.range, self.beta)) != 1:
            raise ValueError("give one of value, range and beta")
        if self.range is not None and list(self.range) != sorted(self.range):
            raise ValueError("a range goes up: low, high or low, likeliest, high")
        if self.beta is not None and min(self.beta) <= 0:
            raise ValueError("both numbers of beta are above 0: successes and failures, each with what one knew before")
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest that it can be."""
        if self.value is not None:
            return self.value, self.value
        return (self.range[0], self.range[-1]) if self.range is not None else (0.0, 1.0)

    def draw(self, count: int, seed: int, name: str) -> Floats:
        """`count` draws, in a stream of their own for each `name`: the same for whoever asks with the same seed."""
        if self.value is not None:
            return np.full(count, self.value)
        random = np.random.default_rng([seed, zlib.crc32(name.encode())])
        if self.beta is not None:
            return random.beta(*self.beta, size=count)
        assert self.range is not None
        low, *middle, high = self.range
        if low == high:
            return np.full(count, low)
        return random.triangular(low, middle[0], high, count) if middle else random.uniform(low, high, count)


def _share(number: Input) -> Input:
    if number.bounds[0] < 0 or number.bounds[1] > 1:
        raise ValueError("this is a part of a whole: between 0 and 1")
    return number


def _amount(number: Input) -> Input:
    if number.bounds[0] < 0 or number.beta is not None:
        raise ValueError("this is 0 or more, as value or range")
    return number


def _positive(number: Input) -> Input:
    if number.bounds[0] <= 0 or number.beta is not None:
        raise ValueError("this is above 0, as value or range")
    return number


Share = Annotated[Input, AfterValidator(_share)]
Amount = Annotated[Input, AfterValidator(_amount)]
Positive = Annotated[Input, AfterValidator(_positive)]


def assumed(why: str, *numbers: float) -> Input:
    """A preset: what stands for a number that nobody gave, named as assumed."""
    if len(numbers) == 1:
        return Input(value=numbers[0], basis="assumed", why=why)
    low, high = numbers
    return Input(range=(low, high), basis="assumed", why=why)


#: What presets that change nothing begin with.
NOT_GIVEN = "not given"
NOTHING = assumed(f"{NOT_GIVEN}: none", 0)


class Lever(Part):
    """What all levers have: a name of their own, and the check that they are held to later."""

    name: str
    #: `key=value` of the tags of requests that the change leaves alone; the check then compares with those.
    holdout: str | None = Field(default=None, pattern=r"^[^=]+=.+$")

    def inputs(self) -> dict[str, Input]:
        """Its numbers by name; one that was not given and has no preset is not there."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: value for name, value in values.items() if isinstance(value, Input)}


class Draws:
    """Common random numbers: the same lever's input is the same in every world that is compared."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed = count, seed
        self._made: dict[tuple[str, str, Input], Floats] = {}

    def of(self, lever: Lever, name: str) -> Floats:
        """The draws of the input `name` of `lever`, by draw."""
        given = lever.inputs()[name]
        key = (lever.name, name, given)
        if key not in self._made:
            self._made[key] = given.draw(self.count, self.seed, f"{lever.name}.{name}")
        return self._made[key]


def numbers(keys: NDArray[np.uint64], seed: int, stream: str) -> Places:
    """A place on the circle of 2^32 for each request, from its own key: others, and their order, have no say in it.

    The finaliser of SplitMix64 (Steele, Lea, Flood 2014) on the key and the stream.
    """
    mixed = keys ^ np.uint64(zlib.crc32(f"{seed}.{stream}".encode()) * 0x9E3779B97F4A7C15 % 2**64)
    with np.errstate(over="ignore"):
        mixed = mixed + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(32)).astype(np.uint32)


#: Irrational steps, so that a request has another place in each draw, and no two streams go together.
_STEPS: Mapping[str, float] = {
    "easy": 0.6180339887498949,
    "router": 0.4142135623730951,
    "fallback": 0.7320508075688772,
    "wrong": 0.2360679774997898,
}


def below(places: Places, stream: str, draw: int, chance: float) -> NDArray[np.bool_]:
    """Which requests a thing of this chance happens to in `draw`.

    The circle of the stream is turned a step further for each draw (Cranley, Patterson 1976): a request's number stays
    even from 0 to 1 over the draws, and is the same one in every world that is compared.
    """
    if chance >= 1:
        return np.ones(len(places), dtype=bool)
    turned = places + np.uint32(int(draw * _STEPS[stream] % 1.0 * 2**32))
    found: NDArray[np.bool_] = turned < np.uint32(int(chance * 2**32))
    return found
