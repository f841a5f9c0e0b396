"""What a student is, without its weights: how to read a video for it, and what its outputs mean.

- It is the recipe that it was trained by and the few entries of the checkpoint's schema that inference needs, as one
  JSON text: whatever carries that text, a checkpoint or an exported graph, can be run the same way.
- Whose clips it was trained on is left out: names of subjects have no business in a file that is handed on.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pipelines.errors import SettingsError
from pipelines.recipe import ClipWindow, FaceSettings, Recipe, SlidingWindows, Task
from pipelines.recipe.loading import parse_recipe, plain

_CARRIED = ("method", "prevalent", "task", "label_scale", "calibration", "encoders")


class Described(Protocol):
    """What a checkpoint has beside its weights."""

    @property
    def recipe(self) -> Recipe | None: ...
    @property
    def schema(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Calibration:
    """How far a student's outputs can be trusted, as measured on groups it was not trained on.

    Attributes:
        temperature: logits are divided by it; 1 leaves them as they are.
        smoothing_s: seconds over which the values of a trial are averaged.
        levels: coverages for which there may be an interval, rising; none where the student has no intervals.
        half_widths: at each level one number a dimension, or None where the groups were too few for the level.
        known: False for a student that was trained before calibration was recorded.
    """

    temperature: float = 1.0
    smoothing_s: float = 0.0
    levels: tuple[float, ...] = ()
    half_widths: tuple[tuple[float, ...] | None, ...] = ()
    known: bool = True

    @staticmethod
    def from_schema(schema: Mapping[str, Any]) -> "Calibration":
        """Of a checkpoint's schema, which may have none."""
        entry = schema.get("calibration")
        if entry is None:
            return Calibration(known=False)
        intervals = entry.get("intervals") or {"levels": (), "half_widths": ()}
        return Calibration(
            temperature=entry.get("temperature") or 1.0,
            smoothing_s=entry.get("smoothing_s") or 0.0,
            levels=tuple(intervals["levels"]),
            half_widths=tuple(None if widths is None else tuple(widths) for widths in intervals["half_widths"]),
        )

    def half_width(self, level: float) -> np.ndarray | None:
        """(K,) half the width of the interval of the least known level that is not below `level`; None without one."""
        for known, widths in zip(self.levels, self.half_widths, strict=True):
            if known >= level - 1e-9:
                return None if widths is None else np.array(widths)
        return None


@dataclass(frozen=True)
class StudentDescription:
    """A student without its weights.

    Attributes:
        recipe: that it was trained by.
        schema: plain JSON values out of its checkpoint.
    """

    recipe: Recipe
    schema: dict[str, Any]

    @staticmethod
    def of(checkpoint: Described, *, source: str) -> "StudentDescription":
        """Of a loaded checkpoint.

        Raises:
            SettingsError: it is no student, or one that needs more than a video of a face.
        """
        if checkpoint.recipe is None or "method" not in checkpoint.schema:
            raise SettingsError(f"{source} is a checkpoint, but not of a student: give a student.safetensors")
        carried = {name: checkpoint.schema[name] for name in _CARRIED if name in checkpoint.schema}
        if carried.get("calibration"):
            carried["calibration"] = {k: v for k, v in carried["calibration"].items() if k != "groups"}
        if "encoders" in carried:  # shapes only: frames are standardised by constants
            carried["encoders"] = {name: {"shape": item["shape"]} for name, item in carried["encoders"].items()}
        return StudentDescription(checkpoint.recipe, carried).checked(source)

    @staticmethod
    def from_json(text: str, *, source: str = "student") -> "StudentDescription":
        """The inverse of `to_json`.

        Raises:
            SettingsError: the text is no description, or that of a student that needs more than a video of a face.
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            values = None
        match values:
            case {"recipe": dict(recipe), "schema": {"method": str(), "task": dict()} as schema}:
                return StudentDescription(parse_recipe(recipe, source=source), schema).checked(source)
        raise SettingsError(f"{source} does not describe a student of mtpkd: export it again with `mtpkd export`")

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps({"recipe": plain(self.recipe), "schema": self.schema}, sort_keys=True)

    def checked(self, source: str) -> "StudentDescription":
        """Itself.

        Raises:
            SettingsError: the student sees something else than one video.
        """
        prevalent, kinds = self.recipe.prevalent, self.recipe.corpus.kinds
        if len(prevalent) != 1 or kinds[prevalent[0]] != "video":
            seen = " and ".join(f"{name} ({kinds[name]})" for name in prevalent)
            raise SettingsError(
                f"{source} was trained to see {seen}: predict runs students that see one video and nothing else"
            )
        return self

    @property
    def method(self) -> str:
        """By which it was distilled."""
        return self.schema["method"]

    @property
    def task(self) -> Task:
        """Classes or continuous dimensions, and their names."""
        return Task.model_validate(self.schema["task"])

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes or dimensions."""
        return self.task.labels

    @property
    def modality(self) -> str:
        """Name of the video that it sees."""
        return self.recipe.prevalent[0]

    @property
    def faces(self) -> FaceSettings:
        """How faces are found and cut out."""
        return self.recipe.faces

    @property
    def windows(self) -> ClipWindow | SlidingWindows:
        """What it sees at once."""
        return self.recipe.windows

    @property
    def is_sliding(self) -> bool:
        """Whether it predicts trials whose label changes, rather than whole clips."""
        return isinstance(self.windows, SlidingWindows)

    @property
    def of_classes(self) -> bool:
        """Whether its outputs are logits of classes."""
        return self.task.kind == "classes"

    @property
    def calibration(self) -> Calibration:
        """How far its outputs can be trusted."""
        return Calibration.from_schema(self.schema)

    @property
    def label_scale(self) -> tuple[Sequence[float], Sequence[float]] | None:
        """Mean and standard deviation that its outputs are put back on the labels' scale by; None where they are."""
        scale = self.schema.get("label_scale")
        return None if scale is None else (tuple(scale["mean"]), tuple(scale["std"]))
