import pytest

from pipelines.objectives import make_objective
from pipelines.objectives.mt_pkdot_published import PUBLISHED
from pipelines.recipe import DistillationSettings

ELSEWHERE = DistillationSettings(
    alpha=0.1, beta=3.0, gamma=0.0, delta=1.0, anchors=2, blur=1.0, selection="joint", matching="identity"
)


def test_no_setting_changes_it(classes):
    published = make_objective("mt-pkdot-published", classes, ELSEWHERE)
    expected = {"alpha": 0.8, "beta": 0.2, "gamma": 0.2, "delta": 0.0, "anchors": 30, "blur": 0.1}
    assert published.read_settings() == {**expected, "selection": "batch", "matching": "transport"}


@pytest.mark.parametrize("kind", ["classes", "continuous"])
def test_every_setting_of_the_method_is_fixed_rather_than_a_default(kind, request):
    """A default may change some day, and a new setting have one."""
    names = make_objective("mt-pkdot", request.getfixturevalue(kind), PUBLISHED).uses
    assert set(names) == PUBLISHED.model_fields_set
