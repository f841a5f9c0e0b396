"""A forest as tensors says what its trees say, and of a group in its bags only what strangers say."""

import numpy as np
import pytest
import torch

from pipelines.errors import SettingsError
from pipelines.models.forest import Forest, ForestTeacher
from pipelines.recipe import Task
from pipelines.training.forests import grow_forest

CLASSES = Task(kind="classes", labels=("a", "b", "c"))
STRANGERS = torch.full((120,), -1)
VALUES = Task(kind="continuous", labels=("valence", "arousal"))


def _samples(seed: int = 0) -> tuple[np.ndarray, np.ndarray, list[str]]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((120, 7)).astype(np.float32)
    x[rng.random(x.shape) < 0.1] = np.nan
    y = (np.nan_to_num(x[:, 0]) > 0).astype(np.int64) + (np.nan_to_num(x[:, 1]) > 0.5)
    return x, y, [f"g{number // 10:02d}" for number in range(120)]


def _forest(x: np.ndarray, y: np.ndarray, groups: list[str], task: Task = CLASSES, trees: int = 25) -> Forest:
    return grow_forest(x, y, groups, task=task, trees=trees, seed=(0, "test"))


def _by_scikit_learn(x: np.ndarray, y: np.ndarray, groups: list[str], trees: int) -> np.ndarray:
    """The same trees, grown and asked by scikit-learn alone."""
    from sklearn.tree import DecisionTreeClassifier

    from pipelines.training.seeding import generator

    rng = generator(0, "test")
    names, index = np.unique(groups, return_inverse=True)
    drawn = [rng.multinomial(len(names), np.full(len(names), 1 / len(names))) for _ in range(trees)]
    votes = np.zeros((len(x), 3))
    for counts in drawn:
        weights = counts[index].astype(float)
        tree = DecisionTreeClassifier(max_features="sqrt", random_state=int(rng.integers(2**31)))
        tree.fit(x[weights > 0], y[weights > 0], sample_weight=weights[weights > 0])
        shares = tree.predict_proba(x)
        votes[:, np.asarray(tree.classes_)] += shares / trees
    return votes


def test_strangers_hear_every_tree_as_scikit_learn_asks_it() -> None:
    x, y, groups = _samples()
    votes = _forest(x, y, groups)(torch.from_numpy(x), STRANGERS)
    assert votes.numpy() == pytest.approx(_by_scikit_learn(x, y, groups, 25), abs=1e-6)


def test_votes_on_training_groups_are_those_of_trees_that_never_saw_them() -> None:
    x, y, groups = _samples()
    forest = _forest(x, y, groups)
    votes = forest(torch.from_numpy(x), forest.number(groups)).numpy()
    everyone = forest(torch.from_numpy(x), STRANGERS).numpy()
    assert (everyone.argmax(1) == y).mean() > (votes.argmax(1) == y).mean() > 0.6
    # Labels of a group that change nothing about the other groups' trees must not reach what is said of it.
    other = y.copy()
    mine = np.array(groups) == "g03"
    other[mine] = (other[mine] + 1) % 3
    changed = _forest(x, other, groups)(torch.from_numpy(x), forest.number(groups)).numpy()
    assert changed[mine] == pytest.approx(votes[mine])
    assert np.abs(changed[~mine] - votes[~mine]).max() > 0


def test_values_are_predicted_in_all_dimensions() -> None:
    x, _, groups = _samples()
    y = np.stack([np.nan_to_num(x[:, 0]), -np.nan_to_num(x[:, 1])], 1)
    forest = _forest(x, y, groups, VALUES, trees=60)
    votes = forest(torch.from_numpy(x), forest.number(groups)).numpy()
    assert [np.corrcoef(votes[:, k], y[:, k])[0, 1] > 0.6 for k in range(2)] == [True, True]


def test_absent_features_and_constant_ones_do_no_harm() -> None:
    x, y, groups = _samples()
    padded = np.concatenate([x, np.zeros((len(x), 50), np.float32)], 1)
    assert _forest(padded, y, groups).columns.tolist() == list(range(7))
    votes = _forest(x, y, groups)(torch.full((4, 7), torch.nan), STRANGERS[:4])
    assert votes.sum(1).numpy() == pytest.approx(1, abs=1e-6)


def test_one_group_is_refused() -> None:
    x, y, _ = _samples()
    with pytest.raises(SettingsError, match="of only only"):
        grow_forest(x, y, ["only"] * len(x), task=CLASSES, trees=3, seed=(0,))


def test_the_same_seed_grows_the_same_forest() -> None:
    x, y, groups = _samples()
    first, second = (grow_forest(x, y, groups, task=CLASSES, trees=5, seed=(1,)) for _ in range(2))
    state = second.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in first.state_dict().items())


def test_numbers_of_groups() -> None:
    x, y, groups = _samples()
    assert _forest(x, y, groups).number(["g02", "nobody", "g00"]).tolist() == [2, -1, 0]


def test_a_group_that_every_tree_has_seen_gets_the_prior() -> None:
    x, y, groups = _samples()
    forest = _forest(x, y, groups)
    forest.bags[:] = True
    votes = forest(torch.from_numpy(x[:2]), torch.tensor([0, -1]))
    assert votes[0].numpy() == pytest.approx(np.bincount(y) / len(y), abs=0.06)
    assert (votes[1] - votes[0]).abs().max() > 0.05


def test_a_teacher_is_its_centred_opinion() -> None:
    x, y, groups = _samples()
    names = ("face", "heart")
    forest = _forest(np.concatenate([x, x[:, ::-1]], 1), y, groups)
    teacher = ForestTeacher(modalities=names, forest=forest, embedding=8, is_classes=True)
    inputs = {"face": torch.from_numpy(x[:6]), "heart": torch.from_numpy(x[:6, ::-1].copy())}
    present = {"face": torch.ones(6, dtype=torch.bool), "heart": torch.tensor([True] * 3 + [False] * 3)}
    embedding, output = teacher(inputs, present, STRANGERS[:6])
    cooler = ForestTeacher(modalities=names, forest=forest, embedding=8, is_classes=True, temperature=0.5)
    torch.testing.assert_close(cooler(inputs, present, STRANGERS[:6])[1], 2 * output)
    assert output.exp().sum(1).numpy() == pytest.approx(1, abs=1e-5)
    assert embedding[:, :3].numpy() == pytest.approx((output - output.mean(1, keepdim=True)).numpy(), abs=1e-6)
    assert embedding[:, 3:].abs().max() == 0
    inputs["heart"][3:] = 1e9  # absent: what stands there cannot matter
    torch.testing.assert_close(teacher(inputs, present, STRANGERS[:6])[1], output, atol=0, rtol=0)
