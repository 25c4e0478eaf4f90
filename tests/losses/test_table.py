"""The table of GAN losses, against the papers' formulas in float64."""

from functools import wraps

import numpy as np
import pytest
import torch

from helpers.losses.table import LOSSES, GanLoss, find_loss, is_mean

# D's loss and G's as printed, in the probabilities and differences of Goodfellow et al. 2014,
# eq. 1, Mao et al. 2017, eq. 2, Sun et al. 2020, eq. 2 and 3, with the factor of the first.
FORMULAS = {
    "js": (
        lambda r, f: -np.log(sigmoid(r)).mean() - np.log(1 - sigmoid(f)).mean(),
        lambda r, f: -np.log(sigmoid(f)).mean(),
    ),
    "js-saturating": (
        lambda r, f: -np.log(sigmoid(r)).mean() - np.log(1 - sigmoid(f)).mean(),
        lambda r, f: np.log(1 - sigmoid(f)).mean(),
    ),
    "hinge": (
        lambda r, f: np.maximum(0, 1 - r).mean() + np.maximum(0, 1 + f).mean(),
        lambda r, f: np.maximum(0, 1 - f).mean(),
    ),
    "hinge-saturating": (
        lambda r, f: np.maximum(0, 1 - r).mean() + np.maximum(0, 1 + f).mean(),
        lambda r, f: -np.maximum(0, 1 + f).mean(),
    ),
    "hinge-linear": (
        lambda r, f: np.maximum(0, 1 - r).mean() + np.maximum(0, 1 + f).mean(),
        lambda r, f: -f.mean(),
    ),
    "ls": (
        lambda r, f: ((r - 1) ** 2).mean() + (f**2).mean(),
        lambda r, f: ((f - 1) ** 2).mean(),
    ),
    "ls-saturating": (
        lambda r, f: ((r - 1) ** 2).mean() + (f**2).mean(),
        lambda r, f: -(f**2).mean(),
    ),
    "wgan": (
        lambda r, f: f.mean() - r.mean(),
        lambda r, f: -f.mean(),
    ),
    "rs": (
        lambda r, f: -np.log(sigmoid(r - f)).mean(),
        lambda r, f: -np.log(sigmoid(f - r)).mean(),
    ),
    "rp-hinge": (
        lambda r, f: np.maximum(0, 1 - (r - f)).mean(),
        lambda r, f: np.maximum(0, 1 - (f - r)).mean(),
    ),
    "rp-ls": (
        lambda r, f: ((r - f - 1) ** 2).mean(),
        lambda r, f: ((f - r - 1) ** 2).mean(),
    ),
}
every = pytest.mark.parametrize("name", FORMULAS)


def sigmoid(u):
    return 1 / (1 + np.exp(-u))


def logits(count=50):
    """Real and generated ones on both sides of every kink, of different means."""
    rng = np.random.default_rng(0)
    return rng.normal(0.5, 3, count), rng.normal(-0.5, 3, count)


def test_the_table_is_complete():
    """Each loss is found by the name that it bears, and none is left unchecked."""
    assert set(LOSSES) == set(FORMULAS)
    assert all(loss.name == name for name, loss in LOSSES.items())


@every
def test_formulas(name):
    real, fake = logits()
    tensors = [torch.from_numpy(each) for each in (real, fake)]
    for of, wanted in zip(
        (LOSSES[name].discriminator, LOSSES[name].generator), FORMULAS[name], strict=True
    ):
        found = of(*tensors)
        assert found.shape == ()
        assert found.dtype == torch.float64
        assert found.item() == pytest.approx(wanted(real, fake), rel=1e-12)


@every
def test_slopes(name):
    """Gradients in the logits are those of the formulas, by central differences."""
    real, fake = logits(6)
    for of, formula in zip(
        (LOSSES[name].discriminator, LOSSES[name].generator), FORMULAS[name], strict=True
    ):
        leaves = [torch.from_numpy(each).requires_grad_() for each in (real, fake)]
        slopes = torch.autograd.grad(of(*leaves), leaves, materialize_grads=True, allow_unused=True)
        for k in range(6):
            away = 1e-6 * np.eye(6)[k]
            wanted = (
                formula(real + away, fake) - formula(real - away, fake),
                formula(real, fake + away) - formula(real, fake - away),
            )
            found = [slope[k].item() for slope in slopes]
            assert found == pytest.approx(np.array(wanted) / 2e-6, abs=1e-8)


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("real, fake", [(1e4, 1e4), (1e4, -1e4), (-1e4, 1e4), (-1e4, -1e4)])
def test_logits_far_out(name, dtype, real, fake):
    """Where a sigmoid is 0 or 1 to rounding, values and slopes are finite."""
    for of in (LOSSES[name].discriminator, LOSSES[name].generator):
        leaves = [torch.full((2,), each, dtype=dtype, requires_grad=True) for each in (real, fake)]
        value = of(*leaves)
        slopes = torch.autograd.grad(value, leaves, materialize_grads=True, allow_unused=True)
        assert value.isfinite()
        assert all(slope.isfinite().all() for slope in slopes)


def test_a_confident_discriminator_still_teaches():
    """Where it is sure that all is generated, G has its full slope, and none if it saturates."""
    for name, slope in (("js", -1), ("js-saturating", 0), ("rs", -1)):
        fake = torch.full((1,), -1e4, dtype=torch.float64, requires_grad=True)
        LOSSES[name].generator(torch.full((1,), 1e4, dtype=torch.float64), fake).backward()
        assert fake.grad.item() == slope


@pytest.mark.parametrize("name", ["js", "hinge", "ls"])
def test_saturating_is_zero_sum_in_the_samples(name):
    """G's loss is minus what of D's it can change."""
    real, fake = (torch.from_numpy(each) for each in logits())
    loss = LOSSES[f"{name}-saturating"]
    total = [loss.discriminator(real, f) + loss.generator(real, f) for f in (fake, fake + 1)]
    assert total[0].item() == pytest.approx(total[1].item(), rel=1e-12)
    assert loss.discriminator(real, fake) == LOSSES[name].discriminator(real, fake)


@every
def test_only_pairing_losses_look_at_real_samples(name):
    """G's loss changes with them where the loss pairs, and only there."""
    real, fake = (torch.from_numpy(each) for each in logits())
    loss = LOSSES[name]
    assert loss.pairs == (name in ("rs", "rp-hinge", "rp-ls"))
    assert (loss.generator(real, fake) != loss.generator(real + 1, fake)).item() == loss.pairs
    # A pair is what stands at the same place.
    swapped = loss.discriminator(real.flip(0), fake)
    assert (abs(loss.discriminator(real, fake) - swapped) > 1e-6).item() == loss.pairs


@every
def test_of_fakes(name):
    """The same number, or a refusal of a loss that looks at reals without saying so."""
    real, fake = (torch.from_numpy(each) for each in logits())
    loss = LOSSES[name]
    if loss.pairs:
        with pytest.raises(ValueError, match=f"G's loss of '{name}' looks at .* pairs=True"):
            loss.of_fakes(fake)
    else:
        assert torch.equal(loss.of_fakes(fake), loss.generator(real, fake))


@pytest.mark.parametrize(
    "uses",
    [torch.mean, lambda r: r.shape, lambda r: -r, lambda r: 1 - r, lambda r: r[0], len, float],
)
def test_any_use_of_reals(uses):
    loss = GanLoss("own", lambda r, f: (r - f).mean(), lambda r, f: (uses(r), f.mean())[1])
    with pytest.raises(ValueError, match="'own' looks at the logits of reals"):
        loss.of_fakes(torch.zeros(2))


@every
def test_weighted(name):
    """Half of D's loss, the same of G's, and a name of its own."""
    real, fake = (torch.from_numpy(each) for each in logits())
    loss, half = LOSSES[name], LOSSES[name].weighted(0.5)
    assert half.discriminator(real, fake) == loss.discriminator(real, fake) / 2
    assert half.generator(real, fake) == loss.generator(real, fake)
    assert (half.name, half.pairs) == (f"{name}*0.5", loss.pairs)


def test_what_is_wrapped_around_a_mean_is_not_known_to_be_one():
    """Though functools.wraps copies all attributes. What cannot be hashed is no mean either."""
    loss = LOSSES["js"].discriminator

    @wraps(loss)
    def squared(real, fake):
        return loss(real, fake) ** 2

    assert is_mean(loss) and is_mean(LOSSES["js"].weighted(0.5).discriminator)
    assert not is_mean(squared) and not is_mean([])
    assert not is_mean(GanLoss("own", squared, squared).weighted(0.5).discriminator)


@every
def test_shapes_of_logits(name):
    """Pairs have one shape; a separable loss may have other numbers of both, but not none."""
    loss, some = LOSSES[name], torch.zeros(4)
    for none in ((some, some[:0]), (some[:0], some), (some[:0], some[:0])):
        with pytest.raises(ValueError, match=r"must be some, got \(\d,\) and \(\d,\)"):
            loss.discriminator(*none)
    with pytest.raises(ValueError, match="must be some, got"):
        loss.generator(some[:0], some[:0])
    if not loss.pairs:
        assert loss.discriminator(some, some[:3]) == loss.discriminator(some, some)
        return
    for players in (loss.discriminator, loss.generator, loss.weighted(2).discriminator):
        for other in (some[:, None], some[:1], some[0]):
            with pytest.raises(ValueError, match=r"of one shape, got \(.*\) and \(4,\)$"):
                players(other, some)


@every
def test_members_side_by_side(name):
    """Under vmap as one by one."""
    real, fake = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
    for player in (LOSSES[name].discriminator, LOSSES[name].generator):
        alone = torch.stack([player(*each) for each in zip(real, fake, strict=True)])
        torch.testing.assert_close(torch.func.vmap(player)(real, fake), alone)


@pytest.mark.parametrize("factor", [float("nan"), float("inf"), -1, "2", True, None])
def test_factors(factor):
    with pytest.raises(ValueError, match="the factor of a loss is a finite number, 0 or more, got"):
        LOSSES["js"].weighted(factor)


@pytest.mark.parametrize("name", ["nsgan", ["js"], {}, None, 3])
def test_unknown_losses(name):
    with pytest.raises(ValueError, match=r"^unknown loss .*; there are js, .*hinge-linear$"):
        find_loss(name)
