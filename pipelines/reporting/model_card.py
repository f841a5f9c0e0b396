"""MODEL_CARD.md: what an exported student is, what it was made from, how well it does, for whom, and what is not known.

Headings are those of Hugging Face's model cards, questions those of Mitchell et al., "Model Cards for Model Reporting"
(arXiv 1810.03993). Every number is one of results.json, or of the same statistics by sex and age band. What is not
known is said to be unknown, and which command would find it out.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from math import isnan
from typing import Any, Literal

import yaml

from pipelines import __version__
from pipelines.recipe import Recipe, SlidingWindows, Task
from pipelines.recipe.loading import render_recipe
from pipelines.reporting.model_card_numbers import Numbers, bullets, describe_calibration, describe_numbers, table
from pipelines.reporting.model_card_words import FACES, LAW, OUT_OF_SCOPE, corpus_words

_OTHER_TEACHERS = {"prevalent": "the face alone, as it does itself", "none": "it has none: it learned from labels"}
_PAPERS = {"MT-PKDOT": "2408.09035", "PKDOT": "2401.15489"}


@dataclass(frozen=True)
class GraphFacts:
    """The file that the card lies beside.

    Attributes:
        name: of the file.
        format: `onnx` or `torch`.
        difference: largest one to the checkpoint.
        windows, frames: numbers for which that was tried.
    """

    name: str
    format: str
    difference: float
    windows: tuple[int, ...]
    frames: tuple[int, ...]


@dataclass(frozen=True)
class TrainingFacts:
    """Whose recordings are in the weights: counts, no names.

    Attributes:
        groups: that weights were trained on.
        validation: groups that epochs were selected, and confidence calibrated, on.
        clips: of the training groups, or None where the cache is not at hand.
        place: fold and seed, or None for a student outside its workspace.
        teachers: which ones were distilled: `aligned`, those of every subset of modalities; `prevalent`, one that sees
            what the student sees; or `none`.
        hallucinates: whether privileged embeddings are hallucinated at test time.
        description: of the method, a few words.
    """

    groups: int
    validation: int
    clips: int | None
    place: tuple[int, int] | None
    teachers: Literal["aligned", "prevalent", "none"]
    hallucinates: bool
    description: str


@dataclass(frozen=True)
class CardFacts:
    """Everything that a card is written from.

    Attributes:
        recipe: that the student was trained by.
        task: what it predicts.
        method: by which it was trained.
        training: whose recordings.
        graph: the exported file.
        calibration: of the checkpoint, or None.
        numbers: from the results, or why there are none and which command makes them.
        protocol: how the numbers were measured.
    """

    recipe: Recipe
    task: Task
    method: str
    training: TrainingFacts
    graph: GraphFacts
    calibration: Mapping[str, Any] | None
    numbers: Numbers | str
    protocol: str


def render_model_card(facts: CardFacts) -> str:
    """The card as Markdown behind a YAML header."""
    parts = [
        _front_matter(facts),
        f"# {_title(facts)}",
        _details(facts),
        _uses(facts),
        "## How to Get Started with the Model\n\n" + _start(facts),
        _training(facts),
        "## Evaluation\n\n" + describe_numbers(facts.numbers, facts.task, facts.method, facts.protocol),
        "## Calibration\n\n" + describe_calibration(facts.calibration, facts.numbers, facts.task, facts.method),
        "## Bias, Risks, and Limitations\n\n" + bullets((*corpus_words(facts.recipe).limits, *FACES)) + "\n\n" + LAW,
        _specifications(facts),
        _reproduce(facts),
    ]
    return "\n\n".join(parts) + "\n"


def _title(facts: CardFacts) -> str:
    what = " / ".join(facts.task.labels) if facts.task.num_outputs <= 6 else f"{facts.task.num_outputs} outputs"
    return f"{what} from a video of the face: {facts.method} student of mtpkd"


def _front_matter(facts: CardFacts) -> str:
    values: dict[str, Any] = {
        "library_name": "onnx" if facts.graph.format == "onnx" else "pytorch",
        "license": "other",
        "license_name": "as-the-corpus-allows",
        "pipeline_tag": "video-classification",
        "tags": ["mtpkd", "privileged-information", "knowledge-distillation", "face", facts.recipe.corpus.name],
    }
    if isinstance(facts.numbers, Numbers):
        name = facts.numbers.headline.name
        value = facts.numbers.rows[name].own.value
        measured_of = f"{name}, {facts.numbers.models} cross-validated models of which this is one"
        result = {"type": name, "value": None if isnan(value) else value, "name": measured_of}
        where = {"name": corpus_words(facts.recipe).title, "type": facts.recipe.corpus.name}
        measured = {"task": {"type": "video-classification"}, "dataset": where, "metrics": [result]}
        values["model-index"] = [{"name": facts.method, "results": [measured]}]
    return f"---\n{yaml.safe_dump(values, sort_keys=False, allow_unicode=True)}---"


def _details(facts: CardFacts) -> str:
    recipe, words = facts.recipe, corpus_words(facts.recipe)
    subsets = recipe.teacher_subsets.items()
    teachers = [name if subset == (name,) else f"{name} ({' + '.join(subset)})" for name, subset in subsets]
    learned = ", ".join(teachers) if facts.training.teachers == "aligned" else _OTHER_TEACHERS[facts.training.teachers]
    lines = (
        f"**What it is:** `{facts.method}`, {facts.training.description}",
        f"**What it sees at test time:** {recipe.prevalent[0]}, a video of one face, and nothing else",
        f"**What its teachers saw:** {learned}",
        *(_hallucinated(recipe) if facts.training.hallucinates else ()),
        f"**What it says:** {_output(facts.task)}",
        f"**Encoder:** {recipe.encoders[recipe.prevalent[0]].architecture}; **fusion:** {recipe.model.fusion}",
        f"**Trained on:** {words.title}: {words.what}",
        f"**Licence:** the code is MIT. {words.licence}",
        "**Method:** " + ", ".join(f"{name} ([arXiv {i}](https://arxiv.org/abs/{i}))" for name, i in _PAPERS.items()),
        "**Developed by, contact:** not recorded; whoever passes this file on should write it here",
    )
    return "## Model Details\n\n" + bullets(lines)


def _hallucinated(recipe: Recipe) -> tuple[str]:
    names = ", ".join(recipe.privileged)
    return (f"**What it imagines:** embeddings of {names}, by a frozen network from the face's; nothing is measured",)


def _output(task: Task) -> str:
    if task.kind == "continuous":
        return f"a value for {' and '.join(task.labels)}"
    return f"one of {len(task.labels)} classes: {', '.join(task.labels)}"


def _uses(facts: CardFacts) -> str:
    direct = (
        "Research on methods: comparing students, teachers and controls on the corpus that it was trained on, and "
        "studying when privileged signals help. With the consent of those who are filmed, and with a person who "
        "answers for what is done with its output."
    )
    return f"## Uses\n\n### Direct Use\n\n{direct}\n\n### Out-of-Scope Use\n\n{bullets(OUT_OF_SCOPE)}"


def _start(facts: CardFacts) -> str:
    if facts.graph.format == "onnx":
        return f"```\npip install 'mtpkd[export]'\nmtpkd predict {facts.graph.name} video.mp4\n```"
    return (
        f'```\nimport torch\n\nstudent = torch.export.load("{facts.graph.name}").module()\n'
        "outputs = student(windows, present)\n```\n\n"
        "Reading a torch.export file can run code that its author put there: load only files that you trust. mtpkd "
        "itself reads no such file but the one that it has just written."
    )


def _training(facts: CardFacts) -> str:
    training, unit = facts.training, "videos" if facts.recipe.corpus.continuous else "subjects"
    clips = "" if training.clips is None else f", {training.clips} clips"
    place = "not known: the student lay outside its workspace"
    if training.place is not None:
        place = f"fold {training.place[0]}, seed {training.place[1]}"
    lines = (
        f"**Weights:** {training.groups} {unit}{clips}; who they are is not told here",
        f"**Validation** (when to stop, and how far to trust it): {unit} not trained on, {training.validation}",
        f"**Fold and seed:** {place}",
        f"**Labelled:** {100 * facts.recipe.protocol.labelled:g} % of the training {unit}",
    )
    return "## Training Details\n\n" + bullets(lines)


def _specifications(facts: CardFacts) -> str:
    recipe, graph, size = facts.recipe, facts.graph, facts.recipe.faces.size
    scale = "logits" if facts.task.kind == "classes" else "values on the scale of the labels"
    rows = (
        ("input `windows`", f"(W, 3, T, {size}, {size}) float32, RGB, standardised with the constants in the metadata"),
        ("input `present`", "(W,) bool: which windows show a face; what the others hold is ignored"),
        ("output `outputs`", f"(W, {facts.task.num_outputs}) float32: {scale}; NaN where a window is absent"),
        ("W", "any number of windows of one recording, in order of time"),
        ("T", f"any number of frames from 1 on; trained with {recipe.windows.frames}"),
        ("a window", _window(recipe)),
        ("checked", f"against the checkpoint on random windows, W of {_listed(graph.windows)}, T of "
                    f"{_listed(graph.frames)}: largest difference {graph.difference:.1e}"),
    )  # fmt: skip
    return "## Technical Specifications\n\n" + table(("", ""), rows)


def _window(recipe: Recipe) -> str:
    windows = recipe.windows
    if isinstance(windows, SlidingWindows):
        seen = "" if windows.context == 1 else f"; each sees {windows.context // 2} neighbours on either side"
        return f"{windows.frames} frames, one of every {windows.stride}; centres {windows.hop} frames apart{seen}"
    return f"{windows.frames} frames, evenly from {windows.start:g} s to {windows.stop:g} s of a clip"


def _reproduce(facts: CardFacts) -> str:
    lines = (f"{name} {_version(name)}" for name in ("torch", "onnx", "onnxruntime", "numpy", "opencv-python", "av"))
    command = "mtpkd run recipe.yaml\nmtpkd export STUDENT --format " + facts.graph.format
    versions = f"mtpkd {__version__}, Python {sys.version.split()[0]}, {', '.join(lines)}"
    return (
        f"## How to Reproduce\n\n```\n{command}\n```\n\nExported with {versions}. The recipe, every setting with its "
        f"meaning:\n\n<details>\n<summary>recipe.yaml</summary>\n\n```yaml\n{render_recipe(facts.recipe)}```\n\n</details>"
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _listed(numbers: Sequence[int]) -> str:
    return " and ".join(map(str, numbers))
