"""Where tensors live."""

from __future__ import annotations

import torch

# What a kind of device lacks that is needed here: inner products are summed in float64.
_LACKING = {"mps": "has no float64"}


def pick_device(name: str | torch.device = "auto") -> torch.device:
    """The device of this name; "auto" is CUDA where there is one, else the CPU.

    Raises:
        ValueError: for a name that torch does not know, a CUDA device that does not exist, and a
            device that lacks float64 ("mps").

    >>> pick_device("cpu")
    device(type='cpu')
    """
    if isinstance(name, str) and name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        if not isinstance(name, str | torch.device):
            raise RuntimeError
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"unknown device {name!r}; 'auto', 'cpu' and 'cuda' are usual") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {str(name)!r} was chosen, but torch sees no CUDA device")
    if device.type == "cuda" and device.index and device.index >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise ValueError(f"device {str(name)!r} was chosen, but torch sees {count} CUDA devices")
    return usable(device)


def usable(device: torch.device) -> torch.device:
    """The device, unless it lacks what is needed here.

    Raises:
        ValueError: for one that lacks float64.

    >>> usable(torch.device("mps"))
    Traceback (most recent call last):
    ...
    ValueError: device 'mps' has no float64, in which sums are taken here; 'cpu' and 'cuda' have it
    """
    if device.type in _LACKING:
        raise ValueError(
            f"device {device.type!r} {_LACKING[device.type]}, in which sums are taken here; "
            "'cpu' and 'cuda' have it"
        )
    return device
