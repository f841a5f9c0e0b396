"""What every fold, seed and method would cost: bytes, clips a second, device hours and money, by arithmetic.

    python benchmarks/scale_on_paper.py [--price P] [--peak TFLOPS] [--utilisation U]

Nothing is measured here. Costs on a processor are unit costs of `benchmarks/README.md` times how often each is paid.
No unit cost was measured on a CUDA device: there the encoder's is its counted operations over a stated share of a
stated peak, and the step of a network on cached embeddings is what one processor core takes, which is a bound if the
device is no slower. `docs/scale.md` shows what this prints.
"""

import argparse
from dataclasses import dataclass
from functools import cache
from math import ceil

import torch
from torch.utils.flop_counter import FlopCounterMode

from pipelines.models.encoders import r3d_18
from pipelines.recipe import Recipe
from pipelines.recipe.loading import load_recipe

SEEDS, METHODS = 5, 9
NODE = 8
PLACES = {"1 GPU": 1, f"{NODE} GPUs": NODE, f"{NODE} nodes of {NODE} GPUs": NODE * NODE}
HOUR, GIGA = 3600, 1e9
FACES_S, FRAMES = 1.40, 138
"""Measured: face crops of one clip, and its frames."""
EMBEDDED_S = 0.473
"""Measured: R3D-18 on ten frames of one clip, reading and decoding included, one core."""
READ_S = 0.98e-3
"""Measured: ten crops read and decoded, one core."""
STORED = 0.151
"""Measured: bytes of a packed crop against its raw ones."""
STEP_S = {"biovid": 54e-3, "affwild2": 44e-3}
"""Measured: a student's step at batch 128, one core."""
WIDTH_BYTES = 512 * 4
FORWARDS = 3
"""A training pass costs three forward ones: the gradients of weights and of inputs are a product each."""


@dataclass(frozen=True)
class Card:
    """What is stated of a CUDA device.

    Attributes:
        peak: bfloat16 operations a second on its data sheet.
        utilisation: share of it that the encoder is assumed to reach.
        price: of a device hour, US dollars.
    """

    peak: float = 312e12
    utilisation: float = 0.3
    price: float = 2.0


@dataclass(frozen=True)
class Study:
    """A corpus under a protocol: `samples` windows of `frames` frames in `clips` recordings, `folds` folds."""

    name: str
    short: str
    title: str
    clips: int
    samples: int
    stored_frames: int
    folds: int

    @property
    def recipe(self) -> Recipe:
        """The shipped one."""
        return load_recipe(self.name)

    @property
    def cells(self) -> int:
        """Trainings of everything: folds times seeds."""
        return self.folds * SEEDS

    @property
    def train(self) -> tuple[float, float]:
        """Samples that a fold trains on, and that it validates on."""
        there = self.samples * (1 - 1 / self.folds)
        share = self.recipe.protocol.validation_share
        return there * (1 - share), there * share


BIOVID = Study("biovid", "BioVid", "BL1 against PA4, leaving one subject out", 3_480, 3_480, 3_480 * FRAMES, 87)
AFFWILD2 = Study("affwild2", "Aff-Wild2", "five folds by video", 600, 3_000_000 // 15, 3_000_000, 5)


@cache
def operations(frames: int) -> int:
    """Of R3D-18 forward on one clip; a multiplication and an addition are two."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        r3d_18().eval().to("meta")(torch.empty(1, 3, frames, 112, 112, device="meta"))
    return counter.get_total_flops()


def encoder_forwards(study: Study) -> float:
    """Forward passes of the encoder of faces in one cell, if no training stops early."""
    train, validation = study.train
    recipe, epochs = study.recipe, study.recipe.training.teachers.epochs
    crossed, everyone = recipe.teachers.cross_fit, train + validation
    part = 1 - 1 / crossed
    full = epochs * (FORWARDS * train + validation) + recipe.windows.samplings * everyone
    return full + crossed * (epochs * (FORWARDS * part * train + validation) + everyone)


def student_steps(study: Study) -> float:
    """Steps of one student, validation included, if its training does not stop early."""
    settings = study.recipe.training.distillation
    return settings.epochs * ceil(sum(study.train) / settings.batch_size)


def core_seconds(study: Study) -> dict[str, float]:
    """Of the whole study on one processor core, by what is done."""
    scale = operations(study.recipe.windows.frames) / operations(10)
    return {
        "face crops, once for all": study.stored_frames * FACES_S / FRAMES,
        "encoder of faces, every fold and seed": study.cells * encoder_forwards(study) * EMBEDDED_S * scale,
        f"students of {METHODS} methods": study.cells * METHODS * student_steps(study) * STEP_S[study.name],
    }


def cell_seconds(study: Study, card: Card) -> tuple[float, float]:
    """Of one cell on one device: the encoder, and the students of all methods."""
    rate = card.peak * card.utilisation / operations(study.recipe.windows.frames)
    return encoder_forwards(study) / rate, METHODS * student_steps(study) * STEP_S[study.name]


def stored(study: Study) -> dict[str, float]:
    """Bytes that stay in the workspace."""
    recipe = study.recipe
    side, crossed = recipe.faces.size, recipe.teachers.cross_fit
    embeddings = recipe.windows.samplings + len(recipe.modalities) - 1 + crossed * len(recipe.modalities)
    weights = 4 * sum(weight.numel() for weight in r3d_18().parameters())
    return {
        "face crops": study.stored_frames * STORED * side * side * 3,
        "embeddings of teachers": study.cells * sum(study.train) * embeddings * WIDTH_BYTES,
        "encoders of faces": study.cells * (1 + crossed) * weights,
        "the same inside every student": study.cells * METHODS * weights,
    }


@dataclass(frozen=True)
class Bill:
    """What a study takes in one place.

    Attributes:
        busy: devices that ever have work.
        hours: from start to end.
        device_hours: of all devices that are rented, whole nodes where there are several.
        cost: US dollars.
    """

    busy: int
    hours: float
    device_hours: float
    cost: float


def bill(study: Study, card: Card, devices: int, *, students: bool = False) -> Bill:
    """Cells dealt out whole to so many devices: their encoders, and with `students` those of all methods, too."""
    encoder, everyone = cell_seconds(study, card)
    hours = ceil(study.cells / devices) * (encoder + students * everyone) / HOUR
    rented = min(devices, NODE * ceil(study.cells / NODE))
    return Bill(min(devices, study.cells), hours, hours * rented, hours * rented * card.price)


def summary(card: Card) -> str:
    """What a budget is made from, as Markdown."""
    lines = ["| encoders on GPUs, students on processors | disk | students | " + " | ".join(PLACES) + " |"]
    lines.append("|---|---|---|" + "---|" * len(PLACES))
    for study in (BIOVID, AFFWILD2):
        *_, students = core_seconds(study).values()
        cells = [f"{sum(stored(study).values()) / GIGA:,.0f} GB", f"{students / HOUR:,.0f} core hours"]
        for devices in PLACES.values():
            found = bill(study, card, devices)
            cells.append(f"{_long(found.hours)}, {found.cost:,.0f} USD")
        lines.append(f"| {study.short} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _rounded(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.1f}"


def _long(hours: float) -> str:
    return f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.1f} h"


def report(study: Study, card: Card) -> str:
    """The tables of one study, as Markdown."""
    forwards = encoder_forwards(study)
    sizes = f"{study.folds} folds x {SEEDS} seeds = {study.cells} cells, {METHODS} methods, {study.samples:,} samples; "
    lines = [f"## {study.short}, {study.title}", "", f"{sizes}{forwards / 1e6:.2f} million forward passes a cell."]
    lines += ["", "| on one processor core, measured unit costs | hours |", "|---|---|"]
    lines += [f"| {what} | {_rounded(seconds / HOUR)} |" for what, seconds in core_seconds(study).items()]
    sizes = stored(study)
    lines += ["", "| stays on the disk | GB |", "|---|---|"]
    lines += [f"| {what} | {size / GIGA:,.1f} |" for what, size in {**sizes, "all": sum(sizes.values())}.items()]
    rate = forwards / cell_seconds(study, card)[0]
    lines += ["", "| on GPUs, computed | clips/s | hours | device hours | USD | students on them too: hours | USD |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for place, devices in PLACES.items():
        alone, both = (bill(study, card, devices, students=students) for students in (False, True))
        lines.append(
            f"| {place} | {rate * alone.busy:,.0f} | {alone.hours:,.1f} | {alone.device_hours:,.0f} "
            f"| {alone.cost:,.0f} | {both.hours:,.1f} | {both.cost:,.0f} |"
        )
    return "\n".join(lines)


def assumptions(card: Card) -> str:
    """What the tables stand on, as Markdown."""
    rate = card.peak * card.utilisation / operations(10)
    crop = STORED * 112 * 112 * 3
    return "\n".join(
        [
            "| unit cost | | |",
            "|---|---|---|",
            f"| face crops, {FRAMES} frames of 1388x1038 | {FACES_S:.2f} s | measured, one core |",
            f"| R3D-18 on ten frames, read and decoded | {1e3 * EMBEDDED_S:.0f} ms | measured, one core |",
            f"| ten crops read and decoded | {1e3 * READ_S:.2f} ms | measured, one core |",
            f"| student's step, batch 128, BioVid / Aff-Wild2 | {1e3 * STEP_S['biovid']:.0f} / "
            f"{1e3 * STEP_S['affwild2']:.0f} ms | measured, one core, MT-PKDOT |",
            f"| a packed crop | {crop / 1e3:.1f} kB | measured |",
            f"| R3D-18 forward, ten / eight frames | {operations(10) / 1e9:.1f} / {operations(8) / 1e9:.1f} GFLOP "
            "| counted |",
            f"| a training pass | {FORWARDS} forward ones | **assumed**: input and weight gradients cost one each |",
            f"| bfloat16 peak of a card | {card.peak / 1e12:.0f} TFLOP/s | {_sheet(card)} |",
            f"| share of it that R3D-18 reaches | {card.utilisation:.0%} | **assumed** |",
            f"| a device hour | {card.price:.2f} USD | **assumed** |",
            f"| R3D-18 forward on a card, ten frames | {rate:,.0f} clips/s | computed from these |",
            "| student's step on a card | as on one core | **assumed**, a bound if the card is no slower |",
            "| other encoders, fusion, hallucination, alignment | | not counted |",
            f"| processor cores that feed a training card | {rate / FORWARDS * READ_S:.1f} | computed |",
            f"| face crops that a training card reads | {rate / FORWARDS * 10 * crop / 1e6:.0f} MB/s | computed |",
        ]
    )


def _sheet(card: Card) -> str:
    return "data sheet of an A100" if card.peak == Card.peak else "as given"


def page(card: Card) -> str:
    """Everything."""
    units = f"## Unit costs\n\n{assumptions(card)}"
    return "\n\n".join(["## In short", summary(card), units, report(BIOVID, card), report(AFFWILD2, card)])


def main() -> None:
    """Compute, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--price", type=float, default=Card.price, help="US dollars a device hour")
    parser.add_argument("--peak", type=float, default=Card.peak / 1e12, help="TFLOP/s")
    parser.add_argument("--utilisation", type=float, default=Card.utilisation)
    arguments = parser.parse_args()
    print(page(Card(1e12 * arguments.peak, arguments.utilisation, arguments.price)))


if __name__ == "__main__":
    main()
