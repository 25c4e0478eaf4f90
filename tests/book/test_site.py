"""The built site, in a browser: what a reader meets."""

import functools
import gzip
import urllib.request
from pathlib import Path

import numpy as np
import pytest

import helpers
from helpers.book import pairing, playground
from helpers.book.browser import Quiet, headless, programs, served
from helpers.book.layout import checkout
from helpers.ledger import all_claims, boxes_of, find
from helpers.ledger.rules import VERDICTS
from helpers.outer import best_discriminator, find_basins, phi_lipschitz

LAYOUT = checkout()
pytestmark = [
    pytest.mark.look,
    pytest.mark.skipif(programs() is None, reason="no Chromium and ChromeDriver found"),
    pytest.mark.skipif(not LAYOUT.html.exists(), reason="no site built; run `make book`"),
]
# How a row of the scoreboard without a box begins.
WHY = ("not measurable: ", "no run yet; planned in ", "no run yet: no experiment measures it")
WHY += ("no run yet, for lack of the data: ",)
ERROR = "the paper is in error, with consequence"
PHONE, DESK = (390, 844), (1400, 900)


class Squeezing(Quiet):
    """Serves text compressed, as hosts of such sites do."""

    def do_GET(self):
        path = Path(self.translate_path(self.path))
        if path.suffix not in (".html", ".css", ".js", ".svg") or not path.is_file():
            super().do_GET()
            return
        body = squeezed(path)
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@functools.cache
def squeezed(path):
    return gzip.compress(path.read_bytes())


@pytest.fixture(scope="module")
def site():
    """The site's address, served from its folder."""
    with served(LAYOUT.html, Squeezing) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    with headless() as driver:
        yield driver


def documents():
    return LAYOUT.documents()


def visit(browser, address, *, theme="light", size=DESK):
    """Open a page in a theme and at a size, as if the reader had chosen both before."""
    browser.set_window_size(*size)
    browser.get(address)
    choose = (
        "localStorage.setItem('mode', arguments[0]); localStorage.setItem('theme', arguments[0])"
    )
    browser.execute_script(choose, theme)
    browser.get_log("browser")
    browser.get(address)
    browser.execute_async_script("setTimeout(arguments[0], 300)")


@pytest.mark.parametrize("page", documents())
def test_page_answers_cleanly(site, browser, page):
    """Every page of the toc is there, has one title, logs no error and loads nothing from afar."""
    visit(browser, f"{site}/{page}")
    assert len(browser.find_elements("css selector", "article h1")) == 1
    errors = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert errors == []
    loaded = browser.execute_script(
        "return performance.getEntriesByType('resource').map(e => e.name)"
    )
    assert [name for name in loaded if not name.startswith((site, "data:"))] == []
    assert loaded


@pytest.mark.parametrize("page", ["book/intro.html", "book/two_clusters.html"])
def test_first_paint_on_a_slow_line(site, browser, page):
    """Within three seconds at 1.6 megabits and 150 ms, from an empty cache."""
    browser.get("about:blank")
    browser.execute_cdp_cmd("Network.enable", {})
    browser.execute_cdp_cmd("Network.clearBrowserCache", {})
    rate = 1.6e6 / 8
    line = {"offline": False, "latency": 150, "downloadThroughput": rate, "uploadThroughput": rate}
    browser.execute_cdp_cmd("Network.emulateNetworkConditions", line)
    try:
        browser.get(f"{site}/{page}")
        painted = browser.execute_script(
            "return performance.getEntriesByName('first-contentful-paint')[0].startTime"
        )
    finally:
        free = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        browser.execute_cdp_cmd("Network.emulateNetworkConditions", free)
    assert painted < 3000


@pytest.mark.parametrize("page", documents())
def test_no_page_is_heavy(page):
    """Text and markup of a page, compressed as a server sends them: a megabyte at most."""
    assert len(gzip.compress((LAYOUT.html / page).read_bytes())) < 1e6


def test_icons_are_seen(site, browser):
    """Each icon of the page's bar has a size and a picture."""
    visit(browser, f"{site}/book/two_clusters.html")
    icons = browser.execute_script(
        "return [...document.querySelectorAll('.article-header-buttons [class*=fa-]')]"
        ".filter(e => e.offsetParent).map(e => [e.className, e.offsetWidth,"
        " getComputedStyle(e).maskImage || getComputedStyle(e).webkitMaskImage])"
    )
    assert len(icons) >= 5
    assert [name for name, width, mask in icons if not (width > 5 and "svg" in mask)] == []


@pytest.mark.parametrize("page", documents())
def test_pages_say_what_they_are(page):
    """A description, a preview's title, and the book's metadata in each head."""
    head = (LAYOUT.html / page).read_text(encoding="utf-8").partition("</head>")[0]
    for tag in ('name="description" content="', 'property="og:title" content="'):
        assert len(head.partition(tag)[2].partition('"')[0]) > 3, tag
    assert 'name="citation_title" content="GAN landscapes, re-run"' in head


def test_foot_says_which_build_it_is(site, browser):
    visit(browser, f"{site}/book/intro.html")
    foot = browser.find_element("css selector", "footer.bd-footer-content").text
    assert f"Version {helpers.__version__}, built 20" in foot


@pytest.mark.parametrize("page", documents())
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_nothing_sticks_out(site, browser, page, size):
    """No page is wider than its window; wide figures scroll within the page."""
    visit(browser, f"{site}/{page}", size=size)
    wide = browser.execute_script(
        "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert wide <= 0


def test_links_within_the_site_lead_somewhere(site, browser):
    """Every link to a page or a place of the site exists, the scoreboard's verdicts among them."""
    places = {}
    for page in documents():
        visit(browser, f"{site}/{page}")
        ids = browser.execute_script("return [...document.querySelectorAll('[id]')].map(e => e.id)")
        links = browser.execute_script("return [...document.links].map(a => a.href)")
        places[f"{site}/{page}"] = (set(ids), links)
    verdicts = 0
    for page, (_, links) in places.items():
        for whole, _, anchor in (link.partition("#") for link in links):
            if not whole.startswith(site):
                continue
            address = whole.partition("?")[0]
            if address in places:
                assert not anchor or anchor in places[address][0], f"{page} -> {address}#{anchor}"
                verdicts += anchor.startswith("claim-") and "scoreboard" in page
            else:
                assert urllib.request.urlopen(address).status == 200
    assert verdicts == len(boxes_at_home())


def boxes_at_home():
    """Claim and chapter of each verdict box; of a claim with a home, of the one there."""
    paths = {name: LAYOUT.executed / f"{name}.ipynb" for name in LAYOUT.chapters()}
    boxes = {
        (claim, name) for name, path in paths.items() for claim, _ in boxes_of(pairing.read(path))
    }
    home = {claim: find(claim).get("home") for claim, _ in boxes}
    return {(c, name) for c, name in boxes if name == home[c] or (c, home[c]) not in boxes}


def test_rows_lead_to_boxes_with_their_verdict(site, browser):
    """A reader who follows the board meets what it said; a row without a box says why."""
    visit(browser, f"{site}/book/scoreboard.html")
    rows = browser.execute_script(
        "return [...document.querySelectorAll('#scoreboard tbody tr')].map(r => [r.id,"
        " r.dataset.verdict,"
        " [...r.querySelectorAll('.verdict-cell a:not(.dispute)')].map(a => a.href),"
        " r.querySelector('[data-label=ours]').innerText])"
    )
    pages = {address.partition("#")[0] for *_, links, _ in rows for address in links}
    boxes = {}
    for page in pages:
        visit(browser, page)
        boxes[page] = browser.execute_script(
            "return Object.fromEntries([...document.querySelectorAll('.verdict')].map("
            "b => [b.id, b.querySelector('strong').textContent]))"
        )
    for claim, verdict, links, ours in rows:
        for page, _, place in (address.partition("#") for address in links):
            assert place == f"claim-{claim}"
            assert f" {claim}: {verdict}" in boxes[page][place], (claim, page)
        assert links or ours.startswith(WHY), claim


def test_code_leads_to_the_package(site, browser):
    """A name of the package in a chapter's code is a link to what its docstring says."""
    visit(browser, f"{site}/book/two_point_landscape.html")
    links = browser.execute_script(
        "return [...document.querySelectorAll('.cell_input a')].map(a => [a.textContent, a.href])"
    )
    found = {text: address for text, address in links}
    page, _, place = found["phi_js"].partition("#")
    assert (page, place) == (f"{site}/book/api/outer.html", "helpers.outer.phi_js")
    visit(browser, f"{page}#{place}")
    said = browser.execute_script(
        "return document.getElementById(arguments[0]).parentElement.innerText", place
    )
    assert ">>> round(phi_js(" in said


def test_colab_opens_this_chapter(site, browser):
    """The rocket's link names the configured repository and a notebook that exists in it."""
    for chapter in LAYOUT.chapters():
        visit(browser, f"{site}/book/{chapter}.html")
        links = browser.execute_script("return [...document.links].map(a => a.href)")
        (colab,) = {link for link in links if "colab.research.google.com" in link}
        address = LAYOUT.repository().removeprefix("https://")
        _, _, path = colab.partition(f"{address.replace('.com', '')}/blob/main/")
        assert path == f"book/{chapter}.ipynb"
        assert (LAYOUT.root / path).exists()


def test_scoreboard_filters(site, browser):
    """Each filter shows the rows it names and counts them; both together intersect."""
    from selenium.webdriver.support.select import Select

    visit(browser, f"{site}/book/scoreboard.html")
    rows = browser.execute_script(
        "return [...document.querySelectorAll('#scoreboard tbody tr')]"
        ".map(r => [r.id, r.dataset.paper, r.dataset.verdict])"
    )
    assert [row[0] for row in rows] == list(all_claims())

    def shown(paper, verdict):
        Select(browser.find_element("id", "filter-paper")).select_by_value(paper)
        Select(browser.find_element("id", "filter-verdict")).select_by_value(verdict)
        visible = [
            row.get_attribute("id")
            for row in browser.find_elements("css selector", "#scoreboard tbody tr")
            if row.is_displayed()
        ]
        assert browser.find_element("id", "filter-count").text == f"{len(visible)} claims"
        return visible

    for paper, verdict in (("", ""), ("B", ""), ("", "reproduced"), ("C", ERROR)):
        wanted = [i for i, p, v in rows if paper in ("", p) and verdict in ("", v)]
        assert wanted
        assert shown(paper, verdict) == wanted


def test_scoreboard_search_and_address(site, browser):
    """Words, tiers and chapters narrow the rows; the address keeps the choice and gives it back."""
    board = f"{site}/book/scoreboard.html"
    shown = (
        "return [...document.querySelectorAll('#scoreboard tbody tr')].filter(r => !r.hidden)"
        ".map(r => r.id)"
    )
    visit(browser, f"{board}?words=turning+saddle")
    found = browser.execute_script(shown)
    assert 0 < len(found) < 20
    assert browser.find_element("id", "filter-words").get_attribute("value") == "turning saddle"
    visit(browser, f"{board}?chapter=two_clusters&order=verdict")
    assert set(browser.execute_script(shown)) == {
        claim for claim, each in all_claims().items() if "two_clusters" in each["chapters"]
    }
    verdicts = browser.execute_script(
        "return [...document.querySelectorAll('#scoreboard tbody tr')].map(r => r.dataset.verdict)"
    )
    assert verdicts == sorted(verdicts, key=list(VERDICTS).index)
    browser.find_element("id", "filter-words").send_keys("imbalanced")
    assert browser.execute_script(shown) == ["C30"]
    assert "words=imbalanced" in browser.current_url
    visit(browser, f"{board}?paper=nobody")  # an old or a wrong address shows all
    assert len(browser.execute_script(shown)) == len(all_claims())


def test_counts_lead_to_their_rows(site, browser):
    """Each part of the landing page's bars leads to as many rows as it says."""
    visit(browser, f"{site}/book/intro.html")
    parts = browser.execute_script(
        "return [...document.querySelectorAll('.counts .bar a')].map(a => [a.href, a.title])"
    )
    assert len(parts) > 10
    for address, title in parts:
        visit(browser, address)
        number = title.partition(": ")[2].split()[0]
        assert browser.find_element("id", "filter-count").text == f"{number} claims", title


def test_playground_has_the_numbers_of_python(site, browser):
    """At fifty random places, to a thousandth; and descent ends in the basins that Python finds."""
    visit(browser, f"{site}/book/intro.html")
    places = np.random.default_rng(5).uniform(-2, 6, size=(50, 2))
    grid = playground.GRID
    nodes = np.stack(np.meshgrid(grid, grid, indexing="ij"), axis=-1)
    for loss in playground.LOSSES:
        looked_up = browser.execute_script(
            "return arguments[1].map((y) => [window.playground.value(arguments[0], y),"
            " window.playground.best(arguments[0], y), window.playground.path(arguments[0], y)])",
            loss,
            places.tolist(),
        )
        values, best, paths = (list(part) for part in zip(*looked_up, strict=True))
        np.testing.assert_allclose(
            values, phi_lipschitz(playground.REALS, places, loss, playground.SLOPE), atol=1e-3
        )
        exact = best_discriminator(playground.REALS, places, loss, playground.SLOPE)
        np.testing.assert_allclose(best, np.concatenate(exact, axis=1), atol=0.03)
        found = find_basins(
            phi_lipschitz(playground.REALS, nodes, loss, playground.SLOPE), tolerance=1e-6
        )
        for y, path in zip(places, paths, strict=True):
            start = np.rint((y - grid[0]) / (grid[1] - grid[0])).astype(int)
            np.testing.assert_allclose(path, grid[found.path(*start)], atol=1e-9)


def test_playground_is_played(site, browser):
    """Sliders move the points, a click on a map too; descent leaves JS stuck and RS free."""
    browser.set_window_size(*DESK)
    visit(browser, f"{site}/book/intro.html")
    said = "return [...document.querySelectorAll('.playground .value')].map(e => e.textContent)"
    before = browser.execute_script(said)
    move = (
        "const i = document.querySelector('.playground input'); i.value = 3;"
        "i.dispatchEvent(new Event('input'))"
    )
    browser.execute_script(move)
    assert browser.execute_script(said) != before
    press = "document.querySelector(`.playground .${arguments[0]}`).click()"
    browser.execute_script(press, "reset")
    assert browser.execute_script(said) == before
    browser.execute_script(press, "descend")
    browser.execute_async_script("setTimeout(arguments[0], 4000)")
    status = browser.find_element("css selector", ".playground [role=status]").text
    assert status == "JS ends with collapse, RS ends with both real points."
    canvas = browser.find_element("css selector", ".playground canvas")
    browser.execute_script(
        "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", canvas
    )
    browser.execute_async_script("setTimeout(arguments[0], 800)")  # a smooth scroll
    canvas.click()  # its middle: both points at 2
    inputs = browser.find_elements("css selector", ".playground input")
    places = [float(each.get_attribute("value")) for each in inputs]
    assert places == pytest.approx([2, 2], abs=0.1)
    still = browser.find_element("css selector", ".playground .still")
    assert not still.is_displayed()


def test_without_scripts_there_is_a_picture(site):
    text = (LAYOUT.html / "book" / "intro.html").read_text(encoding="utf-8")
    part = text.partition('id="playground"')[2]
    assert '<div class="live" hidden' in part and "slope_limit.svg" in part
    picture = urllib.request.urlopen(f"{site}/_static/slope_limit.svg")
    assert picture.status == 200


@pytest.mark.parametrize("page", documents())
def test_nothing_is_cut_on_paper(site, browser, page):
    """At the width of a sheet, code, outputs and tables are as wide as their boxes."""
    visit(browser, f"{site}/{page}", size=(794, 1123))
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        cut = browser.execute_script(
            "return [...document.querySelectorAll("
            "'.bd-article pre, .cell_output, .bd-article table')].filter("
            "e => e.scrollWidth > e.clientWidth + 2).map(e => e.textContent.slice(0, 60))"
        )
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert cut == []


@pytest.mark.parametrize("page", documents())
@pytest.mark.parametrize(
    ("theme", "size"), [("light", DESK), ("dark", DESK), ("light", PHONE)], ids=str
)
def test_accessible(site, browser, page, theme, size):
    """axe finds nothing critical and nothing serious."""
    from axe_core_python.selenium import Axe

    visit(browser, f"{site}/{page}", theme=theme, size=size)
    found = Axe().run(browser)["violations"]
    bad = [each for each in found if each["impact"] in ("critical", "serious")]
    assert [(each["id"], each["nodes"][0]["html"]) for each in bad] == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_is_legible(site, browser, theme):
    """Text has contrast 4.5 (WCAG AA) with what is behind it, in boxes and on the scoreboard."""
    script = """
      const parse = (c) => c.match(/[\\d.]+/g).map(Number);
      function behind(e) {
        let layers = [];
        for (; e; e = e.parentElement) {
          const c = parse(getComputedStyle(e).backgroundColor);
          if (c.length < 4 || c[3] > 0) layers.push(c);
          if (c.length < 4 || c[3] === 1) break;
        }
        let colour = [255, 255, 255];
        for (const c of layers.reverse()) {
          const a = c.length < 4 ? 1 : c[3];
          colour = colour.map((v, i) => (1 - a) * v + a * c[i]);
        }
        return colour;
      }
      const bright = (c) => {
        const [r, g, b] = c.slice(0, 3).map((v) => v / 255)
          .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
      };
      return [...document.querySelectorAll(arguments[0])].map((e) => {
        const [a, b] = [bright(parse(getComputedStyle(e).color)), bright(behind(e))];
        return Math.max(a, b) / Math.min(a, b);
      });
    """
    for page, selector in (
        ("two_point_landscape", ".verdict td, .verdict strong, article p"),
        ("two_clusters", ".verdict td, .verdict summary, figcaption, .measured caption"),
        ("scoreboard", "#scoreboard td, #scoreboard th, #scoreboard td a"),
        ("intro", ".counts a, .counts span, .playground figcaption, .playground p, article p"),
        ("findings", ".finding p, .finding figcaption, .finding a"),
        ("errata", ".errata td, .errata a"),
    ):
        visit(browser, f"{site}/book/{page}.html", theme=theme)
        assert browser.execute_script("return document.documentElement.dataset.theme") == theme
        contrasts = browser.execute_script(script, selector)
        assert len(contrasts) > 20
        assert min(contrasts) > 4.5


def test_figures_follow_the_theme(site, browser, tmp_path):
    """A figure's paper is dark in the dark theme and white in the light one."""
    from PIL import Image

    for theme, light in (("light", True), ("dark", False)):
        visit(browser, f"{site}/book/two_point_landscape.html", theme=theme)
        figure = browser.find_element("css selector", ".cell_output img")
        browser.execute_script(
            "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", figure
        )
        place = browser.execute_script(
            "const box = arguments[0].getBoundingClientRect(); return {x: box.x, y: box.y}", figure
        )
        # Of the window: one of the element alone takes chromedriver ten seconds, its own limit.
        browser.save_screenshot(str(tmp_path / f"{theme}.png"))
        seen = Image.open(tmp_path / f"{theme}.png").convert("L")
        corner = seen.getpixel((int(place["x"]) + 3, int(place["y"]) + 3))
        assert (corner > 240) if light else (corner < 40)


def test_surface_turns(site, browser):
    """The surfaces are drawn once the reader gets there, from the site's own files."""
    visit(browser, f"{site}/book/slope_limit.html")
    box = browser.find_element("css selector", ".turnable")
    assert not box.find_elements("css selector", "canvas")
    browser.execute_script("arguments[0].scrollIntoView()", box)
    browser.set_script_timeout(30)
    drawn = browser.execute_async_script(
        "const [box, done] = arguments; const start = Date.now();"
        "const drawn = () => box.querySelectorAll('canvas').length;"
        "(function look() { drawn() || Date.now() - start > 25000"
        " ? done(drawn()) : setTimeout(look, 200) })()",
        box,
    )
    assert drawn > 0


def test_a_figure_fits_a_phone_and_grows_at_a_tap(site, browser):
    visit(browser, f"{site}/book/two_clusters.html", size=PHONE)
    width = "return arguments[0].getBoundingClientRect().width"
    pictures = browser.find_elements("css selector", ".cell_output figure img")
    room = browser.execute_script("return document.documentElement.clientWidth")
    assert pictures and all(browser.execute_script(width, each) <= room for each in pictures)
    for wide in (True, False):
        browser.execute_script("arguments[0].click()", pictures[1])
        assert (browser.execute_script(width, pictures[1]) > 600) == wide


def test_a_surface_sleeps_under_a_finger(site, browser):
    """A page scrolls past it; a tap on it wakes it, and one elsewhere lets it sleep."""
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}

    def tap(x, y):
        touch = {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]}
        browser.execute_cdp_cmd("Input.dispatchTouchEvent", touch)
        end = {"type": "touchEnd", "touchPoints": []}
        browser.execute_cdp_cmd("Input.dispatchTouchEvent", end)
        browser.execute_async_script("setTimeout(arguments[0], 300)")

    def state():
        return browser.execute_script(
            "const style = getComputedStyle(arguments[0]);"
            "const wake = arguments[0].previousElementSibling;"
            "return [style.pointerEvents, getComputedStyle(wake).visibility]",
            box,
        )

    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    try:
        browser.get(f"{site}/book/slope_limit.html")
        box = browser.find_element("css selector", ".turnable")
        browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", box)
        assert state() == ["none", "visible"]
        place = browser.execute_script(
            "const r = arguments[0].getBoundingClientRect(); return [r.x, r.y, r.height]", box
        )
        tap(place[0] + 60, place[1] + place[2] / 2)
        assert state() == ["auto", "hidden"]
        tap(20, place[1] - 60)
        assert state() == ["none", "visible"]
    finally:
        browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_slider_turns_the_saddle(site, browser):
    """Moving the slider changes the surface, the ball and the caption; play moves the slider."""
    visit(browser, f"{site}/book/rotating_saddle.html")
    controls = browser.find_element("css selector", ".slider")
    box = controls.find_element("xpath", "preceding-sibling::div[contains(@class, 'turnable')]")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", box)
    browser.set_script_timeout(30)
    drawn = browser.execute_async_script(
        "const [box, done] = arguments; const start = Date.now();"
        "(function look() { box.data || Date.now() - start > 25000"
        " ? done(!!box.data) : setTimeout(look, 200) })()",
        box,
    )
    assert drawn
    state = "const box = arguments[0]; return [box.data[0].z[0][9], box.data[1].x[0]]"
    before, caption = browser.execute_script(state, box), controls.text
    move = "arguments[0].value = 40; arguments[0].oninput()"
    browser.execute_script(move, controls.find_element("css selector", "input"))
    after = browser.execute_script(state, box)
    assert before[0] != after[0]
    assert before[1] != after[1]
    assert "φ = " in controls.text
    assert controls.text != caption
    button = controls.find_element("css selector", "button")
    browser.execute_script("arguments[0].click()", button)
    assert button.text == "pause"
    browser.execute_script("arguments[0].click()", button)
    assert button.text == "play"
