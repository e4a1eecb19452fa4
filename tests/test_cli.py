"""The commands as a person calls them: what is printed, what is written, and the exit codes."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from steelsight.cli import app
from tests.drawn import draw


def run(*words: object) -> Result:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def run_process(*words: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "steelsight", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)  # type: ignore[call-overload,no-any-return]


def one_sentence(text: str) -> str:
    lines = [line for line in text.splitlines() if line]
    assert len(lines) == 1, text
    assert "Traceback" not in text
    return lines[0]


@pytest.fixture
def photos(drawn: Path, tmp_path: Path) -> Path:
    """Photographs under odd names, in a folder with an odd name."""
    folder = tmp_path / "März 2026 #1 (coil 7)"
    folder.mkdir()
    names = ["=SUM(A1).png", "ein Foto.png", "ünïcode 100%.PNG", "'quoted'.png", "-dash.png"]
    for source, name in zip(sorted((drawn / "IMAGES").glob("*.png"))[::4], names, strict=True):
        shutil.copy(source, folder / name)
    return folder


def test_inspect_names_every_picture_and_writes_the_report(photos: Path, model_file: Path, tmp_path: Path) -> None:
    result = run("inspect", photos, "--model", model_file, "--out", tmp_path / "out")
    assert result.exit_code == 0
    for name in ("ein Foto", "'quoted'", "-dash", "5 images"):
        assert name in result.stdout
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "report.html",
        "predictions.csv",
        "predictions.jsonl",
    }
    lines = (tmp_path / "out" / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    assert {Path(json.loads(line)["image"]).name for line in lines} == {path.name for path in photos.iterdir()}


def test_the_report_goes_to_a_folder_here_by_default(
    photos: Path, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("inspect", photos, "--model", model_file).exit_code == 0
    assert (tmp_path / "steelsight-report" / "report.html").is_file()


def test_json_is_alone_on_standard_output_and_writes_nothing(
    photos: Path, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (photos / "broken.jpg").write_bytes(b"no picture")
    result = run("inspect", photos, "nowhere.png", "--json", "--model", model_file)
    assert result.exit_code == 1
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(lines) == 7
    for line in lines:
        assert list(line) == ["image", "label", "confidence", "scores", "regions", "error"]
    broken = next(line for line in lines if "broken.jpg" in line["image"])
    assert (broken["label"], broken["confidence"], broken["scores"], broken["regions"]) == (None, None, {}, [])
    assert "broken.jpg" in broken["error"]
    assert lines[-1]["image"] == "nowhere.png"
    assert "broken.jpg" in result.stderr
    assert "nowhere.png" in result.stderr
    assert not (tmp_path / "steelsight-report").exists()


def test_regions_are_in_pixels_of_the_original(photos: Path, model_file: Path, tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    Image.open(next(photos.glob("ein*"))).resize((640, 320)).save(large)
    line = json.loads(run("inspect", large, "--json", "--model", model_file).stdout)
    for region in line["regions"]:
        assert list(region) == ["label", "x", "y", "width", "height", "score"]
        assert region["x"] + region["width"] <= 640
        assert region["y"] + region["height"] <= 320


def bad_inputs(folder: Path) -> list[Path]:
    picture = Image.fromarray(np.full((64, 64), 128, np.uint8))
    for kind in ("bmp", "jpg", "png"):
        picture.save(folder / f"cut.{kind}")
        whole = (folder / f"cut.{kind}").read_bytes()
        (folder / f"cut.{kind}").write_bytes(whole[: len(whole) * 2 // 3])
    (folder / "text.jpg").write_text("hello", encoding="utf-8")
    (folder / "empty.png").write_bytes(b"")
    Image.fromarray(np.zeros((1, 1), np.uint8)).save(folder / "tiny.png")
    Image.new("1", (20_000, 20_000)).save(folder / "huge.png")
    (folder / "folder").mkdir()
    return [*sorted(folder.iterdir()), folder / "missing.png"]


def test_every_bad_input_gets_one_sentence_and_the_rest_is_done(photos: Path, model_file: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.mkdir()
    paths = bad_inputs(bad)
    result = run("inspect", *paths, photos, "--model", model_file, "--out", tmp_path / "out")
    assert result.exit_code == 1
    sentences = result.stderr.splitlines()
    assert len(sentences) == len(paths)
    for path in paths:
        assert sum(str(path) in sentence for sentence in sentences) == 1
    lines = [json.loads(line) for line in (tmp_path / "out" / "predictions.jsonl").read_text("utf-8").splitlines()]
    assert sum(line["error"] is None for line in lines) == 5


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("inspect", "nowhere"), "nowhere"),
        (("inspect", ".", "--model", "nothing.onnx"), "nothing.onnx"),
        (("train", "nowhere"), "nowhere"),
        (("train", "."), "."),
        (("train", "nowhere", "--recipe", "no.yaml"), "no.yaml"),
        (("train", "nowhere", "--set", "batch_size=x"), "batch_size"),
        (("evaluate", "nothing.onnx", "."), "nothing.onnx"),
        (("data", "split", "nowhere", "--out", "x.csv"), "nowhere"),
        (("data", "synth", "file/below"), "file"),
    ],
)
def test_where_nothing_can_be_done_one_sentence_says_why(
    words: tuple[str, ...], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_file: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("", encoding="utf-8")
    extra = ("--model", model_file) if words == ("inspect", "nowhere") else ()
    result = run(*words, *extra)
    assert result.exit_code == 2
    assert sentence in one_sentence(result.stderr)


def test_a_class_of_one_and_a_single_class_are_told_apart(tmp_path: Path) -> None:
    samples = draw(tmp_path / "drawn")
    for label, count in (("patches", 6), ("scratches", 1)):
        (tmp_path / "two" / label).mkdir(parents=True)
        for sample in [sample for sample in samples if sample.label == label][:count]:
            shutil.copy(sample.path, tmp_path / "two" / label)
    quick = ("--model", "millnet", "--set", "stages=[{epochs: 1, size: 32}]", "--out")
    result = run("train", tmp_path / "two", *quick, tmp_path / "run")
    assert result.exit_code == 1
    assert "Class scratches has a single training picture" in result.stdout
    shutil.rmtree(tmp_path / "two" / "scratches")
    result = run("train", tmp_path / "two", *quick, tmp_path / "other")
    assert result.exit_code == 2
    assert "only the class patches" in one_sentence(result.stderr)


def test_a_manifest_that_names_missing_files_trains_on_the_rest(drawn: Path, tmp_path: Path) -> None:
    found = sorted((drawn / "IMAGES").glob("*.png"))
    rows = [f"{path},{path.stem.rsplit('_', 1)[0]}" for path in found] + ["gone.png,clean"]
    (tmp_path / "list.csv").write_text("image,label\n" + "\n".join(rows), encoding="utf-8")
    recipe = ("--model", "millnet", "--set", "stages=[{epochs: 1, size: 32}]")
    result = run("train", tmp_path / "list.csv", *recipe, "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert "gone.png" in result.stdout
    assert (tmp_path / "run" / "model.onnx").is_file()


def test_evaluate_says_how_many_pictures_were_trained_on(drawn: Path, model_file: Path, tmp_path: Path) -> None:
    result = run("evaluate", model_file, drawn, "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert "12 of these pictures are among those that the model was trained on" in result.stdout
    found = json.loads((tmp_path / "out" / "scores.json").read_text(encoding="utf-8"))
    assert found["scores"]["images"] == 18
    assert (tmp_path / "out" / "report.html").is_file()


def test_models_lists_the_networks_with_their_counts() -> None:
    result = run("models")
    assert result.exit_code == 0
    for text in ("pdmsnet", "168,014", "272.00", "millnet"):
        assert text in result.stdout


def test_drawn_steel_can_be_drawn_trained_on_and_inspected(tmp_path: Path) -> None:
    assert run("data", "synth", tmp_path / "steel", "--per-class", 3, "--size", 64).exit_code == 0
    split = ("--protocol", "published", "--folds", 3, "--out", tmp_path / "folds.csv")
    assert run("data", "split", tmp_path / "steel", *split).exit_code == 0
    recipe = ("--model", "millnet", "--set", "stages=[{epochs: 1, size: 32}]")
    folds = ("--folds", tmp_path / "folds.csv", "--fold", 1)
    result = run("train", tmp_path / "steel", *recipe, *folds, "--out", tmp_path / "run")
    assert result.exit_code == 0
    assert "On the test part" in result.stdout
    result = run("evaluate", tmp_path / "run", tmp_path / "steel", *folds, "--out", tmp_path / "scores")
    assert result.exit_code == 0
    trained, evaluated = (
        json.loads((tmp_path / name / "scores.json").read_text(encoding="utf-8"))["scores"]
        for name in ("run", "scores")
    )
    assert trained["confusion"] == evaluated["confusion"]


def test_a_split_does_the_nearest_thing_and_says_so(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (6, 64, 64), np.uint8)
    for label, pictures in {"patches": noise[:4], "scratches": [noise[4]] * 3}.items():
        (tmp_path / "steel" / label).mkdir(parents=True)
        for number, pixels in enumerate(pictures):
            Image.fromarray(pixels).save(tmp_path / "steel" / label / f"{number}.png")
    Image.fromarray(noise[5]).save(tmp_path / "steel" / "stray.png")
    result = run("data", "split", tmp_path / "steel", "--folds", 9, "--out", tmp_path / "folds.csv")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert "stray.png: has no label; put it into the folder of its class." in lines[0]
    assert lines[1].startswith("Class scratches has too few pictures, or they share too many pixels")
    assert lines[2].startswith("No class has more than 4 groups")
    assert lines[3].endswith("folds.csv: 4 folds of 1, 1, 1, 1 pictures, and 3 for training alone")


def test_folds_of_other_pictures_get_a_sentence(drawn: Path, tmp_path: Path) -> None:
    (tmp_path / "folds.csv").write_text("image,label,group,fold\nCr_1,crazing,,0\n", encoding="utf-8")
    for command in ("train", "crossval"):
        result = run(command, drawn, "--folds", tmp_path / "folds.csv", "--out", tmp_path / command)
        assert result.exit_code == 2
        assert "folds.csv: has no line for" in one_sentence(result.stderr)


def test_a_study_without_data_or_definition_gets_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STEELSIGHT_DATA", raising=False)
    assert "--data FOLDER" in one_sentence(run("study", "run", "any", "--studies", tmp_path).stderr)
    result = run("study", "run", "any", "--data", tmp_path, "--studies", tmp_path)
    assert result.exit_code == 2
    assert "there is no such study" in one_sentence(result.stderr)


def test_help_is_there_in_half_a_second() -> None:
    def seconds() -> float:
        """Processor time, which other programs on the machine do not lengthen."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert run_process("--help").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    imported = run_process("--help", env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}).stderr
    for library in ("numpy", "onnxruntime", "torch", "PIL"):
        assert f" {library}\n" not in imported
    assert min(seconds() for _ in range(5)) < 0.5


def test_a_pipe_that_closes_early_is_no_error(photos: Path, model_file: Path) -> None:
    command = f"'{sys.executable}' -m steelsight inspect '{photos}' --json --model '{model_file}' | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120, check=False)
    assert json.loads(done.stdout)
    assert "Traceback" not in done.stderr


def test_ctrl_c_keeps_what_was_done(drawn: Path, model_file: Path, tmp_path: Path) -> None:
    many = tmp_path / "many"
    many.mkdir()
    source = next((drawn / "IMAGES").glob("*.png"))
    for n in range(20_000):
        (many / f"{n}.png").symlink_to(source)
    # Shells start background jobs with Ctrl-C ignored, and these tests may run in one.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    command = [
        sys.executable,
        "-c",
        f"{heed}; from steelsight.cli import main; main()",
        "inspect",
        str(many),
        "--model",
        str(model_file),
        "--out",
        "out",
    ]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    written = tmp_path / "out" / "predictions.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (written.exists() and written.stat().st_size > 0):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped" in one_sentence(errors)
    lines = written.read_text(encoding="utf-8").splitlines()
    assert 0 < len(lines) < 20_000
    assert all(json.loads(line)["label"] for line in lines)
    assert (tmp_path / "out" / "report.html").is_file()


def test_a_read_only_folder_gets_one_sentence(photos: Path, model_file: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for command in (
        ("inspect", photos, "--model", model_file, "--out", tmp_path / "file"),
        ("inspect", photos, "--model", model_file, "--out", "/proc/steelsight"),
        ("evaluate", model_file, photos.parent / "nothing", "--out", "/proc/steelsight"),
    ):
        result = run(*command)
        assert result.exit_code == 2
        one_sentence(result.stderr)
