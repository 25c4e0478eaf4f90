"""What the chapters' code asks of the machine that it runs on: packages, and devices by name."""

import ast
import functools
import re
import sys

import pytest
import tomllib

from helpers.book import pairing
from helpers.book.layout import checkout

LAYOUT = checkout()
CHAPTERS = LAYOUT.chapters()
# Distributions that are not called as what is imported from them.
CALLED = {"IPython": "ipython", "PIL": "pillow", "sklearn": "scikit-learn", "yaml": "pyyaml"}
# torch's functions that make a tensor on its default device.
MAKERS = {"arange", "as_tensor", "empty", "eye", "full", "hann_window", "linspace", "logspace"}
MAKERS |= {"normal", "ones", "rand", "randint", "randn", "randperm", "tensor", "zeros"}
MAKERS |= {"tril_indices", "triu_indices"}


@functools.cache
def code(chapter):
    """The chapter's code cells, as Python."""
    cells = pairing.to_notebook(LAYOUT, chapter).cells
    plain = [cell.source for cell in cells if cell.cell_type == "code"]
    return [re.sub(r"^(\s*)[%!].*$", r"\1pass", each, flags=re.MULTILINE) for each in plain]


@functools.cache
def imported(source):
    """Distributions that some code imports, wherever in it."""
    modules = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            modules.add(node.module)
    roots = {module.split(".")[0] for module in modules} - set(sys.stdlib_module_names)
    return {CALLED.get(root, root) for root in roots - {"helpers"}}


def declared(extra=None):
    """Names that pyproject.toml requires, of the package or of one of its extras."""
    project = tomllib.loads((LAYOUT.root / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = project["optional-dependencies"][extra] if extra else project["dependencies"]
    return {re.match(r"[\w-]+", requirement)[0] for requirement in wanted}


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_plain_install_brings_every_import(chapter):
    """Of the notebook; the book's own tool, which needs more, has no part in it."""
    for source in code(chapter):
        assert imported(source) <= declared()
        assert "helpers.book" not in source


@pytest.mark.slow
def test_no_import_goes_undeclared():
    """Nor is anything declared that no module of the package imports."""
    package = LAYOUT.root / "helpers"
    used = set()
    for path in package.rglob("*.py"):
        own = imported(path.read_text("utf-8"))
        if path.is_relative_to(package / "book"):
            assert own <= declared() | declared("book") | declared("pdf"), path
        else:
            # What an extra brings is imported where it is used, not with the module.
            top = ast.parse(path.read_text("utf-8")).body
            first = [n for n in top if isinstance(n, ast.Import | ast.ImportFrom)]
            assert imported("\n".join(map(ast.unparse, first))) <= declared(), path
            assert own <= declared() | declared("cluster") | declared("lsun"), path
            assert "from helpers.book" not in path.read_text("utf-8"), path
            used |= own - declared("cluster") - declared("lsun")
    assert used == declared()


def without_device(source):
    """Calls, as they are written, whose tensor or layer would be on torch's default device."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or "device" in {k.arg for k in node.keywords}:
            continue
        name = ast.unparse(node.func)
        layer = re.fullmatch(r"(torch\.)?nn\.[A-Z]\w*", name) and node.args
        if layer or (name.removeprefix("torch.") in MAKERS and name.startswith("torch.")):
            yield ast.unparse(node)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_tensors_say_where_they_are(chapter):
    """After torch.set_default_device("cuda") a chapter computes where it did before.

    A reader's own nets are written as readers write them, without a device, and made under one.
    """
    found = [call for cell in code(chapter) for call in without_device(cell)]
    if chapter == "your_own_gan":
        found = [call for call in found if not call.startswith("nn.")]
        whole = "\n".join(code(chapter))
        made = re.findall(
            r"^(?: *)\w+(?:, \w+)? = (?:Generator|Discriminator)\(.*", whole, re.MULTILINE
        )
        assert len(made) == 2 and all(line.startswith("    ") for line in made)
        assert whole.count("with torch.device(chapter.device):") == len(made)
    assert found == []


def test_makers_are_found():
    found = without_device("a = torch.zeros(3) + f(torch.nn.Linear(1, 2))\ntorch.rand(2, device=d)")
    assert sorted(found) == ["torch.nn.Linear(1, 2)", "torch.zeros(3)"]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_device_is_used_or_said_to_be_unused(chapter):
    """A chapter with a parameter that reached nothing would run on the CPU in silence."""
    whole = "\n".join(code(chapter))
    used = re.search(r"pick_device\(device\)|device=device", whole)
    assert bool(used) != ('device = "auto"  # changes nothing here' in whole)
