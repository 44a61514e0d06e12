"""A real hub with a service and people who need no password; sessions are small web servers."""

import json
import os
import sys
from pathlib import Path

from jupyterhub.spawner import SimpleLocalProcessSpawner
from tornado.web import HTTPError

from jupyterhub_aiinfn.backends.local.installation import Installation

c = get_config()  # noqa: F821 - given by the hub
installation = Installation.from_environment()
state = installation.state
tokens = json.loads((state.root / "tokens.json").read_text())


class Session(SimpleLocalProcessSpawner):
    """Refuses, or says that it is busy, when the options say so; counts what it starts."""

    async def start(self):
        """Start, or refuse in words."""
        asked = (self.user_options or {}).get("profile")
        if asked == "refused":
            raise HTTPError(409, "2 of 2 cards are in use; take another profile")
        if asked == "busy" and not (state.root / "quiet").exists():
            raise HTTPError(429, "too many people start at this moment")
        with (state.root / "started").open("a") as record:
            record.write(f"{self.user.name} {self.name} {asked}\n")
        return await super().start()


c.JupyterHub.bind_url = installation.public_url
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{installation.hub_port}"
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{installation.proxy_api_port}"
c.ConfigurableHTTPProxy.auth_token = state.secret("proxy-token")
c.JupyterHub.cookie_secret = bytes.fromhex(state.secret("cookie-secret"))
c.JupyterHub.db_url = f"sqlite:///{state.hub}/jupyterhub.sqlite"
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.Authenticator.admin_users = {"root-admin"}
c.JupyterHub.spawner_class = Session
c.JupyterHub.allow_named_servers = True
c.JupyterHub.cleanup_servers = True
c.Spawner.cmd = [sys.executable, str(Path(__file__).parent / "tiny_server.py")]
c.Spawner.home_dir_template = str(state.root)
c.JupyterHub.load_groups = {"lab": {"users": ["alice", "bob"]}}
c.JupyterHub.services = [
    {
        "name": "aiinfn",
        "url": installation.service_url,
        "api_token": state.secret("service-token"),
        "oauth_no_confirm": True,
    },
    {"name": "prometheus", "api_token": tokens["prometheus"]},
    {"name": "reader", "api_token": tokens["reader"]},
    {"name": "stranger", "api_token": tokens["stranger"]},
    {"name": "stopper", "api_token": tokens["stopper"]},
]
c.JupyterHub.load_roles = [
    {"name": "user", "scopes": ["self", "access:services!service=aiinfn"]},
    {"name": "server", "scopes": ["users:activity!user", "access:servers!server", "access:services!service=aiinfn"]},
    {"name": "starts", "scopes": ["start:servers", "read:servers"], "services": ["aiinfn"]},
    {"name": "prometheus", "scopes": ["read:metrics", "access:services!service=aiinfn"], "services": ["prometheus"]},
    {"name": "stopper", "scopes": ["delete:servers", "access:services"], "services": ["stopper"]},
    {"name": "reader", "scopes": ["read:servers", "access:services"], "services": ["reader"]},
]
c.JupyterHub.log_level = os.environ.get("HUB_LOG", "INFO")
