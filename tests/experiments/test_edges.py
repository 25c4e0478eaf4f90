"""The edge of stability in training: records against dense matrices, and numbers by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from helpers.analysis import edge_ratio, update_matrix
from helpers.experiments import edges
from helpers.experiments.edge_training import Setting, TrainedEdges, train_edges
from helpers.experiments.edge_watch import Kept
from helpers.operators import jacobian
from helpers.training.nudging import Nudging
from helpers.training.recording import Paused
from helpers.training.train import EnsembleResult

SMALL = {"points": 40, "every": 3}


def leading(values, k=4):
    return values[np.argsort(-np.abs(values))][:k]


@pytest.mark.parametrize(
    ("data", "method", "loss"),
    [
        ("mixture", "simultaneous", "js"),
        ("mixture", "alternating", "js"),
        ("mixture", "optimistic", "js-saturating"),
        ("mixture", "alternating", "js-saturating"),
    ],
)
def test_records_are_those_of_dense_matrices(data, method, loss):
    """At the weights that were kept, by the game that was trained."""
    setting = Setting(loss, data=data, method=method, rates=(0.05, 0.1))
    run = train_edges(setting, 2, 6, seed=3, keep=[3], **SMALL)
    records = run.run.records
    for member in range(2):
        game, point = run.game(member), run.point(member, 3)
        J, p = jacobian(game, point).dense().numpy(), game.sizes[0]
        for name, own, rate in (("g", slice(p), 0.05), ("d", slice(p, None), 0.1)):
            top = rate * np.linalg.eigvalsh(J[own, own])[-1]
            assert records[f"own_{name}"][0, member] == pytest.approx(top, rel=5e-3)
        step = method if method == "alternating" else "simultaneous"
        gone = np.eye(len(J)) - update_matrix(J, p, step, setting.rates)
        expected = leading(np.linalg.eigvals(gone))
        found = records["real"][0, member] + 1j * records["imag"][0, member]
        off = np.abs(np.sort_complex(found) - np.sort_complex(expected))
        assert off[np.abs(np.sort_complex(expected)).argmax()] < 2e-3 * np.abs(expected[0])
        assert np.abs(np.abs(found) - np.abs(expected)).max() < 1e-2 * np.abs(expected[0])


def test_step_sizes_of_adam():
    """What its first moment is multiplied by, at every step."""
    draws = torch.Generator().manual_seed(0)
    kept = Kept(lambda weights: torch.optim.Adam(weights, lr=0.1, betas=(0.5, 0.9)))
    weights = [torch.zeros(2, 3), torch.zeros(2, 1)]
    optimizer = kept(weights)
    for _ in range(4):
        before = torch.cat([weight.clone() for weight in weights], dim=1)
        for weight in weights:
            weight.grad = torch.randn(weight.shape, generator=draws)
        optimizer.step()
        moment = torch.cat([optimizer.state[weight]["exp_avg"] for weight in weights], dim=1)
        moved = before - torch.cat(weights, dim=1)
        assert torch.allclose(kept.sizes() * moment, moved, rtol=1e-4, atol=1e-7)


def test_step_sizes_of_descent():
    kept = Kept(lambda weights: torch.optim.SGD(weights, lr=0.1))
    kept([torch.zeros(2, 3, 1), torch.zeros(2, 4)])
    assert kept.sizes().tolist() == [[pytest.approx(0.1)] * 7] * 2


def test_adam_is_watched_with_its_own_sizes():
    """At equal second moments of all weights it would be descent; it is not."""
    runs = [
        train_edges(Setting("js", method=method, rates=(1e-3, 1e-3)), 1, 3, seed=0, **SMALL)
        for method in ("adam", "simultaneous")
    ]
    ratio = runs[0].run.records["own_d"] / runs[1].run.records["own_d"]
    assert np.isfinite(ratio).all() and (ratio > 3).all()  # gradients are well below 1


def trained(own_d, method="simultaneous", **records):
    """Members with these records (t, S); all others tell the rows apart."""
    own_d = np.asarray(own_d, dtype=np.float32)
    count, members = own_d.shape
    lead = np.stack([own_d * k for k in (1.0, 0.5, 0.25, 0.125)], axis=-1)
    held = {"own_d": own_d, "own_g": own_d / 10, "real": lead, "imag": 0 * lead}
    run = EnsembleResult(
        None, None, np.arange(1, count + 1) * 10, held | records, {}, {}
    )  # fmt: skip
    none = torch.zeros(members, 1, 1)
    return TrainedEdges(Setting("js", method=method, rates=(0.05, 0.1)), none, none, run)


def test_members_by_hand():
    """Medians over the last quarter; the edge of descent is at 2, and of extragradient at 1."""
    d = [[0.4, 1.0], [2.2, 1.2], [1.8, 1.0], [1.6, 0.8], [2.0, 0.4]] + 3 * [[1.8, 1.0]]
    d[-1] = [2.2, 1.4]
    table = edges.members_of(trained(d))
    assert table["d"].tolist() == pytest.approx([1.0, 0.6], rel=1e-6)
    assert table["g"].tolist() == pytest.approx([0.1, 0.06], rel=1e-6)
    assert table["game"].tolist() == pytest.approx([1.0, 0.6], rel=1e-6)
    assert table["low_d"].tolist() == pytest.approx([0.9, 0.5], rel=1e-6)
    assert table["high_d"].tolist() == pytest.approx([1.1, 0.7], rel=1e-6)
    assert table["highest"].tolist() == pytest.approx([1.1, 0.7], rel=1e-6)
    assert table["reached"].tolist() == pytest.approx([20, np.nan], nan_ok=True)
    assert table["value_d"].tolist() == pytest.approx([20, 12], rel=1e-6)
    ahead = edges.members_of(trained(d, "extragradient"))
    assert ahead["d"].tolist() == pytest.approx([2.0, 1.2], rel=1e-6)
    assert ahead["reached"].tolist() == [20, 10]
    assert edges.members_of(trained(d, "alternating"))["game"].tolist() == table["game"].tolist()


def test_radius_and_angle_by_hand():
    """Of 1 - z, and of z: a rotation, and a member that has diverged."""
    z = np.array([[[0.5 + 0.5j] * 4, [np.nan] * 4]])
    found = trained([[0.5, np.nan]], real=z.real.astype(np.float32), imag=z.imag.astype(np.float32))
    table = edges.members_of(found)
    assert table["radius"].tolist() == pytest.approx([0.5**0.5, np.nan], nan_ok=True)
    assert table["turning"].tolist() == pytest.approx([45, np.nan], nan_ok=True)
    assert table["game"].tolist() == pytest.approx([0.5, np.nan], nan_ok=True)
    course = edges.course_of(found)
    assert set(course["number"]) == {"d", "g", "game", "radius", "turning", "value_d"}
    own = course[course["number"] == "turning"]
    assert own[["iteration", "median"]].values.tolist() == [[10, pytest.approx(45)]]


def test_an_eigenvalue_without_an_edge():
    lead = np.full((1, 1, 4), -0.5, dtype=np.float32)
    table = edges.members_of(trained([[0.5]], real=lead))
    assert np.isnan(table["game"][0]) and table["radius"][0] == pytest.approx(1.5)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["adam", "optimistic", "alternating"])
def test_interrupted_and_resumed(tmp_path, method):
    """Stopped once: the frames of a run that was not, to the bit."""
    setting = Setting("js", method=method, rates=(1e-3, 1e-3))
    much = edges.Size(members=2, iterations=8, points=20, every=2, lacks="most")
    asked = []

    def until():
        asked.append(0)
        return len(asked) == 5

    with pytest.raises(Paused):
        edges.measure(setting, much, seed=0, folder=tmp_path, until=until)
    found = edges.measure(setting, much, seed=0, folder=tmp_path, until=until)
    whole = edges.measure(setting, much, seed=0)
    for name, frame in whole.items():
        pd.testing.assert_frame_equal(found[name], frame, check_exact=True)


def test_arms():
    """Five rates over one and a half decades by five methods on both data sets, and nine more."""
    assert len(edges.ARMS) == 59
    assert max(edges.RATES) / min(edges.RATES) == pytest.approx(30)
    first = replace(edges.READINGS["as released"].setting, **edges.ARMS[edges.FIRST])
    assert first == Setting("js-saturating", rates=(0.01, 0.1))
    for method, arm in edges.AT_20.items():
        setting = replace(edges.READINGS["as released"].setting, **edges.ARMS[arm])
        alone = "simultaneous" if method == "alternating" else method
        assert setting.method == method
        assert edge_ratio(20 * setting.rates[1], alone) == pytest.approx(1)
    wanted = [arm for each in edges.WANTED for arm in each.arms]
    judged = {edges.FIRST, *edges.AT_20.values(), "nsgan, equal rates, 0.1"}
    assert judged | {"mixture, simultaneous, 0.01", "mixture, simultaneous, 0.03"} <= set(wanted)
    assert set(wanted) == set(edges.ARMS) and wanted[0] == edges.FIRST
    for arm, rate in edges.NUDGED.items():
        setting = replace(edges.READINGS["as released"].setting, **edges.ARMS[arm])
        plain = replace(setting, nudging=None)
        assert setting.nudging == Nudging(k=5, players="D")
        assert plain == replace(first, rates=(rate / 10, rate))


def test_quantities_by_hand():
    """Of members that did not diverge; ratios are taken seed by seed."""

    def rows(**columns):
        return pd.DataFrame({"block": 100, "member": range(2), **columns})

    nan = np.nan
    arms = {
        edges.FIRST: rows(d=[0.98, nan], g=[0.01, nan]),
        "nsgan, equal rates, 0.1": rows(d=[1.04, 0.97], game=[0.99, 1.05]),
        "mixture, simultaneous, 0.01": rows(highest=[0.2, 0.3]),
        "mixture, simultaneous, 0.03": rows(value_d=[40.0, 20.0]),
        "nudged d, 0.03": rows(value_d=[80.0, 20.0]),
        "nudged d, 0.1": rows(d=[3.0, nan]),
        "nudged d, 0.3": rows(d=[9.0, 8.0]),
        "mixture, adam, 0.002": rows(game=[1.0, 1.1]),
        "mixture, adam, 0.003": rows(game=[1.2, nan]),
        "ring, adam, 0.002": rows(game=[0.9, 0.8]),
        "ring, adam, 0.003": rows(game=[0.7, 0.6]),
        edges.AT_20["alternating"]: rows(d=[1.0, 0.9]),
        edges.AT_20["extragradient"]: rows(d=[0.8, 0.7]),
        edges.AT_20["optimistic"]: rows(d=[0.6, 0.5], value_d=[20.0, nan]),
    }
    found = {
        claim: {name: of(arms) for name, of in quantities.items()}
        for claim, quantities in edges.QUANTITIES.items()
    }
    assert found == {
        "R14": {"d_ratio": [0.98], "g_ratio": [0.01]},
        "R15": {
            "d_beyond": pytest.approx([0.04, -0.03]),
            "game_ratio": [0.99, 1.05],
            "game_nearer": pytest.approx([0.03, -0.02]),
        },
        "R16": {"slow_highest": [0.2, 0.3]},
        "R17": {
            "alternating_ratio": [1.0, 0.9],
            "extragradient_ratio": [0.8, 0.7],
            "optimistic_ratio": [0.6, 0.5],
            "optimistic_log_sharpness": pytest.approx([-np.log(2)]),
        },
        "R27": {
            "d_ratio_at_01": [3.0],
            "d_ratio_at_03": [9.0, 8.0],
            "far_log_sharpness": pytest.approx([np.log(2), 0]),
        },
        "R28": {
            "mixture_2e_3": [1.0, 1.1],
            "mixture_3e_3": [1.2],
            "ring_2e_3": [0.9, 0.8],
            "ring_3e_3": [0.7, 0.6],
        },
    }


@pytest.mark.parametrize("method", ["simultaneous", "alternating", "adam"])
def test_a_nudged_step_leaves_directions_out(method):
    """Of D alone: by descent a step against its gradient without them, and G's as ever."""
    nudging = Nudging(k=2, players="D", tolerance=1e-4)
    plain = Setting("js", method=method, rates=(0.05, 0.1))
    runs = {
        name: train_edges(setting, 2, 1, seed=3, points=40, every=1)
        for name, setting in (("plain", plain), ("nudged", replace(plain, nudging=nudging)))
    }
    for member in range(2):
        game, start = runs["plain"].game(member), runs["plain"].point(member, 0)
        p = game.sizes[0]
        steps = {name: run.point(member, 1) - start for name, run in runs.items()}
        own = jacobian(game, start).dense()[p:, p:]
        sharp = torch.linalg.eigh(own)[1][:, -2:]
        if method == "adam":  # which scales what is left, and so leads back
            assert not torch.allclose(steps["nudged"][p:], steps["plain"][p:])
        else:
            left = steps["plain"][p:] - sharp @ (sharp.T @ steps["plain"][p:])
            assert float((steps["nudged"][p:] - left).norm()) < 1e-3 * float(left.norm())
        if method != "alternating":  # G's step begins where D has gone
            assert torch.equal(steps["nudged"][:p], steps["plain"][:p])
