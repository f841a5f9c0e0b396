"""Reads damaged files in a process of its own, because native code that fails takes its process along.

    python child.py FAMILY ORIGINALS WORK FIRST COUNT        mutations of seeds FIRST to FIRST + COUNT - 1
    python child.py FAMILY ORIGINALS WORK files FILE...      files as they are

Prints a JSON line before each file (`{"begin": seed}`) and after it, so that the last line tells which one killed the
process. A file that takes too long ends the process, even inside native code, and so does one that asks for much more
memory than any of these small files needs; what was really used is judged by `MOST_MB`.
"""

import faulthandler
import json
import logging
import os
import resource
import sys
import time
import traceback
import warnings
from pathlib import Path

from mutations import mutated
from readers import FAMILIES

LIMIT_S = 20.0
ALLOWANCE = 8 << 30
"""Bytes of address space beyond those after the imports. FFmpeg reserves up to 2 GiB at once that it may never use."""
MOST_MB = 256
"""Most that resident memory may grow while one small file is read."""


def main(family: str, originals: str, work: str, first: str, *rest: str) -> None:
    """See the module."""
    suffix, readers = FAMILIES[family]
    contents = [path.read_bytes() for path in sorted(Path(originals, family).iterdir())]
    damaged = Path(work, family) / f"damaged{suffix}"
    damaged.parent.mkdir(parents=True, exist_ok=True)
    damaged.write_bytes(contents[0])
    for reader in readers:  # intact files can be read, and whatever is imported on the way is there now
        reader(damaged)
    limit_memory()
    if first == "files":
        for number, file in enumerate(rest):
            report(number, Path(file), readers)
    else:
        for seed in range(int(first), int(first) + int(rest[0])):
            content = contents[seed % len(contents)]
            damaged.write_bytes(mutated(content, contents[(seed + 1) % len(contents)], seed, suffix))
            report(seed, damaged, readers)
    say({"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024})


def limit_memory() -> None:
    """No more address space than there is already, and the allowance."""
    with open("/proc/self/statm") as pages:
        used = int(pages.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + ALLOWANCE, used + ALLOWANCE))


def report(seed: int, path: Path, readers) -> None:
    """Read one file by every reader, and print what came of it."""
    from pipelines.errors import MtpkdError

    say({"begin": seed})
    faulthandler.dump_traceback_later(LIMIT_S, exit=True)
    begun, before = time.perf_counter(), resident_mb()
    outcomes, faults = [], []
    for reader in readers:
        try:
            reader(path)
            outcomes.append("read")
        except MtpkdError as error:
            outcomes.append("refused")
            if path.name not in str(error):
                faults.append(f"{reader.__name__}: {error}")
        except Exception:
            faults.append(f"{reader.__name__}: {traceback.format_exc()[-1500:]}")
    faulthandler.cancel_dump_traceback_later()
    seconds, grown = round(time.perf_counter() - begun, 3), resident_mb() - before
    if grown > MOST_MB:
        faults.append(f"reading took {grown} MB")
    say({"end": seed, "outcomes": outcomes, "faults": faults, "seconds": seconds})


def resident_mb() -> int:
    """The largest memory of this process up to now."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def say(line: dict) -> None:
    """One line of the report, out at once: the process may not live to write the next."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    faulthandler.enable()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    import av.logging

    av.logging.set_level(None)
    main(*sys.argv[1:])
