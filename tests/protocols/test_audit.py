import pytest

from pipelines.errors import LeakageError
from pipelines.protocols.audit import Evidence, audit
from pipelines.protocols.splits import Split

SPLIT = Split(fold=2, seed=0, train=("a", "b"), validation=("c",), test=("d",))


def evidence(purpose, *groups):
    return Evidence("teacher eda", purpose, frozenset(groups))


def test_an_honest_training_passes():
    audit(
        SPLIT,
        [
            evidence("weights", "a"),
            evidence("statistics", "a", "b"),
            evidence("selection", "c"),
            evidence("calibration", "c"),
        ],
    )


@pytest.mark.parametrize(
    ("purpose", "group", "message"),
    [
        ("weights", "d", r"weights are trained on test subjects \(d\), only the train part"),
        ("weights", "c", r"weights are trained on subjects outside its part \(c\)"),
        ("statistics", "d", r"normalisation statistics are fitted on test subjects \(d\)"),
        ("statistics", "c", r"normalisation statistics are fitted on subjects outside its part \(c\)"),
        ("selection", "d", r"epochs are selected on test subjects \(d\), only the validation part"),
        ("selection", "a", r"epochs are selected on subjects outside its part \(a\)"),
        ("calibration", "d", r"confidence is calibrated on test subjects \(d\), only the validation part"),
        ("calibration", "a", r"confidence is calibrated on subjects outside its part \(a\)"),
        ("test", "a", r"results are measured on subjects outside its part \(a\)"),
        ("weights", "stranger", r"outside its part \(stranger\)"),
    ],
)
def test_each_kind_of_leak_is_refused_by_name(purpose, group, message):
    with pytest.raises(LeakageError, match=message) as caught:
        audit(SPLIT, [evidence(purpose, group)])
    assert "fold 2, seed 0, teacher eda" in str(caught.value)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"train": ("a", "d")}, "d in both the train and the test part"),
        ({"validation": ("d",)}, "d in both the validation and the test part"),
        ({"validation": ("a",)}, "a in both the train and the validation part"),
        ({"validation": ()}, "nobody in the validation part"),
        ({"test": ()}, "nobody in the test part"),
    ],
)
def test_a_split_that_shares_or_lacks_a_part_is_refused(parts, message):
    with pytest.raises(LeakageError, match=message):
        audit(Split(**{**vars(SPLIT), **parts}), [])
