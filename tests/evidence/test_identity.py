"""Keys: equal for equal settings, other for other ones, and the same in years to come."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from helpers.evidence.identity import Run, canonical, key_of
from helpers.experiments.mixture import Setting as Mixture
from helpers.losses import GradientPenalty


@dataclass(frozen=True)
class Inner:
    weight: float = 1.0


@dataclass(frozen=True)
class Setting:
    loss: str
    rate: float = 0.1
    steps: int = 3
    clip: float | None = None
    widths: tuple[int, int] = (10, 5)
    rates: tuple[float, ...] = ()
    flag: bool = False
    inner: Inner | None = None


@dataclass(frozen=True)
class Wider(Setting):
    momentum: float = 0.9  # a field of later


def key(setting, block=0):
    return Run("two_clusters", 1, setting, Inner(), block).key


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (Setting("js", rate=1), Setting("js", rate=1.0)),
        (Setting("js", rate=0.1), Setting("js")),
        (Setting("js", rate=-0.0), Setting("js", rate=0.0)),
        (Setting("js", clip=2), Setting("js", clip=2.0)),
        (Setting("js", widths=[10, 5]), Setting("js")),
        (Setting("js", steps=np.int64(4)), Setting("js", steps=4)),
        (Setting("js", rate=np.float64(0.3)), Setting("js", rate=0.3)),
        (Setting("js"), Wider("js")),
        (Setting("js", inner=Inner(2)), Setting("js", inner=Inner(2.0))),
    ],
)
def test_equal_settings_have_one_key(a, b):
    assert key(a) == key(b)


def test_other_settings_have_other_keys():
    settings = [
        Setting("js"),
        Setting("rs"),
        Setting("js", rate=0.2),
        Setting("js", rate=np.nextafter(0.2, 1)),
        Setting("js", steps=4),
        Setting("js", clip=0.0),
        Setting("js", widths=(5, 10)),
        Setting("js", rates=(1.0,)),
        Setting("js", flag=True),
        Setting("js", inner=Inner()),
        Setting("js", inner=Inner(3.0)),
        Wider("js", momentum=0.5),
    ]
    keys = [key(setting) for setting in settings] + [key(Setting("js"), block=1)]
    keys.append(Run("two_clusters", 2, Setting("js"), Inner(), 0).key)
    keys.append(Run("mixture", 1, Setting("js"), Inner(), 0).key)
    keys.append(Run("two_clusters", 1, Setting("js"), Inner(2.0), 0).key)
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        (Setting("js", rate=float("nan")), "rate of a setting is a finite number, got nan"),
        (Setting("js", clip=float("inf")), "clip of a setting is a finite number, got inf"),
        (Setting("js", rates=(1.0, float("nan"))), "rates of a setting is a finite number"),
        (Setting("js", steps=2.5), "steps of a setting is declared as <class 'int'>, got 2.5"),
        (Setting("js", steps=True), "steps of a setting is declared as <class 'int'>, got True"),
        (Setting("js", flag=1), "flag of a setting is declared as <class 'bool'>, got 1"),
        (Setting("js", rate="0.1"), "rate of a setting is declared as <class 'float'>, got '0.1'"),
        (Setting("js", widths=(1, 2, 3)), "widths of a setting is declared as tuple"),
        (Setting(None), "loss of a setting is declared as <class 'str'>, got None"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_field(setting, says):
    with pytest.raises(ValueError, match="of a setting") as error:
        canonical(setting)
    assert says in str(error.value)


def test_names_of_reading_arm_and_size_are_labels():
    named = Run("two_clusters", 1, Setting("js"), Inner(), 0, "as released", "js", "full")
    assert named.key == key(Setting("js"))


@dataclass(frozen=True)
class Made:
    values: tuple[float, ...] = field(default_factory=lambda: (1.0,))


def test_a_default_that_is_made_is_left_out_too():
    assert canonical(Made()) == {} and canonical(Made((2,))) == {"values": [2.0]}


@pytest.mark.parametrize(
    ("setting", "block", "old"),
    [
        (Setting("js"), 0, "d5d7683052fd5f77"),
        (Setting("rs", rate=0.3, clip=1, inner=Inner(2)), 100, "6edf5c6f0d9ae5ac"),
        (GradientPenalty(1e-3, "data"), 7, "2278f0cbbdde550d"),
    ],
)
def test_keys_of_before_are_still_the_same(setting, block, old):
    """Evidence is found by its key: whoever changes how keys are made loses all of it."""
    assert key(setting, block) == old


def test_a_penalty_within_a_setting():
    penalty = GradientPenalty(1e-3, "data")
    assert canonical(Mixture(penalty=penalty))["penalty"] == {"weight": 0.001, "where": "data"}


def test_the_key_is_that_of_the_parameters():
    run = Run("two_clusters", 1, Setting("js"), Inner(), 3)
    assert key_of(run.parameters) == run.key
    assert key_of(run.parameters | {"seconds": 3.0}) == run.key
