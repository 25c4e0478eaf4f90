"""The scalar functions h: the paper's formulas, and what its assumptions ask of them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers.losses.scalars import (
    IDENTITY,
    LOGISTIC,
    PAIRING,
    SEPARABLE,
    check_loss,
    hinge,
    least_squares,
)
from tests.common import LOSSES, SETTINGS

MARGINS = [0.5, 1.0, 2.0]
COVERED = [LOGISTIC, *map(hinge, MARGINS), *map(least_squares, MARGINS)]
NAMES = [h.name for h in COVERED]
T = torch.linspace(-30, 30, 241, dtype=torch.float64)


@pytest.mark.parametrize("a", MARGINS)
def test_formulas(a):
    """Each h is the function that its formula prints."""
    torch.testing.assert_close(LOGISTIC(T), -torch.log(1 + torch.exp(-T)), rtol=1e-14, atol=1e-15)
    assert torch.equal(hinge(a)(T), torch.where(a < T, 0.0, T - a))
    assert torch.equal(least_squares(a)(T), -(T**2 - 2 * a * T + a**2))
    assert torch.equal(IDENTITY(T), T)


def test_far_out():
    """The logistic neither overflows nor rounds to 0 too early."""
    far = torch.tensor([-1e17, -800.0, 700.0, 1e17], dtype=torch.float64)
    assert LOGISTIC(far)[:2].tolist() == [-1e17, -800.0]
    assert LOGISTIC(far)[2].item() == pytest.approx(-torch.exp(-far[2]).item(), rel=1e-12)
    assert LOGISTIC(far)[3].item() == 0


@pytest.mark.parametrize("h", COVERED, ids=NAMES)
@SETTINGS
@given(ends=st.tuples(st.integers(-300, 300), st.integers(-300, 300)))
def test_concave(h, ends):
    """No chord rises above h (Assumptions 4.1 and 4.4)."""
    first, second = torch.tensor(ends, dtype=torch.float64) / 8
    chord = (h(first) + h(second)) / 2
    assert chord <= h((first + second) / 2) + 1e-14


@pytest.mark.parametrize("h", COVERED, ids=NAMES)
def test_assumptions(h):
    """Sup h is 0 and h(0) negative (Assumptions 4.4 and 4.5), at the paper's value."""
    t = torch.tensor([0.0, 0.5, 1.0, 2.0, 1e3], dtype=torch.float64)
    assert h(t).max() == 0
    assert h(T).max() <= 0
    expected = {"logistic": -0.6931471805599453, "hinge(0.5)": -0.5, "hinge(1)": -1.0}
    expected |= {"hinge(2)": -2.0, "least-squares(0.5)": -0.25, "least-squares(1)": -1.0}
    expected |= {"least-squares(2)": -4.0}
    assert h(t)[0].item() == pytest.approx(expected[h.name], rel=1e-15)


@pytest.mark.parametrize("width", [1e-6, 1e-3, 1.0])
def test_softened_hinge_derivatives(width):
    """The barrier's two derivatives, also at the kink, against their closed form.

    With p the slope, the stationary s obeys u = width / p - width / (1 - p).
    """
    p = torch.tensor([0.5, 0.5 - 1e-4, 0.5 + 1e-4, 0.3, 0.7, 1e-3, 0.999], dtype=torch.float64)
    u = (width / p - width / (1 - p)).requires_grad_(True)
    value = hinge().softened(1 + u, width)
    (first,) = torch.autograd.grad(value.sum(), u, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), u)
    # 1 + u rounds u to the nearest 2e-16, which moves p by its second derivative times that.
    slack = 1e-15 / width
    torch.testing.assert_close(first.detach(), p, rtol=1e-12, atol=slack)
    curvature = -1 / (width * (1 / p**2 + 1 / (1 - p) ** 2))
    torch.testing.assert_close(second, curvature, rtol=1e-11, atol=slack / width)


@pytest.mark.parametrize("width", [1e-9, 1e-4, 0.1])
def test_softened_hinge_nears_hinge(width):
    """The stand-in is h to within width (2 + log(2 + |u| / width)): it tends to h."""
    difference = (hinge(2.0).softened(T, width) - hinge(2.0)(T)).abs()
    size = (T - 2).abs() / width
    assert (difference <= width * torch.maximum(torch.tensor(2.0), torch.log(2 + size))).all()


@pytest.mark.parametrize("h", [LOGISTIC, IDENTITY, least_squares(2.0)], ids=lambda h: h.name)
def test_smooth_functions_need_no_stand_in(h):
    """Where h has no kink its softened version is h itself, at any width."""
    assert torch.equal(h.softened(T, 0.5), h(T))


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_by_name(loss):
    """Every loss has a checked name and is one that Theorems 1 and 2 speak of."""
    assert check_loss(loss) == loss
    hs = SEPARABLE[loss] if loss in SEPARABLE else [PAIRING[loss]]
    families = {"js": "logistic", "rs": "logistic", "ls": "least-squares", "rp-ls": "least-squares"}
    assert {h.name.split("(")[0] for h in hs} == {families.get(loss, "hinge")}
    assert (loss in SEPARABLE) != (loss in PAIRING)


@pytest.mark.parametrize("name", ["wgan", "JS", ""])
def test_unknown_loss(name):
    """A wrong name is refused with the names there are."""
    with pytest.raises(ValueError, match="js, hinge, ls, rs, rp-hinge, rp-ls"):
        check_loss(name)
