"""A built site without what no page needs, or markup that screen readers stumble on.

The theme loads all of Font Awesome before a page is drawn, half a megabyte compressed and fonts
besides. What remains is a style sheet with the dozen icons that pages show.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

SHEET = "icons.css"
_SCRIPT = re.compile(r'<script src="([^"]*)vendor/fontawesome/[^"]*"></script>\s*')
_LINK = re.compile(r"<link\b[^>]*/fontawesome/[^>]*>\s*")  # its style sheet, and preloads
_ARGUMENTS = re.compile(
    r"<dl>(\s*(?:<dd><em class=\"sig-param\">(?:(?!<dd>).)*</dd>\s*)+)</dl>", re.S
)
# Zero specificity: what the theme says of an icon's place and visibility takes precedence.
_RULES = (
    ":where(.fa,.fas,.fab,.far,.fa-solid,.fa-brands,.fa-regular){display:inline-block;width:1em;"
    "height:1em;vertical-align:-.125em;background:currentColor;-webkit-mask:var(--icon) center/"
    "contain no-repeat;mask:var(--icon) center/contain no-repeat}\n:where(.fa-lg){font-size:1.25em}"
)


def slim(site: Path) -> list[str]:
    """Replace the font by the style sheet, and name its icons; a ValueError for one it lacks."""
    (script,) = (site / "_static" / "vendor" / "fontawesome").glob("*/js/all.min.js")
    library = script.read_text(encoding="utf-8")
    pages = sorted(site.rglob("*.html"))
    texts = {page: page.read_text(encoding="utf-8") for page in pages}
    scripts = "".join(p.read_text("utf-8") for p in (site / "_static" / "scripts").glob("*.js"))
    used = {name for text in [*texts.values(), scripts] for name in _named(text)}
    icons = {name: found for name in sorted(used) if (found := _picture(library, name))}
    if lacking := sorted(name for name in _shown(texts.values()) if name not in icons):
        raise ValueError(f"no picture of the icons {', '.join(lacking)}")
    lines = [f'.fa-{name}{{--icon:url("{picture}")}}' for name, picture in icons.items()]
    sheet = "\n".join([_RULES, *lines, ""])
    (site / "_static" / SHEET).write_text(sheet, encoding="utf-8")
    for page, text in texts.items():
        link = rf'<link rel="stylesheet" href="\g<1>{SHEET}">'
        page.write_text(mended(_LINK.sub("", _SCRIPT.sub(link, text))), encoding="utf-8")
    shutil.rmtree(script.parents[2])
    return list(icons)


def mended(page: str) -> str:
    """A page whose lists are well-formed: entries are marked so, and terms have a definition.

    docutils calls a bibliography a list but does not mark its entries, and Sphinx sets the
    arguments of a long signature as definitions without terms.

    >>> mended('<dl>\\n<dd><em class="sig-param">n</em>,</dd>\\n</dl>')
    '<span class="sig-lines">\\n<span><em class="sig-param">n</em>,</span>\\n</span>'
    """
    page = page.replace('role="list" class="citation-list"', 'class="citation-list"')
    return _ARGUMENTS.sub(
        lambda found: (
            '<span class="sig-lines">'
            + found[1].replace("<dd>", "<span>").replace("</dd>", "</span>")
            + "</span>"
        ),
        page,
    )


def _named(text: str) -> set[str]:
    return set(re.findall(r"\bfa-([a-z][a-z0-9-]*)", text))


def _shown(pages: Iterable[str]) -> set[str]:
    """The icons of elements, whose other classes say how they look."""
    look = {"solid", "brands", "regular", "lg", "sm", "xs", "fw", "spin"}
    elements = re.findall(r'class="((?:[^"]* )?fa[bsr]? [^"]*|[^"]*\bfa-[^"]*)"', "".join(pages))
    return {name for classes in elements for name in _named(classes)} - look


def _picture(library: str, name: str) -> str:
    """An icon as an address that holds its drawing; "" if there is none. Solid ones come last."""
    pattern = rf'[{{,]"?{name}"?:\[(\d+),(\d+),\[[^\]]*\],"[0-9a-f]+","([^"]+)"\]'
    found = re.findall(pattern, library)
    if not found:
        return ""
    width, height, path = found[-1]
    drawing = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}'>"
    return "data:image/svg+xml," + quote(f"{drawing}<path d='{path}'/></svg>", safe=" ='/:,")
