import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import SettingsError
from pipelines.protocols.splits import make_fits, make_splits
from pipelines.recipe import ProtocolSettings

GROUPS = [f"s{i:02d}" for i in range(20)]


@given(
    count=st.integers(4, 60),
    folds=st.integers(2, 10),
    seed=st.integers(0, 5),
    share=st.floats(0.01, 0.8),
    name=st.sampled_from(["k-fold", "loso"]),
)
def test_no_group_is_ever_on_two_sides(count, folds, seed, share, name):
    groups = [f"s{i:02d}" for i in range(count)]
    settings = ProtocolSettings(name=name, folds=min(folds, count), seeds=(seed,), validation_share=share)
    splits = make_splits(groups, settings)
    for split in splits:
        parts = [set(split.train), set(split.validation), set(split.test)]
        assert all(parts)
        assert sum(map(len, parts)) == count
        assert set.union(*parts) == set(groups)
    tested = [group for split in splits for group in split.test]
    assert sorted(tested) == groups


def test_test_groups_do_not_depend_on_the_seed_but_validation_groups_do():
    splits = make_splits(GROUPS, ProtocolSettings(folds=5, seeds=(0, 1)))
    zero, one = splits[0], splits[1]
    assert (zero.fold, one.fold, zero.seed, one.seed) == (0, 0, 0, 1)
    assert zero.test == one.test
    assert zero.validation != one.validation


def test_splits_do_not_depend_on_the_order_of_the_clips():
    settings = ProtocolSettings(folds=4)
    assert make_splits(GROUPS[::-1] * 3, settings) == make_splits(GROUPS, settings)


def test_hold_out_tests_the_published_subjects_only():
    (split,) = make_splits(GROUPS, ProtocolSettings(name="hold-out"), ["s03", "s07", "absent"])
    assert split.test == ("s03", "s07")


def test_hold_out_without_published_subjects_is_refused():
    with pytest.raises(SettingsError, match="0 of the 0 published test subjects"):
        make_splits(GROUPS, ProtocolSettings(name="hold-out"))


def test_too_few_subjects_are_refused_with_their_number():
    with pytest.raises(SettingsError, match=r"protocol\.folds = 5 needs at least 5 subjects .* the cache has 4"):
        make_splits(GROUPS[:4], ProtocolSettings(folds=5))


def test_cross_fitting_judges_every_training_group_once_by_teachers_that_have_not_seen_it():
    (split,) = make_splits(GROUPS, ProtocolSettings(name="hold-out"), GROUPS[:5])
    full, *parts = make_fits(split, 3)
    assert (full.name, full.train, full.held_out) == ("full", split.train, ())
    judged = [group for fit in parts for group in fit.held_out]
    assert sorted(judged) == sorted(split.train)
    for fit in parts:
        assert not set(fit.train) & set(fit.held_out)
        assert set(fit.train) | set(fit.held_out) == set(split.train)
        assert fit.validation == split.validation


def test_cross_fitting_off_leaves_the_full_fit():
    split = make_splits(GROUPS, ProtocolSettings())[0]
    assert [fit.name for fit in make_fits(split, 0)] == ["full"]


def test_cross_fitting_with_too_few_subjects_is_refused():
    split = make_splits(GROUPS[:5], ProtocolSettings(folds=5))[0]
    assert len(split.train) == 3
    with pytest.raises(SettingsError, match=r"cross_fit = 3 needs at least 4 training subjects, fold 0 has 3"):
        make_fits(split, 3)


@given(count=st.integers(12, 60), labelled=st.floats(0.2, 1.0), share=st.floats(0.05, 0.6), seed=st.integers(0, 5))
def test_hidden_labels_are_of_training_groups_and_the_rest_is_split_as_ever(count, labelled, share, seed):
    groups = [f"s{i:02d}" for i in range(count)]
    settings = ProtocolSettings(folds=3, seeds=(seed,), validation_share=share, labelled=labelled)
    for split in make_splits(groups, settings):
        rest = set(split.train) | set(split.validation)
        assert set(split.unlabelled) < set(split.train)
        assert len(rest) - len(split.unlabelled) == round(labelled * len(rest))
        assert not rest & set(split.test)
        assert len(rest) + len(split.test) == count
    whole = make_splits(groups, settings.model_copy(update={"labelled": 1.0}))
    assert [split.test for split in whole] == [split.test for split in make_splits(groups, settings)]
    assert all(split.unlabelled == () for split in whole)


def test_every_part_of_the_cross_fitting_has_labels_to_train_and_to_judge_on():
    split = make_splits(GROUPS, ProtocolSettings(folds=4, labelled=0.5, validation_share=0.2))[0]
    for fit in make_fits(split, 3)[1:]:
        for part in (fit.train, fit.held_out):
            assert set(part) - set(split.unlabelled)
            assert set(part) & set(split.unlabelled)
    few = make_splits(GROUPS, ProtocolSettings(folds=4, labelled=0.2, validation_share=0.2))[0]
    with pytest.raises(SettingsError, match=r"needs at least 4 training subjects, fold 0 has 2 with labels"):
        make_fits(few, 3)


def test_too_few_labels_are_refused():
    with pytest.raises(SettingsError, match=r"protocol.labelled = 0.05 leaves 1 of 15 training subjects of fold 0"):
        make_splits(GROUPS, ProtocolSettings(folds=4, labelled=0.05))
