"""What the hub of a benchmark on a cluster loads: that of the tests, without its long log, and a service of ours."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from bench.cluster import SERVER, service_config

c: Any = get_config()  # type: ignore[name-defined]  # noqa: F821
load_subconfig(str(Path(__file__).parents[1] / "tests/cluster/hub_config.py"))  # type: ignore[name-defined]  # noqa: F821
c.JupyterHub.log_level = "INFO"
c.JupyterHub.concurrent_spawn_limit = int(os.environ.get("AIINFN_BENCH_STARTS", "100"))
c.JupyterHub.spawner_class.session_command = ("/bin/sh", "-c", SERVER)
exec(service_config(os.environ["AIINFN_BENCH_TOKEN"]), {"c": c})
