"""``make bench`` and ``make bench-cluster``: run one benchmark or all, print a table, write ``results/NAME.json``."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable

from . import (
    availability_age,
    cleanup_scan,
    figures,
    panel,
    sessions_48,
    sessions_1000,
    spawn_cluster,
    spawn_local,
    spawn_page,
    up_warm,
)

BENCHMARKS: dict[str, Callable[[], list[figures.Figure]]] = {
    "cleanup-scan": cleanup_scan.run,
    "panel": panel.run,
    "sessions-48": sessions_48.run,
    "spawn-local": spawn_local.run,
    "spawn-page": spawn_page.run,
    "up-warm": up_warm.run,
}
CLUSTER: dict[str, Callable[[], list[figures.Figure]]] = {
    "availability-age": availability_age.run,
    "sessions-1000": sessions_1000.run,
    "spawn-kubernetes": spawn_cluster.without_kueue,
    "spawn-kueue": spawn_cluster.with_a_free_device,
    "spawn-evict": spawn_cluster.with_eviction,
}
"""Those that need the cluster of the tests."""
EVERY = BENCHMARKS | CLUSTER


def main() -> int:
    """Exit code 1 when a benchmark could not be run; figures are never judged here."""
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(EVERY)}; none: all")
    parser.add_argument("--cluster", action="store_true", help="without NAME: those that need a cluster, and only they")
    given = parser.parse_args()
    names = given.names or list(CLUSTER if given.cluster else BENCHMARKS)
    unknown = [name for name in names if name not in EVERY]
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(EVERY)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what it started is ended on the way out
    return max([run_one(name) for name in names])


def run_one(name: str) -> int:
    """Run one; 0 when it gave figures."""
    print(f"{name} …", flush=True)
    begin = time.monotonic()
    try:
        found = EVERY[name]()
    except (RuntimeError, TimeoutError, AssertionError) as error:
        print(f"{name} could not be measured: {error}", file=sys.stderr)
        return 1
    file = figures.write(name, found)
    print(f"\n{figures.table(found)}\n\n{name}: {time.monotonic() - begin:.0f} s, written to {file}\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
