import math

import pytest

from pipelines.recipe import TermWeights


def test_two_samples_by_hand(compare, classes):
    # Rows of the student's matrix are (1, 0) and (0, 1), of the teacher's both (1, 1) / sqrt 2: squared distance
    # (1 - 1 / sqrt 2)^2 + 1 / 2 = 2 - sqrt 2 a row, two rows over 2^2.
    student, teacher = [[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]]
    terms = compare("sp", classes, student, teacher, weights=TermWeights(sp=0.5))
    assert float(terms.parts["similarity"]) == pytest.approx(1 - 1 / math.sqrt(2))
    assert float(terms.total) == pytest.approx(1500 * (1 - 1 / math.sqrt(2)))


def test_lengths_count(compare, classes):
    # Student (1, 0), (2, 0): rows (1, 2) / sqrt 5, both. Teacher: rows (1, 1) / sqrt 2, both.
    terms = compare("sp", classes, [[1.0, 0.0], [2.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]])
    expected = 2 * (2 - 2 * 3 / math.sqrt(10)) / 4
    assert float(terms.parts["similarity"]) == pytest.approx(expected, rel=1e-4)
