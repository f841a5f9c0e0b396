"""A student's graph in onnxruntime: nothing here, and nothing that it imports, needs torch.

- The graph carries its description, so that the one file is enough.
- A long recording goes through in parts. Each part is given the windows on either side that its own see, and only its
  own outputs are kept: the result is that of the whole, and memory does not grow with the recording.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.errors import MtpkdError, SettingsError
from pipelines.inference.description import StudentDescription

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

DESCRIPTION_KEY = "mtpkd"
"""Under which a graph's metadata hold the student's description."""
INPUTS, OUTPUT = ("windows", "present"), "outputs"
"""Names in the graph."""
_AT_ONCE = 32
"""Windows in one pass, beside their neighbours."""
_EXTRA = "onnxruntime is not installed: pip install 'mtpkd[export]'"


class OnnxRuntime:
    """See `pipelines.inference.runtime.Runtime`.

    Args:
        path: a file that `mtpkd export --format onnx` wrote.
        threads: processors to use; None leaves it to onnxruntime.

    Raises:
        SettingsError: onnxruntime is not installed, or the student sees something else than one video.
        MtpkdError: the file is absent, damaged, or not written by mtpkd.
    """

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        if not path.is_file():
            raise MtpkdError(f"{path} is not there: `mtpkd export STUDENT --format onnx` writes such a file")
        self._session, metadata = _open(path, threads)
        text = metadata.get(DESCRIPTION_KEY)
        names = tuple(item.name for item in self._session.get_inputs())
        if text is None or names != INPUTS:
            raise MtpkdError(f"{path} is an ONNX graph, but not of a student: give one that `mtpkd export` wrote")
        self.description = StudentDescription.from_json(text, source=str(path))

    def __call__(self, windows: np.ndarray, present: np.ndarray) -> np.ndarray:
        """See Runtime."""
        if not len(windows):
            return np.zeros((0, len(self.description.labels)), np.float32)
        seen = self.description.windows.context // 2
        parts = []
        for start in range(0, len(windows), _AT_ONCE):
            stop = min(start + _AT_ONCE, len(windows))
            first, last = max(start - seen, 0), min(stop + seen, len(windows))
            part = dict(zip(INPUTS, (windows[first:last], present[first:last]), strict=True))
            outputs = self._session.run([OUTPUT], part)[0]
            parts.append(np.asarray(outputs)[start - first : stop - first])
        return np.concatenate(parts)


def _open(path: Path, threads: int | None) -> "tuple[InferenceSession, dict[str, str]]":
    """The graph and its metadata."""
    try:
        import onnxruntime
    except ImportError:
        raise SettingsError(_EXTRA) from None
    from onnxruntime.capi import onnxruntime_pybind11_state as state  # pyright: ignore[reportAttributeAccessIssue]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    refusals = (state.Fail, state.InvalidGraph, state.InvalidProtobuf, state.InvalidArgument, state.NotImplemented)
    try:
        # Its fallback would try the same again, and print a banner about it.
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"], enable_fallback=0)
        return session, session.get_modelmeta().custom_metadata_map
    except (*refusals, UnicodeDecodeError) as error:  # the latter of a name or a text that is none
        reason = str(error).splitlines()[0]
        raise MtpkdError(f"{path} is not a graph that onnxruntime can run ({reason}): export it again") from None
