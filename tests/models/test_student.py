import pytest
import torch

from pipelines.models import HallucinationNet, Head, StudentNetwork

KINDS = ("nothing", "zeros", "hallucination")
PRIVILEGED = ("eda", "ecg")


@pytest.fixture
def student(small):
    def make(stands_in, prevalent=("faces",), fusion="transformer", context=1) -> StudentNetwork:
        return StudentNetwork(
            prevalent=prevalent,
            privileged=PRIVILEGED,
            settings=small.model_copy(update={"fusion": fusion}),
            num_outputs=3,
            stands_in=stands_in,
            context=context,
        )

    return make


@pytest.fixture(params=["transformer", "joint-cross-attention"])
def of_windows(request, student):
    """Makes students that see five windows."""
    return lambda stands_in, **options: student(stands_in, fusion=request.param, context=5, **options)


@pytest.fixture
def windows():
    embeddings, present = torch.randn(6, 5, 32), torch.rand(6, 5) > 0.3
    present[:, 2] = True
    present[0, 2] = False
    embeddings[~present] = float("nan")
    return {"faces": embeddings}, {"faces": present}


@pytest.fixture
def batch():
    return {"faces": torch.randn(5, 32)}, {"faces": torch.ones(5, dtype=torch.bool)}


def _disturb(student: StudentNetwork) -> None:
    """As training would: the last projection leaves zero."""
    torch.nn.init.normal_(student.fusion.projection.weight, std=0.1)


@torch.no_grad()
@pytest.mark.parametrize("stands_in", KINDS)
def test_warm_started_it_is_the_visual_teacher(student, batch, stands_in):
    embeddings, present = batch
    head = Head(32, 3, dropout=0.4).eval()
    network = student(stands_in).eval()
    assert network.warm_start(head.state_dict())
    result = network(embeddings, present)
    torch.testing.assert_close(result.embedding, embeddings["faces"], atol=1e-6, rtol=0)
    torch.testing.assert_close(result.output, head(embeddings["faces"]), atol=1e-6, rtol=0)


def test_the_transformer_trains_from_its_zero_start(student, batch):
    embeddings, present = batch
    network = student("zeros")
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(2):
        optimiser.zero_grad()
        network(embeddings, present).output.square().sum().backward()
        optimiser.step()
    for parameter in network.fusion.blocks.parameters():
        assert parameter.grad is not None
    assert any(p.grad.ne(0).any() for p in network.fusion.blocks.parameters() if p.grad is not None)


@pytest.mark.parametrize("stands_in", KINDS)
def test_what_the_transformer_sees(student, batch, stands_in):
    network = student(stands_in).eval()
    seen = []
    network.fusion.register_forward_pre_hook(lambda _, inputs: seen.append(inputs))
    with torch.no_grad():
        network(*batch)
    embeddings, present = seen[0]
    privileged = {name: value for name, value in embeddings.items() if name != "faces"}
    assert torch.equal(embeddings["faces"], batch[0]["faces"])
    assert set(present) == set(embeddings)
    assert all(value.all() for value in present.values())
    if stands_in == "nothing":
        assert not privileged
        assert network.fusion.modalities == ("faces",)
        return
    assert network.fusion.modalities == ("faces", *PRIVILEGED)
    expected = (
        {name: torch.zeros(5, 32) for name in PRIVILEGED}
        if network.hallucination is None
        else network.hallucination(batch[0]["faces"])
    )
    for name in PRIVILEGED:
        assert torch.equal(privileged[name], expected[name])


def test_the_hallucination_net_is_frozen_even_in_training(student, batch):
    trained = HallucinationNet(privileged=PRIVILEGED, prevalent=32, embedding=32)
    network = student("hallucination")
    network.load_hallucination(trained.state_dict())
    _disturb(network)
    hallucination = network.train().hallucination
    assert hallucination is not None
    assert network.training
    assert not any(module.training for module in hallucination.modules())
    before = {key: value.clone() for key, value in hallucination.state_dict().items()}
    optimiser = torch.optim.AdamW(network.parameters(), lr=0.1)
    network(*batch).output.square().sum().backward()
    optimiser.step()
    for key, value in hallucination.state_dict().items():
        assert torch.equal(value, before[key])
        assert torch.equal(value, trained.state_dict()[key])


def test_only_a_hallucinating_student_takes_a_hallucination_net(student):
    with pytest.raises(ValueError, match="stands_in='hallucination'"):
        student("zeros").load_hallucination({})


@torch.no_grad()
def test_several_prevalent_modalities_average_over_those_that_are_there(student):
    network = student("zeros", prevalent=("faces", "audio")).eval()
    embeddings = {"faces": torch.randn(3, 32), "audio": torch.randn(3, 32)}
    embeddings["audio"][1] = float("nan")
    present = {"faces": torch.tensor([True, True, False]), "audio": torch.tensor([True, False, True])}
    faces, audio = embeddings["faces"], embeddings["audio"]
    expected = torch.stack([(faces[0] + audio[0]) / 2, faces[1], audio[2]])
    torch.testing.assert_close(network(embeddings, present).embedding, expected)


def test_several_prevalent_modalities_have_no_warm_start(student):
    network = student("nothing", prevalent=("faces", "audio"))
    before = network.head.linear.weight.clone()
    assert not network.warm_start(Head(32, 3).state_dict())
    assert torch.equal(network.head.linear.weight, before)


@pytest.mark.parametrize("stands_in", KINDS)
def test_a_sample_without_a_face_is_finite_and_leaves_the_others_alone(student, batch, stands_in):
    network = student(stands_in).eval()
    _disturb(network)
    embeddings, present = batch
    expected = network(embeddings, present).output
    present["faces"][2] = False
    embeddings["faces"][2] = float("nan")
    output = network(embeddings, present).output
    rest = torch.tensor([0, 1, 3, 4])
    assert output.isfinite().all()
    torch.testing.assert_close(output[rest], expected[rest], atol=1e-6, rtol=0)
    output.sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


@torch.no_grad()
@pytest.mark.parametrize("stands_in", KINDS)
def test_among_neighbours_it_starts_as_the_visual_teacher_too(of_windows, windows, stands_in):
    embeddings, present = windows
    head = Head(32, 3, dropout=0.4).eval()
    network = of_windows(stands_in).eval()
    assert network.warm_start(head.state_dict())
    result = network(embeddings, present)
    own = embeddings["faces"][:, 2].nan_to_num()
    assert torch.equal(result.embedding, own)
    assert torch.equal(result.output, head(own))


@torch.no_grad()
def test_every_window_of_the_context_is_hallucinated_from(of_windows, windows):
    embeddings, present = windows
    network = of_windows("hallucination").eval()
    assert network.hallucination is not None
    seen = []
    network.fusion.register_forward_pre_hook(lambda _, inputs: seen.append(inputs))
    network(embeddings, present)
    given, there = seen[0]
    for name in PRIVILEGED:
        assert torch.equal(there[name], present["faces"])
        for place in range(5):
            expected = network.hallucination(embeddings["faces"][:, place].nan_to_num())[name]
            torch.testing.assert_close(given[name][:, place], expected)


@pytest.mark.parametrize("stands_in", KINDS)
def test_what_absent_windows_hold_reaches_nothing(of_windows, windows, stands_in):
    embeddings, present = windows
    network = of_windows(stands_in).eval()
    _disturb(network)
    expected = network(embeddings, present).output
    other = torch.where(present["faces"][..., None], embeddings["faces"], 7.0).requires_grad_()
    output = network({"faces": other}, present).output
    assert torch.equal(output, expected)
    output.sum().backward()
    assert other.grad is not None
    assert other.grad[~present["faces"]].eq(0).all()
    assert other.grad[present["faces"]].ne(0).any(dim=-1).all()
    trained = [p for p in network.parameters() if p.requires_grad]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in trained)


@torch.no_grad()
def test_a_sample_alone_is_a_context_of_one(of_windows, batch):
    network = of_windows("hallucination").eval()
    _disturb(network)
    embeddings, present = batch
    one = ({name: value.unsqueeze(1) for name, value in part.items()} for part in (embeddings, present))
    torch.testing.assert_close(network(*one).output, network(embeddings, present).output)
