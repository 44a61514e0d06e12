"""The frozen proxy: installed once, by whoever comes first, whole or not at all."""

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jupyterhub_aiinfn.backends.local.processes import ProcessIdentity
from jupyterhub_aiinfn.errors import StateError
from jupyterhub_aiinfn.supervisor import proxy

from .test_running import wait_until


def test_the_lock_names_no_registry() -> None:
    lock = json.loads((proxy.PACKAGE / "package-lock.json").read_bytes())
    packages = [package for key, package in lock["packages"].items() if key]
    assert len(packages) > 10
    assert all("integrity" in package and "resolved" not in package for package in packages)


def test_node_is_new_enough() -> None:
    node = proxy.find_node()
    version = subprocess.run([node.program, "--version"], capture_output=True, text=True, check=True).stdout
    assert tuple(int(part) for part in version.strip("v\n").split(".")[:2]) >= proxy.OLDEST_NODE


def test_an_old_node_of_the_machine_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "node"
    old.write_text("#!/bin/sh\necho /usr/bin/node\necho 20.1.0\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert proxy.find_node().program != Path("/usr/bin/node")


@pytest.mark.slow
def test_two_at_once_install_it_once(tmp_path: Path) -> None:
    node, said = proxy.find_node(), [[], []]
    (tmp_path / ".proxy-killed").mkdir()
    with ThreadPoolExecutor(2) as threads:
        made = list(
            threads.map(
                lambda n: proxy.install(tmp_path, node, proxy.Watching(lambda *seen: said[n].append(seen))), range(2)
            )
        )
    assert made[0] == made[1] == proxy.installed(tmp_path)
    assert sorted(bool(one) for one in said) == [False, True]
    assert (38, 38) in (said[0] or said[1])
    assert sorted(file.name for file in tmp_path.iterdir()) == [made[0].name, "proxy.lock"]


SLOW_NPM = "require('fs').writeFileSync('{file}', String(process.pid)); setTimeout(() => {{}}, 60000)"


def slow_npm(tmp_path: Path) -> proxy.Node:
    """A Node with an npm that takes its time and says who it is."""
    npm = tmp_path / "npm-cli.js"
    npm.write_text(SLOW_NPM.format(file=tmp_path / "npm.pid"))
    return proxy.Node(proxy.find_node().program, npm)


def npm_of(tmp_path: Path) -> ProcessIdentity:
    file = tmp_path / "npm.pid"
    wait_until(lambda: file.exists() and file.read_text(), 20)
    found = ProcessIdentity.of(int(file.read_text()))
    assert found is not None
    return found


def test_npm_dies_with_a_killed_supervisor_and_what_it_left_is_removed(tmp_path: Path) -> None:
    node, cache = slow_npm(tmp_path), tmp_path / "cache"
    text = (
        "import sys, threading\nfrom pathlib import Path\nfrom jupyterhub_aiinfn.supervisor import proxy\n"
        "node = proxy.Node(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "threading.Thread(target=proxy.install, args=(Path(sys.argv[3]), node)).start()"
    )
    supervisor = subprocess.Popen([sys.executable, "-c", text, str(node.program), str(node.npm), str(cache)])
    try:
        npm = npm_of(tmp_path)
    finally:
        supervisor.kill()
        supervisor.wait()
    wait_until(lambda: not npm.alive(), 5, "npm outlived the supervisor")
    assert list(cache.glob(".proxy-*"))
    node.npm.write_text("process.exit(3)")  # type: ignore[union-attr]
    with pytest.raises(StateError):
        proxy.install(cache, node)
    assert list(cache.glob(".proxy-*")) == []


def test_an_installation_that_nobody_wants_any_more_ends(tmp_path: Path) -> None:
    node, wanted = slow_npm(tmp_path), threading.Event()
    wanted.set()
    with ThreadPoolExecutor(2) as threads:
        watching = proxy.Watching(wanted=wanted.is_set)
        installing = threads.submit(proxy.install, tmp_path / "cache", node, watching)
        npm = npm_of(tmp_path)
        waiting = threads.submit(proxy.install, tmp_path / "cache", node, watching)
        wanted.clear()
        for one in (installing, waiting):
            with pytest.raises(proxy.NotWanted):
                one.result(10)
    assert not npm.alive()
    assert [file.name for file in (tmp_path / "cache").iterdir()] == ["proxy.lock"]


def test_a_failed_installation_leaves_nothing_and_shows_what_npm_said(tmp_path: Path) -> None:
    npm = tmp_path / "npm-cli.js"
    npm.write_text("console.error('npm error: no such registry'); process.exit(3)")
    node = proxy.Node(proxy.find_node().program, npm)
    with pytest.raises(StateError, match="npm said:\n  npm error: no such registry"):
        proxy.install(tmp_path / "cache", node)
    assert proxy.installed(tmp_path / "cache") is None
    assert [file.name for file in (tmp_path / "cache").iterdir()] == ["proxy.lock"]
