"""Speed of all networks side by side: `python -m benchmarks.speed [--quick] [OUT.json]`.

Every file runs in a process of its own, and all are timed in turn. What OUT.json holds already, from the same versions
on the same machine, is not measured again. `--quick` is for trying the commands: its figures say nothing.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from importlib import metadata
from itertools import groupby
from pathlib import Path

from benchmarks import accuracies, choice, files, records, variants
from benchmarks.process import ProcessError, Worker, peaks
from benchmarks.records import BATCH, ENGINES, ROOT, SPEED, Accuracy, Networks, Section, Speed, Times, Variant
from benchmarks.rounds import Amount, Ask, time_rounds

from steelsight.data import synthetic
from steelsight.evaluation.provenance import provenance
from steelsight.runtime.engines import cores

ABOUT = {
    "weights": "random: the speed does not depend on them, but for how many pictures are in doubt",
    "engine": "the graph alone, on pictures of the network's own size; of peers without a class map; of MillNet "
    "and PDMSNet with all that a shipped file gives: strangeness, and the inside of boxes",
    "predict": "Classifier.predict, from arrays of 200x200 grey levels; of a list one in 100 is looked at again, where "
    "shipped files do so",
    "scan": "Classifier.scan of a strip 6,000 pixels wide; pictures: tiles of 200x200 pixels",
    "times": "milliseconds of a call; rounds: the median of each round",
    "counted": "macs: multiply-accumulates of convolutions and linear layers, for one grey picture",
    "peaks": "multiply-accumulates a second of a large matrix product, by number of cores and precision",
    "starts": "milliseconds that a fresh process takes to import steelsight, load the file and answer one picture",
    "sections": "by number of cores",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    is_quick: bool
    tried: Amount
    """Of every file, to find the fastest ones."""
    single: Amount
    """Of calls with one picture."""
    many: Amount
    through: Amount
    """Of lists and strips, to see how much gets through: for seconds on end, as at a line, since what else the machine
    does falls on some of them."""
    tiles: int
    """Of a list and of a strip; a multiple of what lies side by side on a strip."""
    product_side: int
    """Of the matrices that show the processor's peak."""


FULL = Plan(
    is_quick=False,
    tried=Amount(rounds=3, untimed=2, fewest=3, most=30, seconds=0.1),
    single=Amount(rounds=5, untimed=2, fewest=20, most=60, seconds=0.15),
    many=Amount(rounds=3, untimed=1, fewest=1, most=10, seconds=0.2),
    through=Amount(rounds=3, untimed=2, fewest=3, most=100, seconds=1.0),
    tiles=300,
    product_side=2048,
)
ONCE = Amount(rounds=1, untimed=1, fewest=1, most=3, seconds=0.0)
QUICK = Plan(is_quick=True, tried=ONCE, single=ONCE, many=ONCE, through=ONCE, tiles=60, product_side=512)


def measure(networks: Networks, known: Sequence[Accuracy], plan: Plan, out: Path) -> Speed:
    """Measures what OUT does not hold yet, and writes it as it comes."""
    listed = variants.variants_of(networks, known)
    speed = resumed(out, plan, networks, listed)
    speed.accuracies = list(known)
    speed.save(out)
    if len(speed.sections) == min(2, cores()):
        print(f"{out} holds all of it; delete the file to measure anew.", flush=True)
        return speed
    with tempfile.TemporaryDirectory() as place:
        print("Makes the files.", flush=True)
        speed.problems = write_files(listed, Path(place))
        warm_up(listed, Path(place))
        if "1" not in speed.sections:
            print("Measures on one core.", flush=True)
            speed.peaks["1"] = peaks(1, plan.product_side)
            speed.sections["1"] = measure_one_core(listed, Path(place), networks, plan)
            speed.save(out)
        if cores() > 1:
            print("Measures on two cores.", flush=True)
            speed.peaks["2"] = peaks(2, plan.product_side)
            tried = speed.sections["1"].tried
            speed.sections["2"] = measure_two_cores(tried, Path(place), networks, plan)
            speed.save(out)
    return speed


def resumed(out: Path, plan: Plan, networks: Networks, listed: Sequence[Variant]) -> Speed:
    """What was measured so far; nothing where that was another plan, other networks, versions or another machine."""
    fresh = Speed(ABOUT, asdict(plan), networks, here())
    fresh.counted = [files.count(*each) for each in dict.fromkeys((each.network, each.size) for each in listed)]
    if not out.exists():
        return fresh
    found = records.load(out)
    is_same = all(getattr(found, name) == getattr(fresh, name) for name in ("about", "plan", "networks", "counted"))
    return found if is_same and records.is_same_place(found.provenance, fresh.provenance) else fresh


def here() -> dict[str, str]:
    return {**provenance(), "openvino": metadata.version("openvino")}


def write_files(listed: Sequence[Variant], folder: Path) -> list[str]:
    """Makes the files, several networks at a time; returns a sentence for each that cannot be made."""
    samples = synthetic.write(folder / "steel", per_class=1, classes=("patches", "scratches"))
    together = [list(group) for _, group in groupby(listed, key=lambda variant: (variant.network, variant.size))]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cores(), mp_context=spawn) as pool:
        waiting = [pool.submit(files.write, group, folder, samples) for group in together]
        return [problem for each in waiting for problem in each.result()]


def warm_up(listed: Sequence[Variant], folder: Path) -> None:
    """The first start of an engine reads its libraries from the disk; that one is not measured."""
    for engine in ENGINES:
        close(start_all([each for each in listed if each.engine == engine][:1], folder, 1, Section()))


def measure_one_core(listed: Sequence[Variant], folder: Path, networks: Networks, plan: Plan) -> Section:
    """Tries all files, one network after another, then times the fastest and the usual ones."""
    section = Section()
    kept: list[Worker] = []
    for _, group in groupby(listed, key=lambda variant: variant.network):
        workers = start_all(list(group), folder, 1, section)
        tried = time_rounds({each: [("engine", 1)] for each in workers}, plan.tried, section.problems)
        fastest = choice.fastest(tried)
        wanted = [each for each in workers if each.variant in fastest or choice.is_usual(each.variant)]
        close([each for each in workers if each not in wanted])
        section.tried += tried
        kept += wanted
    time_single(kept, networks, plan, section)
    time_batches([each for each in kept if each.variant in choice.best(section.tried, networks)], plan, section)
    close(kept)
    return section


def measure_two_cores(tried: Sequence[Times], folder: Path, networks: Networks, plan: Plan) -> Section:
    """Times what was fastest on one core, and how many tiles MillNet and the baseline get through."""
    section = Section()
    workers = start_all(variants.for_two_cores(tried, networks), folder, 2, section)
    time_single(workers, networks, plan, section)
    scanning = [each for each in workers if each.variant.network in variants.scanning(networks)]
    scanning = [each for each in scanning if each.variant.engine != "plain"]
    for way in ("predict", "scan"):
        asks: dict[Worker, Sequence[Ask]] = {each: [(way, plan.tiles)] for each in scanning}
        section.times += time_rounds(asks, plan.through, section.problems)
    time_batches([each for each in workers if each.variant in choice.best(tried, networks)], plan, section)
    close(workers)
    return section


def start_all(wanted: Sequence[Variant], folder: Path, cores: int, section: Section) -> list[Worker]:
    """A process for each file that could be made."""
    paths = {variant: path for variant in wanted if (path := files.path_of(folder, variant)).exists()}
    workers = []
    for variant, path in paths.items():
        try:
            workers.append(Worker(variant, path, cores))
        except ProcessError as error:
            section.problems.append(str(error))
    section.starts += [worker.start for worker in workers]
    return workers


def time_single(workers: Sequence[Worker], networks: Networks, plan: Plan, section: Section) -> None:
    """One picture, by the graph alone, and MillNet's from the array as well."""
    asks: dict[Worker, Sequence[Ask]] = {
        each: [("engine", 1), *([("predict", 1)] if each.variant.network in networks.presets else [])]
        for each in workers
    }
    section.times += time_rounds(asks, plan.single, section.problems)


def time_batches(workers: Sequence[Worker], plan: Plan, section: Section) -> None:
    """One file after another, each of which then ends: together they would take too much memory."""
    for worker in workers:
        section.times += time_rounds({worker: [("engine", BATCH)]}, plan.many, section.problems)
        worker.close()


def close(workers: Sequence[Worker]) -> None:
    for worker in workers:
        worker.close()


def main(words: Sequence[str]) -> None:
    plan = QUICK if "--quick" in words else FULL
    paths = [Path(word) for word in words if word != "--quick"]
    networks = variants.networks()
    known = accuracies.measured(ROOT / "studies", networks.sizes)
    speed = measure(networks, known, plan, paths[0] if paths else SPEED)
    for problem in speed.all_problems:
        print(problem)


if __name__ == "__main__":
    main(sys.argv[1:])
