"""Builds the wheel, installs it without extras in a new virtual environment, and inspects drawn steel with it.

Run by `make test` after the tests; prints what it did and ends with a line that counts it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
TRAINING_LIBRARIES = ("torch", "timm", "lightning", "sklearn", "onnx", "yaml")


def call(*words: object, code: int = 0) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    assert done.returncode == code, f"{words}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        call(sys.executable, "-m", "build", "--wheel", "--outdir", folder / "dist", ROOT)
        venv.create(folder / "venv", with_pip=True)
        python, steelsight = folder / "venv" / "bin" / "python", folder / "venv" / "bin" / "steelsight"
        packages = Path(call(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
        before = megabytes(packages)
        wheel = next((folder / "dist").glob("*.whl"))
        call(python, "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt", wheel)
        size = megabytes(packages) - before
        assert size <= 200, f"the base install takes {size:.0f} MB"
        for library in TRAINING_LIBRARIES:
            call(python, "-c", f"import {library}", code=1)
        call(steelsight, "data", "synth", folder / "steel", "--per-class", 2)
        started = time.perf_counter()
        first = call(steelsight, "inspect", folder / "steel" / "IMAGES" / "scratches_1.png", "--json")
        seconds = time.perf_counter() - started
        assert json.loads(first)["label"]
        call(steelsight, "inspect", folder / "steel" / "IMAGES", "--out", folder / "report")
        assert len((folder / "report" / "predictions.jsonl").read_text(encoding="utf-8").splitlines()) == 14
        assert "pdmsnet-neu" in call(steelsight, "models")
        assert "steelsight[train]" in call(steelsight, "train", folder / "steel", code=2)
        print(f"smoke test: base install {size:.0f} MB, first picture answered in {seconds:.2f} s")
        print("wheel: 1 passed, 0 failed")


if __name__ == "__main__":
    main()
