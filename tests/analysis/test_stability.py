"""What a point is: known verdicts, known margins, and the cases on the edge."""

import numpy as np
import pytest
import torch

from helpers.analysis.stability import Classification, classify
from helpers.games.closed_form import dirac_gan, quadratic_game, rotating_saddle, unstable_nash
from helpers.games.game import Game
from tests.common import with_spectrum

CLOSE = 1e-10
ROOT7, ROOT17 = np.sqrt(7), np.sqrt(17)


def linear(S1, S2, A=None, B=None):
    """A quadratic game and its stationary point; without A and B the players do not interact."""
    p, q = len(S1), len(S2)
    blocks = (np.zeros((q, p)) if A is None else A, np.zeros((p, q)) if B is None else B)
    return quadratic_game(S1, S2, *blocks), np.zeros(p + q)


def verdict(game, omega, **options):
    found = classify(game, omega, **options)
    return found.is_lssp, found.is_dne


# ---- Verdicts and margins that are known. ----

KNOWN = {
    # LSSP, DNE, the margins of the two. Example 1's spectrum: eq. 18.
    "LSSP, no DNE": (
        (rotating_saddle(), [1, 1, 0]),
        (True, False, np.roots([1, -1, 11, -2]).real.min(), -1),
    ),
    "DNE, no LSSP": ((unstable_nash(), [0, 1]), (False, True, (3 - ROOT17) / 4, 1 / 2)),
    "another LSSP, no DNE": ((unstable_nash(), [0, -1]), (True, False, 1 / 4, -1 / 2)),
    "both": (linear([[2.0]], [[3.0]], [[-4.0]], [[4.0]]), (True, True, 2.5, 2)),
    "neither": (linear([[-1.0]], [[3.0]]), (False, False, -1, -1)),
    "neither, for D": (linear([[3.0]], [[-1.0]]), (False, False, -1, -1)),
    "pure rotation": (linear([[0.0]], [[0.0]], [[-2.0]], [[2.0]]), (False, False, 0, 0)),
    "Dirac": ((dirac_gan("js"), [0, 0]), (False, False, 0, 0)),
    "zero eigenvalue of J": (linear([[1.0]], [[2.0]], [[2.0]], [[1.0]]), (False, True, 0, 1)),
    "zero eigenvalue of S1": (
        linear(np.diag([1.0, 0]), [[2.0]], [[0, -2.0]], [[0], [2.0]]),
        (True, False, 1, 0),
    ),
    "zero eigenvalue of S2": (linear([[2.0]], [[0.0]], [[-2.0]], [[2.0]]), (True, False, 1, 0)),
    "nothing at all": (linear([[0.0]], [[0.0]]), (False, False, 0, 0)),
}


@pytest.mark.parametrize("case, wanted", KNOWN.values(), ids=KNOWN.keys())
def test_known(case, wanted):
    """Verdicts by hand, and the margins on which they hang."""
    found = classify(*case)
    assert found.is_stationary
    assert found.is_complete
    assert found.gradient_norm <= 1e-15
    assert (found.is_lssp, found.is_dne) == wanted[:2]
    assert (found.stability_margin, found.nash_margin) == pytest.approx(wanted[2:], abs=CLOSE)


def test_spectra():
    """All three spectra, against the paper's numbers and matrices by hand."""
    found = classify(unstable_nash(), [0, -1])
    assert sorted(found.spectrum, key=np.imag) == pytest.approx(
        [(1 - 1j * ROOT7) / 4, (1 + 1j * ROOT7) / 4], abs=CLOSE
    )
    saddle = classify(rotating_saddle(), [1, 1, 0])
    assert saddle.spectrum.shape == (3,)
    assert saddle.spectrum.sum() == pytest.approx(1, abs=CLOSE)  # eq. 21
    assert saddle.spectrum.prod() == pytest.approx(2, abs=CLOSE)  # eq. 20
    assert saddle.spectrum_g == pytest.approx([-1, 2], abs=CLOSE)
    assert saddle.spectrum_d == pytest.approx([0], abs=CLOSE)


@pytest.mark.parametrize("seed", range(4))
def test_random_spectra(seed):
    """Spectra of a random game with p != q, against numpy's of the matrices it was made of."""
    rng = np.random.default_rng(seed)
    S1, S2 = with_spectrum([-1.0, 2, 5], rng), with_spectrum([1.0, 4], rng)
    A, B = rng.normal(size=(2, 3)), rng.normal(size=(3, 2))
    found = classify(*linear(S1, S2, A, B))
    wanted = np.linalg.eigvals(np.block([[S1, B], [A, S2]]))
    assert np.sort(found.spectrum) == pytest.approx(np.sort(wanted), abs=CLOSE)
    assert found.spectrum_g == pytest.approx([-1, 2, 5], abs=CLOSE)
    assert found.spectrum_d == pytest.approx([1, 4], abs=CLOSE)
    assert found.stability_margin == pytest.approx(wanted.real.min(), abs=CLOSE)
    assert found.nash_margin == pytest.approx(-1, abs=CLOSE)


@pytest.mark.parametrize("seed", range(8))
def test_zero_sum_dne_are_lssp(seed):
    """With B = -A' a DNE is an LSSP, however strong the interaction (Table 1)."""
    rng = np.random.default_rng(seed)
    p, q = rng.integers(1, 5, size=2)
    S1, S2 = (with_spectrum(rng.uniform(0.1, 1, size=n), rng) for n in (p, q))
    A = rng.normal(scale=10, size=(q, p))
    assert verdict(*linear(S1, S2, A, -A.T)) == (True, True)


# ---- On the edge: rounding. ----


@pytest.mark.parametrize("seed", range(5))
def test_zero_eigenvalues_up_to_rounding(seed):
    """A singular Hessian counts as singular in any basis, on whichever side rounding puts it."""
    rng = np.random.default_rng(seed)
    S1 = with_spectrum([0.0, 1, 2], rng)
    found = classify(*linear(S1, np.eye(2)))
    assert (found.is_lssp, found.is_dne) == (False, False)
    assert abs(found.nash_margin) < 1e-14


@pytest.mark.parametrize("seed", range(5))
def test_rotations_up_to_rounding(seed):
    """Eigenvalues on the imaginary axis are no LSSP, in any basis and of any size."""
    A = 100 * np.random.default_rng(seed).normal(size=(3, 3))
    found = classify(*linear(np.zeros((3, 3)), np.zeros((3, 3)), A, -A.T))
    assert (found.is_lssp, found.is_dne) == (False, False)
    assert np.abs(found.spectrum.imag).min() > 0


def test_nilpotent():
    """J = [[1, 1], [-1, -1]]: J^2 = 0, and rounding makes eigenvalues of 1e-8 of it."""
    for scale in (1.0, np.pi, 1e-3 / 7):
        S1, S2, A, B = ([[scale * sign]] for sign in (1.0, -1.0, -1.0, 1.0))
        assert verdict(*linear(S1, S2, A, B)) == (False, False)


# J^3 = 0 but not J^2, and S1 is symmetric.
JORDAN = np.array([[0.0, 1, 1], [1, 0, 0], [-1, 0, 0]])


@pytest.mark.parametrize("seed", range(5))
def test_jordan_block(seed):
    """A Jordan block of size 3: its computed eigenvalues are off by 1e-5, on both sides of 0."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(2, 2)))[0]
    basis = np.block([[turn, np.zeros((2, 1))], [np.zeros((1, 2)), rng.uniform(0.5, 2)]])
    J = basis @ JORDAN @ np.linalg.inv(basis)
    J[0, 1] = J[1, 0]
    for shift, stable in ((0.0, False), (0.1, True), (-0.1, False)):
        S = J + shift * np.eye(3)
        assert verdict(*linear(S[:2, :2], S[2:, 2:], S[2:, :2], S[:2, 2:])) == (stable, False)


@pytest.mark.parametrize("margin, counts", [(1e-6, True), (1e-12, True), (1e-17, False)])
def test_small_margins(margin, counts):
    """A positive margin counts if it is well over rounding, also next to much larger ones."""
    for S1, S2 in (([[margin]], [[1.0]]), ([[1.0]], [[margin]])):
        found = classify(*linear(S1, S2))
        assert (found.is_lssp, found.is_dne) == (counts, counts)
        assert found.stability_margin == pytest.approx(margin)
        assert found.nash_margin == pytest.approx(margin)
    # The players' own terms are at rest, their interaction is not.
    assert verdict(*linear([[margin]], [[margin]], [[-1.0]], [[1.0]]))[0] is counts


@pytest.mark.parametrize("margin", [-1e-6, -1e-17])
def test_small_negative_margins(margin):
    assert verdict(*linear([[margin]], [[1.0]])) == (False, False)


def test_rounding_of_float32():
    """What is well over rounding in float64 is not in float32."""
    game = Game(
        lambda t, p: t[0] ** 2 / 2 + 1e-8 * t[1] ** 2 / 2, lambda t, p: p[0] ** 2 / 2, (2, 1)
    )
    assert verdict(game, torch.zeros(3, dtype=torch.float64)) == (True, True)
    assert verdict(game, torch.zeros(3, dtype=torch.float32)) == (False, False)


@pytest.mark.parametrize("S1, S2, B", [(6, 4, 1), (3, 1, 1), (4, 2, 1), (7.1, 2.5, 2.3)])
def test_stable_though_not_diagonalisable(S1, S2, B):
    """One double eigenvalue (S1 + S2) / 2 far from 0, and one eigenvector: a zero-sum DNE."""
    found = classify(*linear([[S1]], [[S2]], [[-B]], [[B]]))
    assert found.stability_margin == pytest.approx((S1 + S2) / 2, abs=1e-6)
    assert (found.is_lssp, found.is_dne) == (True, True)


def test_far_eigenvalues_do_not_blur_the_margin():
    """An eigenvalue that is hard to tell does not stand in the way of one that is not."""
    S1, S2 = np.diag([1e-6, 6.0]), [[4.0]]
    found = classify(*linear(S1, S2, [[0.0, -1.0]], [[0.0], [1.0]]))  # 5 twice, one eigenvector
    assert np.sort(found.spectrum.real) == pytest.approx([1e-6, 5, 5], abs=1e-6)
    assert found.is_lssp is True


def test_resolution_is_reported():
    """Of order eps for a symmetric Jacobian, much larger next to a Jordan block."""
    well = classify(*linear(np.eye(2), np.eye(1)))
    assert 0 < well.stability_resolution < 1e-12
    assert 0 < well.nash_resolution < 1e-14
    ill = classify(*linear([[1.0]], [[-1.0]], [[-1.0]], [[1.0]]))
    assert ill.stability_resolution > 1e-8
    assert ill.nash_resolution < 1e-14
    # Also where another eigenvalue, 5, is far from it and easy to tell.
    beside = classify(*linear(np.diag([1.0, 5]), [[-1.0]], [[-1.0, 0]], [[1.0], [0]]))
    assert beside.stability_resolution > 1e-8


# ---- Points that are not stationary. ----


def test_not_stationary():
    """Good matrices do not make an equilibrium of a point at which the field does not vanish."""
    game, _ = linear([[1.0]], [[1.0]])
    found = classify(game, [3.0, 4.0])
    assert not found.is_stationary
    assert (found.is_lssp, found.is_dne) == (False, False)
    assert found.gradient_norm == pytest.approx(5, abs=CLOSE)
    assert (found.stability_margin, found.nash_margin) == pytest.approx((1, 1), abs=CLOSE)


@pytest.mark.parametrize(
    "norm, options, stationary",
    [
        (0.9e-8, {}, True),
        (1.1e-8, {}, False),
        (1.1e-8, {"tolerance": 1e-7}, True),
        (1e-30, {"tolerance": 0}, False),
        (0.0, {"tolerance": 0}, True),
        (0.25, {"tolerance": 0.25}, True),
    ],
)
def test_tolerance(norm, options, stationary):
    """The largest norm of the field that counts as none, itself included."""
    game, _ = linear([[1.0]], [[1.0]])
    found = classify(game, [norm, 0.0], **options)
    assert found.is_stationary is stationary
    assert (found.is_lssp, found.is_dne) == (stationary, stationary)


# ---- Only the top of the spectra. ----


def hidden(low, n):
    """2n dimensions, a fifth of each player's curvatures larger than the rest, and G's `low`."""
    rng, large = np.random.default_rng(0), n // 5
    S1 = with_spectrum([*np.linspace(10, 20, large), *np.linspace(1, 2, n - large - 1), low], rng)
    S2 = np.diag([*np.linspace(4, 5, large), *np.linspace(1, 2, n - large)])
    A = rng.normal(scale=0.05, size=(n, n))
    return linear(S1, S2, A, -A.T)


@pytest.mark.slow
@pytest.mark.parametrize("low, n, whole", [(-0.5, 100, (False, False)), (0.5, 15, (True, True))])
def test_top_does_not_decide(low, n, whole):
    """The top fifth is positive, 20 of 200 dimensions, whether or not another one is negative."""
    top = n // 5
    case = hidden(low, n)
    found, everything = classify(*case, top=top), classify(*case)
    assert found.stability_margin > 1
    assert found.nash_margin > 1
    assert (found.is_lssp, found.is_dne) == (None, None)
    assert (everything.is_lssp, everything.is_dne) == whole
    assert not found.is_complete
    for part, all_of_it in (
        (found.spectrum, everything.spectrum),
        (found.spectrum_g, everything.spectrum_g),
        (found.spectrum_d, everything.spectrum_d),
    ):
        largest = all_of_it[np.argsort(-np.abs(all_of_it))[:top]]
        assert part.shape == (top,)
        assert np.sort(np.abs(part)) == pytest.approx(np.sort(np.abs(largest)), rel=1e-8)


@pytest.mark.parametrize(
    "S1, S2, wanted",
    [
        ([1.0, 2, 3, -9], [1.0, 2, 3, 4], (False, False)),
        ([1.0, 2, 3, 4], [1.0, 2, 3, -9], (False, False)),
        ([1.0, 2, 3, 4], [1.0, 2, 3, -0.5], (None, None)),
        ([1.0, -1e-12, 0], [1.0, 2, 3], (None, None)),  # rounding refutes nothing
        ([1.0, -1e-6, 0], [1.0, 2, 3], (None, False)),
        ([1.0, 2, 3, 4], [1.0, 2, 3, 4], (None, None)),
    ],
)
def test_top_refutes(S1, S2, wanted):
    """A negative eigenvalue among the top ones is enough to say no, nothing to say yes."""
    case = linear(np.diag(S1), np.diag(S2))
    assert verdict(*case, top=2) == wanted


def test_top_refutes_one_of_two():
    """A saddle of G that turns fast enough: no DNE, and the top of the Jacobian is undecided."""
    S1, S2 = np.diag([-1.0, 0.5, 0.5]), np.diag([3.0, 0.5, 0.5])
    case = linear(S1, S2, -4 * np.eye(3), 4 * np.eye(3))
    assert verdict(*case) == (True, False)
    assert verdict(*case, top=2) == (None, False)


@pytest.mark.parametrize(
    "stationary, margin, complete, wanted",
    [
        (True, 0.2, True, True),
        (True, 0.2, False, None),
        (True, 0.05, True, False),
        (True, -0.05, True, False),
        (True, 0.05, False, None),
        (True, -0.05, False, None),  # rounding refutes nothing
        (True, -0.2, True, False),
        (True, -0.2, False, False),
        (False, 0.2, True, False),
        (False, 0.2, False, False),
    ],
)
def test_what_a_margin_decides(stationary, margin, complete, wanted):
    """With a resolution of 0.1, for the Jacobian and for either Hessian."""
    good = np.array([1.0, 7.0])
    for which in range(3):
        spectra = [good + 0j, good, good]
        spectra[which] = spectra[which] + (margin - 1)
        found = Classification(0.0, stationary, *spectra, 0.1, 0.1, complete)
        others = False if not stationary else complete or None
        verdicts = (wanted, others) if which == 0 else (others, wanted)
        assert (found.is_lssp, found.is_dne) == verdicts
        margins = (margin, 1) if which == 0 else (1, margin)
        assert (found.stability_margin, found.nash_margin) == pytest.approx(margins)


def test_each_margin_has_its_resolution():
    """What is no more than rounding for one matrix may count for the other."""
    spectra = np.array([0.1 + 0j]), np.array([0.1]), np.array([0.1])
    fine_joint = Classification(0.0, True, *spectra, 0.01, 1.0, True)
    assert (fine_joint.is_lssp, fine_joint.is_dne) == (True, False)
    fine_own = Classification(0.0, True, *spectra, 1.0, 0.01, True)
    assert (fine_own.is_lssp, fine_own.is_dne) == (False, True)


def test_top_of_what_is_not_stationary():
    game, _ = linear(np.diag([1.0, 2, 3]), np.diag([4.0, 5, 6]))
    found = classify(game, np.ones(6), top=2)
    assert (found.is_lssp, found.is_dne) == (False, False)
    assert found.gradient_norm == pytest.approx(np.sqrt(91), abs=CLOSE)


def test_top_in_float32():
    """The type of the point is that of the products, here too."""
    game = Game(
        lambda t, p: (torch.arange(1, 6) * t**2).sum() / 2 + t @ p,
        lambda t, p: (torch.arange(3, 8) * p**2).sum() / 2 - t @ p,
        (5, 5),
    )
    found = classify(game, torch.zeros(10, dtype=torch.float32), top=2)
    assert found.spectrum_g == pytest.approx([5, 4], rel=1e-5)
    assert found.spectrum_d == pytest.approx([7, 6], rel=1e-5)
    assert (found.is_lssp, found.is_dne) == (None, None)


@pytest.mark.parametrize("S1", [np.zeros((4, 4)), np.diag([1.0, 2, 3, 4])], ids=["both", "D"])
def test_top_of_no_curvature(S1):
    """A player whose loss is linear in its own parameters has a spectrum too: zeros."""
    case = linear(S1, np.zeros((4, 4)), -np.eye(4), np.eye(4))
    found = classify(*case, top=2)
    assert found.spectrum_d == pytest.approx([0, 0], abs=CLOSE)
    assert found.is_dne is not True


@pytest.mark.slow
@pytest.mark.parametrize("top", [None, 5])
@pytest.mark.parametrize(
    "case",
    [
        hidden(-0.5, 15),
        linear(np.diag([1.0] * 2 + [0] * 12), np.diag([2.0] + [0] * 13)),
    ],
    ids=["full rank", "low rank"],
)
def test_same_at_every_call(case, top):
    """Results are the same to the last bit, and no global random state is used or moved."""
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    first, second = classify(*case, top=top), classify(*case, top=top)
    for name in ("spectrum", "spectrum_g", "spectrum_d"):
        assert getattr(first, name).tolist() == getattr(second, name).tolist()
    for name in ("stability_resolution", "nash_resolution"):
        assert getattr(first, name) == getattr(second, name)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state).all()


def test_callers_tensor_is_left_alone():
    """A parameter can be asked about as it is, and keeps its .grad."""
    leaf = torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64, requires_grad=True)
    leaf.grad = torch.full_like(leaf, 5)
    assert verdict(rotating_saddle(), leaf) == (True, False)
    assert leaf.tolist() == [1, 1, 0]
    assert leaf.grad.tolist() == [5, 5, 5]


# ---- Bad input. ----


@pytest.mark.parametrize(
    "omega, message",
    [
        ([1.0, 1.0], r"got \(2,\)"),
        ([[1.0, 1.0, 0.0]], r"got a batch \(1, 3\)"),
        ([1.0, np.nan, 0.0], "must be finite, got nan"),
        ([1.0, np.inf, 0.0], "must be finite, got inf"),
    ],
)
def test_bad_points(omega, message):
    with pytest.raises(ValueError, match=message):
        classify(rotating_saddle(), omega)


@pytest.mark.parametrize("tolerance", [-1e-12, -1, np.nan])
def test_bad_tolerance(tolerance):
    with pytest.raises(
        ValueError, match=f"tolerance is a finite number, 0 or more, got {tolerance}"
    ):
        classify(rotating_saddle(), [1, 1, 0], tolerance=tolerance)


@pytest.mark.parametrize(
    "p, q, top, most", [(4, 4, 0, 4), (4, 4, -1, 4), (4, 4, 5, 4), (2, 9, 3, 2), (9, 3, 4, 3)]
)
def test_bad_top(p, q, top, most):
    """There are p and q eigenvalues of the players' Hessians."""
    case = linear(np.eye(p), np.eye(q))
    with pytest.raises(ValueError, match=f"from 1 to {most}, got {top}"):
        classify(*case, top=top)


def test_largest_top():
    """All of a player's, but not all of the Jacobian's: still undecided."""
    case = linear(np.diag([1.0, 2, 3]), np.diag([4.0, 5]))
    found = classify(*case, top=2)
    assert found.spectrum == pytest.approx([5, 4], abs=CLOSE)
    assert found.spectrum_g == pytest.approx([3, 2], abs=CLOSE)
    assert found.is_lssp is None


@pytest.mark.parametrize("top", [2.5, True, "2"])
def test_top_is_a_number_of_eigenvalues(top):
    with pytest.raises(ValueError, match=f"top in .* is a whole number, from 1 to .*, got {top!r}"):
        classify(*hidden(-0.5, 15), top=top)


def test_summary_is_a_row():
    """Margins and answers by name."""
    assert classify(rotating_saddle(), [1, 1, 0]).summary() == {
        "stationary": True,
        "smallest real part": pytest.approx(0.184, abs=1e-3),
        "LSSP": True,
        "smallest own curvature": pytest.approx(-1),
        "DNE": False,
    }
