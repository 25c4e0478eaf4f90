"""The spectra where trainings of narrow nets end, beside whole ones, and what a failure costs."""

import numpy as np
import pytest
import torch

from helpers.experiments import narrow_ends
from helpers.experiments.image_training import standard_normal
from helpers.experiments.narrow_ends import END, end_of, kept_end
from helpers.experiments.narrow_setting import Setting, Size
from helpers.games.networks import joint_point, network_game
from helpers.models import Players, mlp
from helpers.operators import hessian, jacobian
from helpers.spectra import NotConverged
from helpers.training import Paused

BEFORE, AFTER = (Players(mlp([128, 2, 2], seed=s), mlp([2, 6, 1], seed=s + 9)) for s in (0, 1))
REALS = standard_normal(12, 2, seed=5) + 2


def end(**options):
    return end_of(BEFORE, AFTER, REALS, **{"loss": "js", "seed": 3, "top": 2} | options)


def dense(operator):
    """The matrix of an operator, column by column."""
    n = operator.shape[0]
    eye = torch.eye(n)
    return np.stack([operator.matvec(eye[i]).double().numpy() for i in range(n)], axis=1)


def test_numbers_are_those_of_the_whole_spectra():
    """Largest modulus, largest imaginary part and least real part of three eigenvalues."""
    found = end()
    latents = standard_normal(12, 128, seed=3)
    start, game = (network_game(*nets, latents, REALS, loss="js") for nets in (BEFORE, AFTER))
    point = joint_point(*AFTER)
    values = np.linalg.eigvals(dense(jacobian(game, point)))
    wanted = {"modulus": np.abs(values).max(), "imaginary": np.abs(values.imag).max()}
    wanted |= {"leftmost": values.real.min()}
    wanted["imaginary_share"] = wanted["imaginary"] / wanted["modulus"]
    of_g, of_d = (np.linalg.eigvalsh(dense(hessian(game, p, point))) for p in "GD")
    wanted |= {"curvature_low": of_g.min(), "curvature_high": of_g.max(), "sharpness": of_d.max()}
    norms = [
        g.vector_field(joint_point(*nets)).norm() for g, nets in ((start, BEFORE), (game, AFTER))
    ]
    wanted["relative_norm"] = float(norms[1] / norms[0])
    assert tuple(found) == END and wanted.keys() == found.keys()
    assert wanted["imaginary"] > 0.01 * wanted["modulus"] and wanted["leftmost"] < 0
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, rel=0.05), name


def test_nothing_is_searched_for_without_leading_eigenvalues():
    found = end(top=0)
    assert tuple(found) == END and np.isnan(list(found.values())).all()


@pytest.mark.parametrize("error", [NotConverged, FloatingPointError])
@pytest.mark.parametrize(
    ("which", "lost"),
    [
        ("LM", {"modulus", "imaginary_share"}),
        ("LI", {"imaginary", "imaginary_share"}),
        ("SR", {"leftmost"}),
        ("SA", {"curvature_low"}),
    ],
)
def test_a_search_that_fails_costs_its_own_numbers(monkeypatch, error, which, lost):
    whole = end()

    def failing(search):
        def call(operator, k, asked, **options):
            if asked == which:
                raise error("no")
            return search(operator, k, asked, **options)

        return call

    for name in ("game_eigenvalues", "top_eigenpairs"):
        monkeypatch.setattr(narrow_ends, name, failing(getattr(narrow_ends, name)))
    found = end()
    assert {name for name, value in found.items() if np.isnan(value)} == lost
    assert all(found[name] == whole[name] for name in END if name not in lost)


def test_an_end_is_kept(tmp_path):
    """Found once; not read back for another setting, size or seed."""
    size = Size(iterations=2, every=1, earlier=1, samples=9, lacks="most")
    how = {"seed": 1, "folder": tmp_path}
    with pytest.raises(Paused, match="stopped after end"):
        kept_end(lambda: {"modulus": 2.0}, Setting(), size, until=lambda: True, **how)
    assert kept_end(lambda: {"modulus": 3.0}, Setting(), size, **how) == {"modulus": 2.0}
    with pytest.raises(ValueError, match=r"end\.pt"):
        kept_end(lambda: {"modulus": 3.0}, Setting(), size, **{**how, "seed": 2})
