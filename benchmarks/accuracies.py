"""What the committed results of the studies say of networks on leak-free folds: `python -m benchmarks.accuracies`.

Brings those in speed.json up to date; the times stay, with the machine and the day on which they were measured.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import timm
import torch
from benchmarks import records, variants
from benchmarks.records import Accuracy

import steelsight.models  # noqa: F401  (registers the networks)
from steelsight.data import foldfile
from steelsight.evaluation import archive, studies
from steelsight.evaluation.archive import Kept
from steelsight.evaluation.studies import Network

USUAL = {"img_size", "cap"}
"""Options that a network is called the same with: the size of its pictures, and where MillNet's answers end."""
LEAK_FREE = (studies.GROUPS, "neu-cls-leak-free-70-30")


def measured(folder: Path, networks: Collection[str]) -> list[Accuracy]:
    """Of those networks that were trained with their usual options; one for each recipe and protocol."""
    kept = archive.load(folder / "results")
    found: dict[tuple[str, str, str], Accuracy] = {}
    for study in studies.load_all(folder):
        for network in study.networks:
            if network.model not in networks or not _is_usual(network):
                continue
            for protocol in set(LEAK_FREE) & set(study.protocols):
                cells = studies.results_of(folder, study, network, protocol, kept)
                accuracy = _accuracy(folder, study.recipe, network, protocol, [cell for cell in cells if cell.scores])
                key = (network.model, study.recipe, protocol)
                if accuracy and (key not in found or found[key].cells < accuracy.cells):
                    found[key] = accuracy
    return [found[key] for key in sorted(found)]


def _is_usual(network: Network) -> bool:
    """Whether it has the layers that it has without options."""
    options = {name: value for name, value in network.options.items() if name not in USUAL}
    if not options:
        return True
    with torch.device("meta"):  # what it is made of is enough
        asked, usual = (timm.create_model(network.model, **each) for each in (options, {}))
    return repr(asked) == repr(usual)


def _accuracy(folder: Path, recipe: str, network: Network, protocol: str, cells: Sequence[Kept]) -> Accuracy | None:
    if not cells:
        return None
    pooled = archive.pool(cells, foldfile.read(folder / "folds" / f"{protocol}.csv"), studies.group_of(folder))
    accuracy, low, high = (round(each, 5) for each in (pooled.accuracy[0], pooled.interval.low, pooled.interval.high))
    return Accuracy(network.model, _size(cells[0]), recipe, protocol, pooled.cells, accuracy, low, high)


def _size(cell: Kept) -> int:
    """The size that the last epochs saw, pixels: what the exported file takes."""
    recipe = {**cell.definition["recipe"], **cell.definition["changes"]}
    return int(recipe["stages"][-1]["size"])


if __name__ == "__main__":
    speed = records.load(records.SPEED)
    speed.accuracies = measured(records.ROOT / "studies", variants.networks().sizes)
    speed.save(records.SPEED)
