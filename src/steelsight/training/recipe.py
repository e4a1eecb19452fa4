"""A recipe: every choice of a training run, in one frozen record that YAML can hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import yaml

from steelsight.records import SteelsightError

DIRECTIONS = 48
"""In which a file knows what training pictures look like, where the recipe does not say."""


@dataclass(frozen=True, slots=True)
class Stage:
    """So many epochs on square pictures of so many pixels a side."""

    epochs: int
    size: int


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far pictures are changed while training; 0 (or 1 for factors) switches a change off.

    Grey levels are of 0..1. Each change is drawn anew for every picture and epoch.
    """

    flip: bool = True
    turn: bool = True
    """Right-angle turns."""
    rotation: float = 12.0
    """Degrees to either side."""
    scale: float = 1.25
    """Enlarged or shrunk by up to this factor."""
    gain: float = 1.4
    """Contrast about the picture's mean, multiplied or divided by up to this factor."""
    brightness: float = 0.15
    ramp: float = 0.2
    """Illumination ramp, from edge to edge."""
    blur: float = 1.0
    """Largest standard deviation of a Gaussian blur, pixels."""
    noise: float = 0.04
    """Largest standard deviation of pixel noise."""
    gamma: float = 1.0
    """Largest exponent of a power law of the light, up or down."""
    vignette: float = 0.0
    """Largest share of the light that is lost in the corners."""
    shot_noise: float = 0.0
    """Largest standard deviation of the noise of light at white; it grows with the root of the light."""
    dust: float = 0.0
    """Largest share of the dust that `augment.DUST` says, 0 to 1."""
    flakes: float = 0.0
    """Largest share of the flakes that `augment.FLAKES` says, darker or lighter than the steel, 0 to 1."""
    dead_pixels: float = 0.0
    """Largest share of pixels that are stuck at a level of their own."""
    unevenness: float = 0.0
    """Largest standard deviation of light that changes smoothly over the picture, as a factor."""
    erase: int = 0
    """Most rectangles of one level, as of things that lie on the steel."""
    splice: float = 0.0
    """Share of the pictures that a rectangle of another view of the same picture is laid over."""
    aspect: float = 1.0
    """Stretched one way and shrunk the other by up to this factor."""
    share: float = 1.0
    """Share of the pictures that each change of light and noise happens to, drawn for each by itself."""
    dirt_share: float = 1.0
    """Of that share, how much noise, dust, rectangles and dead pixels happen to."""
    blur_share: float = 0.5
    """Share of the pictures that are blurred."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides how a network is trained, besides the pictures."""

    model: str = "pdmsnet"
    model_options: Mapping[str, Any] = field(default_factory=dict)
    """Passed to `timm.create_model`."""
    stages: tuple[Stage, ...] = (Stage(50, 128), Stage(8, 160), Stage(16, 224))
    """Small pictures first; the file works at the size of the last stage."""
    batch_size: int = 32
    """Pictures a step, over all processes."""
    learning_rate: float = 4e-3
    """Peak of the one-cycle schedule, AdamW."""
    warmup: float = 0.15
    """Share of all steps in which the learning rate rises."""
    weight_decay: float = 0.05
    """On weights only, not on biases and norms."""
    label_smoothing: float = 0.05
    average_decay: float = 0.995
    """Of the exponential average of the weights, which is what is validated and exported."""
    balance_classes: bool = True
    """Weigh the loss so that every class counts the same, however many pictures it has."""
    validation_share: float = 0.1
    """Share of the training pictures that chooses the epoch, where the data brings no such part; 0 takes the last."""
    clean_windows: int = 0
    """Clean steel is learned from squares beside the boxes of pictures, of at least so many pixels a side, as
    `training.windows` says; 0: from no squares."""
    teacher: Mapping[str, Any] = field(default_factory=dict)
    """Of a network that is trained first, on the same pictures, and that this one learns from: what its recipe has
    otherwise, as other `model_options`; stages of its own stay as they are when the number of epochs is changed.
    Empty: there is none."""
    teachers: int = 1
    """How many such networks, each with the next seed: what they answer in the mean is learned. Runs whose seeds are
    neighbours share teachers, unless the teacher has a seed of its own."""
    directions: int = DIRECTIONS
    """In so many the file knows what the training pictures look like to the network, and so what is strange."""
    likeness: float = 0.0
    """What that has to say of the class: logits that a class gains by being e times nearer, as `models.strangeness`
    says; 0: nothing."""
    second_look: float = 0.0
    """The file looks again, mirrored, at pictures whose two likeliest classes are fewer logits apart, as
    `runtime.second_look` says; 0: at none."""
    augmentation: Augmentation = Augmentation()
    precision: str = "auto"
    """`bf16-mixed`, `32-true`, or `auto`: bf16 where the processor has it."""
    seed: int = 0

    @property
    def epochs(self) -> int:
        return sum(stage.epochs for stage in self.stages)

    @property
    def size(self) -> int:
        """Pixels a side at which the network will work."""
        return self.stages[-1].size

    def stage_of(self, epoch: int) -> Stage:
        for stage in self.stages:
            if epoch < stage.epochs:
                return stage
            epoch -= stage.epochs
        return self.stages[-1]

    def with_epochs(self, epochs: int) -> Recipe:
        """The same recipe over another number of epochs, shared out over the stages as before."""
        if epochs < 1:
            raise SteelsightError(f"The number of epochs is {epochs}; give 1 or more.")
        ends = [sum(stage.epochs for stage in self.stages[: n + 1]) for n in range(len(self.stages))]
        ends = [min(round(end * epochs / self.epochs), epochs - 1) for end in ends[:-1]] + [epochs]
        counts = [end - start for start, end in zip([0, *ends], ends, strict=False)]
        stages = (Stage(count, stage.size) for count, stage in zip(counts, self.stages, strict=True) if count)
        return replace(self, stages=tuple(stages))


OF_THE_FILE = frozenset({"directions", "likeness", "second_look"})
"""What is worked out of the trained network for its file: a run that is resumed may have others."""
OF_BOTH = OF_THE_FILE | {"clean_windows", "precision", "teacher", "teachers", "validation_share"}
"""What a teacher has not got by itself: it sees the pictures that its pupil sees, and answers by itself."""
FACTORS = ("scale", "gain", "gamma", "aspect")
"""Names of the augmentation that 1 switches off."""
PRECISIONS = ("auto", "bf16-mixed", "32-true")


def load(path: Path) -> Recipe:
    """Recipe from YAML; what the file does not name keeps its default. Raises SteelsightError."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SteelsightError(f"{path}: there is no such recipe; check the path.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SteelsightError(f"{path}: cannot be read as YAML ({_first_line(error)}).") from None
    return from_dict(values or {}, str(path))


def save(recipe: Recipe, path: Path) -> None:
    path.write_text(yaml.safe_dump(to_dict(recipe), sort_keys=False), encoding="utf-8")


def to_dict(recipe: Recipe) -> dict[str, Any]:
    """Plain dicts, lists and numbers, as YAML and JSON take them."""
    values = asdict(recipe)
    plain = {"model_options": dict(recipe.model_options), "teacher": dict(recipe.teacher)}
    return {**values, **plain, "stages": list(values["stages"])}


def from_dict(values: Any, where: str) -> Recipe:
    """Recipe from plain values, each checked. Raises SteelsightError with one sentence that names `where`."""
    recipe: Recipe = _record(Recipe, values, where)
    _check(recipe, where)
    if recipe.teacher:
        teacher_of(recipe, where)
    return recipe


def teachers_of(recipe: Recipe) -> list[Recipe]:
    """The recipes of all teachers; none where the recipe has no teacher. Raises SteelsightError."""
    if not recipe.teacher:
        return []
    first = teacher_of(recipe)
    return [replace(first, seed=first.seed + number) for number in range(recipe.teachers)]


def teacher_of(recipe: Recipe, where: str = "recipe") -> Recipe:
    """The recipe of a recipe's teacher, the first of several. Raises SteelsightError where it cannot be one."""
    both = sorted(OF_BOTH & recipe.teacher.keys())
    if both:
        raise SteelsightError(f"{where}: teacher: cannot have {', '.join(both)} of its own; leave that out.")
    values = {**to_dict(recipe), "teacher": {}, "teachers": 1, "second_look": 0.0, **recipe.teacher}
    changed = recipe.teacher.get("augmentation")
    if isinstance(changed, Mapping):
        values["augmentation"] = {**asdict(recipe.augmentation), **changed}
    return from_dict(values, f"{where}: teacher")


def override(
    recipe: Recipe,
    *,
    model: str | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    changes: Sequence[str] = (),
) -> Recipe:
    """The recipe with what a command line says: names, and `NAME=VALUE` or `augmentation.NAME=VALUE` in YAML."""
    values = to_dict(recipe)
    for change in changes:
        name, equals, text = change.partition("=")
        inside, dot, inner = name.partition(".")
        if not equals or (dot and not isinstance(values.get(inside), dict)):
            raise SteelsightError(f"--set {change}: is not NAME=VALUE; an example is --set augmentation.noise=0.1.")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            raise SteelsightError(f"--set {change}: the value cannot be read as YAML.") from None
        if dot:
            values[inside][inner] = value
        else:
            values[name] = value
    named = {"model": model, "seed": seed}
    values |= {name: value for name, value in named.items() if value is not None}
    changed = from_dict(values, "recipe")
    return changed.with_epochs(epochs) if epochs else changed


def _record(kind: type[Any], values: Any, where: str) -> Any:
    if not isinstance(values, Mapping):
        raise SteelsightError(f"{where}: expected names with values, found {values!r}.")
    hints = get_type_hints(kind)
    unknown = [str(name) for name in values if name not in hints]
    if unknown:
        known = ", ".join(entry.name for entry in fields(kind))
        raise SteelsightError(f"{where}: does not know {', '.join(unknown)}; the names are {known}.")
    return kind(**{name: _value(hints[name], value, f"{where}: {name}") for name, value in values.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
    if hint in (Stage, Augmentation):
        return _record(hint, value, where)
    if Stage in get_args(hint) and isinstance(value, list):
        return tuple(_record(Stage, entry, where) for entry in value)
    kinds: dict[Any, Any] = {bool: bool, int: int, float: (int, float), str: str}
    expected = kinds.get(hint, Mapping)
    if not isinstance(value, expected) or (isinstance(value, bool) and hint is not bool):
        raise SteelsightError(f"{where}: cannot be {value!r}; see the recipe's defaults for what it takes.")
    return float(value) if hint is float else value


def _check(recipe: Recipe, where: str) -> None:
    wrong = {
        "stages: give at least one, each with 1 or more epochs and 16 to 2048 pixels": not recipe.stages
        or any(stage.epochs < 1 or not 16 <= stage.size <= 2048 for stage in recipe.stages),
        "batch_size: give 2 or more": recipe.batch_size < 2,
        "learning_rate: give a number above 0": not 0 < recipe.learning_rate < 100,
        "warmup: give a share from 0 to 1": not 0 <= recipe.warmup <= 1,
        "weight_decay: give 0 or more": recipe.weight_decay < 0,
        "label_smoothing: give a share from 0 to 1": not 0 <= recipe.label_smoothing < 1,
        "average_decay: give a share from 0 to 1": not 0 <= recipe.average_decay < 1,
        "validation_share: give a share from 0 to 0.5": not 0 <= recipe.validation_share <= 0.5,
        "clean_windows: give 0, or 16 or more pixels": recipe.clean_windows != 0 and recipe.clean_windows < 16,
        "directions: give 1 or more": recipe.directions < 1,
        "likeness: give a number from 0 to 100": not 0 <= recipe.likeness <= 100,
        "second_look: give a number from 0 to 100": not 0 <= recipe.second_look <= 100,
        "second_look: is mirrored, which the network has not learned; set flip in augmentation": (
            recipe.second_look > 0 and not recipe.augmentation.flip
        ),
        "teachers: give 1 or more": recipe.teachers < 1,
        "teachers: there is no teacher; say what it is by teacher": recipe.teachers > 1 and not recipe.teacher,
        f"precision: give one of {', '.join(PRECISIONS)}": recipe.precision not in PRECISIONS,
        "augmentation: scale, gain, gamma and aspect are factors of 1 or more, the rest 0 or more": (
            min(getattr(recipe.augmentation, name) for name in FACTORS) < 1
            or min(asdict(recipe.augmentation).values()) < 0
        ),
    }
    for sentence, is_wrong in wrong.items():
        if is_wrong:
            raise SteelsightError(f"{where}: {sentence}.")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
