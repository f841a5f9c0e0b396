import pytest
import torch

from pipelines.models.teachers import Aligner, FusionTeacher
from pipelines.recipe import JOINT, ModelSettings

SETTINGS = ModelSettings(embedding=16, tokens=2, width=8, depth=1, heads=2, dropout=0.0)
NAMES = ("faces", "eda")


def make_aligner():
    torch.manual_seed(0)
    joint = FusionTeacher(modalities=NAMES, settings=SETTINGS, num_outputs=3)
    return Aligner(teachers=NAMES, joint=joint, settings=SETTINGS).eval()


@torch.no_grad()
def test_every_teacher_is_adapted_and_the_joint_one_is_not():
    aligner = make_aligner()
    embeddings = {name: torch.randn(4, 16) for name in NAMES}
    present = {name: torch.ones(4, dtype=torch.bool) for name in NAMES}
    aligned = aligner(embeddings, present, embeddings)
    assert set(aligned.embeddings) == set(aligned.outputs) == {*NAMES, JOINT}
    joint, output = aligner.joint(embeddings, present)
    torch.testing.assert_close(aligned.embeddings[JOINT], joint)
    torch.testing.assert_close(aligned.outputs[JOINT], output)
    torch.testing.assert_close(aligned.embeddings["eda"], aligner.adapters["eda"](embeddings["eda"]))
    torch.testing.assert_close(aligned.outputs["eda"], aligner.heads["eda"](aligned.embeddings["eda"]))


def test_what_an_absent_modality_holds_reaches_nothing_else():
    aligner = make_aligner()
    present = {"faces": torch.ones(4, dtype=torch.bool), "eda": torch.tensor([True, False, True, False])}
    embeddings = {name: torch.randn(4, 16) for name in NAMES}
    spoiled = {**embeddings, "eda": torch.where(present["eda"][:, None], embeddings["eda"], torch.nan)}
    torch.testing.assert_close(
        aligner(spoiled, present, spoiled).embeddings[JOINT], aligner(embeddings, present, embeddings).embeddings[JOINT]
    )
    aligned = aligner(spoiled, present, spoiled)
    torch.stack([values.square().sum() for values in aligned.embeddings.values()]).sum().backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in aligner.parameters())


@torch.no_grad()
@pytest.mark.parametrize("fusion", ["transformer", "joint-cross-attention"])
def test_with_a_context_the_joint_teacher_sees_it_and_adapters_see_the_sample(fusion):
    torch.manual_seed(0)
    settings = SETTINGS.model_copy(update={"fusion": fusion})
    joint = FusionTeacher(modalities=NAMES, settings=settings, num_outputs=3, context=3)
    aligner = Aligner(teachers=NAMES, joint=joint, settings=settings).eval()
    embeddings = {name: torch.randn(4, 3, 16) for name in NAMES}
    present = {name: torch.ones(4, 3, dtype=torch.bool) for name in NAMES}
    own = {name: torch.randn(4, 16) for name in NAMES}
    aligned = aligner(embeddings, present, own)
    torch.testing.assert_close(aligned.embeddings["eda"], aligner.adapters["eda"](own["eda"]))
    torch.testing.assert_close(aligned.embeddings[JOINT], joint(embeddings, present)[0])
    neighbour = {name: value.clone() for name, value in embeddings.items()}
    neighbour["faces"][:, 0] = torch.randn(4, 16)
    other = aligner(neighbour, present, own)
    assert torch.equal(other.embeddings["faces"], aligned.embeddings["faces"])
    assert not torch.allclose(other.embeddings[JOINT], aligned.embeddings[JOINT], atol=1e-4)
