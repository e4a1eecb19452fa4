"""The reports' pages, without a browser."""

import base64
import csv
import io
import json
import re
import tracemalloc
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from steelsight.curves import charts, charts_side_by_side
from steelsight.pictures import thumbnail
from steelsight.records import (
    UNKNOWN,
    Certainty,
    ClassScores,
    Evidence,
    Exhibit,
    Finding,
    HarshScores,
    Mistake,
    Prediction,
    Region,
    Scores,
    SteelsightError,
)
from steelsight.report import (
    InspectionReport,
    write_chart,
    write_findings,
    write_harsh,
    write_reliability,
    write_scores,
)

CLASSES = ("patches", "scratches")
HOSTILE = [
    "</script><img src=x onerror=alert(1)>.bmp",
    "<!--<script>.bmp",
    "]]><svg onload=alert(1)>",
    '" onmouseover="alert(1)',
    "{{ 7 * 7 }}{% raw %}",
    "Blech_ä_钢板_🔩\u202egnp.bmp",
    "line\nbreak\u2028and\ttab\x00.bmp",
    "not unicode \udcff\udc80.bmp",
]


class Page(HTMLParser):
    """What a browser would find in a page: its tags in order, their attributes, its scripts and its words."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.attributes, self.scripts, self.words = [], [], {}, ""
        self._script = None
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag in ("script", "style"):
            self._script = dict(attrs).get("id", "code")

    def handle_endtag(self, _):
        self._script = None

    def handle_data(self, data):
        if self._script:
            self.scripts[self._script] = self.scripts.get(self._script, "") + data
        else:
            self.words += data + " "

    def data(self, name):
        return json.loads(self.scripts[name])


def prediction(image="a.bmp", confidence=0.9, label="scratches", regions=()):
    scores = {"patches": 1 - confidence, "scratches": confidence}
    evidence = Evidence(regions, np.full((4, 4), 0.5, np.float32))
    return Prediction(image, label, confidence, scores, find=lambda: evidence)


def unreadable(image="broken.bmp"):
    return Prediction(image, None, None, error=f"{image}: the file is empty (0 bytes); copy it again.")


def grey(height=20, width=30):
    return np.tile(np.arange(width, dtype=np.uint8), (height, 1))


def report(folder, predictions, classes=CLASSES, **options):
    with InspectionReport(folder, model="drawn", classes=classes, **options) as writer:
        for one in predictions:
            writer.add(one, None if one.error else grey())
    return Page(folder / "report.html")


def json_lines(folder):
    return [json.loads(line) for line in (folder / "predictions.jsonl").read_text(encoding="utf-8").split("\n")[:-1]]


def csv_rows(folder):
    with (folder / "predictions.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def words(text):
    return " ".join(text.split())


def test_rows_are_on_disk_as_soon_as_they_are_added(tmp_path):
    writer = InspectionReport(tmp_path, model="drawn", classes=CLASSES)
    for number in range(3):
        writer.add(prediction(f"{number}.bmp"), grey())
        assert len(json_lines(tmp_path)) == number + 1
        assert len(csv_rows(tmp_path)) == number + 2
    writer.close()


def test_json_lines_are_the_predictions(tmp_path):
    region = Region("scratches", 1, 2, 3, 4, 0.5)
    given_predictions = [prediction("ä 钢.bmp", regions=(region,)), unreadable(), prediction(label=UNKNOWN)]
    report(tmp_path, given_predictions)
    assert json_lines(tmp_path) == [one.to_dict() for one in given_predictions]
    assert "ä 钢.bmp" in (tmp_path / "predictions.jsonl").read_text(encoding="utf-8")


def test_csv_has_a_column_for_each_class(tmp_path):
    region = Region("scratches", 1, 2, 3, 4)
    report(tmp_path, [prediction("a.bmp", 0.75, regions=(region,)), unreadable("b.bmp")])
    assert csv_rows(tmp_path) == [
        ["image", "label", "confidence", "patches", "scratches", "regions", "error"],
        ["a.bmp", "scratches", "0.75", "0.25", "0.75", "1", ""],
        ["b.bmp", "", "", "", "", "0", "b.bmp: the file is empty (0 bytes); copy it again."],
    ]


@pytest.mark.parametrize("start", list("=+-@\t\r\n＝＋－＠"))
def test_no_csv_cell_is_a_formula(tmp_path, start):
    text = f"{start}cmd|' /C calc'!A0"
    bad = Prediction(text, None, None, error=text)
    report(tmp_path, [prediction(text, label=text), bad], classes=("patches", text))
    head, first, second = csv_rows(tmp_path)
    assert [head[4], first[0], first[1], second[0], second[6]] == ["'" + text] * 5


def test_csv_text_stays_one_cell_where_semicolons_separate(tmp_path):
    report(tmp_path, [prediction("a;=1+1.bmp")])
    assert '"a;=1+1.bmp",' in (tmp_path / "predictions.csv").read_text(encoding="utf-8-sig")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_only_ever_data(tmp_path, name):
    region = Region(name, 1, 2, 3, 4)
    plain = report(tmp_path / "plain", [prediction(), unreadable()], facts={"Line": "3"})
    page = report(
        tmp_path / "hostile",
        [prediction(name, label=name, regions=(region,)), unreadable(name)],
        classes=("patches", name),
        facts={name: name},
    )
    assert page.tags == plain.tags
    (image, label, _, _, regions), (broken, error) = page.data("rows")
    assert [image, label, regions[0][0], broken, page.data("setup")["classes"][1]] == [name] * 5
    assert error.startswith(name)


ODD_NAMES = st.text(
    st.one_of(st.sampled_from("</script>&\"'{}%#\\\u2028"), st.characters(exclude_categories=["Cs"])), min_size=1
) | st.binary(min_size=1).map(lambda name: name.decode("utf-8", "surrogateescape"))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(ODD_NAMES, min_size=1, max_size=4))
def test_any_file_name_survives(tmp_path, names):
    page = report(tmp_path, [prediction(name) for name in names], pictures=0)
    assert [row[0] for row in page.data("rows")] == names
    assert [line["image"] for line in json_lines(tmp_path)] == names
    assert len(csv_rows(tmp_path)) == len(names) + 1


def test_every_readable_image_has_its_picture(tmp_path):
    page = report(tmp_path, [prediction("a"), unreadable(), prediction("c")])
    pictures = page.data("pictures")
    assert sorted(picture[0] for picture in pictures) == [0, 2]
    assert pictures[0][1:3] == [30, 20]  # width and height of the original
    assert "thinned" not in dict(page.attributes).values()


def test_the_least_certain_keep_their_pictures(tmp_path):
    confidences = [0.9, 0.3, 0.8, 0.5, 0.99, 0.4, 0.3]
    page = report(tmp_path, [prediction(f"{c}", c) for c in confidences], pictures=3)
    assert sorted(picture[0] for picture in page.data("pictures")) == [1, 5, 6]
    assert len(page.data("rows")) == len(confidences)
    assert "the 3 least certain of 7 images" in words(page.words)


def test_of_equally_certain_images_the_first_keep_their_pictures(tmp_path):
    page = report(tmp_path, [prediction(str(number)) for number in range(5)], pictures=2)
    assert sorted(picture[0] for picture in page.data("pictures")) == [0, 1]


def test_a_report_without_pictures(tmp_path):
    page = report(tmp_path, [prediction()], pictures=0)
    assert page.data("pictures") == []
    assert "written without pictures" in page.words


def test_an_empty_report(tmp_path):
    page = report(tmp_path, [])
    assert page.data("rows") == page.data("pictures") == []


def test_the_head_counts_images(tmp_path):
    page = report(tmp_path, [prediction(), unreadable(), unreadable(), prediction()], facts={"Threshold": "40 %"})
    head = words(page.words)
    for fact in ("Images 4", "Unreadable 2", "Model drawn", "Threshold 40 %"):
        assert fact in head


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_broken_run_leaves_an_incomplete_page(tmp_path, error):
    def broken():
        yield prediction("first.bmp")
        raise error

    with pytest.raises(error):
        report(tmp_path, broken())
    page = Page(tmp_path / "report.html")
    assert "Incomplete." in page.words
    assert [row[0] for row in page.data("rows")] == ["first.bmp"]


def test_a_whole_run_is_not_called_incomplete(tmp_path):
    assert "Incomplete" not in report(tmp_path, [prediction()]).words


def test_a_new_report_takes_the_old_page_away_at_once(tmp_path):
    report(tmp_path, [prediction()])
    with InspectionReport(tmp_path, model="drawn", classes=CLASSES):
        assert not (tmp_path / "report.html").exists()


def one_sentence_about(folder, error):
    message = str(error.value)
    return str(folder) in message and message.endswith(".") and ". " not in message and "\n" not in message


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "report"
    with pytest.raises(SteelsightError, match="choose another folder") as error:
        InspectionReport(folder, model="drawn", classes=CLASSES)
    assert one_sentence_about(folder, error)
    with pytest.raises(SteelsightError, match="choose another folder") as error:
        write_scores(folder / "scores.html", SCORES, title="Drawn")
    assert one_sentence_about(folder, error)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="This system has no /dev/full")
@pytest.mark.parametrize("full", ["predictions.jsonl", "predictions.csv"])
def test_a_full_disk(tmp_path, full):
    (tmp_path / full).symlink_to("/dev/full")
    with pytest.raises(SteelsightError, match="No space left") as error:
        report(tmp_path, [prediction()])
    assert one_sentence_about(tmp_path, error)


def test_a_page_that_cannot_be_written(tmp_path):
    writer = InspectionReport(tmp_path, model="drawn", classes=CLASSES)
    (tmp_path / "report.html").mkdir()
    with pytest.raises(SteelsightError) as error:
        writer.close()
    assert one_sentence_about(tmp_path, error)


def test_the_first_error_is_the_one_that_is_told(tmp_path):
    def broken():
        (tmp_path / "report.html").mkdir()  # so that the page fails too
        yield prediction()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        report(tmp_path, broken())


def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    def peak(images):
        report(tmp_path / "warm", [prediction()], pictures=0)
        tracemalloc.start()
        with InspectionReport(tmp_path / str(images), model="drawn", classes=CLASSES, pictures=2) as writer:
            for number in range(images):
                writer.add(prediction(f"{number:06d}.bmp", 0.5), grey())
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    assert peak(3000) < 1.5 * peak(300)


def outside_addresses(page):
    """Everything in a page that a browser would fetch from elsewhere."""
    fetched = [value for name, value in page.attributes if name in ("src", "href", "srcset", "action", "data")]
    fetched = [value for value in fetched if not value.startswith(("data:", "#"))]  # what the page holds itself
    addresses = re.findall(r"https?://[^\s\"')]*|@import|url\([^)]*\)", page.source)
    svg_namespace = "http://www.w3.org/2000/svg"  # a name, not an address
    return fetched + [a for a in addresses if a != svg_namespace]


def test_pages_fetch_nothing(tmp_path):
    page = report(tmp_path, [prediction(), unreadable()])
    findings = findings_page(tmp_path, {"Overlap": [Exhibit("a and b", grey())]})
    for one in (page, scores_page(tmp_path, charts=charts(HISTORY), pictures=PICTURES), findings):
        assert outside_addresses(one) == []
        policy = next(value for _, value in one.attributes if value and "default-src" in value)
        assert policy.startswith("default-src 'none';")


SCORES = Scores(
    classes=CLASSES,
    images=1210,
    accuracy=0.9876,
    macro_precision=0.9123,
    macro_recall=0.8234,
    macro_f1=0.7345,
    per_class={"patches": ClassScores(0.91, 0.92, 0.93, 1010), "scratches": ClassScores(0.81, 0.82, 0.83, 200)},
    confusion=((1003, 7), (8, 192)),
    mistakes=(
        Mistake("z.bmp", "patches", "scratches", 0.612),
        Mistake("<b>a</b>.bmp", "scratches", "patches", 0.534),
    ),
)
PICTURE = thumbnail(grey(), np.full((4, 4), 0.5, np.float32))
PICTURES = {"z.bmp": PICTURE, "<b>a</b>.bmp": thumbnail(grey(), None)}
HISTORY = [
    {"epoch": 1, "train_loss": 1.5, "val_loss": 1.25, "val_accuracy": 0.5, "learning_rate": 0.001},
    {"epoch": 2, "train_loss": 1.0, "val_accuracy": 0.75, "learning_rate": 0.0005},
    {"epoch": 3, "train_loss": 0.5, "val_loss": 0.75, "val_accuracy": 0.875, "learning_rate": 0.0},
]


def scores_page(folder, **options):
    write_scores(folder / "scores.html", SCORES, title="Evaluation of <drawn>", facts={"Fold": "1 & 2"}, **options)
    return Page(folder / "scores.html")


def test_scores_page_shows_the_numbers(tmp_path):
    shown = words(scores_page(tmp_path).words)
    for text in (
        "Evaluation of <drawn>",
        "Fold 1 & 2",
        "Accuracy 98.76 %",
        "Macro precision 91.23 %",
        "Macro recall 82.34 %",
        "Macro F1 73.45 %",
        "Images 1,210",
        "Mistakes 2",
        "patches 91.00 % 92.00 % 93.00 % 1,010",
        "scratches 81.00 % 82.00 % 83.00 % 200",
    ):
        assert text in shown


def test_scores_page_shows_the_confusion_matrix(tmp_path):
    cells = re.findall(r'<td class="([^"]*)" style="--share: ([^"]*)"[^>]*>(.*?)</td>', scores_page(tmp_path).source)
    assert [number for _, _, number in cells] == ["1,003", "7", "8", "192"]
    assert ["right" in kind for kind, _, _ in cells] == [True, False, False, True]
    assert [float(share) for _, share, _ in cells] == pytest.approx([1003 / 1010, (7 / 1010) ** 0.5, 0.2, 0.96])


def test_scores_page_lists_mistakes_by_file_name(tmp_path):
    page = scores_page(tmp_path)
    assert words(page.words).endswith("<b>a</b>.bmp scratches patches 53.40 % z.bmp patches scratches 61.20 %")
    assert "b" not in page.tags


def test_scores_page_draws_the_curves_there_are_numbers_for(tmp_path):
    assert scores_page(tmp_path).tags.count("figure") == 0
    page = scores_page(tmp_path, charts=charts(HISTORY))
    assert page.tags.count("figure") == 3
    assert page.tags.count("polyline") == 4
    curves = re.findall(r'<polyline.*?points="(.*?)"', page.source)
    assert [len(points.split()) for points in curves] == [3, 2, 3, 3]


def test_a_line_without_a_legend_is_one_of_the_crowd(tmp_path):
    histories = {f"<run> {number}": [{"val_loss": float(number)}] for number in range(12)}
    page = scores_page(tmp_path, charts=charts_side_by_side(histories))
    assert page.tags.count("polyline") == 12
    shown = words(page.words)
    assert "lowest: <run> 0, last 0 highest: <run> 11, last 11 10 more" in shown
    assert "<run> 5, last 5" in shown  # for a pointer that rests on the line


def chart_file(folder, runs):
    """Several runs' loss as an SVG file -> its elements with their words, and the file as a page that may fetch."""
    write_chart(folder / "charts" / "loss.svg", charts_side_by_side(runs)[0])
    root = ET.parse(folder / "charts" / "loss.svg").getroot()
    found = [(node.tag.rpartition("}")[2], "".join(node.itertext()), node.attrib) for node in root.iter()]
    return found, Page(folder / "charts" / "loss.svg")


@pytest.mark.parametrize("number", [1, 4, 8])
def test_a_chart_alone_names_every_line_and_fetches_nothing(tmp_path, number):
    names = ["]]>&<b>", *(f"run {run}" for run in range(1, number))]
    runs = {name: [{"val_loss": last + 1.0}, {"val_loss": last}] for last, name in enumerate(names)}
    found, page = chart_file(tmp_path, runs)
    texts = [words for tag, words, _ in found if tag == "text"]
    assert texts[0] == "Validation loss"
    assert texts[-number:] == [f"{name}, last {last}" for last, name in enumerate(names)]
    assert [tag for tag, _, _ in found].count("polyline") == number
    assert outside_addresses(page) == []


def test_a_chart_alone_is_high_enough_for_all_its_words(tmp_path):
    runs = {f"run {last}": [{"val_loss": 100.0}, *[{"val_loss": float(last)}] * 9] for last in range(12)}
    found, page = chart_file(tmp_path, runs)
    assert [words for tag, words, _ in found if tag == "text"][-4:] == [
        "lowest: run 0, last 0",
        "highest: run 11, last 11",
        "10 more",
        "Early values beyond the axis are left out.",
    ]
    starts = [float(shift) for shift in re.findall(r"translate\(\d+ ([\d.]+)\)", page.source)]
    assert starts == [28, 258, 16, 32, 48]
    assert float(found[0][2]["height"]) > starts[1] + 64


def many_mistakes(*mistakes):
    return replace(SCORES, mistakes=tuple(Mistake(*mistake) for mistake in mistakes))


def cards(page):
    """The words of each card of the gallery of mistakes."""
    return [
        words(re.sub(r"<[^>]*>", " ", card)) for card in re.findall(r"<figcaption>.*?</figcaption>", page, re.DOTALL)
    ]


def test_a_mistake_is_shown_with_its_heat_map_and_without(tmp_path):
    page = scores_page(tmp_path, pictures={"z.bmp": PICTURES["z.bmp"]})
    kinds = [value.split(",")[0] for name, value in page.attributes if name == "href" and value != "data:,"]
    assert kinds == ["data:image/jpeg;base64", "#picture-1", "data:image/png;base64"]
    assert cards(page.source) == ["z.bmp patches, taken for scratches 61.20 %"]


def test_a_picture_without_a_heat_map_is_shown_once(tmp_path):
    page = scores_page(tmp_path, pictures={"<b>a</b>.bmp": PICTURES["<b>a</b>.bmp"]})
    assert page.tags.count("image") == 1
    assert "use" not in page.tags
    assert "heat map" not in page.words


def test_mistakes_without_a_picture_are_in_the_table_alone(tmp_path):
    assert "figure" not in scores_page(tmp_path, pictures={"right.bmp": PICTURES["z.bmp"]}).tags
    page = scores_page(tmp_path, pictures={"z.bmp": PICTURES["z.bmp"]})
    assert page.tags.count("figure") == 1
    assert words(page.words).endswith("<b>a</b>.bmp scratches patches 53.40 % z.bmp patches scratches 61.20 %")


def test_a_card_sums_up_what_several_networks_took_an_image_for(tmp_path):
    scores = many_mistakes(
        ("once.bmp", "patches", "scratches", 0.9),
        ("often.bmp", "scratches", "unknown", 0.3),
        ("often.bmp", "scratches", "patches", 0.5),
        ("often.bmp", "scratches", "patches", 0.7),
    )
    write_scores(tmp_path / "s.html", scores, title="Drawn", pictures=dict.fromkeys(("once.bmp", "often.bmp"), PICTURE))
    page = Page(tmp_path / "s.html")
    assert cards(page.source) == [
        "often.bmp scratches, taken for patches , 2 times mean 60.00 % scratches, taken for unknown 30.00 %",
        "once.bmp patches, taken for scratches 90.00 %",
    ]
    assert words(page.words).count("often.bmp") == 1 + 3  # the table keeps every mistake


def test_equally_frequent_mistakes_come_surest_first(tmp_path):
    scores = many_mistakes(*((f"{share}.bmp", "patches", "scratches", share) for share in (0.5, 0.9, 0.7)))
    pictures = {mistake.image: PICTURE for mistake in scores.mistakes}
    write_scores(tmp_path / "s.html", scores, title="Drawn", pictures=pictures)
    assert [card.split()[0] for card in cards(Page(tmp_path / "s.html").source)] == ["0.9.bmp", "0.7.bmp", "0.5.bmp"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_of_mistakes_are_only_ever_data(tmp_path, name):
    for file, image in (("plain.html", "a.bmp"), ("hostile.html", name)):
        scores = many_mistakes((image, "patches", "scratches", 0.9))
        write_scores(tmp_path / file, scores, title="Drawn", pictures={image: PICTURE})
    assert Page(tmp_path / "hostile.html").tags == Page(tmp_path / "plain.html").tags


def test_two_hundred_mistakes_can_be_mailed(tmp_path):
    noise = np.random.default_rng(0).normal(128, 8, (200, 200)).clip(0, 255).astype(np.uint8)
    picture = thumbnail(noise, np.random.default_rng(1).random((25, 25), np.float32))
    scores = many_mistakes(*((f"{number}.bmp", "patches", "scratches", 0.9) for number in range(200)))
    write_scores(tmp_path / "s.html", scores, title="Drawn", pictures={m.image: picture for m in scores.mistakes})
    assert (tmp_path / "s.html").stat().st_size < 4_000_000


FINDINGS = (
    Finding("Overlap", "Two share pixels.", True, ("Picture", "shares with"), (("a.bmp", "b.bmp"),)),
    Finding("Duplicates", "No picture is there twice.", False, ("The same pixels",), ()),
)


def findings_page(folder, exhibits):
    write_findings(folder / "findings.html", FINDINGS, title="Check of <drawn>", exhibits=exhibits)
    return Page(folder / "findings.html")


def test_exhibits_stand_between_the_words_and_the_table_of_their_finding(tmp_path):
    page = findings_page(tmp_path, {"Overlap": [Exhibit("a and b", grey()), Exhibit("b and c", grey())]})
    told = words(page.words)
    assert "Two share pixels. a and b b and c Picture shares with a.bmp b.bmp Duplicates" in told
    assert page.tags.count("img") == 2
    assert "img" not in findings_page(tmp_path, {}).tags


def test_an_exhibit_is_shown_as_it_is(tmp_path):
    framed = np.full((200, 408, 3), 128, np.uint8)
    framed[20:180, [30, 190]] = (255, 40, 40)
    page = findings_page(tmp_path, {"Overlap": [Exhibit("a and b", framed)]})
    source = dict(page.attributes)["src"]
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(source.removeprefix("data:image/jpeg;base64,")))), int)
    assert shown.shape == framed.shape
    assert shown[25:175, [30, 190]].mean(axis=(0, 1)) == pytest.approx((255, 40, 40), abs=25)


@pytest.mark.parametrize("caption", [*HOSTILE, '<b>&"'])
def test_hostile_captions_are_only_ever_data(tmp_path, caption):
    plain = findings_page(tmp_path, {"Overlap": [Exhibit("a", grey())]})
    assert findings_page(tmp_path, {"Overlap": [Exhibit(caption, grey())]}).tags == plain.tags


KINDS = ("brightness", "hot_spot", "jpeg")


def harsh_scores() -> HarshScores:
    accuracy = {kind: tuple(0.9 - 0.1 * at - 0.02 * strength for strength in range(5)) for at, kind in enumerate(KINDS)}
    return HarshScores(30, 0.95, accuracy, ("hot_spot",), Certainty({}, 0.1, 0.2, 0.3))


def test_harsh_scores_are_a_cell_for_each_kind_and_strength(tmp_path):
    write_harsh(tmp_path / "plots" / "harsh.svg", harsh_scores(), "Rough <weather>")
    drawn = ET.parse(tmp_path / "plots" / "harsh.svg").getroot()
    texts = [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert len(list(drawn.iter("{http://www.w3.org/2000/svg}title"))) == 15
    assert {"brightness", "hot spot *", "90.0", "62.0", "Rough <weather>"} <= set(texts)
    assert harsh_scores().worst == "jpeg"
    assert harsh_scores().mean == pytest.approx(0.76)


def test_the_scores_page_shows_harsh_pictures_only_where_there_are_any(tmp_path):
    write_scores(tmp_path / "with.html", SCORES, title="x", harsh=harsh_scores())
    write_scores(tmp_path / "without.html", SCORES, title="x")
    assert "76.00\u00a0%" in (tmp_path / "with.html").read_text()
    assert "Harsh pictures" not in (tmp_path / "without.html").read_text()


def test_a_reliability_diagram_has_a_point_for_each_bin(tmp_path):
    curves = {"clean": [(3, 0.5, 0.4), (90, 0.9, 1.0)], "harsh": [(9, 0.7, 0.6)]}
    write_reliability(tmp_path / "reliability.svg", curves, "How sure")
    drawn = ET.parse(tmp_path / "reliability.svg").getroot()
    points = [(float(dot.get("cx")), float(dot.get("cy"))) for dot in drawn.iter("{http://www.w3.org/2000/svg}circle")]
    assert points == [(46 + 130, 34 + 156), (46 + 234, 34), (46 + 182, 34 + 104)]
