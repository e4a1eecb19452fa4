"""Measures the baselines on NEU-CLS, on every fold file: `python studies/baselines.py NEU-CLS`."""

from __future__ import annotations

import sys
from pathlib import Path

from steelsight import images
from steelsight.data import catalog, foldfile
from steelsight.evaluation import baselines
from steelsight.evaluation.provenance import provenance
from steelsight.evaluation.results import write_json

STUDIES = Path(__file__).parent


def measure(data: Path) -> None:
    samples = catalog.read(data).samples
    greys = [images.decode(sample.path) for sample in samples]
    labels = [sample.label for sample in samples]
    found = {}
    for path in sorted((STUDIES / "folds").glob("*.csv")):
        assigned, _ = foldfile.match_samples(samples, data, path)
        found[path.stem] = baselines.accuracies(greys, labels, [entry.fold for entry in assigned])
    write_json(STUDIES / "results" / "baselines.json", {"accuracies": found, "provenance": provenance()})


if __name__ == "__main__":
    measure(Path(sys.argv[1]))
