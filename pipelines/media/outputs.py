"""Writing what was taken out of a single file to where the user asked for it."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.errors import SettingsError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays by name as one npz file.

    Raises:
        SettingsError: the file cannot be written.
    """
    try:
        with path.open("wb") as file:  # given a name, savez would append its own suffix
            np.savez(file, allow_pickle=False, **arrays)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be written: {error.strerror}") from None


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a figure in the format of the path's suffix.

    Raises:
        SettingsError: the file cannot be written, or its suffix is no picture format.
    """
    try:
        figure.savefig(path, dpi=100)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be written: {error.strerror}") from None
    except ValueError as error:  # matplotlib's message lists the formats it knows
        raise SettingsError(f"{path}: {error}") from None
