import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from pipelines.errors import LeakageError, MtpkdError, TrainingDiverged
from pipelines.objectives.base import LossTerms
from pipelines.protocols.audit import Evidence
from pipelines.protocols.splits import Split
from pipelines.recipe import OptimisationSettings
from pipelines.training import loop
from pipelines.training.device import lay_out_weights
from pipelines.training.judgement import Judgement
from pipelines.training.loop import Batch, FitContext, Problem, fit, shuffled
from pipelines.training.seeding import make_deterministic

SPLIT = Split(fold=0, seed=7, train=("a",), validation=("b",), test=("c",))


class Regression(Problem):
    """Noisy linear regression through a network with dropout: order and dropout both draw random numbers."""

    def __init__(self, *, groups=("a", "b"), noise=0.3, scale=1.0):
        torch.manual_seed(0)
        self.name, self.train_size = "regression", 40
        self.network = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 1))
        x = torch.randn(60, 6)
        y = x.sum(1, keepdim=True) * scale + noise * torch.randn(60, 1)
        self.train, self.validation = (x[:40], y[:40]), (x[40:], y[40:])
        self.groups = groups

    def training_batches(self, epoch):
        for rows in shuffled(40, 16):
            yield Batch((self.train[0][rows],), self.train[1][rows], len(rows))

    def validation_batches(self):
        yield Batch((self.validation[0],), self.validation[1], 20)

    def loss(self, outputs, truth):
        value = (outputs - truth).square().mean()
        return LossTerms(total=value, parts={"mse": value}, diagnostics={"spread": outputs.std()})

    def judge(self, outputs, truth):
        return Judgement((outputs - truth).square().mean())

    def evidence(self):
        train, validation = self.groups
        return [
            Evidence(self.name, "weights", frozenset([train])),
            Evidence(self.name, "selection", frozenset([validation])),
        ]


class Pictures(Regression):
    """The same through a convolution in channels-last memory, as on a CUDA device."""

    def __init__(self):
        super().__init__()
        self.network = nn.Sequential(
            nn.Unflatten(1, (2, 3, 1)), nn.Conv2d(2, 16, (2, 1)), nn.ReLU(), nn.Flatten(), nn.Linear(32, 1)
        )
        lay_out_weights(self.network)


def context(tmp_path, **changes):
    make_deterministic(1)
    options = {
        "fabric": Fabric(accelerator="cpu", devices=1),
        "split": SPLIT,
        "resume": tmp_path / "resume",
        "key": "k",
    }
    return FitContext(**{**options, **changes})


def settings(**changes):
    return OptimisationSettings(**{"epochs": 12, "patience": 12, "batch_size": 16, "learning_rate": 0.05, **changes})


def weights(problem):
    return torch.cat([p.flatten() for p in problem.network.state_dict().values()])


def test_training_learns_and_repeats_bit_by_bit(tmp_path):
    first, second = Regression(), Regression()
    history = fit(first, settings(), context(tmp_path))
    assert fit(second, settings(), context(tmp_path)) == history
    assert torch.equal(weights(first), weights(second))
    assert history[-1]["validation_loss"] < 0.5 * history[0]["validation_loss"]
    assert set(history[0]) == {"epoch", "loss", "mse", "spread", "validation_loss"}


def test_the_best_epoch_is_kept_and_training_stops_without_improvement(tmp_path):
    problem = Regression(noise=3.0)
    history = fit(problem, settings(epochs=200, patience=5, learning_rate=0.05), context(tmp_path))
    losses = [row["validation_loss"] for row in history]
    best = losses.index(min(losses))
    assert len(history) == best + 5 + 1 < 200
    batch = next(problem.validation_batches())
    loss = problem.judge(problem.network(*batch.inputs), batch.truth).mean
    assert float(loss.detach()) == pytest.approx(min(losses))


class Watched(Regression):
    """Notes in which precision the network computes, and what its loss is given."""

    def __init__(self):
        super().__init__()
        self.seen: set[tuple[torch.dtype, torch.dtype, bool]] = set()
        self.inside = torch.float64
        self.network[-1].register_forward_hook(self._note)

    def _note(self, module, inputs, output):
        self.inside = output.dtype

    def loss(self, outputs, truth):
        self.seen.add((self.inside, outputs.dtype, torch.is_autocast_enabled("cpu")))
        return super().loss(outputs, truth)


def test_mixed_precision_ends_where_the_loss_begins(tmp_path):
    problem = Watched()
    fabric = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
    history = fit(problem, settings(), context(tmp_path, fabric=fabric))
    assert problem.seen == {(torch.bfloat16, torch.float32, False)}
    assert {weight.dtype for weight in problem.network.parameters()} == {torch.float32}
    assert history[-1]["validation_loss"] < 0.5 * history[0]["validation_loss"]


@pytest.mark.parametrize("make", [Regression, Pictures])
def test_a_resumed_training_ends_with_the_same_weights(make, tmp_path, monkeypatch):
    whole = make()
    history = fit(whole, settings(), context(tmp_path))
    monkeypatch.setattr(loop, "SAVE_EVERY_S", 0.0)
    done = []

    def kill_in_epoch_five(clips):
        done.append(clips)
        if sum(done) > 5 * 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(make(), settings(), context(tmp_path, advance=kill_in_epoch_five))
    resumed, trained = make(), []
    assert fit(resumed, settings(), context(tmp_path, advance=trained.append)) == history
    assert torch.equal(weights(resumed), weights(whole))
    assert trained[0] == 5 * 40, "five epochs were not trained again"


def test_every_epoch_is_told_as_it_ends_and_after_a_kill_those_before_too(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "SAVE_EVERY_S", 0.0)
    told = []

    def kill_after_epoch_four(row):
        told.append(row)
        if row["epoch"] == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(Regression(), settings(), context(tmp_path, log=kill_after_epoch_four))
    assert [row["epoch"] for row in told] == [0, 1, 2, 3, 4]
    again = []
    history = fit(Regression(), settings(), context(tmp_path, log=again.append))
    assert again == history
    assert again[:5] == told


class Observed(Regression):
    """The same, and somebody looks."""

    def observe(self, network):
        assert not network.training
        assert not torch.is_grad_enabled()
        return {"bias": self.network[0].bias.clone(), "output": network(self.validation[0])}


def test_observing_changes_nothing_and_sees_the_weights_of_its_moment(tmp_path):
    alone, watched = Regression(noise=3.0), Observed(noise=3.0)
    before = watched.network[0].bias.detach().clone()
    options = settings(epochs=40, patience=5)
    history = fit(alone, options, context(tmp_path))
    assert fit(watched, options, context(tmp_path)) == history
    assert torch.equal(weights(watched), weights(alone))
    losses = [row["validation_loss"] for row in history]
    kept = losses.index(min(losses)) + 1
    grown = {0, 1, 2, 4, 8, 16, 32} & set(range(len(history) + 1))
    assert set(watched.observed) == grown | {kept}
    assert torch.equal(watched.observed[0]["bias"], before)
    assert torch.equal(watched.observed[kept]["bias"], watched.network[0].bias)
    assert torch.equal(watched.observed[kept]["output"], watched.network(watched.validation[0]))
    assert not any(alone.observed.values())


def test_what_was_observed_before_a_kill_is_not_lost(tmp_path, monkeypatch):
    whole = Observed()
    fit(whole, settings(), context(tmp_path))
    monkeypatch.setattr(loop, "SAVE_EVERY_S", 0.0)

    done = []

    def kill_in_epoch_five(clips):
        done.append(clips)
        if sum(done) > 5 * 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(Observed(), settings(), context(tmp_path, advance=kill_in_epoch_five))
    resumed = Observed()
    fit(resumed, settings(), context(tmp_path))
    assert set(resumed.observed) == set(whole.observed) >= {0, 1, 2, 4, 8}
    for epochs, seen in whole.observed.items():
        for name, tensor in seen.items():
            assert torch.equal(resumed.observed[epochs][name], tensor), (epochs, name)


def test_a_state_saved_under_other_settings_is_not_resumed(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "SAVE_EVERY_S", 0.0)
    fit(Regression(), settings(), context(tmp_path, key="old"))
    assert (tmp_path / "resume").exists()
    fresh = Regression()
    fit(fresh, settings(), context(tmp_path, key="new"))
    (tmp_path / "resume").unlink()
    alone = Regression()
    fit(alone, settings(), context(tmp_path, key="new"))
    assert torch.equal(weights(fresh), weights(alone))


def test_progress_adds_up_to_the_announced_cost(tmp_path):
    counts = {"advance": 0, "shrink": 0}
    options = {name: (lambda clips, name=name: counts.update({name: counts[name] + clips})) for name in counts}
    fit(Regression(noise=3.0), settings(epochs=50, patience=3), context(tmp_path, **options))
    assert counts["advance"] + counts["shrink"] == 50 * 40
    assert counts["shrink"] > 0


@pytest.mark.parametrize("groups", [("c", "b"), ("a", "c"), ("a", "a")])
def test_nothing_is_trained_on_leaking_data(tmp_path, groups):
    problem = Regression(groups=groups)
    before = weights(problem)
    with pytest.raises(LeakageError):
        fit(problem, settings(), context(tmp_path))
    assert torch.equal(weights(problem), before)


def test_a_training_that_diverges_says_so(tmp_path):
    with pytest.raises(
        TrainingDiverged, match=r"regression: the training loss is nan in epoch 0; lower its learning_rate"
    ):
        fit(Regression(scale=float("nan")), settings(), context(tmp_path))


def test_a_batch_that_no_memory_holds_is_told_with_what_helps(tmp_path):
    class Large(Regression):
        def loss(self, outputs, truth):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    with pytest.raises(MtpkdError, match=r"regression: .* does not hold a step of batch_size = 16: lower it"):
        fit(Large(), settings(batch_size=16), context(tmp_path))
