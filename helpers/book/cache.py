"""What a chapter's result depends on, as one key."""

from __future__ import annotations

import hashlib
import json
import platform
from typing import Any

from nbformat import NotebookNode

from helpers.book.layout import Layout


def key(layout: Layout, notebook: NotebookNode, parameters: dict[str, Any]) -> str:
    """Hash of a chapter, its parameters, the package, claims, evidence, timings and pins."""
    cells = [(cell.cell_type, cell.source, dict(cell.metadata)) for cell in notebook.cells]
    digest = hashlib.sha256(json.dumps([cells, parameters], sort_keys=True).encode())
    digest.update(platform.python_version().encode())
    package = [p for end in ("py", "csv") for p in (layout.root / "helpers").rglob(f"*.{end}")]
    files = [layout.root / "requirements.txt", *package]
    kept = [p for end in ("json", "jsonl") for p in (layout.root / "data").rglob(f"*.{end}")]
    for path in sorted([*files, *(p for p in kept if not p.is_relative_to(layout.cache))]):
        # The references are compared with a result, which does not depend on them.
        if not path.is_relative_to(layout.references):
            digest.update(f"\0{path.relative_to(layout.root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()
