import math

import pytest
import torch

from pipelines.recipe import TermWeights

EGYPTIAN = [[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]]
EQUILATERAL = [[0.0, 0.0], [1.0, 0.0], [0.5, math.sqrt(0.75)]]


def test_two_triangles_by_hand(compare, classes):
    terms = compare("rkd", classes, EGYPTIAN, EQUILATERAL, weights=TermWeights(rkd=0.5))
    # Distances 3, 4, 5 over their mean against 1, 1, 1; every pair is counted twice, of 3^2.
    distance = 2 * (0.25**2 + 0 + 0.25**2) / 2 / 9
    # Cosines 0, 3/5, 4/5 against 1/2 three times; every angle is counted twice, of 3^3.
    angle = 2 * (0.5**2 + 0.1**2 + 0.3**2) / 2 / 27
    assert float(terms.parts["distance"]) == pytest.approx(distance, rel=1e-5)
    assert float(terms.parts["angle"]) == pytest.approx(angle, rel=1e-5)
    assert float(terms.total) == pytest.approx(0.5 * (25 * distance + 50 * angle), rel=1e-5)


def test_large_differences_count_linearly(compare, classes):
    # The teacher's two far pairs are 0.9996 apart from the student's; one pair at distance nearly 0 of mean 1.
    line, spread = [[0.0, 0.0], [0.0, 1e-3], [0.0, 100.0]], [[0.0, 0.0], [100.0, 0.0], [0.0, 1e-3]]
    terms = compare("rkd", classes, line, spread)
    far = 100 / ((1e-3 + 99.999 + 100) / 3)
    near = 1e-3 / ((1e-3 + 99.999 + 100) / 3)
    # Pairs 01, 02, 12: near, far, far of the student against far, near, far of the teacher.
    assert float(terms.parts["distance"]) == pytest.approx(2 * 2 * (far - near - 0.5) / 9, rel=1e-3)


def test_samples_far_from_the_origin_keep_their_relations(compare, classes):
    shifted = [[x + 2.0**22, y - 2.0**21] for x, y in EGYPTIAN]
    terms = compare("rkd", classes, shifted, EGYPTIAN)
    assert all(abs(float(terms.parts[name])) < 1e-9 for name in ("distance", "angle"))


def test_angles_agree_with_normalised_differences(compare, classes, make_student):
    ours, theirs = make_student(9).embedding.detach(), make_student(10).embedding.detach()[:9]

    def cosines(points):
        difference = torch.nn.functional.normalize(points.unsqueeze(0) - points.unsqueeze(1), dim=2)
        return difference @ difference.mT

    expected = torch.nn.functional.smooth_l1_loss(cosines(ours), cosines(theirs))
    assert float(compare("rkd", classes, ours, theirs).parts["angle"]) == pytest.approx(float(expected), rel=1e-5)
