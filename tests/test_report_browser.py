"""The inspection report in a browser: what a person sees and does."""

import io
import shutil

import numpy as np
import pytest
from PIL import Image

from steelsight.curves import charts
from steelsight.pictures import thumbnail
from steelsight.records import UNKNOWN, ClassScores, Evidence, Exhibit, Finding, Mistake, Prediction, Region, Scores
from steelsight.report import InspectionReport, write_findings, write_scores

selenium = pytest.importorskip("selenium", reason="selenium is not installed: pip install selenium")
from selenium import webdriver  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402

OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1400,1000",
)
CLASSES = ("patches", "pitted_surface", "scratches")
HOSTILE = "</script><img src=x onerror=\"document.title='broken'\">.bmp"
IMAGES, UNREADABLE = 120, 3


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not chromium:
        pytest.skip("Chromium is not installed: apt-get install chromium chromium-driver")
    if not driver:
        pytest.skip("chromedriver is not installed: apt-get install chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for option in (*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    window = webdriver.Chrome(service=Service(driver), options=options)
    yield window
    window.quit()


def predictions(number):
    """Drawn predictions, the same ones every time, with every class, `unknown` and a hostile name among them."""
    generator = np.random.default_rng(0)
    for index in range(number):
        shares = generator.dirichlet([0.6] * len(CLASSES))
        best = int(shares.argmax())
        label = CLASSES[best] if shares[best] > 0.45 else UNKNOWN
        regions = tuple(Region(label, 10 * n, 5, 8, 12, 0.5) for n in range(index % 4))
        name = HOSTILE if index == 7 else f"coil_{index % 10}/{index}.bmp"
        scores = dict(zip(CLASSES, map(float, shares), strict=True))
        evidence = Evidence(regions, generator.random((6, 8), np.float32))
        yield Prediction(name, label, float(shares[best]), scores, find=lambda evidence=evidence: evidence)


def write(folder, number, pictures=1000):
    picture = np.tile(np.arange(80, dtype=np.uint8), (60, 1))
    with InspectionReport(folder, model="drawn", classes=CLASSES, pictures=pictures) as report:
        for prediction in predictions(number):
            report.add(prediction, picture)
        for index in range(UNREADABLE):
            name = f"<i>bad</i>{index}.bmp"
            report.add(Prediction(name, None, None, error=f"{name}: the file is empty (0 bytes); copy it again."), None)
    return (folder / "report.html").as_uri()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    return write(tmp_path_factory.mktemp("report"), IMAGES)


def open_report(browser, address):
    """A large page on a busy machine may still be filling its list when the browser says that it is there."""
    browser.get(address)
    WebDriverWait(browser, 60).until(lambda page: texts(page, "#shown") not in ([], [""]))


@pytest.fixture
def page(browser, address):
    """The page as it opens; nothing may have been written to the console when the test ends."""
    browser.get_log("browser")
    open_report(browser, address)
    yield browser
    assert browser.get_log("browser") == []


def find(page, selector):
    return page.find_elements(By.CSS_SELECTOR, selector)


def click(page, selector):
    find(page, selector)[0].click()


def texts(page, selector):
    script = (
        "return [...document.querySelectorAll(arguments[0])].map((node) => node.textContent.replaceAll('\\u00a0', ' '))"
    )
    return page.execute_script(script, selector)


def confidences(page):
    return [float(text.removesuffix(" %")) for text in texts(page, "#results .card .verdict b")]


def shown(page):
    """How many images the page says it shows."""
    words = texts(page, "#shown")[0].split(" images")[0]
    return 0 if words == "No" else int(words.split(" of ")[1].replace(",", ""))


def test_opens_with_the_least_certain_first(page):
    expected = sorted(round(100 * one.confidence, 1) for one in predictions(IMAGES))
    assert confidences(page) == pytest.approx(expected[:48], abs=0.06)
    assert shown(page) == IMAGES


def test_sorts_by_confidence_both_ways(page):
    click(page, "#direction")
    expected = sorted((round(100 * one.confidence, 1) for one in predictions(IMAGES)), reverse=True)
    assert confidences(page) == pytest.approx(expected[:48], abs=0.06)


def test_sorts_by_name_class_and_regions(page):
    click(page, "[data-view=table]")
    order = Select(find(page, "#sort")[0])
    order.select_by_value("name")
    names = [name for name in texts(page, "#results td.name") if name != HOSTILE]
    assert names == [f"coil_{n % 10}/{n}.bmp" for n in sorted(range(IMAGES), key=lambda n: (n % 10, n)) if n != 7]
    order.select_by_value("label")
    ranks = [(*CLASSES, UNKNOWN).index(label) for label in texts(page, "#results .tag")]
    assert ranks == sorted(ranks)
    order.select_by_value("regions")
    counts = [int(text) for text in texts(page, "#results tbody td:last-child")]
    assert counts == sorted(index % 4 for index in range(IMAGES))


def test_table_headings_sort(page):
    click(page, "[data-view=table]")
    click(page, "th [data-sort=name]")
    first = texts(page, "#results td.name")
    click(page, "th [data-sort=name]")
    assert texts(page, "#results td.name") == first[::-1]
    assert find(page, "th[aria-sort=descending]")[0].text.startswith("File")


def test_class_counts_are_right_and_filter(page):
    labels = [one.label for one in predictions(IMAGES)]
    counts = {button.get_attribute("data-class"): button.find_element(By.TAG_NAME, "b").text
              for button in find(page, "#classes button")}  # fmt: skip
    assert counts == {label: str(labels.count(label)) for label in (*CLASSES, UNKNOWN)}
    click(page, "[data-class=scratches]")
    assert shown(page) == labels.count("scratches")
    assert set(texts(page, "#results .verdict .tag")) == {"scratches"}
    click(page, "[data-class=unknown]")
    assert shown(page) == labels.count("scratches") + labels.count(UNKNOWN)
    click(page, "#clear")
    assert shown(page) == IMAGES


def test_text_and_confidence_filter(page):
    find(page, "#text")[0].send_keys("COIL_3/")
    matching = [one for one in predictions(IMAGES) if "coil_3/" in one.image]
    assert shown(page) == len(matching)
    find(page, "#least")[0].send_keys("60")
    find(page, "#most")[0].send_keys("90")
    assert shown(page) == sum(0.6 <= one.confidence <= 0.9 for one in matching)
    find(page, "#text")[0].send_keys("nothing")
    assert shown(page) == 0
    assert texts(page, "#results .card") == []


def test_hostile_names_are_text(page):
    find(page, "#text")[0].send_keys("</script>")
    click(page, "[data-view=table]")
    assert texts(page, "#results td.name") == [HOSTILE]
    click(page, "#results td.name button")
    assert texts(page, "#large-name") == [HOSTILE]
    assert page.title.startswith("Inspection report")
    assert find(page, "img[src=x]") == []


def test_unreadable_files_have_their_reason(page):
    assert find(page, "#unreadable")[0].is_displayed()
    assert texts(page, "#unreadable td.name") == [f"<i>bad</i>{index}.bmp" for index in range(UNREADABLE)]
    assert set(texts(page, "#unreadable td.reason")) == {"the file is empty (0 bytes); copy it again."}


def test_heat_map_and_regions_are_layers_over_the_picture(page):
    card = next(card for card in find(page, ".card") if card.find_elements(By.TAG_NAME, "rect"))
    picture, heat = card.find_elements(By.TAG_NAME, "img")
    regions = card.find_element(By.TAG_NAME, "svg")
    assert heat.rect == picture.rect
    assert regions.rect == pytest.approx(picture.rect, abs=1)
    box = card.find_elements(By.TAG_NAME, "rect")[1].rect  # the region (0, 5), 8 wide and 12 high, of 80 by 60
    scale = picture.rect["width"] / 80
    assert box["x"] - picture.rect["x"] == pytest.approx(0, abs=3)  # its line is 2 pixels wide
    assert box["y"] - picture.rect["y"] == pytest.approx(5 * scale, abs=3)
    assert (box["width"], box["height"]) == pytest.approx((8 * scale, 12 * scale), abs=5)
    assert picture.rect["width"] / picture.rect["height"] == pytest.approx(80 / 60, rel=0.02)
    loaded = "return [...document.querySelectorAll('#results img')].every((image) => image.naturalWidth > 0)"
    assert page.execute_script(loaded)
    click(page, "#heat")
    assert not heat.is_displayed()
    assert picture.is_displayed()
    click(page, "#regions")
    assert not regions.is_displayed()
    click(page, "#heat")
    assert heat.is_displayed()


def test_large_view_by_keyboard(page):
    order = [one.image for one in sorted(predictions(IMAGES), key=lambda one: one.confidence)]
    find(page, "#results .frame")[0].send_keys(Keys.ENTER)
    assert texts(page, "#large-name") == order[:1]
    page.switch_to.active_element.send_keys(Keys.ARROW_RIGHT * 49)
    assert texts(page, "#large-name") == order[49:50]
    assert len(find(page, "#large .scores li")) == len(CLASSES)
    page.switch_to.active_element.send_keys(Keys.ARROW_LEFT, "h")
    assert texts(page, "#large-position") == [f"49 of {IMAGES}"]
    assert not find(page, "#heat")[0].is_selected()
    page.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not find(page, "#large")[0].is_displayed()
    assert texts(page, "#pager span") == ["Page 2 of 3"]  # the list follows, and the focus is on that image
    assert order[48] in page.switch_to.active_element.get_attribute("aria-label")


def test_pages_of_cards(page):
    seen = confidences(page)
    for _ in range(2):
        click(page, "#pager [aria-label='Next page']")
        seen += confidences(page)
    assert len(seen) == IMAGES
    assert seen == sorted(seen)
    assert not find(page, "#pager [aria-label='Next page']")[0].is_enabled()


def test_narrow_screens_need_no_sideways_scrolling(page):
    size = {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    width = "return document.documentElement.scrollWidth"
    assert page.execute_script(width) <= 400
    click(page, "[data-view=table]")
    assert page.execute_script(width) <= 400
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_twenty_thousand_images_keep_the_page_small(browser, tmp_path):
    open_report(browser, write(tmp_path, 20_000, pictures=50))
    assert shown(browser) == 20_000
    assert len(find(browser, ".card")) == 48
    nodes = "return document.querySelectorAll('*').length"
    assert browser.execute_script(nodes) < 4_000
    click(browser, "[data-view=table]")
    assert len(find(browser, "#results tbody tr")) == 200
    assert browser.execute_script(nodes) < 4_000
    click(browser, "#pager-below [aria-label='Last page']")
    assert texts(browser, "#shown") == ["19,801–20,000 of 20,000 images"]
    assert browser.get_log("browser") == []


@pytest.fixture
def scores_page(browser, tmp_path):
    figures = ClassScores(1.0, 1.0, 1.0, 10)
    mistakes = tuple(Mistake(f"{HOSTILE}{number}", "a", "b", 0.6) for number in range(5))
    scores = Scores(("a", "b"), 20, 1.0, 1.0, 1.0, 1.0, {"a": figures, "b": figures}, ((10, 0), (0, 10)), mistakes)
    picture = thumbnail(np.tile(np.arange(80, dtype=np.uint8), (60, 1)), np.ones((6, 8), np.float32))
    write_scores(
        tmp_path / "scores.html",
        scores,
        title="Drawn",
        charts=charts([{"epoch": 1, "train_loss": 0.5}]),
        pictures={mistake.image: picture for mistake in mistakes},
    )
    browser.get_log("browser")
    browser.get((tmp_path / "scores.html").as_uri())
    yield browser
    assert browser.get_log("browser") == []


def test_scores_page_opens_cleanly(scores_page):
    assert scores_page.find_element(By.TAG_NAME, "h1").text == "Drawn"
    assert scores_page.title.startswith("Drawn")


def test_a_mistake_is_seen_plain_and_with_heat(scores_page):
    plain, heated = find(scores_page, ".mistake svg")[:2]
    assert plain.rect["y"] == heated.rect["y"]
    assert plain.size == heated.size
    red, _, blue = middle(plain)
    assert red == blue
    red, _, blue = middle(heated)
    assert red > blue + 50


def middle(element):
    """RGB, as seen, in the middle of an element."""
    with Image.open(io.BytesIO(element.screenshot_as_png)) as seen:
        return seen.convert("RGB").getpixel((seen.width // 2, seen.height // 2))


def test_galleries_fit_on_narrow_screens(scores_page, tmp_path):
    exhibit = Exhibit("a and b " * 30, np.zeros((200, 408, 3), np.uint8))
    finding = Finding("Overlap", "Two share pixels.", True, (), ())
    write_findings(tmp_path / "check.html", [finding], title="Check", exhibits={"Overlap": [exhibit] * 3})
    size = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    scores_page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    width = "return document.documentElement.scrollWidth"
    assert scores_page.execute_script(width) <= 390
    scores_page.get((tmp_path / "check.html").as_uri())
    assert scores_page.execute_script(width) <= 390
    scores_page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
