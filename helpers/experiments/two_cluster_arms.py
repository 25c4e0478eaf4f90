"""What is varied on the two clusters of Sun et al. 2020, by the names of the arms."""

from __future__ import annotations

from typing import Any

from helpers.experiments.two_cluster_training import Setting

RATES, SCALES = (0.003, 0.01, 0.03), (0.5, 1.0, 2.0)
RELEASED = (2, 5)  # imbalances that the released script has
IMBALANCES = (1.5, 2, 3, 4, 5, 6)


def grid_arm(loss: str, lr: float, scale: float) -> str:
    """The arm of a loss at a rate and a scale of the weights; the released one has a plain name.

    >>> grid_arm("js", 0.01, 1.0), grid_arm("js", 0.03, 2.0)
    ('js', 'js lr 0.03 scale 2')
    """
    if (lr, scale) == (Setting.lr, Setting.scale):
        return loss
    return f"{loss} lr {lr:g} scale {scale:g}"


GRID = {
    grid_arm(loss, lr, scale): {"loss": loss, "lr": lr, "scale": scale}
    for loss in ("js", "rs")
    for lr in RATES
    for scale in SCALES
    if grid_arm(loss, lr, scale) != loss
}
OTHER_LOSSES = ("hinge", "hinge-linear", "ls", "rp-hinge", "rp-ls")
CHANGES: dict[str, dict[str, Any]] = {  # for both losses
    "5, 3": {"widths": (5, 3)},
    "20, 10": {"widths": (20, 10)},
    "40, 20": {"widths": (40, 20)},
    **{f"{ratio:g}:1": {"imbalance": ratio} for ratio in IMBALANCES},
    **{f"{ratio:g}:1 longer": {"imbalance": ratio, "longer": 2} for ratio in RELEASED},
    "no momentum": {"momentum": 0.0},
    "5 D steps": {"steps": (5, 10)},
    "1 step each": {"steps": (1, 1)},
    "script": {"script_seed": 0},
}
ARMS: dict[str, dict[str, Any]] = {
    **{loss: {"loss": loss} for loss in ("js", "rs", *OTHER_LOSSES)},
    **{
        f"{loss} {label}": {"loss": loss, **change}
        for label, change in CHANGES.items()
        for loss in ("js", "rs")
    },
    **GRID,
    "js D at RS's rate": {"loss": "js", "d_weight": 2.0},
    "rs D at JS's rate": {"loss": "rs", "d_weight": 0.5},
}
# The imbalances of C30, each as long as released; the two of the script also twice as long.
UNEVEN = [f"{ratio:g}:1" for ratio in IMBALANCES] + [f"{ratio:g}:1 longer" for ratio in RELEASED]
