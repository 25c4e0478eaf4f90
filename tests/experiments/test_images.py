"""The image experiments: what a run gives, what is kept of it, what claims are judged on."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pandas import DataFrame, concat
from pandas.testing import assert_frame_equal

from helpers import evidence
from helpers.analysis import endpoints
from helpers.datasets import load
from helpers.evidence.lines import encoded, rounded, text_of
from helpers.experiments import find, image_ends, image_members, images
from helpers.experiments.image_ends import along, as_text, densities_of, end_of, from_text, path_of
from helpers.experiments.image_members import schedule
from helpers.experiments.images import (
    ARMS,
    QUANTITIES,
    READINGS,
    SIZES,
    WANTED,
    Setting,
    measure,
    train,
)
from helpers.experiments.judges import judge_of, scored
from helpers.experiments.protocol import setting_of
from helpers.ledger import judge, legacy_runs
from helpers.ledger.claims import all_claims
from helpers.losses.penalty import GradientPenalty
from helpers.operators import hessian, jacobian
from helpers.scores import inception_score, load_released_lenet, score_range
from helpers.scores.classifiers import accuracy
from helpers.scores.released import SHA, VARIABLE, released_lenet
from helpers.scores.weights import sha256_of
from helpers.spectra import NotConverged
from helpers.training import Diverged, Paused

SMALL = replace(
    SIZES["quick"],
    iterations=(8, 10),
    kept=4,
    watched=2,
    width=2,
    latent=4,
    batch=20,
    judge_epochs=1,
    looked=6,
    on_path=6,
    top=2,
    lanczos=(6, 1),
    lacks="nearly all",
)
MNIST = [arm for arm in ARMS if arm.startswith("mnist")]


def run(arm="mnist nsgan adam", size=SMALL, seed=0, **options):
    return measure(setting_of(images, "as printed", arm), size, seed=seed, device="cpu", **options)


@pytest.fixture(scope="module")
def found():
    return run()


def test_arms_are_the_papers_trainings():
    """Appendix C.2: rates, Adam's first beta, five passes of D, a penalty of 10; on both sets."""
    assert find("images") is images and len(ARMS) == 8
    for arm in ARMS:
        setting, extra = setting_of(images, "as printed", arm), arm.endswith("extra-adam")
        assert setting.data == arm.split()[0]
        assert (setting.method, setting.beta) == (("extra-adam", 0.9) if extra else ("adam", 0.5))
        wgan = "wgan" in arm
        assert setting.loss == ("wgan" if wgan else "js")
        assert setting.critics == (5 if wgan else 1)
        assert setting.rates == ((8.6e-5, 8.6e-5) if wgan else (2e-4, 5e-5))
        assert setting.penalty == (GradientPenalty(10.0) if wgan else None)
    full = SIZES["full"]
    assert (full.iterations, full.width, full.batch) == ((100_000, 200_000), 64, 100)
    with pytest.raises(ValueError, match="counted is one of"):
        Setting(counted="epochs")


def test_wanted():
    for each in WANTED:
        assert set(each.readings) <= set(READINGS) and set(each.arms) <= set(ARMS)
        assert each.size in SIZES and each.why and each.blocks.start in (0, 100)
    medium = [arm for each in WANTED if each.size == "medium" for arm in each.arms]
    kinds = ("nsgan extra-adam", "nsgan adam", "wgan-gp extra-adam", "wgan-gp adam")
    assert medium == [*(f"mnist {kind}" for kind in kinds), "cifar10 nsgan adam"]


def test_schedule():
    """A pass of G each; updates counted, ExtraAdam has twice as many, Adam has not."""
    size = replace(SIZES["full"], iterations=(1000, 2000))
    for arm, length in (("mnist nsgan extra-adam", 1000), ("mnist wgan-gp adam", 400)):
        when = schedule(setting_of(images, "passes counted", arm), size, 60_000)
        assert when.length == length == when.stages[-1] and len(when.stages) == 40
        assert not any(k % 2 for k in (*when.stages, when.first))
        twice = schedule(setting_of(images, "as printed", arm), size, 60_000)
        assert twice.length == (2000 if "extra" in arm else length)
    assert schedule(Setting(), SIZES["full"], 60_000).first == 600


def test_the_released_judge_scores_mnist_and_is_there_before_the_training(tmp_path, monkeypatch):
    for arm, setting in ((arm, setting_of(images, "as printed", arm)) for arm in images.ARMS):
        assert setting.judge == (SHA if arm.startswith("mnist") else "")
    with pytest.raises(ValueError, match="released judge is one of mnist, got images of 'cifar10'"):
        Setting(data="cifar10", judge=SHA)
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(image_members, "load", lambda *args, **options: load("digits"))
    size, how = replace(SMALL, stand_in=""), {"seed": 0, "member": 0, "device": "cpu"}
    with monkeypatch.context() as untrained, pytest.raises(FileNotFoundError, match="no weights"):
        untrained.setattr(image_members, "train", None)
        image_members.look(Setting(judge=SHA), size, **how)
    path = tmp_path / "weights.pt"
    torch.save(released_lenet().state_dict(), path)
    monkeypatch.setenv(VARIABLE, str(path))
    sha = sha256_of(path)
    seen = image_members.look(Setting(judge=sha), size, **how)["numbers"]
    judge, held = load_released_lenet(sha=sha), load("digits")
    assert seen["judge_accuracy"] == accuracy(judge.net, held.images, held.labels)
    assert seen["real_score"] == score_range(judge, held.images, n=scored(held)).real_score


def test_members(found):
    """The numbers are those of the trained GAN, whose game is on some of the images."""
    row = found["members"].loc[0]
    assert row["images"] == 1442 and row["official"] == 1 and row["diverged"] == 0
    assert row["passes"] == row["iterations"] == 8
    gan = train(setting_of(images, "as printed", "mnist nsgan adam"), SMALL, seed=0)
    judge = judge_of("digits", 1, device="cpu")
    scores = {k: inception_score(judge, gan.samples(k, 177, seed=0)) for k in (2, 4, 6, 8)}
    best = max(scores, key=scores.__getitem__)
    assert (row["score"], row["best_passes"]) == (scores[best], best)
    assert row["score_end"] == scores[8] and row["least"] == 0
    assert row["judge_accuracy"] == judge.accuracy
    game = gan.game(best, load("digits").subset(6, seed=0).images, seed=0)
    point = gan.point(best)
    assert row["norm"] == pytest.approx(float(game.vector_field(point).norm()), rel=1e-4)
    values = torch.linalg.eigvalsh(hessian(game, "D", point).dense())
    assert row["sharpness"] == pytest.approx(float(values[-1]), rel=2e-2)
    assert row["d_low"] == pytest.approx(float(values[0]), rel=2e-2, abs=1e-3)
    for player in ("G", "D"):
        values = torch.linalg.eigvalsh(hessian(game, player, point).dense())
        own = found["own"].loc[found["own"]["player"] == player, "value"].abs()
        top = values.abs().sort(descending=True).values[:2]
        assert own.tolist() == pytest.approx(top.tolist(), rel=2e-2)
    leading = found["leading"]
    assert row["real"] == leading["real"].abs().max()
    assert row["imaginary"] == leading["imaginary"].abs().max()


def test_courses(found):
    columns = {
        "scores": ["member", "passes", "score"],
        "pictures": ["member", "picture", "pixels"],
        "path": ["member", "end", "alpha", "angle", "norm"],
        "leading": ["member", "real", "imaginary"],
        "own": ["member", "player", "value"],
        "norms": ["member", "layer", "held", "second"],
        "along": ["member", "passes", "norm"]
        + [
            f"{which}_{of}"
            for which in ("leading", "leftmost")
            for of in ("real", "imaginary", "residual")
        ],
        "density": ["member", "player", "x", "density", "error"],
    }
    assert {name: list(frame) for name, frame in found.items() if name != "members"} == columns
    assert found["scores"]["score"].max() == found["members"]["score"][0]
    path = found["path"]
    middle = path.groupby("alpha")["angle"].median().abs()
    assert found["members"]["height"][0] == pytest.approx(middle[middle.index > 0.89].max())
    assert ((found["norms"]["held"] <= 1 + 1e-6) & (found["norms"]["second"] <= 1)).all()
    for _, own in found["density"].groupby("player"):
        width = own["x"].diff().mean()
        assert width * own["density"].sum() == pytest.approx(1, abs=0.02)


def test_a_run_fits_into_the_evidence(found):
    """20 kB a run: at the paper's size the path, the eigenvalues and the scores are longer."""
    full = {"path": 5 * 22, "leading": 20, "own": 2 * 20, "scores": 40, "along": 8}
    longer = {name: concat([found[name]] * rows).head(rows) for name, rows in full.items()}
    text = text_of(rounded({"seconds": 1.0, "tables": encoded(found | longer)}))
    assert len(text) < 20_000


@pytest.mark.slow
def test_along_the_training(found):
    """Two of four kept nets, the last one among them; the ends of the whole spectrum there.

    So are those of the best net, which is the last one here.
    """
    along = found["along"]
    assert along["passes"].tolist() == [4, 8]
    gan = train(setting_of(images, "as printed", "mnist nsgan adam"), SMALL, seed=0)
    game = gan.game(8, load("digits").subset(6, seed=0).images, seed=0)
    values = torch.linalg.eigvals(jacobian(game, gan.point(8)).dense()).numpy()
    row = along.iloc[-1]
    leading = abs(complex(row["leading_real"], row["leading_imaginary"]))
    assert leading == pytest.approx(np.abs(values).max(), rel=2e-2)
    assert row["leftmost_real"] == pytest.approx(values.real.min(), rel=2e-2)
    best = found["members"].loc[0]
    assert best["best_passes"] == 8
    assert best["leftmost_real"] == pytest.approx(values.real.min(), rel=2e-2)
    turning = np.abs(values.imag).max()
    assert best["turning_imaginary"] == pytest.approx(turning, rel=2e-2, abs=1e-2)


def test_a_gan_that_has_not_learnt_decides_by_its_score_alone():
    """Below the least score of its size a member says nothing of where trainings end."""
    found = {arm: own.assign(least=[2.0, 0.0]) for arm, own in rows().items()}
    arm = "mnist nsgan extra-adam"  # scores of 1 and 3
    assert QUANTITIES["B18"]["mnist_nsgan_score"](found) == [1, 3]
    assert QUANTITIES["B28"]["adam_nsgan_score"](found | {MNIST[1]: found[arm]}) == [1, 3]
    every = found | {arm: found[arm].assign(least=0.0)}
    assert QUANTITIES["B19"]["mnist_relative_norm"](every) == [3, 5]
    assert QUANTITIES["B23"]["mnist_negative_curvature"](found) == [3, 5]
    assert QUANTITIES["B20"]["mnist_imaginary_share"](found) == [3]
    assert QUANTITIES["B33"]["mnist_score_gap"](found) == [-1, -1]
    assert QUANTITIES["B33"]["mnist_lean_gap"](found) == [-1]
    assert QUANTITIES["B34"]["imaginary_over_real"](found) == pytest.approx([10 / 9])
    with pytest.raises(KeyError, match="not learnt"):
        QUANTITIES["B34"]["top_real_part"](found | {arm: found[arm].assign(least=9.0)})


@pytest.mark.parametrize("error", [NotConverged, FloatingPointError])
def test_a_search_that_fails_loses_its_own_numbers_alone(error, monkeypatch):
    """Of the game the leftmost eigenvalue, of a player the lowest; all others are as before."""
    gan = train(setting_of(images, "as printed", "mnist nsgan adam"), SMALL, seed=0)
    few = load("digits").subset(6, seed=0).images
    before = end_of(gan, 8, few, SMALL, seed=0)

    def failing(search, lost):
        def maybe(operator, k, which="LM", **options):
            if which in lost:
                raise error("not found")
            return search(operator, k, which, **options)

        return maybe

    for module in (endpoints, image_ends):
        for name in ("game_eigenvalues", "top_eigenpairs"):
            search = failing(getattr(module, name), ("SR", "SA"))
            monkeypatch.setattr(module, name, search)
    found = end_of(gan, 8, few, SMALL, seed=0)
    lost = {name for name, value in found["numbers"].items() if np.isnan(value)}
    leftmost = {f"leftmost_{of}" for of in ("real", "imaginary", "residual")}
    assert lost == leftmost | {"curvature_low", "negative_curvature", "d_low", "settled_d_low"}
    # The largest residual is that of the searches which are left.
    for name in before["numbers"].keys() - lost - {"own_residual"}:
        assert found["numbers"][name] == before["numbers"][name], name
    assert found["numbers"]["own_residual"] <= before["numbers"]["own_residual"]
    assert found["own"] == before["own"] and found["leading"] == before["leading"]
    course = along(gan, [4, 8], few, SMALL, seed=0)["along"]
    assert np.isnan(course["leftmost_real"]).all() and np.isfinite(course["leading_real"]).all()
    monkeypatch.setattr(endpoints, "game_eigenvalues", failing(None, ("LM",)))
    found = end_of(gan, 8, few, SMALL, seed=0)
    for name in ("real", "imaginary", "imaginary_share", "lean", "lowest_leading", "residual"):
        assert np.isnan(found["numbers"][name]), name
    assert np.isnan(found["leading"]["real"] + found["leading"]["imaginary"]).all()
    text = text_of(
        rounded({"seconds": 1.0, "tables": encoded({"leading": DataFrame(found["leading"])})})
    )
    assert "NaN" not in text


def test_a_path_and_a_density_that_overflow(monkeypatch):
    """They are left out, and what else was found stays."""
    gan = train(setting_of(images, "as printed", "mnist nsgan adam"), SMALL, seed=0)
    few = load("digits").subset(6, seed=0).images

    def overflow(*args, **options):
        raise FloatingPointError("too large")

    monkeypatch.setattr(image_ends, "slq_density", overflow)
    monkeypatch.setattr(type(gan), "path", overflow)
    assert densities_of(gan, 8, few, SMALL, seed=0)["density"]["x"] == []
    assert path_of(gan, few, [8, 6], 2, SMALL, seed=0) == {"numbers": {}}


def test_pictures_are_those_of_the_best_net(found):
    gan = train(setting_of(images, "as printed", "mnist nsgan adam"), SMALL, seed=0)
    shown = from_text(found["pictures"]["pixels"].tolist())
    best = int(found["members"]["best_passes"][0])
    made = gan.samples(best, 177, seed=0)[:6].numpy()
    assert shown.shape == (6, 1, 32, 32) and np.abs(shown - made).max() <= 1 / 15 + 1e-6
    colour = torch.rand(2, 3, 32, 32) * 2 - 1
    assert from_text(as_text(colour)).shape == (2, 3, 32, 32)


@pytest.mark.slow
def test_members_of_a_block_differ():
    both = run(size=replace(SMALL, members=2))
    assert both["members"]["member"].tolist() == [0, 1]
    assert both["members"]["norm"].nunique() == 2
    assert set(both["path"]["member"]) == {0, 1}


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on(tmp_path, found):
    """In its training and after each part, to the same bits."""
    pauses = 0
    for _ in range(40):
        try:
            parts = run(folder=tmp_path, until=lambda: True)
            break
        except Paused:
            pauses += 1
    assert pauses >= 8 + 5 - 1
    for name, frame in found.items():
        assert_frame_equal(frame, parts[name], check_exact=True)


def test_a_gan_that_diverges_keeps_its_row():
    wild = replace(setting_of(images, "as printed", "mnist nsgan adam"), rates=(1e30, 1e30))
    members = measure(wild, SMALL, seed=0, device="cpu")["members"]
    assert members["diverged"][0] > 0 and members["passes"][0] == members["diverged"][0]
    assert "norm" not in members


def test_a_gan_that_diverges_late_keeps_its_best_net(found, monkeypatch):
    """As a shorter training would: scores, pictures and the end are those of nets kept before."""

    def late(setting, size, **how):
        gan = train(setting, size, **how)
        kept = {k: gan.run.snapshots[k] for k in (0, 2, 4, 6)}
        for state in kept[6]:  # in the step before its loss was seen
            state.update({name: part * np.nan for name, part in state.items()})
        raise Diverged("late", replace(gan.run, snapshots=kept), 7)

    monkeypatch.setattr(image_members, "train", late)
    made = run()
    row = made["members"].loc[0]
    assert (row["diverged"], row["passes"], row["iterations"]) == (7, 7, 7)
    scores = found["scores"].iloc[:2]
    assert_frame_equal(made["scores"], scores)
    assert row["score"] == scores["score"].max() and row["score_end"] == scores["score"].iloc[-1]
    assert row["best_passes"] in (2, 4) and np.isfinite(row[["norm", "sharpness", "height"]]).all()
    assert made["along"]["passes"].tolist() == [2, 4] and len(made["pictures"]) == 6
    assert made.keys() == found.keys()


def test_quantities_are_those_of_claims():
    for claim, quantities in QUANTITIES.items():
        named = [
            q["name"] for q in all_claims()[claim]["quantities"] if q.get("experiment") == "images"
        ]
        assert set(quantities) == set(named)


def test_rows_of_before_give_what_was_recorded():
    """Quantities of data/recorded, from its rows: to the five digits that were kept."""
    rows = evidence.frames.by_arm(evidence.legacy_rows("images"))
    compared = 0
    for claim, quantities in QUANTITIES.items():
        if claim == "B38":  # was no claim by then
            continue
        recorded = next(made for made, _ in legacy_runs()[claim] if made.profile == "medium")
        for name, of in quantities.items():
            try:
                value = of(rows)
            except KeyError:  # CIFAR-10 had NSGAN alone, and passes were counted, not iterations
                continue
            if name not in recorded.values:  # another quantity by then
                continue
            middle, before = np.median(value), recorded.values[name]
            before = np.median(before)  # a list if it was one number a seed then
            assert middle == pytest.approx(before, rel=1e-4, abs=1e-6), name
            compared += 1
    assert compared == 21


def test_courses_of_before():
    for table in ("scores", "path", "leading"):
        assert set(evidence.legacy_rows("images", table=table)["arm"]) >= set(MNIST)
    pixels = evidence.legacy_rows("images", ["mnist nsgan adam"], "pictures")["pixels"]
    assert from_text(pixels.tolist()).shape == (6, 1, 32, 32)


UP = [1.0, 3.0]  # two seeds of the first arm; of the others 1, 2, ... 7 more
BASE = {
    **dict.fromkeys(("relative_norm", "imaginary_share", "lowest_leading", "lean"), UP),
    **dict.fromkeys(("negative_curvature", "sharpness", "imaginary", "score"), UP),
    "d_low": [-10.0, -20.0],
    "real": [2.0, 4.0],
    "leftmost_real": [-2.0, -20.0],
    "modulus": [10.0, 10.0],
    "height": [4.0, 6.0],
    "level": [2.0, 2.0],
    "switches": [0.0, 2.0],
    "iterations": [100.0, 90.0],
    "images": [60_000.0, 60_000.0],
}
WANT = {
    "B17": {
        "mnist_bump": [6 / 4, 8 / 4],
        "mnist_sign_switches": [0, 2],
        "cifar_bump": [10 / 8, 12 / 8],
        "cifar_sign_switches": [4, 6],
    },
    "B18": {
        "mnist_nsgan_score": [1, 3],
        "mnist_wgan_gp_score": [3, 5],
        "cifar_nsgan_score": [5, 7],
        "cifar_wgan_gp_score": [7, 9],
        "mnist_gain": [2, 2],
        "cifar_gain": [2, 2],
    },
    "B19": {"mnist_relative_norm": [3, 5], "cifar_relative_norm": [7, 9]},
    "B20": {"mnist_imaginary_share": [1, 3], "cifar_imaginary_share": [5, 7]},
    "B21": {
        "mnist_top_real_part": [1, 3],
        "cifar_top_real_part": [5, 7],
        "mnist_leftmost_real_part": [-2 / 10, -1],
        "cifar_leftmost_real_part": [2 / 14, -1],
    },
    "B22": {"mnist_lean": [2, 2], "cifar_lean": [2, 2]},
    "B23": {"mnist_negative_curvature": [3, 5], "cifar_negative_curvature": [7, 9]},
    "B24": {
        "mnist_sharpness": [1 / 3, 3 / 5],
        "cifar_sharpness": [5 / 7, 7 / 9],
        "printed_cifar_axes": 700 / 500_000,
    },
    "B25": {
        "generator_negative_curvature": [5, 7],
        "discriminator_negative_curvature": [-1, -1],
        "discriminator_largest": [5 / 6, 7 / 16],
        "relative_norm": [5, 7],
    },
    "B28": {"adam_nsgan_score": [2, 4], "adam_wgan_gp_score": [4, 6], "adam_bump": [7 / 5, 9 / 5]},
    "B29": {"leftmost_real_part": [3 / 15, -1]},
    "B31": {
        "finite_nsgan_iterations": [100, 90, 101, 91],
        "finite_wgan_gp_iterations": [102, 92, 103, 93],
        "training_images": 60_000,
    },
    "B33": {
        "mnist_score_gap": [-1, -1],
        "mnist_lean_gap": [-1, -1],
        "cifar_lean_gap": [-1, -1],
    },
    "B34": {"top_real_part": [1, 3], "imaginary_over_real": [3 / 2, 10 / 9]},
    "B38": {
        "mnist_nsgan_gain": [-1, -1],
        "mnist_wgan_gp_gain": [-1, -1],
        "cifar_nsgan_gain": [-1, -1],
        "cifar_wgan_gp_gain": [-1, -1],
    },
}


def rows():
    """Rows of two seeds of every arm, and of a third that has diverged."""
    found = {}
    for number, arm in enumerate(ARMS):
        own = DataFrame({"block": [100, 101], "member": 0} | BASE)
        found[arm] = own.assign(**{name: own[name] + number for name in BASE})
    return found


def test_what_claims_are_judged_on():
    """Worked out by hand; a seed that diverged counts for how long it lasted, and nothing else."""
    assert WANT.keys() == QUANTITIES.keys()
    tame = rows()
    wild = {arm: concat([own, DataFrame({"iterations": [7.0]})]) for arm, own in tame.items()}
    for claim, wanted in WANT.items():
        assert wanted.keys() == QUANTITIES[claim].keys()
        for name, value in wanted.items():
            assert QUANTITIES[claim][name](tame) == pytest.approx(value), name
            if "iterations" not in name:
                assert QUANTITIES[claim][name](wild) == pytest.approx(value), name
    assert QUANTITIES["B31"]["finite_nsgan_iterations"](wild).count(7.0) == 2


def test_gains_are_of_the_same_seeds():
    """A seed that one method has not, or has lost, is left out, in whatever order they are."""
    found = rows()
    extra, adam = "mnist nsgan extra-adam", "mnist nsgan adam"
    found[extra] = DataFrame({"block": [102, 101, 100], "member": 0, "score": [9.0, 7.0, np.nan]})
    found[adam] = DataFrame({"block": [100, 101], "member": 0, "score": [5.0, 4.0]})
    assert QUANTITIES["B38"]["mnist_nsgan_gain"](found) == [3]


def test_mnist_alone_gives_what_is_about_mnist():
    """And arms without a seed in common give no difference, in place of an empty one."""
    found = {arm: own for arm, own in rows().items() if arm in MNIST}
    for claim, wanted in WANT.items():
        for name, value in wanted.items():
            if name.startswith("mnist_"):
                assert QUANTITIES[claim][name](found) == pytest.approx(value), name
    arm = "mnist nsgan extra-adam"
    found[arm] = found[arm].assign(block=[200, 201])
    for claim, name in (("B22", "mnist_lean"), ("B24", "mnist_sharpness")):
        with pytest.raises(KeyError, match="no seed has both"):
            QUANTITIES[claim][name](found)


def test_three_seeds_hold_and_do_not_refute():
    """As rules of many seeds have it; six, with nothing on the claim's side, refute."""
    B29 = next(q for q in all_claims()["B29"]["quantities"])
    for seeds, left, verdict in ((3, -0.1, "reproduced"), (3, 0.1, "open"), (6, 0.1, "not")):
        values = {B29["name"]: [left] * seeds}
        assert judge("B29", values, profile="full").verdict.startswith(verdict)
    mixed = {B29["name"]: [-0.1] * 4 + [0.1] * 2}
    assert judge("B29", mixed, profile="full").verdict == "open"


def test_an_arm_that_is_missing():
    for claim, wanted in WANT.items():
        for name in wanted.keys() - {"printed_cifar_axes"}:
            with pytest.raises(KeyError):
                QUANTITIES[claim][name]({})
    alone = {arm: own.assign(score=float("nan")) for arm, own in rows().items()}
    with pytest.raises(KeyError, match="diverged"):
        QUANTITIES["B18"]["mnist_nsgan_score"](alone)
