import math

import pytest

from pipelines.recipe import TermWeights

LOGITS = [[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
THEIRS = [[0.0, 2.0, 0.0], [0.0, 1.0, 0.0]]


def softmax(logits, temperature):
    powers = [math.exp(logit / temperature) for logit in logits]
    return [power / sum(powers) for power in powers]


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_softened_divergence_by_hand(compare, classes, temperature):
    p, q = softmax(LOGITS[0], temperature), softmax(THEIRS[0], temperature)
    divergence = sum(b * math.log(b / a) for a, b in zip(p, q, strict=True))
    terms = compare("kd", classes, LOGITS, THEIRS, outputs=True, temperature=temperature, weights=TermWeights(kd=0.5))
    # The second sample agrees.
    assert float(terms.parts["logits"]) == pytest.approx(temperature**2 * divergence / 2, rel=1e-5)
    assert float(terms.total) == pytest.approx(0.5 * temperature**2 * divergence / 2, rel=1e-5)


def test_continuous_outputs_are_judged_by_their_squared_error(compare, continuous):
    terms = compare("kd", continuous, [[0.0, 1.0], [0.5, 0.5]], [[1.0, 1.0], [0.5, 0.0]], outputs=True)
    assert float(terms.parts["logits"]) == pytest.approx((1 + 0 + 0 + 0.25) / 4)


@pytest.mark.parametrize("method", ["pkdot", "mt-pkdot"])
def test_outputs_are_distilled_beside_the_structure(compare, classes, method):
    alone = compare(method, classes, LOGITS, THEIRS, outputs=True, delta=0.0)
    terms = compare(method, classes, LOGITS, THEIRS, outputs=True, delta=0.3)
    logits = compare("kd", classes, LOGITS, THEIRS, outputs=True).parts["logits"]
    assert "logits" not in alone.parts
    assert float(terms.parts["logits"]) == pytest.approx(float(logits))
    assert float(terms.total - alone.total) == pytest.approx(0.3 * float(logits), rel=1e-5)
