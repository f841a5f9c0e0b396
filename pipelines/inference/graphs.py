"""A student as a file that runs without mtpkd: an ONNX graph, or a torch.export program.

- Both are traced once, with the numbers of windows and of frames open: what differs is only the file.
- Every file is read back and run against the checkpoint on random windows, absent ones among them, before anyone else
  sees it.
- The trace remembers where each operation stood in the source. Those paths of the exporting machine are taken out.
"""

import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipelines import __version__
from pipelines.errors import MtpkdError, SettingsError
from pipelines.inference.description import StudentDescription
from pipelines.inference.onnx_runtime import DESCRIPTION_KEY, INPUTS, OUTPUT
from pipelines.inference.runtime import Runtime
from pipelines.media.sampling import PIXEL_MEAN, PIXEL_STD
from pipelines.models.recording import RecordingNetwork
from pipelines.recipe.loading import plain

OPSET = 20
"""Of ONNX; onnxruntime knows it since 1.17."""
TOLERANCE = 1e-4
"""Largest difference to the checkpoint, in logits, or in the unit of the labels' spread where that is above 1."""


def graph_metadata(description: StudentDescription) -> dict[str, str]:
    """What a graph tells about itself: the whole description, and the parts of it that other programs ask for."""
    readable = {
        "labels": list(description.labels),
        "task": description.task.kind,
        "pixel_mean": PIXEL_MEAN.tolist(),
        "pixel_std": PIXEL_STD.tolist(),
        "crop_size": description.faces.size,
        "frames": description.windows.frames,
        "window": plain(description.windows),
        "mtpkd_version": __version__,
    }
    values = {name: value if isinstance(value, str) else json.dumps(value) for name, value in readable.items()}
    return {**values, DESCRIPTION_KEY: description.to_json()}


def write_onnx(network: RecordingNetwork, path: Path, description: StudentDescription) -> None:
    """Write an ONNX graph: `windows` (W, 3, T, S, S) float32, `present` (W,) bool -> `outputs` (W, C) float32.

    Raises:
        SettingsError: onnx or onnxscript is not installed.
    """
    try:
        import onnxscript  # noqa: F401
    except ImportError:
        raise SettingsError("onnx and onnxscript are not installed: pip install 'mtpkd[export]'") from None
    with _quiet("torch.onnx"):
        program = torch.onnx.export(
            trace(network, description), input_names=INPUTS, output_names=[OUTPUT], opset_version=OPSET,
            dynamic_shapes=({0: "W", 2: "T"}, {0: "W"}), dynamo=True, external_data=False, verbose=False,
        )  # fmt: skip
    assert program is not None
    model: Any = program.model
    model.metadata_props.update(graph_metadata(description))
    for node in model.graph.all_nodes():
        node.metadata_props.clear()
    program.save(path, external_data=False)


def write_program(network: RecordingNetwork, path: Path, description: StudentDescription) -> None:
    """Write a torch.export program of the same inputs and output; the metadata are its extra file `mtpkd.json`."""
    program = trace(network, description)
    # Without the example that it was traced with: nobody needs it, and it is the one part that would be a pickle.
    program._example_inputs = None
    with _quiet("torch.export"), path.open("wb") as stream:
        torch.export.save(program, stream, extra_files={_PROGRAM_METADATA: json.dumps(graph_metadata(description))})


_PROGRAM_METADATA = "mtpkd.json"


def trace(network: RecordingNetwork, description: StudentDescription) -> torch.export.ExportedProgram:
    """The network as a graph in which the numbers of windows and of frames, from 1 on, are open."""
    from torch.fx.experimental import _config as tracing

    size, many = description.faces.size, torch.export.Dim.DYNAMIC
    windows = torch.zeros(3, 3, max(description.windows.frames, 2), size, size)
    # Else a network whose strides shorten time would be bound to the range of T in which as many frames are left.
    with torch.no_grad(), tracing.patch(backed_size_oblivious=True):  # pyright: ignore[reportAttributeAccessIssue]
        program = torch.export.export(
            network,
            (windows, torch.tensor([True, False, True])),
            dynamic_shapes=({0: many, 2: many}, {0: many}),
            strict=False,
        )
    for node in program.graph.nodes:
        for key in ("stack_trace", "nn_module_stack", "source_fn_stack", "from_node"):
            node.meta.pop(key, None)
    return program


class ProgramRuntime:
    """A program that was just written, as a Runtime: to check it, never to run what others wrote.

    Args:
        path: of `write_program`.
        description: of the student.
    """

    def __init__(self, path: Path, description: StudentDescription) -> None:
        self.description = description
        with path.open("rb") as stream:
            self._run = torch.export.load(stream).module()

    @torch.no_grad()
    def __call__(self, windows: np.ndarray, present: np.ndarray) -> np.ndarray:
        """See Runtime."""
        return self._run(torch.from_numpy(windows), torch.from_numpy(present)).numpy()


@dataclass(frozen=True)
class Agreement:
    """How a graph compares with its checkpoint.

    Attributes:
        largest: difference of two outputs, in the unit of `TOLERANCE`.
        windows, frames: numbers that were tried.
    """

    largest: float
    windows: tuple[int, ...]
    frames: tuple[int, ...]


def check_graph(graph: Runtime, checkpoint: Runtime) -> Agreement:
    """Run both on random windows, of which some are absent and hold NaN.

    Raises:
        MtpkdError: they differ by more than `TOLERANCE`, or in which windows have a value.
    """
    description, random = checkpoint.description, np.random.default_rng(0)
    size, unit = description.faces.size, _unit(description)
    numbers = (1, description.windows.context + 3)
    frames = (description.windows.frames, description.windows.frames + 1)
    largest = 0.0
    for count in numbers:
        for length in frames:
            windows = random.standard_normal((count, 3, length, size, size), np.float32)
            present = np.arange(count) % 3 != 1
            windows[~present] = np.nan
            ours, theirs = graph(windows, present), checkpoint(windows, present)
            if ours.shape != theirs.shape or not np.array_equal(np.isfinite(ours), np.isfinite(theirs)):
                raise MtpkdError(f"the graph has values where the checkpoint has none, for {count} windows")
            largest = max(largest, float(np.abs((ours - theirs) / unit)[present].max()))
    if not largest <= TOLERANCE:
        raise MtpkdError(f"the graph differs from the checkpoint by {largest:.1e}, more than {TOLERANCE:g}")
    return Agreement(largest, numbers, frames)


def _unit(description: StudentDescription) -> np.ndarray:
    scale: Sequence[float] = description.label_scale[1] if description.label_scale else (1.0,)
    return np.maximum(scale, 1.0)


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Without what a part of torch remarks on packages that the graph does not need, and on its own future."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.filterwarnings("ignore", message=".*axis name")  # two inputs share W, as they are meant to
            yield
    finally:
        logger.setLevel(before)
