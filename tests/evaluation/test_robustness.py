"""Accuracy on harsh pictures against counts by hand and against single predictions."""

from __future__ import annotations

import json
from statistics import fmean

import numpy as np
import pytest

from steelsight import images
from steelsight.data import catalog
from steelsight.evaluation.command import evaluate_model
from steelsight.evaluation.harsh import NEVER_TRAINED_ON, STRENGTHS, corrupt
from steelsight.evaluation.robustness import answers, harsh_scores
from steelsight.runtime.classifier import load

KINDS = list(STRENGTHS)


def test_counts_by_kind_and_strength():
    truth, clean = [0, 1, 1], np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    harsh = np.tile(clean, (18, 5, 1, 1))
    harsh[KINDS.index("jpeg"), 4] = [[0.3, 0.7]] * 3  # the first is wrong now and the third right
    harsh[KINDS.index("gamma"), 0] = [[0.7, 0.3]] * 3
    scores = harsh_scores(truth, clean, harsh)
    assert scores.images == 3
    assert scores.clean == pytest.approx(2 / 3)
    assert scores.accuracy["jpeg"] == pytest.approx((2 / 3,) * 5)
    assert scores.accuracy["gamma"] == pytest.approx((1 / 3, *(2 / 3,) * 4))
    assert scores.worst == "gamma"
    assert scores.mean == pytest.approx(fmean([*(2 / 3,) * 89, 1 / 3]))
    assert scores.mean_never_trained_on == pytest.approx(2 / 3)
    assert set(scores.never_trained_on) == set(NEVER_TRAINED_ON)
    likelihoods = np.log(np.take_along_axis(harsh, np.array(truth)[None, None, :, None], 3))
    assert scores.certainty.log_loss == pytest.approx(-likelihoods.mean())


def test_answers_what_the_model_says_of_each_harsh_picture(drawn, model_file):
    classifier, done = load(model_file), []
    pictures = [(sample.path.name, images.decode(sample.path)) for sample in catalog.read(drawn).samples[:2]]
    told = answers(classifier, pictures, lambda: done.append(1))
    clean, harsh = told.clean, told.harsh
    assert clean.shape == (2, len(classifier.classes))
    assert harsh.shape == (18, 5, 2, len(classifier.classes))
    assert len(done) == 2
    name, grey = pictures[1]
    for kind, strength in (("hot_spot", 2), ("rotation", 5)):
        expected = classifier.predict(corrupt(grey, kind, strength, name))[0]
        assert harsh[KINDS.index(kind), strength - 1, 1] == pytest.approx(list(expected.scores.values()), abs=1e-5)
    assert clean[0] == pytest.approx(list(classifier.predict(pictures[0][1])[0].scores.values()), abs=1e-5)


def test_evaluate_writes_them_beside_the_scores_and_removes_stale_ones(drawn, model_file, tmp_path):
    seen = []
    made = evaluate_model(
        str(model_file), drawn, tmp_path, None, 0, with_harsh=True, on_harsh=lambda *n: seen.append(n)
    )
    assert made.harsh is not None
    held = json.loads((tmp_path / "harsh.json").read_text())["harsh"]
    assert held["mean"] == pytest.approx(made.harsh.mean)
    assert held["accuracy"]["jpeg"] == pytest.approx(made.harsh.accuracy["jpeg"])
    assert seen[-1] == (made.scores.images, made.scores.images)
    page = (tmp_path / "report.html").read_text()
    assert "Harsh pictures" in page
    assert page.count("<rect") >= 90
    evaluate_model(str(model_file), drawn, tmp_path, None, 0)
    assert not (tmp_path / "harsh.json").exists()
    assert "Harsh pictures" not in (tmp_path / "report.html").read_text()
