"""Growing a random forest (Breiman 2001) whose bags are bootstraps of groups.

A usual forest draws clips: most of a subject's clips are then in every bag, and what the trees without one clip say of
it is still said by trees that know the subject. With whole groups in the bag, out of bag means never seen.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from pipelines.errors import SettingsError
from pipelines.models.forest import Forest
from pipelines.recipe import Task
from pipelines.training.seeding import generator


def grow_forest(
    x: np.ndarray, target: np.ndarray, groups: Sequence[str], *, task: Task, trees: int, seed: tuple[object, ...]
) -> Forest:
    """Grow trees on labelled samples, each on the groups that it drew and a random choice of features at every split.

    Args:
        x: (N, K) float32, NaN where missing.
        target: (N,) class indices or (N, C) values.
        groups: of the N samples, at least two different ones.
        task: what is predicted.
        trees: how many.
        seed: parts of a seed.

    Raises:
        SettingsError: all samples are of one group.
    """
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < 2:
        raise SettingsError(
            f"teachers.model = forest needs labelled samples of two groups or more, these are of {', '.join(names)} "
            "only: fewer folds, a larger protocol.labelled or the model network may do"
        )
    rng = generator(*seed)
    columns = _varying(x)
    x = x[:, columns]
    drawn = [rng.multinomial(len(names), np.full(len(names), 1 / len(names))) for _ in range(trees)]
    parts: list[dict[str, np.ndarray]] = []
    depth, offset = 0, 0
    for counts in drawn:
        tree = _grow_tree(x, target, counts[index].astype(float), task, int(rng.integers(2**31)))
        parts.append(_nodes(tree, task, offset))
        depth, offset = max(depth, tree.get_depth()), offset + tree.tree_.node_count
    state = {name: torch.from_numpy(np.concatenate([part[name] for part in parts])) for name in parts[0]}
    state["bags"] = torch.from_numpy(np.stack(drawn) > 0)
    state["columns"] = torch.from_numpy(columns)
    return Forest(state, depth=depth, groups=names.tolist())


def _varying(x: np.ndarray) -> np.ndarray:
    """Columns of (N, K) that tell samples apart; where none does the first, and a tree is one leaf."""
    with np.errstate(invalid="ignore"):
        same = (x == x[:1]) | (np.isnan(x) & np.isnan(x[:1]))
    columns = np.flatnonzero(~same.all(axis=0))
    return columns if len(columns) else np.arange(1)


def _grow_tree(x: np.ndarray, target: np.ndarray, weights: np.ndarray, task: Task, seed: int) -> Any:
    """A tree of scikit-learn on the samples whose weight is not zero."""
    tree, kept = _make_tree(task, seed), weights > 0
    with warnings.catch_warnings():
        # Few groups and many classes make a bag that scikit-learn takes for a regression.
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        return tree.fit(x[kept], target[kept], sample_weight=weights[kept])


def _make_tree(task: Task, seed: int) -> Any:
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    if task.kind == "classes":
        return DecisionTreeClassifier(max_features="sqrt", random_state=seed)
    return DecisionTreeRegressor(max_features=1 / 3, min_samples_leaf=5, random_state=seed)


def _nodes(tree: Any, task: Task, offset: int) -> dict[str, np.ndarray]:
    """A tree's nodes, numbered from `offset`; a leaf is its own child."""
    grown = tree.tree_
    own = np.arange(grown.node_count, dtype=np.int64) + offset
    is_leaf = grown.children_left < 0
    value = np.zeros((grown.node_count, task.num_outputs), np.float32)
    if task.kind == "classes":
        shares = grown.value[:, 0]
        value[:, tree.classes_] = shares / shares.sum(axis=1, keepdims=True)
    else:
        value[:] = grown.value[:, :, 0]
    return {
        "feature": np.where(is_leaf, -1, grown.feature).astype(np.int64),
        "threshold": grown.threshold.astype(np.float64),
        "left": np.where(is_leaf, own, grown.children_left + offset),
        "right": np.where(is_leaf, own, grown.children_right + offset),
        "missing_left": grown.missing_go_to_left.astype(bool),
        "value": value,
        "roots": own[:1],
    }
