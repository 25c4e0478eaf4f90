"""Terms of the glossary in the pages: linked once, where they are prose, and explained."""

import pytest

from helpers.book.layout import checkout
from helpers.book.terms import definitions, linked, titled

GLOSSARY = """# Glossary

```{glossary}
SN
  Spectral norm: each layer is divided
  by its largest singular value.

Ritz value
  An eigenvalue of a small matrix.
```
"""


def test_definitions(tmp_path):
    assert definitions(tmp_path) == {}
    (tmp_path / "glossary.md").write_text(GLOSSARY)
    assert definitions(tmp_path) == {
        "SN": "Spectral norm: each layer is divided by its largest singular value.",
        "Ritz value": "An eigenvalue of a small matrix.",
    }
    (tmp_path / "glossary.md").write_text(GLOSSARY.replace("Ritz value", "SN"))
    with pytest.raises(ValueError, match="'SN' twice"):
        definitions(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "# SN",
        "| SN | a |",
        "`SN` and $SN$ and [SN](page)",
        "{cite:t}`SN`",
        "```\nSN\n```",
        "$$\nSN\n$$",
        "SNS, WSN, SN-GAN, pre-SN",
    ],
)
def test_what_is_no_prose_stays(text):
    assert linked([text], ["SN"]) == [text]


def test_the_first_use_alone():
    """Over the cells of a page; the longer term first, where one is within another."""
    cells = ["With `SN`: SN, SN.", "SN, and a Ritz value."]
    assert linked(cells, ["SN", "Ritz value"]) == [
        "With `SN`: {term}`SN`, SN.",
        "SN, and a {term}`Ritz value`.",
    ]
    assert linked(["a game vector field"], ["field", "game vector field"]) == [
        "a {term}`game vector field`"
    ]


def test_titles_are_escaped():
    page = titled('<span class="xref std std-term">SN</span>', {"SN": 'less than "1" & so on'})
    assert 'title="less than &quot;1&quot; &amp; so on"' in page


def test_the_book_has_one():
    found = definitions(checkout().book)
    assert len(found) > 25 and all(said.endswith(".") for said in found.values())
