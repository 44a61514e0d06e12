"""The tests' cluster as a whole: up, down, and its parts one by one, which tests stop and start again."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from jupyterhub_aiinfn.backends.local.processes import ProcessIdentity, stat_fields

from . import addons, build, certificates, control_plane, images, namespaces, network, node
from .client import Client
from .errors import ClusterError, end_of
from .place import NODE, Place, State
from .steps import Steps

PATIENCE = 120.0
STOP_PATIENCE = 5.0
POLL = 0.1
SYSTEM_PROGRAMS = ("containerd", "runc", "ctr", "conntrack", "iptables", "ip", "nsenter", "unshare", "cc")


@dataclass
class Cluster:
    """The cluster of a place. Every method but :meth:`up` needs it to be up."""

    place: Place = field(default_factory=Place.of_checkout)

    # ------------------------------------------------------------------------------------------------ whole

    def up(self) -> None:
        """Build what is not built, start what does not run, install what is not installed; wait until all is ready.

        Raises ClusterError, and leaves what runs as it is, when a step fails.
        """
        check_machine()
        steps = Steps(count=len(build.ALL) + 6)
        for tool in build.ALL:
            steps.take(tool.name, lambda say, tool=tool: _build(tool, say))
        with self._alone():
            state = self._state_to_go_on_with()
            steps.take("namespaces and network", lambda say: _network(state))
            steps.take("control plane", lambda say: self._control_plane(state))
            steps.take("containerd and images", lambda say: self._images(state))
            steps.take("node", lambda say: self._node(state))
            steps.take("DNS and Kueue", lambda say: self._addons(state))
            steps.take("all of it", lambda say: addons.wait(self.client))

    def down(self) -> bool:
        """End it and remove all that it made, but for its logs and what is built; whether it was up."""
        if not self.place.folder.exists():
            return False
        with self._alone():
            state = State.load(self.place)
            was_up = state.up()
            namespaces.end(state)
            self._remove_remains(state)
        return was_up

    def is_up(self) -> bool:
        """Whether all of its parts run."""
        state = State.load(self.place)
        return state.up() and bool(state.processes) and all(map(state.alive, state.processes))

    # ------------------------------------------------------------------------------------------------ parts

    def start(self, name: str) -> None:
        """Start a part again that was stopped; nothing when it runs."""
        self._start(self.state, name)

    def stop(self, name: str) -> None:
        """End one part as an administrator would; killed when it does not go soon.

        Those who watch an API server that is stopped so may take minutes to come back to the next one (CoreDNS: 100 s).
        """
        _end(self._process(name), signal.SIGTERM, signal.SIGKILL)

    def kill(self, name: str) -> None:
        """End one part as a fault would."""
        _end(self._process(name), signal.SIGKILL)

    def _process(self, name: str) -> ProcessIdentity:
        processes = self.state.processes
        if name not in processes:
            raise _no_such_part(name, processes)
        return processes[name]

    def import_images(self, archive: Path) -> None:
        """Give the node the images of an archive (``docker-archive`` or OCI); pods use ``imagePullPolicy: Never``."""
        _ctr(self.state, "images", "import", str(archive))

    def image_names(self) -> set[str]:
        """The images that the node has."""
        return set(_ctr(self.state, "images", "list", "--quiet").split())

    @property
    def client(self) -> Client:
        """kubectl as the cluster's administrator."""
        program = build.built(build.KUBERNETES) / "bin" / "kubectl"
        # what it remembers of the API is of this cluster, not of an older one at the same address; no proxy knows it
        variables = {"KUBECACHEDIR": str(self.place.folder / "kubectl"), "NO_PROXY": "*", "no_proxy": "*"}
        return Client(str(program), str(self.place.kubeconfig), variables)

    @property
    def state(self) -> State:
        """What runs; raises ClusterError when nothing does."""
        state = State.load(self.place)
        if not state.up():
            raise ClusterError("the tests' cluster is not up: run `make cluster-up`")
        return state

    @property
    def programs(self) -> Mapping[str, Path]:
        """Every program by its name, and Kueue's chart; built when it is not."""
        found = {tool.name: build.built(tool) / "bin" / tool.name for tool in build.ALL}
        kubernetes = build.built(build.KUBERNETES) / "bin"
        found |= {name: kubernetes / name for name in build.KUBERNETES_PARTS}
        return found | {"kueue-chart": build.built(build.KUEUE) / "chart"}

    # ------------------------------------------------------------------------------------------------ steps

    def _state_to_go_on_with(self) -> State:
        state = State.load(self.place)
        if not state.up():
            self._remove_remains(state)  # of one that ended in another way, with the machine for example
            state = State(self.place)
        for folder in (self.place.settings, self.place.logs, self.place.certificates):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return state

    def _remove_remains(self, state: State) -> None:
        """What a cluster leaves that has ended, but for its logs: the kernel has unmounted all of its folder."""
        network.disconnect(state)
        namespaces.remove_cgroups(self.place.name)
        for path in self.place.folder.iterdir():
            if path not in (self.place.logs, self._lock):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _control_plane(self, state: State) -> str:
        certificates.make(state)
        control_plane.write_settings(state)
        started = self._start_all(state, control_plane.servers(state, self.programs), self.client.answers)
        started += self._start_all(state, control_plane.controllers(state, self.programs), lambda: True)
        return _started(started)

    def _images(self, state: State) -> str:
        node.write_settings(state)
        namespaces.make_cgroup(self.place.name)
        self._start(state, "containerd")
        if not _within(PATIENCE, lambda: _succeeds(namespaces.inside(state, _ctr_command("version")))):
            raise ClusterError(f"containerd does not answer:\n{end_of(self.place.logs / 'containerd.log')}")
        wanted = images.images(self.programs)
        key = repr(wanted)
        if state.done.get("images") == key:
            return "there"
        archive = self.place.folder / "images.tar"
        images.write_archive(archive, wanted)
        _ctr(state, "images", "import", str(archive))
        archive.unlink()
        state.done["images"] = key
        state.save()
        return f"{len(wanted)} images"

    def _node(self, state: State) -> str:
        return _started(self._start_all(state, node.commands(state, self.programs), lambda: _is_ready(self.client)))

    def _addons(self, state: State) -> str:
        return f"DNS {addons.dns(state, self.client, self.programs)}, Kueue {addons.kueue(state, self.programs)}"

    def _start_all(self, state: State, parts: Collection[str], ready: Callable[[], bool]) -> list[str]:
        """Start parts that do not run and wait until they are ready; the names of those that had to be started."""
        started = [name for name in parts if self._start(state, name)]

        def all_well() -> bool:
            for name in parts:
                if not state.alive(name):
                    raise ClusterError(f"{name} ended:\n{end_of(state.place.logs / f'{name}.log')}")
            return ready()

        if not _within(PATIENCE, all_well):
            ends = "\n".join(f"{name}:\n{end_of(state.place.logs / f'{name}.log')}" for name in parts)
            raise ClusterError(f"not ready after {PATIENCE:.0f} s: {', '.join(parts)}\n{ends}")
        return started

    def _start(self, state: State, name: str) -> bool:
        """Start a part unless it runs, from the program and the settings that there are now; whether it was started."""
        commands = self._commands(state)
        if name not in commands:
            raise _no_such_part(name, commands)
        key = _made_from(commands[name])
        if state.alive(name) and state.done.get(name) == key:
            return False
        if name in state.processes:
            _end(state.processes[name], signal.SIGKILL)
        namespaces.start_inside(state, name, commands[name])
        state.done[name] = key
        state.save()
        return True

    def _commands(self, state: State) -> dict[str, list[str]]:
        places = (control_plane.servers, control_plane.controllers, node.commands)
        return {name: command for each in places for name, command in each(state, self.programs).items()}

    @property
    def _lock(self) -> Path:
        return self.place.folder / "lock"

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self.place.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._lock.open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield


def check_machine() -> None:
    """Raise ClusterError when this machine lacks what `make setup` installs, or when we are not root."""
    if os.geteuid() != 0:
        raise ClusterError(
            "only root can make the cluster's namespaces: run this as root, or give KUBECONFIG of a cluster"
        )
    lacking = [name for name in SYSTEM_PROGRAMS if shutil.which(name) is None]
    lacking += [path for path in (node.CNI_PLUGINS, str(images.BUSYBOX_PROGRAM)) if not Path(path).exists()]
    if lacking:
        raise ClusterError(f"this machine lacks {', '.join(lacking)}: run `make setup`, which installs what is needed")


def _build(tool: build.Tool, say: Callable[[str], None]) -> str:
    there = build.folder_of(tool).is_dir()
    build.built(tool, say)
    return "there" if there else "built"


def _network(state: State) -> str:
    namespaces.make(state)
    network.connect(state)
    return str(state.addresses.all)


def _started(names: Sequence[str]) -> str:
    return f"started {', '.join(names)}" if names else "there"


def _end(process: ProcessIdentity, *signals: int) -> None:
    """Send each signal until the process has ended; the last one is SIGKILL."""
    for number in signals:
        process.send(number)
        if _within(STOP_PATIENCE, lambda: _gone(process)):
            return


def _gone(process: ProcessIdentity) -> bool:
    """Whether nothing is left of it: a zombie's last threads may still hold its port."""
    fields = stat_fields(process.pid)
    return fields is None or int(fields[19]) != process.start_time


def _made_from(command: Sequence[str]) -> str:
    """A hash of a command and of the settings files that it names."""
    digest = hashlib.sha256("\0".join(command).encode())
    for word in command:
        path = Path(word.rpartition("=")[2])
        if path.parent.name == "settings" and path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()[:32]


def _is_ready(client: Client) -> bool:
    try:
        conditions = client.get("node", NODE)["status"]["conditions"]
    except ClusterError:  # the kubelet has not told of it yet
        return False
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _no_such_part(name: str, parts: Iterable[str]) -> ClusterError:
    return ClusterError(f"{name!r} is no part of the cluster; its parts are {', '.join(sorted(parts))}")


def _ctr_command(*arguments: str) -> list[str]:
    return ["ctr", "--address", node.SOCKET, "--namespace", "k8s.io", *arguments]


def _ctr(state: State, *arguments: str) -> str:
    return namespaces.run_inside(state, *_ctr_command(*arguments))


def _succeeds(command: Sequence[str]) -> bool:
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True).returncode == 0


def _within(seconds: float, holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL)
    return True
