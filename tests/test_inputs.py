"""Checks at the door: what passes comes out as Python's own, all else is named."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from helpers.inputs import one_of, real_array, real_number, seed, whole_number

NO_NUMBERS = [None, "3", "", {3}, [3], (3,), 3j, True, np.True_, object(), b"3", np.arange(3)]
NO_NUMBERS += [torch.tensor(True), torch.ones(2), np.str_("3"), np.complex64(1), {}, float]


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), np.array(3), torch.tensor(3)])
def test_whole_numbers_pass(value):
    for found in (whole_number("n", value, 3, 3), seed(value)):
        assert type(found) is int and found == 3


@pytest.mark.parametrize(
    "value", [3, 3.0, np.float32(3), np.int8(3), torch.tensor(3.0), Fraction(3)]
)
def test_real_numbers_pass(value):
    found = real_number("x", value, least=3, above=2)
    assert type(found) is float and found == 3


@pytest.mark.parametrize("value", [*NO_NUMBERS, 3.0, np.float64(3), -1, 6, 10**30, np.nan])
def test_whole_numbers_are_named(value):
    with pytest.raises(ValueError, match="n is a whole number, from 0 to 5, got "):
        whole_number("n", value, 0, 5)


@pytest.mark.parametrize("value", [*NO_NUMBERS, np.nan, np.inf, -1, 10**400, -np.inf])
def test_real_numbers_are_named(value):
    with pytest.raises(ValueError, match="x is a finite number, 0 or more, got "):
        real_number("x", value, least=0)


def test_bounds():
    with pytest.raises(ValueError, match="x is a finite number, above 0, got 0"):
        real_number("x", 0, above=0)
    with pytest.raises(ValueError, match="n is a whole number, 1 or more, got 0"):
        whole_number("n", 0, 1)
    assert seed(2**63 - 1) == 2**63 - 1
    with pytest.raises(ValueError, match="got 9223372036854775808"):
        seed(2**63)


def test_messages_are_one_short_line():
    for value in (
        "x" * 5000,
        torch.randn(100, 100),
        np.random.default_rng(0).normal(size=(50, 50)),
    ):
        with pytest.raises(ValueError, match="got ") as caught:
            whole_number("n", value, 0)
        assert len(str(caught.value)) < 200 and "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [None, 3, ["G"], "g", {"G"}, b"G", np.nan])
def test_names(value):
    with pytest.raises(ValueError, match="player is one of 'G', 'D', got "):
        one_of("player", value, ("G", "D"))
    with pytest.raises(ValueError, match="player is one of 'G', got "):
        one_of("player", value, {"G": 1})
    assert one_of("player", "D", ("G", "D")) == "D"


@pytest.mark.parametrize(
    "value",
    [None, "123", ["1", "2"], {1, 2}, [1j], [[1], [1, 2]], [None], [object()], {}, [True, False]],
)
def test_arrays_are_named(value):
    with pytest.raises(ValueError, match="places are real numbers, got "):
        real_array("places", value)


def test_arrays():
    half = torch.tensor([1.5], dtype=torch.bfloat16, requires_grad=True)
    for value in ([1.5], (1.5,), np.array([1.5], dtype=np.float32), half, [torch.tensor(1.5)]):
        found = real_array("x", value)
        assert found.dtype == np.float64 and found.tolist() == [1.5]
    with pytest.raises(ValueError, match=r"finite numbers, got nan at \[1, 0\]"):
        real_array("x", [[1.0], [np.nan]])
    assert np.isinf(real_array("x", np.inf, finite=False))
