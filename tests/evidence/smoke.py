"""A few iterations of every experiment: whoever changes a run's numbers counts its VERSION up.

`python -m tests.evidence.smoke --write` stores the numbers, and how far they move with kernels and
with the size of a block, in smoke.json beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from helpers import experiments
from helpers.experiments import judges
from helpers.experiments.protocol import setting_of
from helpers.scores.released import SHA

FILE = Path(__file__).with_name("smoke.json")
SMALL = {
    "two_clusters": {"iterations": 16},
    "stays": {"iterations": 16, "shortest": 8, "every": 4},
    "mixture": {"iterations": 4, "points": 30, "ends": 1, "alphas": 5, "fresh": 30, "away": 1},
    "five_gaussians": {"iterations": 40},
    "bounded_slopes": {"nodes": 64},
    "ring": {"iterations": 4, "every": 2},
    "lost_modes": {"iterations": 16, "shortest": 8, "every": 2, "keep": 4, "searched": 2},
    "edges": {"iterations": 4, "points": 20, "every": 2},
    "image_edges": {"images": 16, "iterations": 4, "every": 2},
    "cures": {"choosing": 2, "iterations": 4, "every": 2},
    "flatness": {"iterations": 20, "every": 10},
    "densities": {"iterations": 4, "points": 30, "probes": 1, "steps": 10},
    "surfaces": {"images": 100, "epochs": 1, "kept": 1, "places": 3},
    "lenses": {"iterations": 4, "samples": 20, "alphas": 3},
    "image_epochs": {
        **{"members": 1, "images": 100, "epochs": 1, "stages": (1, 1, 1), "width": 2, "latent": 4},
        **{"hessian_images": 16, "score_samples": 20, "judge_epochs": 1, "steps": 4},
    },
    "nudged_images": {
        **{"members": 1, "images": 100, "epochs": 1, "stages": (1, 1, 1), "latent": 4},
        **{"hessian_images": 16, "score_samples": 20, "judge_epochs": 1, "steps": 4},
    },
    "baselines": {
        **{"members": 1, "images": 100, "epochs": 1, "stages": (1, 1, 1), "width": 2, "latent": 4},
        **{"hessian_images": 16, "score_samples": 20, "judge_epochs": 1},
    },
    "judges": {"epochs": (1,)},
    "narrow_nets": {
        **{"iterations": 2, "every": 1, "earlier": 1, "samples": 9, "batch": 4, "judge_epochs": 1},
    },
    "imbalance": {"iterations": 4, "every": 1, "samples": 20, "batch": 8, "judge_epochs": 1},
    "bad_starts": {
        **{"iterations": 2, "every": 1, "earlier": 1, "samples": 9, "batch": 4, "judge_epochs": 1},
        **{"before": 1},
    },
    "images": {
        "iterations": (4, 10),
        "kept": 2,
        "watched": 1,
        "width": 2,
        "latent": 4,
        "batch": 20,
        "judge_epochs": 1,
    }
    | {"looked": 4, "on_path": 4, "ends": 3, "alphas": 8, "top": 1, "lanczos": (4, 1)},
}
# Arms that differ from others in a number alone, or of which one is enough: how that is seen. All
# images of a smoke run are the same stand-in.
ALIKE = {
    "two_clusters": "rate",
    "stays": "rate|hinge|ls",
    "mixture": "rate",
    "ring": "k 1,|k 20,|every| 0.9 |rs 0.5 (gradient|step)",
    "image_epochs": "kmnist|fashion|emnist|rate|, k|every",
    "nudged_images": "kmnist|fashion|emnist|slow",
    "images": "cifar10",
    "bad_starts": "inception",
    "image_edges": "rate 0.003|rate 0.01",
    "narrow_nets": "inception|[12] rs|cnn/[12] js$|resnet/1|resnet/2 js|stl10.* js|"
    "stl10.* (without|bottle)|lsun.* js|tower",
    "lenses": "rs |wgan-gp|js extra",
    "bounded_slopes": "n 3|plane|hinge|ls|rp",
    "edges": r"^ring, [^s]|, 0\.(2|3|01|03|0001|0003|002|003)$|equal|edge at",
}
# Of no use here: so few iterations leave many of the mixture's leading eigenvalues at zero, where
# rounding, which differs from run to run, gives their direction. And where a search ends that finds
# nothing depends on the rounding of each of its steps. So does which of two eigenvalues of one
# modulus is counted as the fourth.
ROUNDING = {
    "mixture": ["lean"],
    "stays": ["residual", "moved", "same", "away", "stuck"],
    "cures": ["angle"],
}
# Experiments that measure what others have trained, and nothing else: the package lacks the files.
OTHERS = ("released_nets",)
KERNELS = {"OPENBLAS_CORETYPE": "Haswell", "ATEN_CPU_CAPABILITY": "default"}
_FACTOR, _RELATIVE, _ABSOLUTE = 10, 1e-4, 1e-6  # of the spread; float32 trainings


def same_setting(module, arm, one, other):
    """Whether an arm is the same in two readings."""
    return setting_of(module, one, arm) == setting_of(module, other, arm)


def pairs(name):
    """Every reading with its first arm, and every arm in the first reading."""
    module = experiments.find(name)
    # LeNets that the package does not have would be needed.
    ours = [r for r in module.READINGS if module.READINGS[r].setting != judges.Setting(judge=SHA)]
    first, arm = ours[0], next(iter(module.ARMS))
    arms = [a for a in module.ARMS if name not in ALIKE or not re.search(ALIKE[name], a)]
    # The spectra of nets with 100 latent dimensions take a minute each.
    few = [r for r in ours if getattr(module.READINGS[r].setting, "latent", 1) == 1]
    few = [r for r in few if r == first or not same_setting(module, arm, r, first)]
    return list(dict.fromkeys([(r, arm) for r in few] + [(first, a) for a in arms]))


def numbers(name, members=2):
    """The first two members' numbers of each pair, by reading, arm and column."""
    module, found = experiments.find(name), {}
    size = replace(module.SIZES["quick"], **({"members": members} | SMALL[name]))
    torch.set_num_threads(1)  # as in `gather`: with more of them, sums have another order
    for reading, arm in pairs(name):
        setting = setting_of(module, reading, arm)
        rows = module.measure(setting, size, seed=0, device="cpu")["members"]
        for column in rows.columns.drop(["member", *ROUNDING.get(name, [])]):
            values = rows.loc[rows["member"] < 2, column].astype(float)
            found[f"{reading} | {arm} | {column}"] = values.tolist()
    return found


def ours():
    """The experiments of which there are smoke runs."""
    return [name for name in experiments.ORDER if name not in OTHERS]


def spread(runs):
    """By name, the largest difference of a number between runs."""
    return {
        key: float(np.nan_to_num(np.ptp([run[key] for run in runs], axis=0)).max())
        for key in runs[0]
    }


def moved(name, now, stored):
    """What moved further than rounding does, a line each."""
    version = experiments.find(name).VERSION
    if stored["version"] != version:
        return [f"{name} is of version {version}, smoke.json of {stored['version']}: write it anew"]
    lines = [f"{name}: {key} is new or gone" for key in now.keys() ^ stored["numbers"].keys()]
    for key in now.keys() & stored["numbers"].keys():
        before, spread_of = stored["numbers"][key], stored["spread"].get(key, 0.0)
        allowed = max(_FACTOR * spread_of, _ABSOLUTE, *(_RELATIVE * abs(b) for b in before))
        if not np.allclose(now[key], before, rtol=0, atol=allowed, equal_nan=True):
            lines.append(f"{name}: {key} was {before} and is {now[key]}, allowed {allowed:.1g}")
    return lines


def main():
    """Write the numbers and their spread, or print those of one experiment."""
    ask = argparse.ArgumentParser()
    ask.add_argument("--write", action="store_true")
    ask.add_argument("--only")
    ask.add_argument("--members", type=int, default=2)
    given = ask.parse_args()
    if not given.write:
        print(json.dumps(numbers(given.only, given.members)))
        return
    found = json.loads(FILE.read_text(encoding="utf-8"))
    found = {name: found[name] for name in experiments.ORDER if name in found}
    for name in [given.only] if given.only else ours():
        runs = [numbers(name), numbers(name, members=5)]
        command = [sys.executable, "-m", "tests.evidence.smoke", "--only", name]
        said = subprocess.run(
            command, env=os.environ | KERNELS, capture_output=True, text=True, check=True
        )
        runs.append(json.loads(said.stdout.splitlines()[-1]))
        apart = {key: float(f"{value:.3g}") for key, value in spread(runs).items() if value}
        rounded = {key: [float(f"{v:.9g}") for v in values] for key, values in runs[0].items()}
        version = experiments.find(name).VERSION
        found[name] = {"version": version, "spread": apart, "numbers": rounded}
        print(name, len(rounded), "numbers", max(apart.values(), default=0.0), flush=True)
    text = (
        json.dumps(found, sort_keys=True)
        .replace('"numbers"', '\n"numbers"')
        .replace('], "', '],\n"')
    )
    FILE.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
