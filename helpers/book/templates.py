"""The HTML templates that lie beside this module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader


def render(name: str, **values: Any) -> str:
    """A template filled with values, which are escaped."""
    templates = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    return templates.get_template(name).render(**values)
