"""Seeds derived by name, so that no random state has to be carried or saved.

Every epoch of every training reseeds from (seed, what is trained, epoch). A run that is killed and resumed, trained in
another order or in another process draws the same numbers.
"""

import hashlib
import os

import numpy as np
import torch


def derive_seed(*parts: object) -> int:
    """A 63-bit seed that is a pure function of its parts."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def generator(*parts: object) -> np.random.Generator:
    """A numpy generator seeded by its parts."""
    return np.random.default_rng(derive_seed(*parts))


def make_deterministic(threads: int) -> None:
    """Choose the number of CPU threads and deterministic algorithms for this process.

    On CUDA an operation without a deterministic version warns instead of failing: bitwise equality is promised on the
    CPU only.
    """
    # cuBLAS reads it when it starts; without it every matrix product warns that it may not repeat.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
