"""Scores as papers print them, in tables to compute with."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from pandas import DataFrame

from helpers.inputs import one_of

_FILE = Path(__file__).with_name("printed.csv")
# Papers by name, each with the table that is kept.
PRINTED = {"sun2020": "Sun et al. 2020, Table 2", "miyato2018": "Miyato et al. 2018, Table 2"}
_PAIR = ["data_set", "net", "width", "spectral_norm"]


def printed_scores(source: str) -> DataFrame:
    """The inception scores and FIDs of a paper's table, with one row per line and data set.

    Table 2 of Sun et al. 2020 is here in full; of Table 2 of Miyato et al. 2018, the rows to which
    Sun et al. compare their own. Each number is as printed, whether right or wrong.

    Args:
        source: "sun2020" or "miyato2018".

    Returns:
        columns "data_set", "net" (real images have none of what follows), "width",
        "spectral_norm", "loss", "inception_score" with its "spread" (what stands after ±), "fid",
        and in rows of RS "printed_gap" (the FID gap to JS) and "parameters" (in percent of the
        regular pair).

    Raises:
        ValueError: for an unknown source.

    >>> printed_scores("sun2020")[["data_set", "net", "width", "loss", "fid"]].iloc[3]
    data_set    CIFAR-10
    net              CNN
    width        regular
    loss              RS
    fid            33.79
    Name: 3, dtype: object
    """
    one_of("source", source, PRINTED)
    rows = pd.read_csv(_FILE)
    return rows[rows["source"] == source].drop(columns="source").reset_index(drop=True)


def printed_pairs() -> DataFrame:
    """The sixteen pairs of JS and RS in Table 2 of Sun et al. 2020, with their gaps computed.

    Both gaps are positive where RS is ahead, and have two decimals, as the scores do.

    Returns:
        columns "data_set", "net", "width", "spectral_norm", "js_score", "rs_score", "score_gap"
        (RS minus JS), "spread" (of both scores, added), "js_fid", "rs_fid", "fid_gap" (JS minus
        RS), "printed_gap", "parameters".

    >>> pairs = printed_pairs()
    >>> len(pairs), float(pairs["fid_gap"].max())
    (16, 15.34)
    """
    rows = printed_scores("sun2020").astype({"spectral_norm": object})
    js, rs = (rows[rows["loss"] == loss] for loss in ("JS", "RS"))
    both = js.merge(rs, on=_PAIR, suffixes=("_js", "_rs"), validate="one_to_one")
    columns = {
        "js_score": both["inception_score_js"],
        "rs_score": both["inception_score_rs"],
        "score_gap": (both["inception_score_rs"] - both["inception_score_js"]).round(2),
        "spread": (both["spread_js"] + both["spread_rs"]).round(2),
        "js_fid": both["fid_js"],
        "rs_fid": both["fid_rs"],
        "fid_gap": (both["fid_js"] - both["fid_rs"]).round(2),
        "printed_gap": both["printed_gap_rs"],
        "parameters": both["parameters_rs"],
    }
    return both[_PAIR].astype({"spectral_norm": bool}).assign(**columns)
