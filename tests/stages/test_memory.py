"""Memory of preprocessing is flat in the length of a video: 20 minutes against 20 seconds, whole stage, own process."""

import subprocess
import sys
from pathlib import Path

import av
import pytest

from pipelines.corpora.synthetic_affwild2 import render_synthetic_affwild2
from pipelines.recipe.loading import override_recipe, render_recipe

SECONDS, MINUTES = 20, 20
PREPROCESS = """
import sys
from pathlib import Path
from pipelines.recipe.loading import load_recipe
from pipelines.stages import preprocess
from pipelines.workspace import Workspace
recipe, workspace = load_recipe(sys.argv[1]), Workspace(Path(sys.argv[2]))
preprocess.run(recipe, workspace, workers=0)
print(int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]))
"""


def repeat(source: Path, target: Path, times: int) -> None:
    """The packets of all streams over and over: encoding 20 minutes would take longer than all that is tested."""
    target.parent.mkdir(parents=True)
    with av.open(str(source)) as once, av.open(str(target), "w") as out:
        streams = {stream.index: out.add_stream_from_template(stream) for stream in once.streams}
        packets = [packet for packet in once.demux() if packet.size]
        kept = [(p, p.pts, p.dts, p.stream.index, p.time_base) for p in packets]
        for turn in range(times):
            for packet, pts, dts, index, base in kept:
                shift = round(turn * SECONDS / base)
                packet.pts, packet.dts, packet.time_base = pts + shift, dts + shift, base
                packet.stream = streams[index]
                out.mux(packet)


@pytest.fixture(scope="module")
def peaks(tiny_affwild2, tmp_path_factory):
    """Peak of resident memory in KiB of preprocessing one video, short and long."""
    place = tmp_path_factory.mktemp("memory")
    changes = {"corpus.root": str(place / "drawn"), "corpus.videos": 4, "corpus.seconds": SECONDS, "corpus.width": 160}
    changes["faces.size"] = 112
    recipe = override_recipe(tiny_affwild2, **changes)
    render_synthetic_affwild2(recipe.corpus)
    annotations = next((place / "drawn").rglob("4-*.txt"))
    video = next((place / "drawn").rglob(f"{annotations.stem}.mp4"))
    header, *lines = annotations.read_text().splitlines()
    found = {}
    for name, times in (("short", 1), ("long", MINUTES * 60 // SECONDS)):
        root = place / name
        repeat(video, root / "batch1" / video.name, times)
        table = root / "VA_Estimation_Challenge" / "Train_Set" / annotations.name
        table.parent.mkdir(parents=True)
        table.write_text("\n".join([header, *(lines * times)]) + "\n")
        corpus = {"name": "affwild2", "root": str(root)}
        (place / f"{name}.yaml").write_text(render_recipe(override_recipe(recipe, corpus=corpus)))
        command = [sys.executable, "-c", PREPROCESS, str(place / f"{name}.yaml"), str(place / f"runs-{name}")]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found[name] = int(done.stdout.split()[-1])
    return found


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="PEAK MEMORY NOT TESTED: this needs Linux's /proc")
def test_twenty_minutes_take_hardly_more_memory_than_twenty_seconds(peaks):
    print(peaks)
    assert peaks["long"] <= 1.2 * peaks["short"], peaks
