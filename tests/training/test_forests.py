"""Temperature scaling; the growing of forests is tested with what asks them, in tests/models/test_forest.py."""

import numpy as np
import pytest
import torch

from pipelines.training.forests import fit_temperature


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_the_temperature_that_logits_were_distorted_by_is_found(temperature: float) -> None:
    rng = np.random.default_rng(0)
    logits = 2 * rng.standard_normal((20000, 3))
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    target = (rng.random((20000, 1)) > shares.cumsum(1)).sum(1)
    found = fit_temperature(torch.tensor(logits * temperature), torch.tensor(target))
    assert found == pytest.approx(temperature, rel=0.04)


def test_one_right_answer_does_not_make_it_certain() -> None:
    assert fit_temperature(torch.tensor([[1.0, 0.0]]), torch.tensor([0])) == pytest.approx(0.1, rel=0.01)
