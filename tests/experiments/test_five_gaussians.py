"""Five Gaussians: what the released script does to D's last layer, and what is made of records."""

import numpy as np
import pandas as pd
import pytest
import torch

from helpers.experiments import five_gaussians
from helpers.experiments.five_gaussians import Setting, Size, Trained, train
from helpers.experiments.protocol import setting_of
from helpers.ledger import claims
from helpers.models import gaussians_nets
from helpers.models.stacked import Stacked
from helpers.training.recording import Paused

SMALL = Size(members=2, iterations=40, lacks="most")


def test_arms():
    settings = {arm: setting_of(five_gaussians, "as released", arm) for arm in five_gaussians.ARMS}
    assert settings == {
        "js": Setting("js"),
        "rs": Setting("rs"),
        "rs, normalised": Setting("rs", normalised=True),
    }
    full = five_gaussians.SIZES["full"]
    assert (full.members, full.iterations, full.lacks) == (16, 20_000, "nothing")
    with pytest.raises(ValueError, match="loss"):
        Setting("jsd")


def test_normalised_head():
    """Every member's last layer has norm 1, and no other layer is touched."""
    stacked = Stacked([gaussians_nets(seed=s).discriminator for s in range(3)])
    before = {name: weight.clone() for name, weight in stacked.parameters.items()}
    with torch.no_grad():
        five_gaussians._normalise(stacked)
    for name, weight in stacked.parameters.items():
        if name == "4.weight":
            assert torch.allclose(weight.flatten(1).norm(dim=1), torch.ones(3))
            assert torch.allclose(weight * before[name].norm(dim=2, keepdim=True), before[name])
        else:
            assert torch.equal(weight, before[name])
    plain, scaled = (train(Setting("rs", n), SMALL, seed=0) for n in (False, True))
    assert plain.near.shape == scaled.near.shape == (2, 2, 5)


def test_members_and_course_by_hand():
    """Two members: one finds all five modes, loses one and finds it again; one finds three."""
    near = np.full((4, 2, 5), 0.2)
    near[[0, 2], 0, 4] = 0.019  # a tenth of the fair share is 0.02
    near[:, 1, 3:] = 0.0
    run = Trained(Setting(), np.array([20, 40, 60, 80]), near, {})
    members = five_gaussians.members_of(run)
    assert members.to_dict("list") == {
        "member": [0, 1],
        "diverged": [0, 0],
        "modes": [4.5, 3.0],
        "first": [40, 80],
        "stable": [80, 80],
        "at_end": [5, 3],
    }
    course = five_gaussians.course_of(run)
    assert course["median"].tolist() == [3.5, 4.0, 3.5, 4.0]
    assert course["iteration"].tolist() == [20, 40, 60, 80]


def test_rounding_at_the_threshold_is_part_of_the_version():
    """Exactly 10 points of 500 at each mode: what evidence was recorded with."""
    near = np.full((1, 1, 5), 10 / 500, dtype=np.float32)
    row = five_gaussians.members_of(Trained(Setting(), np.array([20]), near, {})).iloc[0]
    assert (row["modes"], row["at_end"]) == (5, 0)


def test_interrupted_and_resumed(tmp_path):
    """Stopped on its way: the frames of a run that was not, to the bit, batches included."""
    setting = Setting("rs", normalised=True)
    calls = iter([False] * 25 + [True] + [False] * 100)
    arguments = {"seed": 3, "folder": tmp_path, "until": lambda: next(calls)}
    with pytest.raises(Paused):
        five_gaussians.measure(setting, SMALL, **arguments)
    found = five_gaussians.measure(setting, SMALL, **arguments)
    whole = five_gaussians.measure(setting, SMALL, seed=3)
    assert found.keys() == whole.keys() == {"members", "course"}
    for name, frame in whole.items():
        pd.testing.assert_frame_equal(found[name], frame, check_exact=True)


def test_quantities_by_hand():
    def rows(modes, first):
        return pd.DataFrame(
            {"block": 100, "member": range(len(modes)), "modes": modes, "first": first}
        )

    arms = {
        "js": rows([3.0, 4.0], [600, 800]),
        "rs": rows([4.0, 4.5], [500, 700]),
        "rs, normalised": rows([4.5], [400]),
    }
    own = five_gaussians.QUANTITIES["R02"]
    assert {name: of(arms) for name, of in own.items()} == {
        "all_modes_js_over_rs": pytest.approx([600 / 500, 800 / 700]),
        "effect_of_normalised_head": [0.5],
    }
    assert [q["name"] for q in claims.find("R02")["quantities"]] == list(own)
    for of in own.values():
        with pytest.raises(KeyError):
            of({})
