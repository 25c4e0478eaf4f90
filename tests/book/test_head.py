"""What a page's head says of it."""

from docutils import nodes

from helpers.book.head import description, tags

ABOUT = {"book": "The book", "author": "We", "year": "2026"}


def test_the_first_words_are_the_description():
    tree = nodes.section()
    assert description(tree) == ""
    tree += [nodes.title("", "Title"), nodes.paragraph("", ""), nodes.paragraph("", "Two\nnets.")]
    assert description(tree) == "Two nets."


def test_tags():
    """Escaped; with addresses where the site has one."""
    found = tags('A "title"', "a < b", **ABOUT)
    assert 'content="A &quot;title&quot;"' in found and 'content="a &lt; b"' in found
    assert "og:url" not in found
    there = tags("t", "s", **ABOUT, address="https://site.org/x", page="book/intro")
    assert '"og:url" content="https://site.org/x/book/intro.html"' in there
    assert '"og:image" content="https://site.org/x/_static/preview.png"' in there
