"""Published weights: what there is, where it lies, and how it gets there. Knows files and hashes, no networks."""

from pipelines.weights.cache import State, cache_folder, digest_of, path_of, require, state_of
from pipelines.weights.fetching import ensure, fetch, is_offline
from pipelines.weights.registry import REGISTRY, Weights, get_weights

__all__ = [
    "REGISTRY", "State", "Weights", "cache_folder", "digest_of", "ensure", "fetch", "get_weights", "is_offline",
    "path_of", "require", "state_of",
]  # fmt: skip
