"""What the tests' hub on a cluster loads: what the JupyterHub chart tells its hub, and our part as the chart has it.

In the place of JupyterLab there is a tiny server.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from jupyterhub_aiinfn.backends.local.installation import Installation

sys.path.insert(0, os.environ["AIINFN_TEST_CHART"])  # the chart's own module lies beside its configuration
import z2jh

SERVER = """\
folder=/tmp/www$JUPYTERHUB_SERVICE_PREFIX
mkdir -p $folder
echo '{}' > ${folder}api
trap 'exit 0' TERM
trap 'all=$(head -c 256m /dev/zero | tr "\\0" a)' USR1
httpd -f -p 8888 -h /tmp/www & wait; wait
"""
"""Answers as a session's server does, as far as the hub asks; at SIGUSR1 it wants more memory than it may have."""

os.umask(0o077)
c: Any = get_config()  # type: ignore[name-defined]  # noqa: F821
installation = Installation.from_environment()

# the chart
machine = os.environ["AIINFN_TEST_MACHINE"]
c.JupyterHub.bind_url = installation.public_url
c.JupyterHub.hub_bind_url = f"http://0.0.0.0:{installation.hub_port}"
c.JupyterHub.hub_connect_url = f"http://{machine}:{installation.hub_port}"
c.JupyterHub.db_url = f"sqlite:///{installation.state.hub / 'jupyterhub.sqlite'}"
c.JupyterHub.cookie_secret = bytes.fromhex(installation.state.secret("cookie-secret"))
c.JupyterHub.authenticator_class = "dummy"
c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
c.JupyterHub.admin_access = z2jh.get_config("hub.config.JupyterHub.admin_access", True)
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{installation.proxy_api_port}"
c.ConfigurableHTTPProxy.auth_token = installation.state.secret("proxy-token")
c.KubeSpawner.start_timeout = 300
c.KubeSpawner.environment = {"AIINFN_TEST_PASSWORD": os.environ["AIINFN_TEST_PASSWORD"]}
c.KubeSpawner.namespace = "default"
c.JupyterHub.load_roles = []
c.JupyterHub.services = [
    {"name": name, **service, "api_token": z2jh.get_secret_value(f"hub.services.{name}.apiToken")}
    for name, service in z2jh.get_config("hub.services", {}).items()
]
for part in sorted(z2jh.get_config("hub.extraConfig")):
    exec(z2jh.get_config("hub.extraConfig")[part])

# the test
if os.environ["AIINFN_TEST_SERVER"] == "tiny":
    c.JupyterHub.spawner_class.session_command = ("/bin/sh", "-c", SERVER)
c.JupyterHub.log_level = "DEBUG"
c.Spawner.consecutive_failure_limit = 1
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": int(os.environ.get("AIINFN_TEST_SLOW_START", "2"))}
