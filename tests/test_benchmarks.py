"""`make bench` tells the truth: its page is what its results make, and what fails is said and stops nothing."""

import json
from dataclasses import asdict

import pytest
from benchmarks import files, page, records, speed, variants
from benchmarks.records import Networks, Speed, Variant

from steelsight.data import synthetic
from steelsight.records import Sample

SIDE = 64
NETWORKS = Networks({"millnet": SIDE}, {"squeezenet_dms": SIDE, "lcnet_050": SIDE}, baseline="squeezenet_dms")
MILLNET = Variant("millnet", SIDE)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    return synthetic.write(tmp_path_factory.mktemp("steel"), per_class=1, classes=("patches", "scratches"))


def test_the_page_and_its_plot_are_what_the_results_make() -> None:
    measured = json.loads(records.GROWTH.read_text(encoding="utf-8"))
    text, plot = page.make(records.load(records.SPEED), measured)
    assert page.PAGE.read_text(encoding="utf-8") == text, "run python -m benchmarks.page"
    assert page.PLOT.exists() == bool(plot)
    assert not plot or page.PLOT.read_text(encoding="utf-8") == plot, "run python -m benchmarks.page"


@pytest.fixture(scope="module")
def measured(samples: list[Sample], tmp_path_factory: pytest.TempPathFactory) -> Speed:
    """Two tiny networks, measured in every way; the file of a third is not one."""
    folder = tmp_path_factory.mktemp("files")
    listed = [*(Variant(name, SIDE) for name in NETWORKS.sizes), Variant("millnet", SIDE, precision="int8")]
    listed.append(variants.plain(NETWORKS))
    broken = Variant("lcnet_050", SIDE)
    files.path_of(folder, broken).write_bytes(b"no model")
    found = Speed(speed.ABOUT, asdict(speed.QUICK), NETWORKS, speed.here())
    found.problems = files.write([each for each in listed if each != broken], folder, samples)
    found.counted = [files.count(*each) for each in NETWORKS.sizes.items()]
    found.peaks = {"1": {"fp32": 1e9, "bf16": None}}
    found.sections["1"] = speed.measure_one_core(listed, folder, NETWORKS, speed.QUICK)
    found.sections["2"] = speed.measure_two_cores(found.sections["1"].tried, folder, NETWORKS, speed.QUICK)
    return found
