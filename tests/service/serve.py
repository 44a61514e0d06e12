"""The real service as a process of its own, on a backend that the test steers; settings come as JSON in argv[1]."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

from jupyterhub_aiinfn.backends.local.agreement import Follower
from jupyterhub_aiinfn.backends.local.backend import LocalBackend
from jupyterhub_aiinfn.backends.local.installation import Installation
from jupyterhub_aiinfn.backends.local.storage import LocalStorage
from jupyterhub_aiinfn.errors import AiinfnError
from jupyterhub_aiinfn.service.app import make_app
from jupyterhub_aiinfn.service.server import serve
from jupyterhub_aiinfn.service.settings import Settings
from jupyterhub_aiinfn.values import load_values
from jupyterhub_aiinfn.values.current import CurrentValues

sys.path.insert(0, str(Path(__file__).parent))
from folder_backend import FolderBackend

logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
logging.getLogger("httpx").setLevel(logging.WARNING)
installation = Installation.from_environment()
values = load_values(installation.values_file)
current = CurrentValues(values, installation.values_file.parent)
farm = FolderBackend(installation.state.root / "farm")
backend = LocalBackend(values, installation.state) if sys.argv[2:] == ["local"] else farm
settings = Settings.from_installation(installation, **json.loads(sys.argv[1]))
try:
    storage = LocalStorage(values, installation.state)
    follower = Follower(installation.state, current)
    serve(make_app(settings, current, backend, farm, follower=follower, storage=storage), installation.service_port)
except AiinfnError as error:
    sys.exit(str(error))
