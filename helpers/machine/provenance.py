"""Where and with what a number was computed."""

from __future__ import annotations

import datetime
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch


def provenance(device: torch.device | str = "cpu") -> dict[str, str]:
    """Device, torch, commit (or the installed version) and date, as text.

    >>> sorted(provenance())
    ['commit', 'date', 'device', 'torch']
    """
    device = torch.device(device)
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        name = f"CPU ({platform.machine()})"
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    return {"device": name, "torch": torch.__version__, "commit": commit(), "date": today}


def commit() -> str:
    """The commit of the checkout, "-dirty" if changed; of an installed package its version."""
    root = Path(__file__).resolve().parents[2]
    if (root / ".git").exists():
        git = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
        try:
            return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            return "unknown"
    try:
        return f"ganscapes {version('ganscapes')}"
    except PackageNotFoundError:
        return "unknown"
