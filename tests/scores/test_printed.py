"""The printed tables: cells read off the papers, and what follows from them by arithmetic."""

import numpy as np
import pandas as pd
import pytest

from helpers.scores import printed_pairs, printed_scores

SUN, MIYATO = printed_scores("sun2020"), printed_scores("miyato2018")


def cells(rows, data_set, net, width, spectral_norm, loss):
    """Inception score, spread and FID of one line."""
    named = {"data_set": data_set, "net": net, "width": width, "loss": loss}
    own = rows[(rows[list(named)] == pd.Series(named)).all(axis=1)]
    (line,) = own[own["spectral_norm"] == spectral_norm].itertuples()
    return line.inception_score, line.spread, line.fid


@pytest.mark.parametrize(
    "line, printed",
    [
        (("CIFAR-10", "CNN", "regular", False, "WGAN-GP"), (6.68, 0.06, 39.66)),
        (("CIFAR-10", "CNN", "quarter", True, "JS"), (5.83, 0.07, 52.63)),
        (("CIFAR-10", "ResNet", "half", True, "RS"), (7.63, 0.07, 21.78)),
        (("STL-10", "CNN", "regular", False, "RS"), (7.62, 0.08, 52.54)),
        (("STL-10", "ResNet", "bottleneck", True, "RS"), (8.52, 0.11, 46.58)),
    ],
)
def test_cells_of_sun(line, printed):
    assert cells(SUN, *line) == printed


def test_cells_of_miyato():
    assert cells(MIYATO, "STL-10", "CNN", "regular", True, "JS") == (8.28, 0.09, 53.1)
    assert cells(MIYATO, "CIFAR-10", "ResNet", "regular", True, "hinge") == (8.22, 0.05, 21.7)


def test_lines():
    """Per data set 18 lines of Sun: real images, WGAN-GP and eight pairs."""
    assert SUN.groupby("data_set").size().to_dict() == {"CIFAR-10": 18, "STL-10": 18}
    assert SUN["loss"].value_counts().to_dict() == {"JS": 16, "RS": 16, "WGAN-GP": 2}
    assert len(MIYATO) == 9
    assert MIYATO[["inception_score", "spread", "fid"]].notna().all(axis=None)
    only = SUN["loss"] == "RS"
    assert (SUN[["printed_gap", "parameters"]].notna().all(axis=1) == only).all()


def test_sums():
    """Sums over the columns of the printed table, added up apart from this file."""
    sums = SUN.groupby("data_set")[["inception_score", "fid", "printed_gap"]].sum().round(2)
    assert sums.loc["CIFAR-10"].tolist() == [131.55, 561.02, 42.48]
    assert sums.loc["STL-10"].tolist() == [162.84, 858.33, 25.43]


def test_pairs():
    pairs = printed_pairs()
    assert len(pairs) == 16 and pairs["spectral_norm"].sum() == 14
    assert (pairs["fid_gap"] == (pairs["js_fid"] - pairs["rs_fid"]).round(2)).all()
    assert (pairs["score_gap"] == (pairs["rs_score"] - pairs["js_score"]).round(2)).all()
    off = pairs[pairs["fid_gap"] != pairs["printed_gap"]]
    assert off[["data_set", "net", "width", "spectral_norm"]].values.tolist() == [
        ["STL-10", "CNN", "regular", False]
    ]
    assert off["fid_gap"].tolist() == [-2.16] and off["printed_gap"].tolist() == [2.16]
    assert pairs[pairs["width"] == "regular"]["parameters"].eq(100).all()
    assert pairs["spread"].iloc[:2].tolist() == [0.17, 0.16]
    assert np.sign(pairs["score_gap"]).value_counts().to_dict() == {1: 9, -1: 7}


def test_unknown_source():
    with pytest.raises(ValueError, match="source"):
        printed_scores("durall2021")
