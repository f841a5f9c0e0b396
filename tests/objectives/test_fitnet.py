import pytest


def test_half_the_squared_distance_of_unit_embeddings(compare, classes):
    # Angles of 0, 90 and 180 degrees: 1 - cos is 0, 1 and 2; lengths do not count.
    terms = compare("fitnet", classes, [[1.0, 0.0], [0.0, 5.0], [2.0, 0.0]], [[9.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    assert float(terms.parts["hint"]) == pytest.approx(1.0)
    assert float(terms.total) == pytest.approx(0.8)
