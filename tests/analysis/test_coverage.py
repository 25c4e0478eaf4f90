"""Coverage by hand, and D's least loss against the landscape of points."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from helpers.analysis.coverage import (
    absences,
    collapses,
    coverage,
    least_loss,
    longest_stays,
    pair_shares,
    shares_near,
    steady,
)
from helpers.datasets.synthetic import CENTRES, RADIUS
from helpers.losses.scalars import PAIRING, SEPARABLE
from helpers.losses.table import LOSSES


def test_shares_near():
    points = torch.tensor([[[0.0], [0.35], [0.37], [-0.35]], [[4.0], [4.0], [4.0], [9.0]]])
    shares = shares_near(points, CENTRES, RADIUS)
    assert shares.tolist() == [[0.75, 0.0], [0.0, 0.75]]


def test_coverage_by_hand():
    """Records at 10, 20, 30, 40 of three members: late and for good, lost again, never."""
    both, one, none = [0.5, 0.5], [1.0, 0.0], [0.0, 0.0]
    shares = [[one, both, none], [one, both, one], [both, one, one], [both, one, none]]
    found = coverage(shares, [10, 20, 30, 40])
    assert found.first.tolist() == [30, 10, 40]
    assert found.stable.tolist() == [30, 40, 40]
    assert found.collapsed.tolist() == [20, 20, 20]
    assert found.longest.tolist() == [20, 20, 20]
    assert found.at_end.tolist() == [2, 1, 0]


def test_a_break_ends_a_collapse():
    one, none = [1.0, 0.0], [0.0, 0.0]
    found = coverage([[one], [none], [one], [one]], [1, 2, 3, 4])
    assert found.collapsed.tolist() == [3]
    assert found.longest.tolist() == [2]


def test_least():
    """A mode is covered from a tenth of its even share on."""
    shares = [[[0.96, 0.04]], [[0.95, 0.05]]]
    assert coverage(shares, [1, 2]).first.tolist() == [2]
    assert coverage(shares, [1, 2], least=0.05).first.tolist() == [1]


@pytest.mark.parametrize(
    "shares, iterations, least, message",
    [
        (np.zeros((2, 3)), [1, 2], 0.1, "shares"),
        (np.zeros((2, 3, 2)), [1], 0.1, "shares"),
        (np.zeros((0, 3, 2)), [], 0.1, "shares"),
        (np.zeros((1, 3, 2)), [1], 0.0, "least"),
    ],
)
def test_bad_records(shares, iterations, least, message):
    with pytest.raises(ValueError, match=message):
        coverage(shares, iterations, least=least)


def test_pair_shares():
    """Rows are the reals' clusters, columns the points'; who is astray counts in no column."""
    points = torch.tensor([[[0.1], [4.1], [0.2], [2.0], [0.0]]])
    reals = torch.tensor([[[0.2], [0.0], [4.2], [4.0], [0.1]]])
    found = pair_shares(points, reals, CENTRES, RADIUS)
    assert found.numpy() == pytest.approx(np.array([[[0.4, 0.2], [0.2, 0.0]]]))
    assert found.sum(dim=1).numpy() == pytest.approx(shares_near(points, CENTRES, RADIUS).numpy())


@pytest.mark.parametrize("loss", [*SEPARABLE, *PAIRING])
def test_least_loss_is_that_of_the_best_logits(loss):
    """Six pairs on the centres or astray: D's loss of `LOSSES`, minimised over a logit a place."""
    rng = np.random.default_rng(0)
    for _ in range(6):
        x, y = rng.integers(0, 2, 6), rng.integers(0, 3, 6)
        y = np.where(y == 2, np.arange(2, 8), y)  # astray: each at a place of its own
        place = torch.cat([CENTRES.flatten(), torch.arange(6) + 10.0])

        def loss_of(f, x=x, y=y):
            f = torch.from_numpy(f).requires_grad_()
            value = (
                LOSSES[loss].weighted(0.5) if loss in SEPARABLE else LOSSES[loss]
            ).discriminator(f[x], f[y])
            return value.item(), torch.autograd.grad(value, f)[0].numpy()

        best = minimize(loss_of, np.zeros(8), jac=True, bounds=[(-40, 40)] * 8, tol=1e-12)
        pairs = pair_shares(place[y][None, :, None], place[x][None, :, None], CENTRES, RADIUS)
        real = [(x == 0).mean(), (x == 1).mean()]
        assert least_loss(pairs[0], real, loss) == pytest.approx(best.fun, abs=1e-6)


def test_least_loss_of_many_states():
    """Shapes in front broadcast, as do the reals' shares."""
    pairs = np.zeros((4, 3, 2, 2))
    assert least_loss(pairs, [0.5, 0.5], "js").tolist() == np.zeros((4, 3)).tolist()
    assert least_loss(pairs, [0.5, 0.5], "rs").tolist() == np.zeros((4, 3)).tolist()


def test_least_loss_refusals():
    with pytest.raises(ValueError, match="unknown loss 'wgan'"):
        least_loss(np.zeros((2, 2)), [0.5, 0.5], "wgan")
    with pytest.raises(ValueError, match=r"pairs are \(\.\.\., 2, 2\)"):
        least_loss(np.zeros((3, 3)), [0.5, 0.5], "js")


def test_longest_stays_by_hand():
    """A move to the other cluster ends a stay, as does a point too many elsewhere."""
    zero, four, apart = [1.0, 0.0], [0.05, 0.95], [0.2, 0.8]
    shares = [[zero, zero], [zero, apart], [four, apart], [four, zero], [four, apart]]
    found = longest_stays(shares, [10, 20, 30, 40, 50])
    assert found.length.tolist() == [30, 10]
    assert found.start.tolist() == [2, 0] and found.end.tolist() == [5, 1]
    assert found.mode.tolist() == [1, 0]


def test_no_stay():
    found = longest_stays(np.full((3, 2, 2), 0.5), [1, 2, 3])
    assert found.length.tolist() == [0, 0] and found.end.tolist() == [0, 0]


def test_stays_refused():
    with pytest.raises(ValueError, match="shares"):
        longest_stays(np.full((3, 2, 2), 0.5), [1, 2])


def test_collapses_by_hand():
    """All runs with one cluster covered, but short ones; moves included, the last one named."""
    one, other, both, none = [1.0, 0.0], [0.0, 0.9], [0.5, 0.5], [0.0, 0.04]
    shares = [[one, both], [other, one], [both, none], [one, one], [none, one], [both, one]]
    found = collapses(shares, [10, 20, 30, 40, 50, 60], shortest=20)
    assert found.to_dict("list") == {
        "member": [0, 1],
        "start": [0, 30],
        "end": [20, 60],
        "length": [20, 30],
        "last": [False, True],
    }
    assert len(collapses(shares, [10, 20, 30, 40, 50, 60], shortest=10)) == 4
    # Half of a fair share is asked for: 0.2 of the points cover nothing.
    few = [[[0.9, 0.2]], [[0.9, 0.3]]]
    assert collapses(few, [1, 2], shortest=1, least=0.5)["end"].tolist() == [1]


@pytest.mark.parametrize("seed", range(5))
def test_the_longest_collapse_is_that_of_coverage(seed):
    rng = np.random.default_rng(seed)
    shares, when = rng.choice([0.0, 0.5, np.nan], (40, 6, 2)), np.cumsum(rng.integers(1, 5, 40))
    longest = collapses(shares, when, shortest=1).groupby("member")["length"].max()
    wanted = coverage(shares, when).longest
    assert longest.reindex(range(6), fill_value=0).tolist() == wanted.tolist()


def test_collapses_refused():
    shares = np.full((2, 1, 2), 0.5)
    with pytest.raises(ValueError, match="shortest is a whole number, 1 or more"):
        collapses(shares, [1, 2], shortest=0)
    with pytest.raises(ValueError, match="least is above 0 and at most 1, got 2"):
        collapses(shares, [1, 2], shortest=1, least=2)


def test_shapes_are_not_broadcast():
    points, centres = torch.zeros(3, 5, 1), torch.zeros(2, 1)
    for wrong in (torch.zeros(2, 2), torch.zeros(2), torch.zeros(1, 2, 1)):
        with pytest.raises(ValueError, match=r"points \(S, n, d\) and centres \(k, d\) .* got"):
            shares_near(points, wrong, 1.0)
    for wrong in (points[:1], points[:, :1], points[..., 0]):
        with pytest.raises(ValueError, match="points and reals are pairs"):
            pair_shares(points, wrong, centres, 1.0)
    for real in (0.5, [0.5], [[0.5, 0.5]] * 3):
        with pytest.raises(ValueError, match=r"real is .* as pairs are, got"):
            least_loss(np.full((4, 2, 2), 0.25), real, "js")
    for times in ([1, 1], [2, 1], [0, 1], [1.5, 2]):
        with pytest.raises(
            ValueError, match="iterations are whole numbers from 1 on, ascending, got"
        ):
            coverage(np.full((2, 1, 2), 0.5), times)
    with pytest.raises(ValueError, match="radius is a finite number, above 0, got '1'"):
        shares_near(points, centres, "1")


def of_points(counts, dtype):
    """Shares (1, 1, k) with so many of 100 points at each mode, as `shares_near` gives them."""
    centres = 4 * torch.arange(len(counts))[:, None].to(dtype)
    at = torch.tensor([*counts, 100 - sum(counts)])
    places = torch.cat([centres, torch.tensor([[-9.0]]).to(dtype)]).repeat_interleave(at, dim=0)
    return shares_near(places[None], centres, RADIUS)[None]


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_a_share_at_a_threshold_reaches_it(dtype):
    """One point of 100 is a hundredth and 90 are nine tenths, in every precision."""
    assert coverage(of_points([1, 99], dtype), [1], least=0.02).at_end.tolist() == [2]
    assert longest_stays(of_points([90, 0], dtype), [1]).length.tolist() == [1]
    assert not len(absences(of_points([1, 99], dtype), [1], shortest=1, least=0.02))
    assert not len(collapses(of_points([2, 98], dtype), [1], shortest=1, least=0.04))
    assert not len(steady(of_points([3, 97], dtype), [1], shortest=1, least=0.06))
    assert coverage(of_points([1, 99], dtype), [1], least=0.04).at_end.tolist() == [1]
    assert longest_stays(of_points([89, 0], dtype), [1]).length.tolist() == [0]


@pytest.mark.parametrize("total, least, others", [(1, 0.02, 0), (5, 0.1, 4), (25, 0.5, 24)])
def test_sums_of_shares_reach_a_threshold_however_they_are_split(total, least, others):
    """As `pair_shares` splits them by their partners: at the threshold, and one point below it."""
    for count, modes in ((total, 2), (others, 1)):
        parts = np.arange(count + 1)
        one = (np.stack([parts, count - parts]) / 100).astype(np.float32).sum(axis=0)
        shares = np.stack([one, 1 - one], axis=1)[None]
        assert set(coverage(shares, [1], least=least).at_end.tolist()) == {modes}


def test_numbers_get_the_slack_of_their_own_precision():
    """What is rounding in float32 is a difference in float64."""
    almost = np.full((1, 1, 2), 0.9 - 3e-8)
    assert longest_stays(almost, [1]).length.tolist() == [0]
    assert longest_stays(almost.astype(np.float32), [1]).length.tolist() == [1]
    tenths = np.array([[[0.1 + 0.1 + 0.1 + 0.6, 0.1]]])  # 0.8999999999999999
    assert longest_stays(tenths, [1]).length.tolist() == [1]
