"""``make bench``: run one benchmark or all, print a table, write ``results/NAME.json``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

from . import cleanup_scan, figures, panel, sessions_48, spawn_local, spawn_page, up_warm

BENCHMARKS: dict[str, Callable[[], list[figures.Figure]]] = {
    "cleanup-scan": cleanup_scan.run,
    "panel": panel.run,
    "sessions-48": sessions_48.run,
    "spawn-local": spawn_local.run,
    "spawn-page": spawn_page.run,
    "up-warm": up_warm.run,
}


def main() -> int:
    """Exit code 1 when a benchmark could not be run; figures are never judged here."""
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(BENCHMARKS)}; none: all")
    names = parser.parse_args().names or list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    return max([run_one(name) for name in names])


def run_one(name: str) -> int:
    """Run one; 0 when it gave figures."""
    print(f"{name} …", flush=True)
    begin = time.monotonic()
    try:
        found = BENCHMARKS[name]()
    except (RuntimeError, TimeoutError, AssertionError) as error:
        print(f"{name} could not be measured: {error}", file=sys.stderr)
        return 1
    file = figures.write(name, found)
    print(f"\n{figures.table(found)}\n\n{name}: {time.monotonic() - begin:.0f} s, written to {file}\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
