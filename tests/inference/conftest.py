"""A student without weights: what it says of a window is the mean brightness of the pixels that it is shown."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from pipelines.inference.description import StudentDescription
from pipelines.media.faces import FaceCrop
from pipelines.media.sampling import PIXEL_MEAN, PIXEL_STD
from pipelines.recipe.loading import load_recipe, override_recipe

SIZE = 32
RATE = 25.0


class BrightnessRuntime:
    """Logits (-b, b), or values (b, -b), of the brightness b in -1 to 1; with a context, averaged over neighbours."""

    def __init__(self, description: StudentDescription) -> None:
        self.description = description
        self.calls: list[int] = []

    def __call__(self, windows: np.ndarray, present: np.ndarray) -> np.ndarray:
        """See Runtime."""
        self.calls.append(len(windows))
        pixels = windows * PIXEL_STD[:, None, None, None] + PIXEL_MEAN[:, None, None, None]
        said = pixels.mean(axis=(1, 2, 3, 4)) * 2 - 1
        half, outputs = self.description.windows.context // 2, np.full((len(windows), 2), np.nan)
        for row in np.flatnonzero(present):
            near = slice(max(row - half, 0), row + half + 1)
            mean = said[near][present[near]].mean()
            outputs[row] = (-mean, mean) if self.description.of_classes else (mean, -mean)
        return outputs


@pytest.fixture
def describe() -> Callable[..., StudentDescription]:
    """Makes a description of a student of clips, or of trials."""

    def make(*, sliding: bool = False, calibration: dict | None = None, scale: dict | None = None, **changes):
        recipe = override_recipe(
            load_recipe("demo-affwild2" if sliding else "demo"),
            **{"faces.size": SIZE, "faces.storage": "raw", **changes},
        )
        task = {"kind": "continuous", "labels": ["valence", "arousal"]} if sliding or scale else None
        schema = {"method": "none", "task": task or {"kind": "classes", "labels": ["BL1", "PA4"]}}
        schema |= {} if calibration is None else {"calibration": calibration}
        schema |= {} if scale is None else {"label_scale": scale}
        return StudentDescription(recipe, schema).checked("student")

    return make


@pytest.fixture
def runtime() -> type[BrightnessRuntime]:
    """The class of runtimes."""
    return BrightnessRuntime


@pytest.fixture
def crops() -> Callable[..., Iterator[FaceCrop]]:
    """Makes grey crops, one a frame; a level of None is a frame without a face."""

    def make(levels, rate: float = RATE) -> Iterator[FaceCrop]:
        for index, level in enumerate(levels):
            if level is None:
                yield FaceCrop(index, index / rate, None, None)
            else:
                image = np.full((SIZE, SIZE, 3), round(level), np.uint8)
                yield FaceCrop(index, index / rate, (1.0, 2.0, 30.0, 31.0), image)

    return make


class FakeSource:
    """Crops from memory, behind the interface of a video."""

    def __init__(self, crops: Callable[[], Iterator[FaceCrop]], *, live: bool = False) -> None:
        self.name, self.live, self._crops = "fake", live, crops
        self.rate, self.seconds = RATE, None
        self.read = 0

    def crops(self, settings, detector) -> Iterator[FaceCrop]:
        """See Source."""
        for crop in self._crops():
            self.read += 1
            yield crop

    def smoothing_width(self, seconds: float) -> int | None:
        """See Source."""
        return None if seconds else 1

    def pictures(self) -> Iterator[np.ndarray]:
        """See Source."""
        return (np.full((240, 320, 3), 90, np.uint8) for _ in self._crops())


@pytest.fixture
def fake_source() -> type[FakeSource]:
    """The class of fake sources."""
    return FakeSource


@pytest.fixture
def student_file(describe, tmp_path) -> Path:
    """A checkpoint with random weights, of a student of clips."""
    import torch

    from pipelines.recipe import Task
    from pipelines.training.checkpoints import save_checkpoint
    from pipelines.training.restoring import make_student, make_teacher

    description = describe(**{"model.embedding": 16, "model.width": 8, "windows.frames": 4})
    recipe, task = description.recipe, Task.model_validate(description.schema["task"])
    torch.manual_seed(0)
    teacher = make_teacher(recipe, "faces", task, (3, 4, SIZE, SIZE))
    student = make_student(recipe, "none", 2)
    state = {f"student.{name}": tensor for name, tensor in student.state_dict().items()}
    state |= {f"encoders.faces.{name}": tensor for name, tensor in teacher.state_dict().items()}
    schema = {**description.schema, "encoders": {"faces": {"shape": [3, 4, SIZE, SIZE]}}, "prevalent": ["faces"]}
    save_checkpoint(tmp_path / "student.safetensors", state, schema, recipe)
    return tmp_path / "student.safetensors"
