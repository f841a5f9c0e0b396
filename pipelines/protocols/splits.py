"""Subject-independent protocols: who trains, who validates, who tests, always by whole groups.

Each protocol is a class that only chooses the test groups of every fold; the validation groups for early stopping are
drawn from what is left, by seed, and cross-fitting divides the training groups once more. All of it is a pure function
of the sorted group names and the settings, so every stage arrives at the same split without passing it on.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.errors import SettingsError
from pipelines.recipe import ProtocolSettings

_FOLD_SEED = 20240819
"""Folds do not depend on the training seed: seeds are compared on the same test subjects."""


@dataclass(frozen=True)
class Split:
    """One fold and seed: three disjoint sets of groups, and the training groups whose labels are not looked at."""

    fold: int
    seed: int
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    unlabelled: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fit:
    """One training of all teachers within a split.

    Attributes:
        name: `full`, or `cross-J` for a part of the cross-fitting.
        train: groups that the networks are trained on.
        validation: groups that stop the training early.
        held_out: training groups of the split that this fit has not seen; empty for `full`.
    """

    name: str
    train: tuple[str, ...]
    validation: tuple[str, ...]
    held_out: tuple[str, ...]


class Protocol(ABC):
    """Chooses the test groups of every fold."""

    @abstractmethod
    def test_groups(self, groups: Sequence[str]) -> list[tuple[str, ...]]:
        """The test groups of each fold, for sorted group names. Raises SettingsError where they do not suffice."""


@dataclass(frozen=True)
class LeaveOneSubjectOut(Protocol):
    """As many folds as subjects."""

    def test_groups(self, groups: Sequence[str]) -> list[tuple[str, ...]]:
        """See Protocol."""
        _require(groups, 4, "loso")
        return [(group,) for group in groups]


@dataclass(frozen=True)
class GroupedKFold(Protocol):
    """k folds; every subject is tested exactly once."""

    folds: int

    def test_groups(self, groups: Sequence[str]) -> list[tuple[str, ...]]:
        """See Protocol."""
        _require(groups, max(self.folds, 4), f"k-fold with protocol.folds = {self.folds}")
        order = np.random.default_rng(_FOLD_SEED).permutation(len(groups))
        shuffled = [groups[int(i)] for i in order]
        return [tuple(sorted(shuffled[fold :: self.folds])) for fold in range(self.folds)]


@dataclass(frozen=True)
class HoldOut(Protocol):
    """One fold with the corpus' published test subjects."""

    published: tuple[str, ...]

    def test_groups(self, groups: Sequence[str]) -> list[tuple[str, ...]]:
        """See Protocol."""
        test = tuple(group for group in groups if group in set(self.published))
        if not test or len(groups) - len(test) < 3:
            raise SettingsError(
                f"protocol.name = 'hold-out': {len(test)} of the {len(self.published)} published test subjects are in "
                f"the cache and {len(groups) - len(test)} others; use protocol.name = k-fold"
            )
        return [test]


def make_protocol(settings: ProtocolSettings, published_hold_out: Sequence[str] = ()) -> Protocol:
    """The protocol that a recipe names; `published_hold_out` are the corpus' own test subjects, if it has any."""
    if settings.name == "loso":
        return LeaveOneSubjectOut()
    if settings.name == "k-fold":
        return GroupedKFold(settings.folds)
    return HoldOut(tuple(published_hold_out))


def make_splits(
    groups: Sequence[str], settings: ProtocolSettings, published_hold_out: Sequence[str] = ()
) -> list[Split]:
    """Every (fold, seed) of a protocol, in order."""
    names = sorted(set(groups))
    folds = make_protocol(settings, published_hold_out).test_groups(names)
    return [
        _inner_split(names, test, fold, seed, settings) for fold, test in enumerate(folds) for seed in settings.seeds
    ]


def make_fits(split: Split, parts: int) -> list[Fit]:
    """The full fit, and for cross-fitting one fit a part of the training groups, trained on the other parts."""
    full = Fit("full", split.train, split.validation, ())
    if parts == 0:
        return [full]
    hidden = set(split.unlabelled)
    labelled = len(split.train) - len(hidden)
    if labelled <= parts:
        raise SettingsError(
            f"teachers.cross_fit = {parts} needs at least {parts + 1} training subjects, fold {split.fold} has "
            f"{labelled}{' with labels' if hidden else ''}: lower it, or 0 to use in-sample teacher losses"
        )
    order = np.random.default_rng([_FOLD_SEED, split.fold, split.seed]).permutation(len(split.train))
    ordered = [split.train[i] for i in order]
    # Dealt separately, so that every part has labels to train and to judge on.
    kinds = [[g for g in ordered if g not in hidden], [g for g in ordered if g in hidden]]
    fits = [full]
    for part in range(parts):
        held_out = {group for kind in kinds for group in kind[part::parts]}
        train = tuple(group for group in split.train if group not in held_out)
        fits.append(Fit(f"cross-{part}", train, split.validation, tuple(sorted(held_out))))
    return fits


def _inner_split(
    groups: Sequence[str], test: tuple[str, ...], fold: int, seed: int, settings: ProtocolSettings
) -> Split:
    rest = [group for group in groups if group not in set(test)]
    order = np.random.default_rng([_FOLD_SEED, fold, seed]).permutation(len(rest))
    shuffled = [rest[i] for i in order]
    known = round(settings.labelled * len(rest))
    if known < 2:
        raise SettingsError(
            f"protocol.labelled = {settings.labelled} leaves {known} of {len(rest)} training subjects of fold {fold} "
            "with labels: at least one is trained on, and one validated on"
        )
    # Those who stop the training early have labels too: they count among the share that was paid for.
    count = max(1, min(round(settings.validation_share * known), known - 1))
    validation, unlabelled = set(shuffled[:count]), set(shuffled[known:])
    return Split(
        fold=fold,
        seed=seed,
        train=tuple(group for group in rest if group not in validation),
        validation=tuple(sorted(validation)),
        test=test,
        unlabelled=tuple(sorted(unlabelled)),
    )


def _require(groups: Sequence[str], least: int, what: str) -> None:
    if len(groups) < least:
        raise SettingsError(f"{what} needs at least {least} subjects with usable clips, the cache has {len(groups)}")
