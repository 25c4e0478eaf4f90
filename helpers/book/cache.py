"""What a chapter's result depends on, as one key."""

from __future__ import annotations

import ast
import hashlib
import json
import platform
import re
from collections.abc import Iterable
from pathlib import Path

from nbformat import NotebookNode

from helpers.book.layout import Layout


def key(layout: Layout, notebook: NotebookNode, parameters: dict) -> str:
    """Hash of a chapter, the helpers it imports, parameters, claims, records and pins."""
    digest = hashlib.sha256()
    cells = [(cell.cell_type, cell.source, dict(cell.metadata)) for cell in notebook.cells]
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    parts = [json.dumps(cells), json.dumps(parameters, sort_keys=True), platform.python_version()]
    for path in [*helper_files(layout.root / "helpers", code), layout.root / "requirements.txt"]:
        parts += [path.name, path.read_text(encoding="utf-8")]
    parts.append(_claims(layout.root / "data" / "claims.json", code))
    for name in _named("timings", code):
        parts.append((layout.root / "data" / "benchmarks" / f"{name}.json").read_text("utf-8"))
    for name in _named("(?:recorded|Tables)", code):
        run = layout.recorded / f"{name}.json"
        parts.append(run.read_text("utf-8") if run.exists() else "")
    for part in parts:
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()


def helper_files(package: Path, code: Iterable[str]) -> list[Path]:
    """Files of the package that some code imports, directly or through one another."""
    found: set[Path] = set()
    waiting = [package / "__init__.py", *_imported(package, code)]
    while waiting:
        path = waiting.pop()
        if path not in found and path.exists():
            found.add(path)
            waiting += _imported(package, [path.read_text(encoding="utf-8")])
    return sorted(found)


def _imported(package: Path, code: Iterable[str]) -> list[Path]:
    modules: set[str] = set()
    for source in code:
        # IPython magics are no Python; they import nothing of ours.
        plain = re.sub(r"^(\s*)[%!].*$", r"\1pass", source, flags=re.MULTILINE)
        for node in ast.walk(ast.parse(plain)):
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules |= {node.module, *(f"{node.module}.{a.name}" for a in node.names)}
    parts = [module.split(".")[1:] for module in modules if module.split(".")[0] == package.name]
    whole = [package.joinpath(*p) for p in parts if p]
    return [file for each in whole for file in (each.with_suffix(".py"), each / "__init__.py")]


def _named(function: str, code: Iterable[str]) -> list[str]:
    """The names that some code calls a function with first, each once."""
    named = re.findall(rf"{function}\([\"']([\w.]+)[\"'][,)]", "\n".join(code))
    return list(dict.fromkeys(named))


def _claims(path: Path, code: Iterable[str]) -> str:
    """The claims whose ids the code names: their rules decide the verdict boxes."""
    if not path.exists():
        return ""
    named = set(re.findall(r"[\"']([ABC]\d\d[-\w]*)[\"']", "\n".join(code)))
    listed = json.loads(path.read_text(encoding="utf-8"))
    return json.dumps([claim for claim in listed if claim["id"] in named])
