"""Building the embedding cache against the bare forward pass of R3D-18 on the same clips.

    python benchmarks/embeddings.py [--clips N] [--rounds N] [--threads N]

The clips lie in a shard of face crops (138 noisy JPEGs of 112x112 each, as BioVid's) and are embedded as training does
it: ten frames are read, decoded, standardised and stacked, and go through encoder and head. The anchor is the encoder
alone, on a batch that is in memory. Weights are random: they cost what published ones cost. Both must give the same
embeddings; then they run interleaved. The anchor in the other memory layout, channels last, is measured too.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from pipelines.cache.faces import FaceShardWriter
from pipelines.media.faces import FaceCrop
from pipelines.models.encoders import r3d_18
from pipelines.models.teachers import UnimodalTeacher
from pipelines.recipe import ClipWindow
from pipelines.training.normalisation import Normaliser
from pipelines.training.problems.encoder import ModalityReader, embed
from pipelines.training.samples import Sample
from pipelines.training.sources import ClipFaceSource
from pipelines.workspace import Workspace

FRAMES, RATE, SIDE, GROUP = 138, 25, 112, "subject"
TARGET = 1.15


def write_clips(workspace: Workspace, count: int) -> list[Sample]:
    """Clips of drawn noise in a shard, and the samples that they are."""
    random = np.random.default_rng(0)
    path = workspace.shard("faces", GROUP)
    path.parent.mkdir(parents=True)
    names = [f"clip-{number}" for number in range(count)]
    with FaceShardWriter(path, size=SIDE, storage="jpeg") as writer:
        for name in names:
            images = random.integers(60, 200, (FRAMES, SIDE, SIDE, 3), np.uint8)
            writer.add(name, (FaceCrop(i, i / RATE, (0, 0, SIDE, SIDE), image) for i, image in enumerate(images)))
    return [Sample(name, GROUP, None, {"faces": 1.0}) for name in names]


@torch.no_grad()
def main() -> None:
    """Write the clips, check, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    network = UnimodalTeacher(encoder=r3d_18(), embedding=512, num_outputs=2, dropout=0.0).eval()
    last = r3d_18().eval()
    last.load_state_dict(network.encoder.state_dict())
    last.to(memory_format=torch.channels_last_3d)  # pyright: ignore[reportCallIssue, reportArgumentType]
    with tempfile.TemporaryDirectory() as name:
        workspace = Workspace(Path(name))
        rows = write_clips(workspace, arguments.clips)
        reader = ModalityReader(ClipFaceSource(workspace, ClipWindow()), Normaliser("frames", "fixed"))
        batch = reader.batch(rows)
        batch_last = batch.to(memory_format=torch.channels_last_3d)
        arms = {
            "R3D-18 alone": lambda: network.encoder(batch),
            "R3D-18 alone, channels last": lambda: last(batch_last),
            "embedding cache": lambda: torch.from_numpy(embed(network, reader, rows, samplings=1, seed=())[0][:, 0]),
        }
        expected = arms["R3D-18 alone"]()
        torch.testing.assert_close(arms["embedding cache"](), expected)
        torch.testing.assert_close(arms["R3D-18 alone, channels last"](), expected, rtol=1e-3, atol=1e-4)
        seconds: dict[str, list[float]] = {arm: [] for arm in arms}
        for _ in range(arguments.rounds):
            for arm, work in arms.items():
                start = time.perf_counter()
                work()
                seconds[arm].append(time.perf_counter() - start)
    medians = {arm: statistics.median(values) for arm, values in seconds.items()}
    print(
        f"{arguments.clips} clips, torch threads: {arguments.threads}\n\n{'':<30}{'ms a clip':>10}{'of its time':>13}"
    )
    for arm, value in medians.items():
        print(f"{arm:<30}{1e3 * value / arguments.clips:>10.1f}{value / medians['R3D-18 alone']:>12.2f}x")
    print(f"\ntarget: <= {TARGET}x of R3D-18 alone")


if __name__ == "__main__":
    main()
