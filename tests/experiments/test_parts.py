"""How a block is trained: what is passed on, and what is refused."""

import pytest

from helpers.experiments import densities, flatness
from helpers.experiments.parts import Context, for_member
from helpers.training import Recording


def test_a_checkpoint_in_the_folder(tmp_path):
    """Both ends of a break, where the run keeps its files, beside what an experiment records."""

    def until():
        return True

    found = Context(seed=0, folder=tmp_path, until=until).recording(every=7)
    assert found == Recording(every=7, checkpoint=tmp_path / "training.pt", until=until)


def test_each_member_in_its_own_folder(tmp_path):
    how = {"seed": 4, "device": "cpu", "folder": tmp_path}
    assert for_member(how, 2) == how | {"folder": tmp_path / "member-2"}
    assert (tmp_path / "member-2").is_dir() and how["folder"] == tmp_path


def test_keywords_that_no_training_has():
    """They are refused, though functions pass on what they are given."""
    size = densities.Size(members=1, iterations=1, lacks="most")
    for do in (densities.train, densities.measure):
        with pytest.raises(TypeError, match="unexpected keyword argument 'sed'"):
            do(densities.Setting(), size, seed=0, sed=1)
        with pytest.raises(TypeError, match="seed"):
            do(densities.Setting(), size)
    with pytest.raises(TypeError, match="unexpected keyword argument 'sed'"):
        flatness.measure(flatness.Setting(), flatness.SIZES["quick"], seed=0, sed=1)
