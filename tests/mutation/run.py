"""`make mutants`: whether the tests notice what is wrong in the modules that make verdicts.

mutmut changes these modules a piece at a time and runs, for each such mutant, the tests that reach
its function; `[tool.mutmut]` in pyproject.toml names both. It leaves out functions with decorators
and all that is outside functions, the rules' comparisons among it: their mutants are made here, by
mutmut's operators, and meet all of those tests.

equivalent.toml lists the mutants that no test can tell from the code, and why.
"""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import ndiff
from pathlib import Path

import libcst as cst
import pytest
import tomllib
from mutmut.configuration import config
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.mutation.mutators import mutation_operators, operator_string
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files
from mutmut.utils.format_utils import get_module_from_key, orig_function_and_class_names_from_key

LIST = Path(__file__).with_name("equivalent.toml")
COPY = Path("mutants")  # mutmut's, of the checkout
LEAST = 0.95  # of the mutants that are not equivalent
# What the tests import of others: once here, not once a mutant.
HEAVY = ("IPython", "pandas", "scipy.stats", "torch.func")


@dataclass(frozen=True)
class Mutant:
    """Code and what takes its place, not where it is, so that an entry of the list stays valid."""

    where: str  # module, class and function
    line: str
    mutant: str

    @staticmethod
    def of(where: str, diff: list[str]) -> Mutant:
        """The lines that a diff takes away and adds, without their indentation."""
        gone, new = ("\n".join(x[1:].strip() for x in diff if x.startswith(s)) for s in "-+")
        return Mutant(where, gone, new)

    def __str__(self) -> str:
        return f"where = '{self.where}'\nline = '''{self.line}'''\nmutant = '''{self.mutant}'''\n"


def main() -> int:
    """Make the mutants, run the tests, and print what they did not notice."""
    start = time.monotonic()
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # none is needed, and each takes time
    shutil.rmtree(COPY, ignore_errors=True)  # else a changed test would not count
    subprocess.run([sys.executable, "-m", "mutmut", "run", "--max-children", "1"], check=True)
    tried = [*inside(), *outside()]
    entries = tomllib.loads(LIST.read_text(encoding="utf-8"))["equivalent"]
    listed = {Mutant(e["where"], e["line"], e["mutant"]) for e in entries if e["why"]}
    missed = [mutant for mutant, noticed in tried if not noticed]
    unlisted = [mutant for mutant in missed if mutant not in listed]
    stale = listed - set(missed)
    print(f"{len(unlisted)} not noticed", *unlisted, sep="\n")
    print(f"{len(stale)} listed, but noticed or gone", *stale, sep="\n")
    killed = len(tried) - len(missed)
    rest = killed + len(unlisted)
    print(
        f"{len(tried)} mutants, {len(tried) - rest} equivalent; of the other {rest} the tests "
        f"notice {killed} ({killed / rest:.1%}); {time.monotonic() - start:.0f} s"
    )
    return int(bool(stale) or killed < LEAST * rest)


def inside() -> Iterator[tuple[Mutant, bool]]:
    """mutmut's mutants, and whether a test noticed each."""
    for path in walk_mutatable_files():
        data = SourceFileMutationData(path=path)
        data.load()
        for name, code in data.exit_code_by_key.items():
            function, owner = orig_function_and_class_names_from_key(name)
            where = ".".join(filter(None, (get_module_from_key(name), owner, function)))
            diff = get_diff_for_mutant(name, path=path).splitlines()[2:]
            yield Mutant.of(where, diff), status_by_exit_code[code] == "killed"


def outside() -> Iterator[tuple[Mutant, bool]]:
    """Mutants of what mutmut leaves out, and whether a test noticed each."""
    for name in HEAVY:
        importlib.import_module(name)
    sys.dont_write_bytecode = True  # mutants of one second and one length would share it
    for path in walk_mutatable_files():
        source = path.read_text(encoding="utf-8")
        tree, left = cst.parse_module(source), _LeftOut()
        tree.visit(left)
        if not _passes(COPY / path, source):
            sys.exit(f"the tests do not pass with {path} as it is")
        for old, new in left.found:
            mutated = cst.ensure_type(tree.deep_replace(old, new), cst.Module).code
            diff = [*ndiff(source.splitlines(), mutated.splitlines())]
            mutant = Mutant.of(".".join(path.with_suffix("").parts), diff)
            yield mutant, not _passes(COPY / path, mutated)


class _LeftOut(cst.CSTVisitor):
    """Finds the nodes that mutmut leaves out, each with what may take its place."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[cst.CSTNode, cst.CSTNode]] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.Annotation | cst.Decorator):
            return False
        if isinstance(node, cst.FunctionDef):
            names = [getattr(each.decorator, "value", "") for each in node.decorators]
            if names in ([], ["staticmethod"], ["classmethod"]):
                return False
        for kind, operator in mutation_operators:
            if isinstance(node, kind):
                # Of a text one will do: the others write it in other letters.
                made = [*operator(node)][: 1 if operator is operator_string else None]
                self.found += [(node, new) for new in made]
        return True


def _passes(copy: Path, source: str) -> bool:
    """Whether all tests pass with this source, in a process that has not seen the module."""
    before = copy.read_text(encoding="utf-8")
    copy.write_text(source, encoding="utf-8")
    child = os.fork()
    if not child:
        status = 1
        try:
            os.chdir(COPY)
            silence = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silence, 1)
            os.dup2(silence, 2)
            usual = ["--rootdir=.", "-x", *config().pytest_add_cli_args]
            # File by file, as the first one notices most, and imports least.
            files = config().pytest_add_cli_args_test_selection
            status = int(any(pytest.main([*usual, file]) for file in files))
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    copy.write_text(before, encoding="utf-8")
    return status == 0


if __name__ == "__main__":
    sys.exit(main())
