import pytest
import torch

from pipelines.models import centre, mean_present
from pipelines.models.context import as_context, gated_mean

NAN = float("nan")


def test_the_middle_of_embeddings_and_of_presence():
    x = torch.arange(30.0).reshape(2, 5, 3)
    assert torch.equal(centre(x), x[:, 2])
    assert torch.equal(centre(x[:, :1]), x[:, 0])
    assert torch.equal(centre(x[:, 0]), x[:, 0])
    present = torch.tensor([[False, True, True], [True, False, True]])
    assert centre(present).tolist() == [True, False]
    assert centre(present[:, 0]).tolist() == [False, True]


def test_inputs_of_either_rank_become_clean_windows():
    faces = torch.tensor([[[1.0, 2.0], [NAN, NAN], [3.0, 4.0]]])
    audio = torch.tensor([[[5.0, 6.0], [7.0, 8.0], [NAN, float("inf")]]])
    present = {"faces": torch.tensor([[True, False, True]]), "audio": torch.tensor([[True, True, False]])}
    clean, there = as_context(("audio", "faces"), {"faces": faces, "audio": audio}, present, limit=3)
    assert clean[0].tolist() == [[[5, 6], [7, 8], [0, 0]]]
    assert clean[1].tolist() == [[[1, 2], [0, 0], [3, 4]]]
    assert there.tolist() == [[[True, True, False], [True, False, True]]]
    alone = {name: value[:, 0] for name, value in {"faces": faces, "audio": audio}.items()}
    clean, there = as_context(("faces",), alone, {"faces": torch.tensor([True])}, limit=1)
    assert clean[0].tolist() == [[[1, 2]]]
    assert there.tolist() == [[[True]]]


@pytest.mark.parametrize(
    ("shape", "mask", "message"),
    [
        ((2, 4, 3), (2, 4), "4 windows of faces: expected an odd number, at most 5"),
        ((2, 7, 3), (2, 7), "7 windows of faces: expected an odd number, at most 5"),
        ((2, 5, 3), (2,), r"presence \(2,\) of faces does not fit embeddings \(2, 5, 3\)"),
        ((2, 3), (2, 1), r"presence \(2, 1\) of faces does not fit embeddings \(2, 3\)"),
    ],
)
def test_what_is_no_context_is_refused(shape, mask, message):
    with pytest.raises(ValueError, match=message):
        as_context(("faces",), {"faces": torch.zeros(shape)}, {"faces": torch.ones(mask, dtype=torch.bool)}, limit=5)


def test_means_are_over_what_is_there():
    embeddings = {"faces": torch.tensor([[[1.0], [NAN], [NAN]]]), "audio": torch.tensor([[[3.0], [5.0], [NAN]]])}
    present = {"faces": torch.tensor([[True, False, False]]), "audio": torch.tensor([[True, True, False]])}
    assert mean_present(embeddings, present).tolist() == [[[2.0], [5.0], [0.0]]]
    first = {name: value[:, 0] for name, value in embeddings.items()}
    assert mean_present(first, {name: value[:, 0] for name, value in present.items()}).tolist() == [[2.0]]


def test_gates_weigh_what_is_there():
    x = torch.tensor([1.0, 4.0, 9.0]).reshape(1, 3, 1, 1).expand(1, 3, 2, 1)
    odds = torch.tensor([1.0, 0.5, 0.5]).reshape(1, 3, 1, 1).expand(1, 3, 2, 1)
    there = torch.tensor([[[True, False], [True, False], [False, False]]])
    fused = gated_mean(x, torch.logit(odds, eps=1e-7), there)
    torch.testing.assert_close(fused, torch.tensor([[[2.0], [0.0]]]), atol=1e-5, rtol=0)
