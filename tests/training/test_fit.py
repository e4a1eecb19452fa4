"""The run: repeatable, resumable to the same weights after a kill anywhere, loud when it fails."""

import itertools
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import entropy

from steelsight.evaluation.results import HISTORY
from steelsight.records import Sample, SteelsightError
from steelsight.training import engine
from steelsight.training.batches import order
from steelsight.training.beside import beside
from steelsight.training.engine import learning_rate
from steelsight.training.fit import CHECKPOINT, create_network, fit, is_prepared_beside, make_fabric
from steelsight.training.recipe import Recipe, Stage
from tests.drawn import CLASSES, draw, quick


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    return draw(tmp_path_factory.mktemp("steel"))


def weights(recipe: Recipe, samples: list[Sample], out: Path, **options: object) -> dict[str, torch.Tensor]:
    out.mkdir(exist_ok=True)
    fitted = fit(samples[::2], samples[1::2], CLASSES, recipe, out, **options)  # type: ignore[arg-type]
    return {name: value.clone() for name, value in fitted.network.state_dict().items()}


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Sets torch's number of threads for one test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_pictures_prepared_beside_give_the_same_weights(
    samples: list[Sample], tmp_path: Path, threads: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr("steelsight.training.fit.beside", lambda *given: asked.append(1) or beside(*given))
    threads(1)
    alone = weights(quick(), samples, tmp_path / "a")
    assert not asked
    threads(2)
    assert_same(alone, weights(quick(), samples, tmp_path / "b"))
    assert len(asked) == 1


@pytest.mark.parametrize(("model", "expected"), [("millnet", True), ("pdmsnet", False)])
def test_pictures_are_prepared_beside_small_networks(
    model: str, expected: bool, threads: Callable[[int], None]
) -> None:
    recipe, fabric = replace(quick(), model=model), make_fabric(quick())
    threads(2)
    assert is_prepared_beside(create_network(recipe, 2), recipe, fabric) is expected
    threads(1)
    assert not is_prepared_beside(create_network(recipe, 2), recipe, fabric)


class Killed(BaseException):
    pass


def killer(after: int) -> Callable[[], None]:
    """Dies at the given step, as by a kill: nothing is caught on the way."""
    left = [after]

    def step() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    return step


def test_the_same_seed_gives_the_same_weights(samples: list[Sample], tmp_path: Path) -> None:
    first = weights(quick(), samples, tmp_path / "a")
    assert_same(first, weights(quick(), samples, tmp_path / "b"))
    other = weights(quick(seed=1), samples, tmp_path / "c")
    assert not all(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_killed_at_any_step_a_run_resumes_to_the_same_weights(
    samples: list[Sample], tmp_path: Path, precision: str
) -> None:
    recipe = quick(
        precision=precision,
        stages=(Stage(2, 32), Stage(1, 48)),
        model="pdmsnet",
        model_options={"drop_rate": 0.5},
    )
    whole = weights(recipe, samples, tmp_path / "whole")
    steps = 3 * 2
    for after in range(steps):
        out = tmp_path / f"killed-{after}"
        with pytest.raises(Killed):
            weights(recipe, samples, out, on_step=killer(after))
        assert_same(whole, weights(recipe, samples, out, resume=True))
        assert len((out / HISTORY).read_text().splitlines()) == 3


def test_a_finished_run_resumes_to_itself(samples: list[Sample], tmp_path: Path) -> None:
    whole = weights(quick(), samples, tmp_path / "run")
    assert_same(whole, weights(quick(), samples, tmp_path / "run", resume=True))


def test_another_recipe_or_other_pictures_do_not_resume(samples: list[Sample], tmp_path: Path) -> None:
    weights(quick(), samples, tmp_path / "run")
    with pytest.raises(SteelsightError, match="other learning_rate"):
        weights(quick(learning_rate=0.5), samples, tmp_path / "run", resume=True)
    with pytest.raises(SteelsightError, match="other pictures"):
        weights(quick(), samples[:-2], tmp_path / "run", resume=True)


def test_what_the_file_alone_knows_may_be_another_when_a_run_is_resumed(samples: list[Sample], tmp_path: Path) -> None:
    whole = weights(quick(), samples, tmp_path / "run")
    assert_same(whole, weights(quick(directions=3, likeness=8.0), samples, tmp_path / "run", resume=True))


def test_a_run_of_an_older_version_resumes(samples: list[Sample], tmp_path: Path) -> None:
    """One whose recipe has not got the names that came since."""
    whole = weights(quick(), samples, tmp_path)
    held = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    run = json.loads(held["run"])
    del run["recipe"]["teacher"], run["recipe"]["augmentation"]["splice"]
    torch.save({**held, "run": json.dumps(run)}, tmp_path / CHECKPOINT)
    assert_same(whole, weights(quick(), samples, tmp_path, resume=True))


def test_a_damaged_checkpoint_is_named(samples: list[Sample], tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes(b"not a checkpoint")
    with pytest.raises(SteelsightError, match="damaged"):
        weights(quick(), samples, tmp_path, resume=True)


def test_the_log_has_a_line_an_epoch(samples: list[Sample], tmp_path: Path) -> None:
    weights(quick(), samples, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / HISTORY).read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert {"train_loss", "val_loss", "val_accuracy", "val_recall", "learning_rate", "seconds"} <= lines[0].keys()


def test_the_epoch_with_the_best_recall_on_the_validation_part_is_kept(samples: list[Sample], tmp_path: Path) -> None:
    recipe = quick(stages=(Stage(1, 32), Stage(4, 48)))
    fitted = fit(samples[::2], samples[1::2], CLASSES, recipe, tmp_path)
    ranks = [(line["val_recall"], -line["val_loss"]) for line in fitted.history]
    assert fitted.best_epoch == 2 + max(range(4), key=lambda n: ranks[1 + n])


def test_without_a_validation_part_the_last_epoch_is_kept(samples: list[Sample], tmp_path: Path) -> None:
    fitted = fit(samples, [], CLASSES, quick(), tmp_path)
    assert fitted.best_epoch == 2


def test_a_loss_that_is_not_finite_stops_the_run_with_a_sentence(samples: list[Sample], tmp_path: Path) -> None:
    with pytest.raises(SteelsightError, match="lower learning_rate"):
        weights(quick(model="squeezenet", learning_rate=99.0, stages=(Stage(9, 48),), warmup=0.0), samples, tmp_path)


def test_near_names_are_given_for_an_unknown_network(samples: list[Sample], tmp_path: Path) -> None:
    with pytest.raises(SteelsightError, match="pdmsnet"):
        weights(quick(model="pdmsnetz"), samples, tmp_path)


def test_an_option_that_the_network_does_not_know_is_named(samples: list[Sample], tmp_path: Path) -> None:
    with pytest.raises(SteelsightError, match="colour"):
        weights(quick(model_options={"colour": 1}), samples, tmp_path)


def test_rare_classes_weigh_more(samples: list[Sample], tmp_path: Path) -> None:
    rare = [sample for sample in samples if sample.label != "clean"] + samples[:1]
    balanced = weights(quick(), rare, tmp_path / "a")
    plain = weights(quick(balance_classes=False), rare, tmp_path / "b")
    assert not all(torch.equal(balanced[name], plain[name]) for name in balanced)


def test_the_learning_rate_rises_over_the_warmup_and_falls_to_nearly_nothing() -> None:
    rates = [learning_rate(Recipe(warmup=0.2), step, 1000) for step in range(1000)]
    assert max(rates) == pytest.approx(Recipe().learning_rate, rel=1e-3)
    assert rates.index(max(rates)) in range(190, 210)
    assert rates[-1] < 1e-3 * max(rates)
    assert all(a <= b for a, b in itertools.pairwise(rates[:200]))


def test_an_epoch_shows_every_picture_once_in_another_order() -> None:
    recipe = replace(Recipe(), batch_size=5)
    first, second = ([n for batch in order(20, recipe, epoch) for n in batch] for epoch in (0, 1))
    assert sorted(first) == sorted(second) == list(range(20))
    assert first != second


def test_fewer_pictures_than_a_batch_still_train(samples: list[Sample], tmp_path: Path) -> None:
    assert fit(samples[:3] + samples[-3:], [], CLASSES, quick(batch_size=64), tmp_path).best_epoch == 2


def test_two_processes_under_torchrun_train_one_model(samples: list[Sample], tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            f"""
            from pathlib import Path
            import torch
            from steelsight.data import catalog
            from steelsight.training.fit import fit, make_fabric
            from tests.drawn import CLASSES, quick

            samples = catalog.read(Path({str(samples[0].path.parents[1])!r})).samples
            fabric = make_fabric(quick())
            assert fabric.world_size == 2
            fitted = fit(samples[::2], samples[1::2], CLASSES, quick(), Path({str(tmp_path)!r}), fabric=fabric)
            torch.save(fitted.network.state_dict(), Path({str(tmp_path)!r}) / f"rank-{{fabric.global_rank}}.pt")
            """
        ),
        encoding="utf-8",
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", str(script)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    ranks = [torch.load(tmp_path / f"rank-{rank}.pt", weights_only=True) for rank in (0, 1)]
    learned = [name for name in ranks[0] if "running" not in name and "num_batches" not in name]
    assert all(torch.equal(ranks[0][name], ranks[1][name]) for name in learned)
    assert len((tmp_path / HISTORY).read_text().splitlines()) == 2


def test_the_distance_from_a_teacher_is_the_divergence_at_a_temperature() -> None:
    pupil, told = np.random.default_rng(0).normal(size=(2, 5, 4))

    def softened(logits: np.ndarray) -> np.ndarray:
        powers = np.exp(logits / engine.WARMTH)
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    expected = engine.WARMTH**2 * entropy(softened(told), softened(pupil), axis=1).mean()
    assert float(engine.distance(torch.tensor(pupil), torch.tensor(told))) == pytest.approx(expected)
    assert float(engine.distance(torch.tensor(told), torch.tensor(told))) == pytest.approx(0.0, abs=1e-12)


def test_a_pupil_follows_its_teacher_and_leaves_it_as_it_is(samples: list[Sample], tmp_path: Path) -> None:
    recipe = quick(stages=(Stage(12, 32),), average_decay=0.5)
    torch.manual_seed(1)
    teacher = create_network(recipe, len(CLASSES)).eval()
    with torch.no_grad():  # one that calls everything by the last class
        teacher.network.classifier.weight.zero_()
        teacher.network.classifier.bias.copy_(torch.tensor([0.0, 0.0, 20.0]))
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    grey = torch.rand(8, 1, 32, 32)
    shares = []
    for place, by in (("alone", None), ("taught", teacher)):
        (tmp_path / place).mkdir()
        pupil = fit(samples, [], CLASSES, recipe, tmp_path / place, teacher=by).network
        shares.append(pupil(grey).softmax(1)[:, 2].mean().item())
    assert shares[1] > shares[0] + 0.1
    assert_same(before, teacher.state_dict())
