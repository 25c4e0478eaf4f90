"""The site as one file: which pages, in which order, and what is found in them."""

import re

import pytest

from helpers.book import browser, pdf
from helpers.book.layout import Layout, checkout


def test_without_a_site_it_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="make book"):
        pdf.write(Layout(tmp_path))


def test_without_a_browser_it_says_so(tmp_path, monkeypatch):
    layout = Layout(tmp_path)
    layout.html.mkdir(parents=True)
    (tmp_path / "_config.yml").write_text("title: t\n")
    monkeypatch.setattr(browser.shutil, "which", lambda name: None)
    with pytest.raises(FileNotFoundError, match="no Chromium"):
        pdf.write(layout)


def test_documents_are_those_of_the_toc():
    found = checkout().documents()
    assert found[0] == "book/intro.html" and "book/api/outer.html" in found
    assert len(set(found)) == len(found)
    chapters = [name for name in found if name[5:-5] in checkout().chapters()]
    assert [name[5:-5] for name in chapters] == checkout().chapters()


@pytest.mark.look
@pytest.mark.skipif(browser.programs() is None, reason="no Chromium and ChromeDriver found")
@pytest.mark.skipif(not checkout().html.exists(), reason="no site built; run `make book`")
def test_printed(monkeypatch):
    """A cover, contents, and the pages in order; surfaces are pictures, no link leads astray."""
    from pypdf import PdfReader

    layout = checkout()
    pages = ["book/intro.html", "book/slope_limit.html"]
    monkeypatch.setattr(Layout, "documents", lambda self: pages)
    monkeypatch.setattr(pdf, "FILE", "tried.pdf")
    before = {page: (layout.html / page).read_text() for page in pages}
    path = pdf.write(layout)
    for page, text in before.items():
        link = '<a href="../tried.pdf">This book as one PDF</a>. Version'
        assert link in (layout.html / page).read_text()
        (layout.html / page).write_text(text)
    book = PdfReader(path)
    path.unlink()
    marks = [each for each in book.outline if not isinstance(each, list)]
    assert [mark.title for mark in marks] == [
        "Contents", "GAN landscapes, re-run", "Limit the discriminator\u2019s slope",
    ]  # fmt: skip
    first = [book.get_destination_page_number(mark) for mark in marks]
    front = "".join(page.extract_text() for page in book.pages[: first[1]])
    numbers = re.findall(r"(?:re-run|slope) *(\d+)", " ".join(front.split()))
    assert numbers == [str(at + 1) for at in first[1:]]
    surfaces = [image for page in book.pages[first[2] :] for image in page.images]
    assert any(image.image.size == (900, 600) for image in surfaces)
    annotations = [a.get_object() for page in book.pages for a in page.get("/Annots", [])]
    links = [str(a["/A"].get("/URI", "")) for a in annotations if "/A" in a]
    assert not [link for link in links if "127.0.0.1" in link]
