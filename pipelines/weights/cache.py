"""The one folder of published weights: torch hub's, because the face-alignment package looks there too.

`TORCH_HOME` moves it for all of them; there is no setting of our own beside that one.
"""

import hashlib
import os
from pathlib import Path
from typing import Literal

from pipelines.errors import MtpkdError
from pipelines.weights.registry import Weights, get_weights

State = Literal["there", "absent", "damaged"]


def cache_folder() -> Path:
    """Where torch hub keeps checkpoints (`torch.hub.get_dir`), found without importing torch."""
    caches = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("TORCH_HOME", os.path.join(caches, "torch"))
    return Path(home).expanduser() / "hub" / "checkpoints"


def path_of(weights: Weights) -> Path:
    """Where the file belongs, whether it is there or not."""
    return cache_folder() / weights.file_name


def digest_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def state_of(weights: Weights) -> State:
    """Whether the file is there and is the published one; reads all of it."""
    path = path_of(weights)
    if not path.is_file():
        return "absent"
    return "there" if digest_of(path) == weights.sha256 else "damaged"


def require(name: str) -> Path:
    """The path of weights that must be there already, unread. Raises MtpkdError where they are not."""
    path = path_of(get_weights(name))
    if not path.is_file():
        raise MtpkdError(f"{path} is missing: `mtpkd weights fetch {name}` fetches it")
    return path
