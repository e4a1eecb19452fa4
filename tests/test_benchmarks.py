"""`make bench` tells the truth: its page is what its results make, and a file that fails is named and stops nothing."""

import itertools
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import timm
from benchmarks import choice, files, growth, page, peak, records, scatter, speed, variants, worker
from benchmarks.figures import Figures, ratio, unrest
from benchmarks.networks import CLASSES, wrapped
from benchmarks.records import BATCH, Accuracy, Networks, Speed, Variant
from benchmarks.rounds import ENOUGH, sum_up

from steelsight.data import synthetic
from steelsight.records import Card, Sample
from steelsight.runtime.classifier import load
from steelsight.runtime.engines import OnnxRuntime
from steelsight.training.export import export, write_card
from steelsight.training.pictures import Pictures
from tests.drawn import draw

SIDE = 64
NETWORKS = Networks({"millnet": SIDE}, {"squeezenet_dms": SIDE, "lcnet_050": SIDE}, baseline="squeezenet_dms")
MILLNET, MILLNET_INT8 = Variant("millnet", SIDE), Variant("millnet", SIDE, precision="int8")
BASELINE, BROKEN = Variant("squeezenet_dms", SIDE), Variant("lcnet_050", SIDE)
PLAN = replace(speed.QUICK, tiles=30)


def test_the_page_and_its_plot_are_what_the_results_make() -> None:
    if not (records.SPEED.exists() and records.GROWTH.exists()):
        pytest.skip("make bench has not been run yet: no speeds to compare the page with")
    measured = json.loads(records.GROWTH.read_text(encoding="utf-8"))
    text, plot = page.make(records.load(records.SPEED), measured)
    assert page.PAGE.read_text(encoding="utf-8") == text, "run python -m benchmarks.page"
    assert (page.PLOT.read_text(encoding="utf-8") if plot else "") == plot, "run python -m benchmarks.page"


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    return synthetic.write(tmp_path_factory.mktemp("steel"), per_class=1, classes=("scratches",))


@pytest.fixture(scope="module")
def folder(samples: list[Sample], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of two tiny networks; what should be that of a third is none."""
    place = tmp_path_factory.mktemp("files")
    assert files.write([MILLNET, MILLNET_INT8, BASELINE, variants.plain(NETWORKS)], place, samples) == []
    files.path_of(place, BROKEN).write_bytes(b"no model")
    return place


@pytest.fixture(scope="module")
def measured(folder: Path) -> Speed:
    listed = [MILLNET, MILLNET_INT8, BASELINE, variants.plain(NETWORKS), BROKEN]
    found = Speed(speed.ABOUT, asdict(PLAN), NETWORKS, speed.here())
    found.counted = [files.count(*each) for each in NETWORKS.sizes.items()]
    found.peaks = {"1": {"fp32": 1e9, "int8": None}}
    found.sections["1"] = speed.measure_one_core(listed, folder, NETWORKS, PLAN)
    found.sections["2"] = speed.measure_two_cores(found.sections["1"].tried, folder, NETWORKS, PLAN)
    return found


def test_every_file_is_timed_in_every_way_that_it_has(measured: Speed) -> None:
    one, two = ({(e.variant, e.way, e.pictures) for e in section.times} for section in measured.sections.values())
    plain = variants.plain(NETWORKS)
    assert one == {
        *((variant, "engine", 1) for variant in (MILLNET, MILLNET_INT8, BASELINE, plain)),
        *((variant, "predict", 1) for variant in (MILLNET, MILLNET_INT8)),
        *((variant, "engine", BATCH) for variant in (MILLNET, MILLNET_INT8, BASELINE)),
    }
    assert two - one == {
        (variant, way, PLAN.tiles) for variant in (MILLNET, MILLNET_INT8, BASELINE) for way in ("predict", "scan")
    }
    assert all(each.median > 0 for section in measured.sections.values() for each in section.times)


def test_starts_and_memory_are_those_of_fresh_processes(measured: Speed) -> None:
    for start in measured.sections["1"].starts:
        assert start.milliseconds > 50
        assert start.memory_megabytes is None or 1 < start.memory_megabytes < 200
        assert start.file_megabytes > 0.01


def test_what_fails_is_said_in_a_sentence_and_the_rest_goes_on(measured: Speed) -> None:
    (problem,) = measured.all_problems
    assert problem.startswith("lcnet_050 at 64 pixels, ONNX Runtime fp32, one core, loading: the process ended (")
    assert "is damaged" in problem


def test_a_file_that_cannot_be_made_is_said_in_a_sentence(samples: list[Sample], tmp_path: Path) -> None:
    (problem,) = files.write([Variant("no_such_network", SIDE)], tmp_path, samples)
    assert problem.startswith("no_such_network at 64 pixels, ONNX Runtime fp32: the file cannot be made (")


def test_results_are_read_as_they_were_written(measured: Speed, tmp_path: Path) -> None:
    measured.save(tmp_path / "speed.json")
    assert records.load(tmp_path / "speed.json") == measured


def test_what_was_measured_is_kept_unless_something_changed(measured: Speed, tmp_path: Path) -> None:
    out, listed = tmp_path / "speed.json", [Variant(*each) for each in NETWORKS.sizes.items()]
    measured.save(out)
    assert speed.resumed(out, PLAN, NETWORKS, listed) == measured
    assert not speed.resumed(out, speed.FULL, NETWORKS, listed).sections
    assert not speed.resumed(out, PLAN, NETWORKS, listed[1:]).sections
    replace(measured, provenance={**measured.provenance, "processor": "another"}).save(out)
    assert not speed.resumed(out, PLAN, NETWORKS, listed).sections


def test_the_page_says_what_was_not_measured_and_what_failed(measured: Speed) -> None:
    known = [Accuracy("millnet", SIDE, "default", "neu-cls-leak-free-495", 5, 0.99, 0.98, 0.995)]
    grown = {"about": growth.ABOUT, "is_quick": True, "measured": []}
    text, plot = page.make(replace(measured, accuracies=known), grown)
    assert page.QUICK in text
    assert "99.00 (98.00 to 99.50; 64 pixels, recipe default, 5 cells of leak-free-495)" in text
    assert measured.all_problems[0] in text
    assert page.MISSING in text
    assert "millnet, 64 px" in plot
    assert page.make(measured, grown)[1] == ""


def test_ratios_are_taken_within_the_rounds() -> None:
    slow, fast = (sum_up(MILLNET, ("engine", 1), rounds) for rounds in ([[2], [20], [4]], [[1], [10], [4]]))
    assert ratio(slow, fast) == 2


def test_a_restless_machine_shows_in_its_rounds() -> None:
    quiet, restless = (
        sum_up(MILLNET, ("engine", 1), [[each] for each in rounds]) for rounds in ([4] * 4, [2, 4, 4, 8])
    )
    assert unrest([quiet]) == 0
    assert unrest([restless]) == (7 - 2.5) / 4
    assert unrest([sum_up(MILLNET, ("engine", 1), [[4.0]])]) is None


def test_percentiles_need_enough_calls() -> None:
    few, enough = (sum_up(MILLNET, ("engine", 1), [[1.0] * count]) for count in (ENOUGH - 1, ENOUGH))
    assert (few.p95, few.p99) == (None, None)
    assert (enough.p95, enough.p99) == (1, 1)


def test_the_fastest_files_are_chosen_for_each_size_and_kind_of_precision() -> None:
    bf16, int8 = (Variant("millnet", SIDE, "openvino", precision) for precision in ("bf16", "int8"))
    times = {MILLNET: 2.0, bf16: 3.0, int8: 1.0, Variant("millnet", 32): 9.0, variants.plain(NETWORKS): 0.1}
    tried = [sum_up(variant, ("engine", 1), [[each]]) for variant, each in times.items()]
    assert set(choice.fastest(tried)) == {MILLNET, int8, Variant("millnet", 32)}
    assert set(choice.best(tried, NETWORKS)) == {MILLNET, int8}


def test_the_floor_is_what_the_multiplications_take_at_the_peak(measured: Speed) -> None:
    figures = Figures(measured)
    assert figures.floor(MILLNET, 1) == pytest.approx(1000 * figures.counted("millnet", SIDE).macs / 1e9)
    assert figures.floor(MILLNET_INT8, 1) is None
    assert figures.floor(MILLNET, 2) is None


def test_peers_are_compared_at_millnets_size_and_their_own() -> None:
    networks = variants.networks()
    listed = variants.variants_of(networks, [Accuracy("resnet18", 96, "", "", 1, 1.0, 1.0, 1.0)])
    assert len(set(listed)) == len(listed)
    for size in (variants.SIZE, *networks.presets.values()):
        assert all(Variant(name, size) in listed for name in networks.peers)
    assert Variant("resnet18", 96) in listed


def test_the_fastest_matrix_product_counts_and_none_where_there_is_none() -> None:
    def missing(side: int, cores: int) -> peak.Product:
        raise RuntimeError

    assert peak.measure([missing], 8, cores=1) is None
    assert (peak.measure([missing, *peak.MAKERS["fp32"]], 8, cores=1) or 0) > 0


def test_dots_lie_inside_the_axes_and_their_labels_apart() -> None:
    points = [scatter.Point(f"network {number}", 0.1 + number, 99.0, 98.0, 99.5) for number in range(9)]
    dots, frame = scatter.place(points)[0], scatter.FRAME
    assert all(frame.left <= dot.x <= frame.width - frame.right for dot in dots)
    assert all(frame.top <= dot.high_y <= dot.y <= dot.low_y <= frame.height - frame.bottom for dot in dots)
    for one, other in itertools.combinations(dots, 2):
        assert abs(one.x - other.x) >= scatter.WIDE or abs(one.label_y - other.label_y) >= scatter.LINE


def test_a_network_that_several_recipes_trained_is_named_once() -> None:
    points = [scatter.Point("millnet, 200 px", 0.2, accuracy, 98.0, 99.9) for accuracy in (99.1, 99.8, 99.4)]
    dots = scatter.place([*points, scatter.Point("pdmsnet, 200 px", 0.2, 99.0, 98.0, 99.9)])[0]
    assert [dot.name for dot in dots] == ["millnet, 200 px", "", "", "pdmsnet, 200 px"]
    assert len({dot.label_y for dot in dots[:3]}) == 1


def test_inspect_is_measured_on_as_many_pictures_as_asked_for(folder: Path, tmp_path: Path) -> None:
    pictures = growth.draw(tmp_path / "drawn")
    found = growth.inspected(tmp_path, files.path_of(folder, MILLNET), pictures[:2], 5)
    assert found.images == 5
    assert found.seconds > 0
    assert len(list((tmp_path / "steel-5").iterdir())) == 5


def test_a_peer_is_timed_without_the_class_map_that_would_be_worked_out_beside_its_answer(tmp_path: Path) -> None:
    """A head of several layers would be computed at every place."""
    peer = timm.create_model("mobilenetv3_small_050", num_classes=6, in_chans=1)
    export(
        wrapped(peer),
        Card("mobilenetv3_small_050", CLASSES, (64, 64)),
        tmp_path / "model.onnx",
        Pictures(draw(tmp_path)),
    )
    class_map = load(tmp_path / "model.onnx").output([np.zeros((64, 64), np.uint8)]).class_maps
    assert class_map.shape[2:] == (1, 1)


def test_of_a_list_as_many_pictures_are_looked_at_again_as_of_real_ones_and_one_alone_is_not(
    model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(model_file.read_bytes())
    write_card(path, replace(load(path).card, second_look=100.0))
    seen = []
    run = OnnxRuntime.run
    monkeypatch.setattr(OnnxRuntime, "run", lambda self, batch: (seen.append(len(batch)), run(self, batch))[1])
    file = worker.File(path, cores=1)
    assert seen == [1]
    for pictures, again in ((300, 3), (1, 0)):
        call = file.predict(pictures)
        seen.clear()
        call()
        assert sum(seen) == pictures + 3 * again
