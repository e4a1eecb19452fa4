"""The command `steelsight`: one short function a command. Imports are inside, so that --help is instant."""

from __future__ import annotations

import signal
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from steelsight.console import (
    DONE,
    NOTHING_DONE,
    SOME_UNREADABLE,
    TERMINATED,
    complain,
    make_console,
    print_scores,
    sentences,
)

app = typer.Typer(
    help="Recognises steel surface defects in photographs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="Look after folders of photographs.", no_args_is_help=True)
app.add_typer(data_app, name="data")
study_app = typer.Typer(help="Run the papers' tables.", no_args_is_help=True)
app.add_typer(study_app, name="study")

ModelOption = Annotated[str, typer.Option(help="A shipped model's name, a model file, or a folder that train wrote.")]
Folds = Annotated[Path | None, typer.Option(help="Fold file made by `data split`.")]
FoldCount = Annotated[str, typer.Option(help="How many folds, or a holdout such as 70/30.")]
SideBySide = Annotated[
    int | None, typer.Option(help="Cells that run at a time; else one a core, or one on a GPU.", min=1)
]
Fold = Annotated[int, typer.Option(help="The fold that is the test part.", min=0)]


@app.command()
def inspect(
    paths: Annotated[list[Path], typer.Argument(help="Photographs, or folders of them.", metavar="PATH...")],
    model: ModelOption = "millnet-neu",
    out: Annotated[Path | None, typer.Option(help="Folder for report.html, CSV and JSON lines.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="JSON lines on standard output; no files without --out.")
    ] = False,
    pictures: Annotated[bool, typer.Option(help="Pictures with heat maps in the report.")] = True,
) -> None:
    """Name the defects in photographs, and write a report with heat maps."""
    from steelsight.inspection import inspect as run

    with sentences():
        folder = out if out or as_json else Path("steelsight-report")
        failed, done = run(paths, model, folder, as_json=as_json, pictures=pictures)
        raise typer.Exit(DONE if not failed else SOME_UNREADABLE if done else NOTHING_DONE)


@app.command()
def train(
    data: Annotated[Path, typer.Argument(help="Labelled folder or CSV manifest.", metavar="DATA")],
    model: Annotated[str | None, typer.Option(help="A network of this package or of timm.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the run.")] = Path("steelsight-run"),
    recipe: Annotated[Path | None, typer.Option(help="Recipe in YAML.")] = None,
    epochs: Annotated[int | None, typer.Option(help="In all, shared out over the recipe's stages.", min=1)] = None,
    seed: Annotated[int | None, typer.Option(min=0)] = None,
    change: Annotated[list[str], typer.Option("--set", help="NAME=VALUE in the recipe, such as batch_size=16.")] = [],  # noqa: B006
    folds: Folds = None,
    fold: Fold = 0,
    resume: Annotated[bool, typer.Option(help="Go on with the run in --out.")] = False,
    overlap: Annotated[
        bool, typer.Option(help="Look for pictures that share pixels and keep them in one part.")
    ] = True,
) -> None:
    """Train a network on labelled photographs; the result is one model file."""
    with sentences("train", "torch", "lightning", "timm", "sklearn", "onnx"):
        from steelsight.training import recipe as recipes
        from steelsight.training.run import train as run

        chosen = recipes.load(recipe) if recipe else recipes.Recipe()
        chosen = recipes.override(chosen, model=model, epochs=epochs, seed=seed, changes=change)
        console = make_console()
        trained = run(data, chosen, out, console, folds=folds, fold=fold, resume=resume, look_for_overlap=overlap)
        if trained is None:
            raise typer.Exit(DONE)
        complain(console, trained.problems)
        if trained.scores:
            print_scores(console, trained.scores, f"On the {trained.scored_on}")
            console.print(f"Report: {out / 'report.html'}", markup=False, soft_wrap=True)
        console.print(f"Model: {trained.model}", markup=False, soft_wrap=True)
        raise typer.Exit(SOME_UNREADABLE if trained.problems else DONE)


@app.command()
def export(
    model: Annotated[str, typer.Argument(help="A shipped model's name or a model file.", metavar="MODEL")],
    data: Annotated[Path, typer.Argument(help="Labelled folder that it was trained on.", metavar="DATA")],
    cells: Annotated[Path, typer.Option(help="Folder of a cross-validation of the same network, to tell the cost.")],
    out: Annotated[Path, typer.Option(help="The file to write.")],
    engine: Annotated[str, typer.Option(help="onnxruntime or openvino.")] = "openvino",
    precision: Annotated[str, typer.Option(help="fp32, bf16 or int8.")] = "int8",
) -> None:
    """Write a model file in reduced precision, if it decides held-out photographs alike."""
    with sentences("train", "torch", "lightning", "timm", "sklearn", "onnx"):
        from steelsight.training.reduce import export_reduced

        cost = export_reduced(model, data, cells, out, engine, precision)
        console = make_console()
        console.print(f"{precision} in {engine}: {cost.sentence}.", markup=False, soft_wrap=True)
        console.print(f"Model: {out}", markup=False, soft_wrap=True)


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="A shipped model's name or a model file.", metavar="MODEL")],
    data: Annotated[Path, typer.Argument(help="Labelled folder or CSV manifest.", metavar="DATA")],
    folds: Folds = None,
    fold: Fold = 0,
    harsh: Annotated[
        bool, typer.Option("--harsh", help="Also on 90 harsh versions of every photograph: light, noise, blur, dirt.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder for scores.json and report.html.")] = Path("steelsight-evaluation"),
) -> None:
    """Measure a model on labelled photographs."""
    with sentences("train", "sklearn"):
        from steelsight.evaluation.command import evaluate_model

        console = make_console()
        with console.status("evaluating") as status:

            def say(done: int, of: int) -> None:
                status.update(f"harsh photographs: {done} of {of}")

            evaluation = evaluate_model(model, data, out, folds, fold, with_harsh=harsh, on_harsh=say)
        complain(console, evaluation.problems)
        print_scores(console, evaluation.scores, f"{model} on {data}")
        console.print(f"95 % interval of the accuracy: {evaluation.interval}")
        if evaluation.harsh:
            worst = evaluation.harsh.worst
            console.print(
                f"Harsh photographs: {100 * evaluation.harsh.mean:.2f} % in the mean, "
                f"{100 * evaluation.harsh.by_kind[worst]:.2f} % for {worst}, the worst kind"
            )
        if evaluation.seen:
            console.print(f"{evaluation.seen} of these pictures are among those that the model was trained on.")
        console.print(f"Report: {out / 'report.html'}", markup=False, soft_wrap=True)
        raise typer.Exit(SOME_UNREADABLE if evaluation.problems else DONE)


@app.command()
def crossval(
    data: Annotated[Path, typer.Argument(help="Labelled folder or CSV manifest.", metavar="DATA")],
    model: Annotated[str | None, typer.Option(help="A network of this package or of timm.")] = None,
    protocol: Annotated[
        str, typer.Option(help="published (random) or leak-free (groups stay together).")
    ] = "leak-free",
    folds: Annotated[str, typer.Option(help="How many folds, a holdout such as 70/30, or a fold file.")] = "5",
    seeds: Annotated[str, typer.Option(help="Seeds, separated by commas.")] = "0",
    out: Annotated[Path, typer.Option(help="Folder of the cells.")] = Path("steelsight-crossval"),
    recipe: Annotated[Path | None, typer.Option(help="Recipe in YAML.")] = None,
    epochs: Annotated[int | None, typer.Option(help="In all, shared out over the recipe's stages.", min=1)] = None,
    change: Annotated[list[str], typer.Option("--set", help="NAME=VALUE in the recipe, such as batch_size=16.")] = [],  # noqa: B006
    groups: Annotated[Path | None, typer.Option(help="CSV with the columns image,group.")] = None,
    against: Annotated[
        Path | None, typer.Option(help="Folder of another cross-validation on the same folds, to compare with.")
    ] = None,
    side_by_side: SideBySide = None,
) -> None:
    """Train and score every fold with every seed; finished cells are kept, so a second call goes on."""
    with sentences("train", "torch", "lightning", "timm", "sklearn", "onnx"):
        from functools import partial

        from steelsight.data import splits
        from steelsight.training import recipe as recipes
        from steelsight.training.crossval import crossval as run

        chosen = recipes.load(recipe) if recipe else recipes.Recipe()
        chosen = recipes.override(chosen, model=model, epochs=epochs, changes=change)
        console = make_console()
        file = Path(folds)
        if not splits.is_file(folds):
            file = out.with_name(f"{out.name}-{protocol}.csv")
            made = splits.split(data, file, protocol, folds, groups=groups, seed=0)
            complain(console, (*made.left_out, *made.remarks))
        say = partial(console.print, markup=False, soft_wrap=True)
        summary = run(data, chosen, file, _seeds(seeds), out, say, against=against, side_by_side=side_by_side)
        complain(console, (*summary.remarks, *summary.failed))
        print_scores(console, summary.pooled, f"{chosen.model}, all cells together")
        console.print(
            f"Cells: {100 * summary.mean_accuracy:.2f} ± {100 * summary.deviation:.2f} %, "
            f"95 % interval {summary.interval}"
        )
        if summary.comparison:
            console.print(f"Against {against}: {summary.comparison.sentence}", markup=False, soft_wrap=True)
        for name, values in summary.baselines.items():
            console.print(f"Beside it, {name}: {100 * sum(values) / len(values):.2f} %")
        console.print(f"Report: {out / 'report.html'}", markup=False, soft_wrap=True)
        raise typer.Exit(SOME_UNREADABLE if summary.failed else DONE)


@app.command()
def models() -> None:
    """List the shipped model files, and the networks that can be trained."""
    from rich.table import Table

    from steelsight.runtime.classifier import load, shipped

    with sentences():
        console = make_console()
        files = Table("file", "network", "pixels", "classes", "scores", title="Shipped model files")
        for name in shipped():
            card = load(name).card
            scores = ", ".join(f"{key} {value:.2f} %" for key, value in card.scores.items())
            files.add_row(name, card.model, "x".join(map(str, card.size)), ", ".join(card.classes), scores)
        console.print(files)
        if find_spec("timm") is None:
            console.print('The networks need the training libraries: pip install "steelsight\\[train]".')
            return
        from steelsight.models.listing import rows

        networks = Table(
            "network", "parameters", "M MACs", "at pixels", title="Networks (any of timm's trains as well)"
        )
        for row in rows():
            networks.add_row(row.name, f"{row.parameters:,}", f"{row.macs / 1e6:.2f}", str(row.size))
        console.print(networks)


@data_app.command("synth")
def data_synth(
    folder: Annotated[Path, typer.Argument(help="Folder to fill.", metavar="DIR")],
    per_class: Annotated[int, typer.Option(help="Pictures of each class.", min=1)] = 50,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    size: Annotated[int, typer.Option(help="Pixels a side.", min=32, max=2048)] = 200,
) -> None:
    """Draw steel: the six classes of NEU and clean steel, with boxes and masks."""
    from steelsight.data.synthetic import write

    with sentences():
        samples = write(folder, per_class, seed=seed, size=size)
        make_console().print(f"{len(samples)} drawn pictures in {folder}", markup=False, soft_wrap=True)


@data_app.command("check")
def data_check(
    data: Annotated[Path, typer.Argument(help="Labelled folder or CSV manifest.", metavar="DATA")],
    out: Annotated[Path, typer.Option(help="Folder for check.json and report.html.")] = Path("steelsight-check"),
    cells: Annotated[
        Path | None, typer.Option("--crossval", help="Folder of a cross-validation, to look for label errors.")
    ] = None,
) -> None:
    """Say what is wrong with a folder: unreadable files, copies, overlap, labels, shortcuts."""
    with sentences("train", "sklearn"):
        from steelsight.evaluation.check import check

        console = make_console()
        with console.status("looking for overlap"):
            findings = check(data, out, cells)
        for finding in findings:
            mark = "[yellow]look[/]" if finding.is_wrong else "[green]fine[/]"
            console.print(f"{mark}  [bold]{finding.title}.[/] ", end="", soft_wrap=True)
            console.print(finding.words, markup=False, soft_wrap=True)
        console.print(f"Report: {out / 'report.html'}", markup=False, soft_wrap=True)
        left_out = findings[0].is_wrong
        raise typer.Exit(SOME_UNREADABLE if left_out else DONE)


@data_app.command("split")
def data_split(
    data: Annotated[Path, typer.Argument(help="Labelled folder or CSV manifest.", metavar="DATA")],
    out: Annotated[Path, typer.Option(help="Fold file to write (CSV: image,label,group,fold).")],
    protocol: Annotated[
        str, typer.Option(help="published (random) or leak-free (groups stay together).")
    ] = "leak-free",
    folds: FoldCount = "5",
    groups: Annotated[Path | None, typer.Option(help="CSV with the columns image,group.")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Share labelled photographs out over folds."""
    with sentences("train", "sklearn"):
        from steelsight.data.splits import split

        made = split(data, out, protocol, folds, groups=groups, seed=seed)
        console = make_console()
        complain(console, (*made.left_out, *made.remarks))
        console.print(f"{out}: {made.sentence}", markup=False, soft_wrap=True)
        raise typer.Exit(SOME_UNREADABLE if made.left_out else DONE)


Studies = Annotated[Path, typer.Option(help="Folder of the definitions, recipes, folds and results.")]


@study_app.command("run")
def study_run(
    names: Annotated[list[str], typer.Argument(help="Studies: stems of YAML files in --studies.", metavar="NAME...")],
    data: Annotated[
        Path | None, typer.Option(help="The labelled folder; else neu-cls below the folder STEELSIGHT_DATA.")
    ] = None,
    studies: Studies = Path("studies"),
    out: Annotated[Path, typer.Option(help="Folder of the runs, for going on with those that were stopped.")] = Path(
        "runs"
    ),
    fold: Annotated[list[int], typer.Option(help="Only this fold now; may be repeated.")] = [],  # noqa: B006
    seed: Annotated[list[int], typer.Option(help="Only this seed now; may be repeated.")] = [],  # noqa: B006
    network: Annotated[list[str], typer.Option(help="Only this network now; may be repeated.")] = [],  # noqa: B006
    protocol: Annotated[list[str], typer.Option(help="Only this protocol now; may be repeated.")] = [],  # noqa: B006
    side_by_side: SideBySide = None,
) -> None:
    """Train and score the cells of studies that have no result yet, one JSON file a cell."""
    with sentences("train", "torch", "lightning", "timm", "sklearn", "onnx"):
        from functools import partial

        from steelsight.training.study import run

        console = make_console()
        say = partial(console.print, markup=False, soft_wrap=True)
        place = data or _neu()
        failed = run(
            studies,
            names,
            place,
            out,
            say,
            folds=fold,
            seeds=seed,
            networks=network,
            protocols=protocol,
            side_by_side=side_by_side,
        )
        raise typer.Exit(SOME_UNREADABLE if failed else DONE)


@study_app.command("report")
def study_report(
    studies: Studies = Path("studies"),
    out: Annotated[Path, typer.Option(help="Folder of the pages and their plots.")] = Path("docs"),
) -> None:
    """Write what the papers print beside what was measured, and what was chosen among what."""
    with sentences("train", "sklearn"):
        from steelsight.evaluation import choices, reproduction

        for path in [*reproduction.write(studies, out), choices.write(studies, out)]:
            make_console().print(str(path), markup=False, soft_wrap=True)


def main() -> None:
    """Entry point of the command."""
    if threading.current_thread() is threading.main_thread():  # others may not
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))  # so that whatever was started is stopped too
    app()


def _seeds(text: str) -> list[int]:
    from steelsight.records import SteelsightError

    if not all(part.strip().isdigit() for part in text.split(",")):
        raise SteelsightError(f"--seeds {text}: give whole numbers separated by commas, such as 0,1,2.")
    return [int(part) for part in text.split(",")]


def _neu() -> Path:
    """NEU-CLS where the tests find it. Raises SteelsightError where it is not said."""
    import os

    from steelsight.records import SteelsightError

    if not os.environ.get("STEELSIGHT_DATA"):
        raise SteelsightError("Say where the images are: --data FOLDER, or STEELSIGHT_DATA with neu-cls in it.")
    return Path(os.environ["STEELSIGHT_DATA"]) / "neu-cls"
