"""Which runs are chosen: by patterns of arms, and by the commands that claims name."""

import shlex
from collections import Counter, UserDict

import pytest
from pandas import DataFrame

from helpers import experiments, ledger
from helpers.chapter import Chapter
from helpers.evidence.__main__ import _parser, main
from helpers.evidence.planning import cost_of, listing, wanted
from helpers.evidence.store import Store
from helpers.experiments import narrow_nets
from helpers.scores.inception import VARIABLE

NEEDING = {name: claim for name, claim in ledger.all_claims().items() if "needs" in claim}


def arms(*patterns):
    chosen = {"size": "full", "blocks": range(100, 101), "reading": "as released"}
    return [run.arm for run in wanted(["narrow_nets"], arms=patterns, **chosen)]


def test_patterns_of_arms():
    """As a shell matches names, in the experiment's order; a name is itself."""
    assert arms("cnn/4 *s") == [a for a in narrow_nets.ARMS if a[:6] == "cnn/4 " and a[-1] == "s"]
    assert arms("lsun tower *", "cnn/1 js") == ["cnn/1 js", "lsun tower js", "lsun tower rs"]
    assert arms("cnn/1 js") == ["cnn/1 js"]
    with pytest.raises(ValueError, match=r"arm is one of .*got 'stl11\*'"):
        arms("stl11*")


class Read(UserDict):
    """Rows of every arm, which remember the arms that were read."""

    def __missing__(self, arm):
        scores = dict.fromkeys(("frechet", "average_frechet", "score"), 1.0)
        self.data[arm] = DataFrame({"block": [100], "member": [0], **scores})
        return self.data[arm]


@pytest.mark.parametrize("claim", NEEDING.values(), ids=NEEDING)
def test_the_command_of_a_claim_makes_its_runs(claim):
    """All arms that its quantities read and no other, by as many seeds as can refute it."""
    variable, *words = shlex.split(claim["needs"]["command"])
    assert variable == f"{VARIABLE}=FILE" and words[:3] == ["python", "-m", "helpers.evidence"]
    given = _parser().parse_args(words[3:])
    made = wanted(
        given.experiments,
        reading=given.reading,
        arms=given.arm,
        size=given.size,
        blocks=given.blocks,
    )
    (name,) = {quantity["experiment"] for quantity in claim["quantities"]}
    read = Read()
    for function in experiments.find(name).QUANTITIES[claim["id"]].values():
        function(read)
    first = next(iter(experiments.find(name).READINGS))
    assert {(r.experiment, r.reading, r.size_name) for r in made} == {
        (name, first, claim["lowest"])
    }
    assert all(run.block >= 100 for run in made)
    seeds = Counter(run.arm for run in made)
    assert set(seeds) == set(read) and min(seeds.values()) >= ledger.rules.FEWEST


def test_nothing_wanted(tmp_path, capsys):
    """Of an experiment of which no runs are wanted: an empty list, and the shipped rows."""
    assert not experiments.find("image_epochs").WANTED
    some = wanted(["mixture"], blocks=range(100, 101))
    none = listing([], Store(tmp_path))
    assert list(none.columns) == list(listing(some, Store(tmp_path), anew=True).columns)
    assert cost_of(none) == "0 of 0 runs are missing"
    folder = ["--list", "--runs", str(tmp_path)]
    for options in (["--arm", "mnist NSGAN"], ["--reading", "as printed"]):
        assert main(["gather", "image_epochs", *options, *folder]) == 0
    shown, kept = (
        Chapter("collapse_on_images", runs=runs).runs("image_epochs", reading="as printed")
        for runs in (tmp_path, "")
    )
    assert len(shown) and shown.equals(kept)
    assert "no runs are wanted any more" in capsys.readouterr().out
