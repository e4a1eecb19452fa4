"""Every network learns, goes into a file that answers as it does, and shows where it looked; a new one is one file."""

import json
import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from steelsight import images
from steelsight.data import splits
from steelsight.evaluation.studies import GROUPS
from steelsight.models.listing import names
from steelsight.records import Card, Sample, SteelsightError
from steelsight.runtime.classifier import load
from steelsight.training import recipe as recipes
from steelsight.training.export import export
from steelsight.training.fit import create_network, fit
from steelsight.training.pictures import Pictures
from steelsight.training.recipe import Stage
from tests.drawn import CLASSES, draw, quick

ROOT = Path(__file__).parents[1]
SIZE = 64
TIMMS = ["mobilenetv2_100", "mobilenetv3_large_100", "mixnet_s", "resnet18", "resnet50"]
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("pdmsnet", {"kernels": [3, 5], "partial": [True, False]}),
    ("pdmsnet", {"kernels": [3, 5, 7, 9], "partial": [False, True]}),
    ("effnet", {"img_size": SIZE, "in_chans": 3}),
]
"""Kernel sets and placements of paper 1; a head made for the pictures' own size, behind three equal channels."""
NETWORKS = [
    pytest.param(name, options, id=" ".join([name, *map(str, options.values())]))
    for name, options in [*((name, {}) for name in [*names(), *TIMMS]), *VARIANTS]
]


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    return draw(tmp_path_factory.mktemp("steel"), per_class=2)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Emptied at once: the checkpoints of all networks together take gigabytes."""
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize(("name", "options"), NETWORKS)
def test_a_network_learns_and_its_file_answers_as_it_does(
    name: str, options: dict[str, Any], samples: list[Sample], folder: Path
) -> None:
    """One step from end to end; the pictures asked about are others than those it learned from."""
    recipe = quick(model=name, model_options=options, stages=(Stage(1, SIZE),), batch_size=len(samples))
    torch.manual_seed(recipe.seed)
    before = dict(create_network(recipe, len(CLASSES)).named_parameters())
    fitted = fit(samples, (), CLASSES, recipe, folder)
    assert math.isfinite(fitted.history[0]["train_loss"])
    after = dict(fitted.network.named_parameters())
    assert [key for key, value in before.items() if value.ndim > 1 and torch.equal(value, after[key])] == []

    card = Card(name, ("crazing", "patches", "scratches"), (SIZE, SIZE))
    export(fitted.network, card, folder / "model.onnx", Pictures(samples))
    classifier = load(folder / "model.onnx", threads=1)
    greys = [np.random.default_rng(seed).integers(0, 256, (70, 90), dtype=np.uint8) for seed in range(3)]
    logits, maps = classifier.logits(greys)
    pixels = np.stack([images.resize(grey, card.size) for grey in greys])[:, None]
    with torch.no_grad():
        expected = fitted.network(torch.from_numpy(pixels).float() / 255).numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-4, rtol=1e-3)
    np.testing.assert_allclose(maps.mean((2, 3)), logits, atol=1e-5, rtol=1e-3)
    features = classifier.output(greys).features
    for prediction in classifier.predict(greys):
        assert prediction.heat is not None
        assert prediction.heat.shape == (maps if features is None else features).shape[2:]


def test_a_network_that_cannot_be_made_is_said_in_one_sentence() -> None:
    with pytest.raises(SteelsightError, match=r"ilcs cannot be made with .*smallest is 8 pixels a side\.$"):
        create_network(quick(model="ilcs", model_options={"img_size": 4}), len(CLASSES))


def test_a_newcomer_adds_a_network_by_writing_one_file(drawn: Path, tmp_path: Path) -> None:
    """The one of CONTRIBUTING.md, in a copy of the package: listed, tested, trained and asked, with no other edit."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    ((place, code),) = re.findall(r"`src/(steelsight/models/\w+\.py)`:\n+```python\n(.*?)```", page, re.DOTALL)
    name, (count,) = Path(place).stem, re.findall(r"([\d,]+) parameters", code)
    shutil.copytree(ROOT / "src" / "steelsight", tmp_path / "steelsight")
    (tmp_path / place).write_text(code, encoding="utf-8")

    def python(*words: object) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *map(str, words)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(tmp_path), "COLUMNS": "120"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    (row,) = [line for line in python("steelsight", "models").splitlines() if f" {name} " in line]
    assert count in row
    python(
        "pytest", "-p", "no:cacheprovider", "-k", name, "tests/test_networks.py"
    )  # exit code 5 where it is not there
    python("steelsight", "train", drawn, "--model", name, "--epochs", 1, "--out", tmp_path / "run")
    answers = python("steelsight", "inspect", drawn / "IMAGES", "--model", tmp_path / "run", "--json").splitlines()
    assert all(json.loads(answer)["label"] in CLASSES for answer in answers)
    assert len(answers) == len(list((drawn / "IMAGES").iterdir()))
    folder = open_study(tmp_path / "studies", drawn)
    words = ("drawn", "--network", name, "--data", drawn, "--out", tmp_path / "runs")
    python("steelsight", "study", "run", *words, "--studies", folder)
    python("steelsight", "study", "report", "--studies", folder, "--out", tmp_path / "docs")
    page = (tmp_path / "docs" / "reproduction.md").read_text(encoding="utf-8")
    assert re.search(rf"\| `{name}` \|  \| \d+\.\d\d \(", page)


def open_study(folder: Path, drawn: Path) -> Path:
    """A study on drawn steel that names another network."""
    for name in ("recipes", "folds", "results"):
        (folder / name).mkdir(parents=True)
    recipes.save(quick(), folder / "recipes" / "quick.yaml")
    for protocol in ("drawn", GROUPS):
        splits.split(drawn, folder / "folds" / f"{protocol}.csv", "published", "2", groups=None, seed=0)
    what = "recipe: quick\nprotocols: [drawn]\nfolds: [0]\nseeds: [0]"
    words = f"title: Drawn\nopen: true\n{what}\nnetworks: {{millnet: {{}}}}\n"
    (folder / "drawn.yaml").write_text(words, encoding="utf-8")
    (folder / "published.json").write_text("{}", encoding="utf-8")
    for page in ("reproduction", "choices"):
        (folder / f"{page}.md").write_text("{{ studies }}", encoding="utf-8")
    return folder
