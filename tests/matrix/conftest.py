"""The table of all cells, behind the tests' own report."""

from pathlib import Path

import pytest

from tests.matrix.table import TABLE


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--table", type=Path, help="a file that the table is written to")


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    if not TABLE.verdicts:
        return
    text = TABLE.text()
    terminalreporter.write_line(text)
    path = config.getoption("--table")
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n\n{TABLE.reasons()}\n")
