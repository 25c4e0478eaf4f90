"""LeNets that judge: scored along their training, the same after a break."""

import pytest
import torch
from pandas import DataFrame
from pandas.testing import assert_frame_equal

from helpers import evidence
from helpers.datasets import load
from helpers.experiments import find, judges
from helpers.experiments.ensembles import member_seed
from helpers.experiments.judges import QUANTITIES, READINGS, SIZES, Setting, Size, measure, train
from helpers.ledger.claims import find as find_claim
from helpers.scores import inception_score, load_released_lenet
from helpers.scores.released import VARIABLE, released_lenet
from helpers.scores.weights import sha256_of
from helpers.training import Paused

SMALL = Size(members=2, epochs=(1, 2), stand_in="digits", lacks="nearly all")


def run(**options):
    return measure(Setting(), SMALL, seed=0, device="cpu", **options)


@pytest.mark.slow
def test_scores_are_those_of_the_lenets():
    found = run()
    members, course = found["members"], found["course"]
    assert course["member"].tolist() == [0, 0, 1, 1] and course["epochs"].tolist() == [1, 2] * 2
    test = load("digits", "test")
    for member in range(2):
        judge = train(Setting("digits"), 2, seed=member)
        row = members.loc[member]
        assert row["accuracy"] == judge.accuracy
        assert row["all"] == inception_score(judge, test.images)
        assert row["half"] == inception_score(judge, test.subset(177, seed=0).images)
        last = course[course["member"] == member].iloc[-1]
        assert (
            last[["accuracy", "all", "half"]].tolist() == row[["accuracy", "all", "half"]].tolist()
        )
    assert members["noise"].between(1, 10).all()
    assert (members["real_distance"] < members["noise_distance"]).all()


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on(tmp_path):
    """After each of its four parts, and in the middle of a training, to the same numbers."""
    pauses = 0
    for _ in range(20):
        try:
            parts = run(folder=tmp_path, until=lambda: True)
            break
        except Paused:
            pauses += 1
    assert pauses >= 4
    whole = run()
    for name, frame in whole.items():
        assert_frame_equal(frame, parts[name], check_exact=True)


def test_a_longer_run_in_the_folder_of_another_is_refused(tmp_path):
    run(folder=tmp_path)
    with pytest.raises(ValueError, match="another run"):
        measure(Setting(), SMALL, seed=1, device="cpu", folder=tmp_path)


def test_the_released_lenet_scores_halves_of_its_own(tmp_path, monkeypatch):
    """Its members differ in the half that they score, and in nothing else; it needs its weights."""
    path, held = tmp_path / "weights.pt", load("digits", "test")
    torch.save(released_lenet().state_dict(), path)
    setting = Setting(judge=sha256_of(path)[:8])
    monkeypatch.setenv(VARIABLE, str(path))
    found = measure(setting, SMALL, seed=0, device="cpu")
    members, judge = found["members"], load_released_lenet(sha=setting.judge)
    assert members["all"].tolist() == [inception_score(judge, held.images)] * 2
    assert members["half"].nunique() == 2 and found["course"]["epochs"].isna().all()
    halves = [held.subset(177, seed=member_seed(0, member)).images for member in range(2)]
    assert members["half"].tolist() == [inception_score(judge, half) for half in halves]
    with pytest.raises(ValueError, match=r"and that of mnist_classifier\.pt begins with 15206cff"):
        measure(READINGS["the released LeNet"].setting, SMALL, seed=0, device="cpu")
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(FileNotFoundError, match=f"no weights of the LeNet .* set {VARIABLE} to it"):
        measure(setting, SMALL, seed=0, device="cpu")


def test_the_claim():
    """B26 is of the ends of judges."""
    assert find("judges") is judges and SIZES["full"].epochs[-1] == 60
    names = {q["name"] for q in find_claim("B26")["quantities"] if q["experiment"] == "judges"}
    assert set(QUANTITIES["B26"]) == names
    rows = {"mnist": DataFrame({"all": [9.9, 9.8], "half": [9.7, 9.6]})}
    assert [of(rows) for of in QUANTITIES["B26"].values()] == [[9.9, 9.8], [9.7, 9.6]]
    with pytest.raises(KeyError):
        QUANTITIES["B26"]["score_5000"]({})


def test_recorded_judges():
    """The released one is always the same; ours give higher scores the longer they learn."""
    course = evidence.runs("judges", "course")
    released = course[course["reading"] == "the released LeNet"]
    assert released["accuracy"].unique() == [0.9936] and released["all"].unique() == [9.90036]
    ours = course[course["reading"] == "as printed"]
    assert set(ours["epochs"]) == set(SIZES["full"].epochs)
    assert ours.groupby("epochs")["all"].median().is_monotonic_increasing
