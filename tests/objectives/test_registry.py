import pytest
import torch

from pipelines.errors import SettingsError
from pipelines.objectives import METHODS, DistillationBatch, make_objective, task_loss
from pipelines.recipe import DistillationSettings


def test_every_default_method_exists_and_says_what_it_is():
    assert set(DistillationSettings().methods) <= set(METHODS)
    for name, method in METHODS.items():
        assert method.name == name
        assert method.stands_in in ("nothing", "zeros", "hallucination")
        assert method.description
        assert "\n" not in method.description
        assert method.reference


@pytest.mark.parametrize(
    ("name", "stands_in"), [("none", "nothing"), ("none-matched", "zeros"), ("none-hallucinated", "hallucination")]
)
def test_undistilled_students_differ_only_in_their_shape(classes, make_student, name, stands_in):
    student = make_student()
    batch = DistillationBatch(target=torch.arange(12) % 3, labelled=torch.arange(12) < 8)
    terms = make_objective(name, classes, DistillationSettings()).loss(student, batch)
    torch.testing.assert_close(terms.total, task_loss(student.output, batch.target, batch.labelled, classes))
    assert METHODS[name].stands_in == stands_in
    assert not METHODS[name].needs_teachers
    assert set(terms.parts) == {"task"}


def test_unknown_methods_are_refused_with_those_there_are(classes):
    with pytest.raises(SettingsError, match=f"unknown method 'kdd': expected one of {', '.join(METHODS)}$"):
        make_objective("kdd", classes, DistillationSettings())


def test_distilled_students_differ_in_their_loss_alone():
    privileged = [name for name, method in METHODS.items() if method.needs_teachers and method.teacher == "aligned"]
    assert {METHODS[name].stands_in for name in (*privileged, "none-hallucinated")} == {"hallucination"}


def test_the_control_for_privilege_touches_nothing_privileged():
    control = METHODS["self-kd"]
    assert (control.teacher, control.stands_in) == ("prevalent", "zeros")
