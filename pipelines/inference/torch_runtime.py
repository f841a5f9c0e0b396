"""A student's networks in torch: the one module of inference that imports it."""

from pathlib import Path

import numpy as np
import torch

from pipelines.errors import SettingsError
from pipelines.inference.description import StudentDescription
from pipelines.training.checkpoints import load_checkpoint
from pipelines.training.restoring import restore_recording


class TorchRuntime:
    """See `pipelines.inference.runtime.Runtime`.

    Args:
        path: a student's checkpoint.
        device: `cpu`, `cuda`, or one of several as `cuda:1`.

    Raises:
        MtpkdError: the file is absent, damaged, no student, or one that sees more than one video.
        SettingsError: there is no such device here.
    """

    def __init__(self, path: Path, *, device: str = "cpu") -> None:
        checkpoint = load_checkpoint(path)
        self.description = StudentDescription.of(checkpoint, source=str(path))
        network = restore_recording(checkpoint)
        try:
            self._network = network.to(device)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            raise SettingsError(f"--device {device}: torch cannot use it here ({reason}); use cpu") from None
        self._device = torch.device(device)

    @torch.inference_mode()
    def __call__(self, windows: np.ndarray, present: np.ndarray) -> np.ndarray:
        """See Runtime."""
        there = torch.from_numpy(present).to(self._device)
        return self._network(torch.from_numpy(windows).to(self._device), there).float().cpu().numpy()
