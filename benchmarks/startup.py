"""`mtpkd --help` against an empty typer program, as whole processes, interleaved.

python benchmarks/startup.py [--rounds N]
"""

import argparse
import statistics
import subprocess
import sys
import time

TARGET = 1.5
BARE = (
    "import typer\n"
    "app = typer.Typer(add_completion=False, rich_markup_mode=None)\n"
    "@app.command()\ndef one(): ...\n"
    "@app.command()\ndef two(): ...\n"
    "app(['--help'])"
)
OURS = "from mtpkd_cli.main import app; app(['--help'])"


def seconds(code: str) -> float:
    """Wall time of a fresh interpreter."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    pairs = [(seconds(BARE), seconds(OURS)) for _ in range(rounds + 1)][1:]
    bare, ours = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(b / a for a, b in pairs)
    print(f"bare typer {1e3 * bare:.0f} ms, mtpkd --help {1e3 * ours:.0f} ms: {ratio:.2f}x (target <= {TARGET}x)")


if __name__ == "__main__":
    main()
