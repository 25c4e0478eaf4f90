"""A site without its icon font, and what stands in its place."""

import pytest

from helpers.book.slim import SHEET, slim

LIBRARY = (
    'var a={"github":[496,512,[],"f09b","M1 2"]};var b={bars:[448,512,[],"f0c9","M3 4"],'
    '"list-ul":[1,1,[],"f0ca","M0"],list:[512,512,["list-squares"],"f03a","M5 6"]};'
)
PAGE = (
    '<link href="../_static/vendor/fontawesome/6.5.2/css/all.min.css?digest=1" rel="stylesheet" />'
    '<link rel="preload" as="font" href="../_static/vendor/fontawesome/6.5.2/webfonts/a.woff2" />'
    '<link rel="stylesheet" href="../_static/book.css">'
    '<script src="../_static/vendor/fontawesome/6.5.2/js/all.min.js?digest=1"></script>'
    '<i class="fab fa-github"></i><span class="btn fa-solid fa-list fa-lg"></span>'
)


@pytest.fixture
def site(tmp_path):
    folder = tmp_path / "_static" / "vendor" / "fontawesome" / "6.5.2" / "js"
    folder.mkdir(parents=True)
    (folder / "all.min.js").write_text(LIBRARY)
    (tmp_path / "_static" / "scripts").mkdir()
    (tmp_path / "_static" / "scripts" / "theme.js").write_text('add("fa-bars")')
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "page.html").write_text(PAGE)
    return tmp_path


def test_icons_in_use_stay(site):
    """Those of pages and of scripts, each with its own picture; nothing else of the font."""
    assert slim(site) == ["bars", "github", "list"]
    sheet = (site / "_static" / SHEET).read_text()
    assert "d='M5 6'" in sheet and "d='M1 2'" in sheet and "M0" not in sheet
    page = (site / "book" / "page.html").read_text()
    assert "fontawesome" not in page and f'href="../_static/{SHEET}"' in page
    assert 'href="../_static/book.css"' in page and 'class="fab fa-github"' in page
    assert not (site / "_static" / "vendor" / "fontawesome").exists()


def test_an_icon_without_a_picture_is_named(site):
    (site / "book" / "other.html").write_text('<i class="fas fa-unicorn"></i>')
    with pytest.raises(ValueError, match="no picture of the icons unicorn"):
        slim(site)
