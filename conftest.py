"""What holds for every test, and for every example of the package."""

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def figures_closed() -> Iterator[None]:
    """No figure stays open; matplotlib warns where there are more than twenty."""
    yield
    if "matplotlib.pyplot" in sys.modules:  # most tests have no use for it
        sys.modules["matplotlib.pyplot"].close("all")
