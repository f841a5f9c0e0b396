import pytest
import torch

from pipelines.objectives.task_loss import task_loss
from pipelines.recipe import Task
from pipelines.training.judgement import Judgement, Validation, judge, weighted_sum

CLASSES = Task(kind="classes", labels=("BL1", "PA4"))
CONTINUOUS = Task(kind="continuous", labels=("valence", "arousal"))


def batches(task, sizes=(5, 3)):
    torch.manual_seed(0)
    for shift, size in enumerate(sizes):
        output = torch.randn(size, 2) + 3 * shift
        target = torch.randint(2, (size,)) if task is CLASSES else torch.rand(size, 2) + shift
        yield output, target, torch.ones(size, dtype=torch.bool)


def validated(task, combine=lambda judgement: judgement):
    validation = Validation()
    for output, target, labelled in batches(task):
        validation.add(combine(judge(output, target, labelled, task)), len(output))
    return validation.loss


@pytest.mark.parametrize("task", [CLASSES, CONTINUOUS], ids=["classes", "continuous"])
def test_the_loss_of_a_part_does_not_depend_on_its_batches(task):
    everything = [torch.cat(parts) for parts in zip(*batches(task), strict=True)]
    assert validated(task) == pytest.approx(float(task_loss(*everything, task)), rel=1e-6)


def test_ccc_over_all_trials_is_no_mean_of_the_ccc_of_each():
    means = [float(task_loss(*batch, CONTINUOUS)) for batch in batches(CONTINUOUS)]
    assert abs(validated(CONTINUOUS) - (5 * means[0] + 3 * means[1]) / 8) > 0.1


@pytest.mark.parametrize("task", [CLASSES, CONTINUOUS], ids=["classes", "continuous"])
def test_judgements_are_weighted(task):
    combined = validated(task, lambda one: weighted_sum([(0.25, one), (0.5, one), (2.0, Judgement(torch.tensor(1.0)))]))
    assert combined == pytest.approx(0.75 * validated(task) + 2.0, rel=1e-6)


def test_nothing_to_judge_is_zero():
    assert Validation().loss == 0.0
