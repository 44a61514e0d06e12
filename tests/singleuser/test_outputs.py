"""Outputs of cells that run without a tab, on a real Jupyter Server with real kernels."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from .conftest import JupyterServer, running
from .tabs import Tab, file_hash, notebook, outputs, until, write
from .test_stopping import follow

pytestmark = pytest.mark.slow

SLOW = "import time\nfor i in range(5): print(i, flush=True); time.sleep(0.5)"
ALL = "0\n1\n2\n3\n4\n"
LONG = "import time\nfor i in range(30): print(i, flush=True); time.sleep(0.5)"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    with running(tmp_path_factory.mktemp("outputs")) as found:
        yield found


@pytest.fixture
def path(request: pytest.FixtureRequest) -> str:
    return "".join(char if char.isalnum() else "-" for char in request.node.name)[:80] + ".ipynb"


def opened(server: JupyterServer, path: str, *cells: tuple[str, str]) -> Tab:
    write(server, path, notebook(*cells))
    return Tab(server, path)


def aside(server: JupyterServer, path: str) -> list[Path]:
    """Notebooks with what it could not take, once they are written."""
    found = sorted(server.folder.glob(f"{Path(path).stem} (outputs of *).ipynb"))
    return [one for one in found if one.read_text().endswith("}\n")]


def test_a_closed_tab_finds_the_outputs_in_the_notebook(server: JupyterServer, path: str) -> None:
    tab = opened(server, path, ("first", "x = 1"), ("a", SLOW))
    tab.run("a", SLOW)
    time.sleep(0.8)
    tab.go_away()
    until(lambda: outputs(server, path, "a") == ALL)
    document = json.loads((server.folder / path).read_text())
    assert document["cells"][1]["execution_count"] == 1
    assert document["cells"][0]["source"] == ["x = 1"]
    assert "trusted" not in document["cells"][1]["metadata"]
    assert not list((server.folder / ".local/state/aiinfn/outputs").glob("*.part"))


def test_a_tab_that_comes_back_gets_them_and_the_file_is_left_alone(server: JupyterServer, path: str) -> None:
    tab = opened(server, path, ("a", SLOW))
    message = tab.run("a", SLOW)
    time.sleep(0.8)
    tab.go_away()
    time.sleep(3)
    again = Tab(server, path, tab.kernel)
    (run,) = again.fetch()["runs"]
    assert (run["id"], run["cell"], run["source"], run["running"]) == (message, "a", SLOW, False)
    assert run["outputs"] == [{"output_type": "stream", "name": "stdout", "text": ALL}]
    assert again.fetch(known={message: run["version"]})["runs"][0]["outputs"] is None
    time.sleep(9)
    assert outputs(server, path, "a") == "", "the tab has them, and will save"
    again.go_away()
    until(lambda: outputs(server, path, "a") == ALL)


def test_one_that_comes_back_late_learns_what_was_written(server: JupyterServer, path: str) -> None:
    tab = opened(server, path, ("a", SLOW))
    before = file_hash(server, path)
    tab.run("a", SLOW)
    time.sleep(0.5)
    tab.go_away()
    until(lambda: outputs(server, path, "a") == ALL)
    tab.connect()
    answer = tab.fetch(file_hash=before)
    assert answer["hash"] == file_hash(server, path)
    assert [run["outputs"][0]["text"] for run in answer["runs"]] == [ALL]
    assert tab.fetch(file_hash=answer["hash"])["runs"] == []
    document = json.loads((server.folder / path).read_text())
    document["metadata"]["by"] = "somebody else"
    (server.folder / path).write_text(json.dumps(document))
    assert tab.fetch(file_hash=before)["hash"] == "", "others wrote too: the tab must ask its person"


def test_what_a_tab_has_saved_is_no_longer_kept(server: JupyterServer, path: str) -> None:
    tab = opened(server, path, ("a", "print(1)"))
    tab.wait_for_idle(tab.run("a", "print(1)"))
    time.sleep(3.5)
    write(server, path, notebook(("a", "print(1)")))  # its person has cleared the output
    assert tab.fetch()["runs"] == []
    tab.go_away()
    time.sleep(9)
    assert outputs(server, path, "a") == ""


def test_what_was_edited_meanwhile_is_not_overwritten(server: JupyterServer, path: str) -> None:
    tab = opened(server, path, ("a", SLOW))
    tab.run("a", SLOW)
    time.sleep(0.8)
    tab.go_away()
    newer = notebook(("a", "something(else)"))
    (server.folder / path).write_text(json.dumps(newer))
    (kept,) = until(lambda: aside(server, path))
    assert json.loads((server.folder / path).read_text()) == newer
    cells = json.loads(kept.read_text())["cells"]
    assert "other code" in "".join(cells[1]["source"])
    assert "".join(cells[2]["outputs"][0]["text"]) == ALL


def test_whatever_stands_in_its_place_is_left_alone(server: JupyterServer) -> None:
    cases = ("deleted", "binary", "link", "folder")
    files = {case: server.folder / f"place-{case}.ipynb" for case in cases}
    others = {case: server.folder / f"elsewhere-{case}.ipynb" for case in cases}
    for case, file in files.items():
        tab = opened(server, file.name, ("a", SLOW))
        tab.run("a", SLOW)
        time.sleep(0.8)
        tab.go_away()
        others[case].write_text(file.read_text())
        file.unlink()
    files["binary"].write_bytes(b"\0binary\xff")
    files["link"].symlink_to(others["link"])
    files["folder"].mkdir()
    before = {case: other.read_text() for case, other in others.items()}
    for case, file in files.items():
        (kept,) = until(lambda name=file.name: aside(server, name))
        assert "".join(json.loads(kept.read_text())["cells"][2]["outputs"][0]["text"]) == ALL
        assert others[case].read_text() == before[case]
        assert file.exists() == (case != "deleted")
    assert files["binary"].read_bytes() == b"\0binary\xff"
    assert files["link"].is_symlink()


def test_a_notebook_that_was_renamed_in_jupyter_is_followed(server: JupyterServer, path: str) -> None:
    tab = opened(server, path, ("a", SLOW))
    tab.run("a", SLOW)
    new = f"new-{path}"
    assert server.request("PATCH", f"api/contents/{path}", json={"path": new}).status_code == 200
    (session,) = [one for one in server.request("GET", "api/sessions").json() if one["path"] == path]
    server.request("PATCH", f"api/sessions/{session['id']}", json={"path": new})
    tab.go_away()
    until(lambda: outputs(server, new, "a") == ALL)


def test_the_other_tab_of_two_is_told_and_takes_them(server: JupyterServer, path: str) -> None:
    one = opened(server, path, ("a", SLOW))
    two = Tab(server, path, one.kernel)
    one.run("a", SLOW)
    time.sleep(0.8)
    one.go_away()
    time.sleep(5)
    (run,) = two.fetch()["runs"]
    assert run["outputs"][0]["text"] == ALL
    two.fetch(known={run["id"]: run["version"]})
    time.sleep(10)
    assert outputs(server, path, "a") == "", "the other tab has it open"
    two.go_away()
    until(lambda: outputs(server, path, "a") == ALL)


def test_what_waits_behind_an_error_leaves_nothing(server: JupyterServer, path: str) -> None:
    tab = opened(server, path, ("a", "1/0"), ("b", "print(2)"))
    tab.run("a", "import time; time.sleep(1); 1/0")
    tab.run("b", "print(2)")
    tab.run("a", "1/0")
    tab.go_away()
    (kept,) = until(lambda: aside(server, path))
    text = kept.read_text()
    assert "ZeroDivisionError" in text
    assert "print(2)" not in text


def test_a_console_leaves_nothing(server: JupyterServer) -> None:
    body = {"path": "c", "name": "c", "type": "console", "kernel": {"name": "python3"}}
    kernel = server.request("POST", "api/sessions", json=body).json()["kernel"]["id"]
    tab = Tab(server, "c", kernel)
    tab.wait_for_idle(tab.run("a", "print(1)"))
    assert tab.fetch()["runs"] == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        "x",
        {"path": "", "tab": "", "hash": "", "known": {}},
        {"path": "a", "tab": 5, "hash": "", "known": {}},
        {"path": "a" * 5000, "tab": "", "hash": "", "known": {}},
        {"path": "a", "tab": "", "hash": "", "known": {"a": "b"}},
        {"path": "a", "tab": "", "hash": "", "known": {str(number): 1 for number in range(3000)}},
    ],
)
def test_only_the_name_of_a_notebook_is_taken(server: JupyterServer, body: object) -> None:
    answer = server.request("POST", "aiinfn/api/outputs", json=body)
    assert answer.status_code == 400
    assert "expected" in answer.text


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "a/../../b", "\0", "nothing.ipynb"])
def test_paths_that_lead_nowhere_have_no_outputs(server: JupyterServer, path: str) -> None:
    body = {"path": path, "tab": "x", "hash": "y", "known": {}}
    assert server.request("POST", "aiinfn/api/outputs", json=body).json() == {"runs": [], "hash": ""}


def test_nonsense_on_the_connection_to_a_kernel_breaks_nothing(server: JupyterServer, path: str) -> None:
    tab = opened(server, path, ("a", "print(1)"))
    for metadata in ({"cellId": 5}, {"cellId": None}, {"cellId": ["a"]}):
        tab.wait_for_idle(tab.ask("execute_request", {"code": "1", "silent": False}, metadata))
    tab.wait_for_idle(tab.run("x" * 100_000, "print(1)"))
    tab.wait_for_idle(tab.run("a", "print(1)"))
    assert [run["cell"] for run in tab.fetch()["runs"]] == ["x" * 256, "a"]


def test_a_long_cell_is_not_over_because_the_kernel_answers_something_else(server: JupyterServer, path: str) -> None:
    """Who asks how much memory it takes hears "idle" while the cell runs; so does Jupyter Server."""
    tab = opened(server, path, ("a", LONG))
    message = tab.run("a", LONG)
    tab.wait_for("stream", message)
    tab.go_away()
    tab.connect()
    tab.ask("usage_request", {}, channel="control")
    tab.wait_for_idle(message)
    (run,) = tab.fetch()["runs"]
    text = "".join(one["text"] for one in run["outputs"])
    assert (run["running"], text) == (False, "".join(f"{number}\n" for number in range(30)))


def test_what_the_server_writes_is_no_save_of_a_tab(server: JupyterServer, path: str) -> None:
    """One tab goes away and its output is written; the other has run a cell too and has not saved it."""
    one = opened(server, path, ("a", "print(1)"), ("b", "print(2)"))
    two = Tab(server, path)
    one.wait_for_idle(one.run("a", "print(1)"))
    two.wait_for_idle(two.run("b", "print(2)"))
    one.go_away()
    until(lambda: outputs(server, path, "a") == "1\n", 60)
    time.sleep(1)
    assert [run["cell"] for run in two.fetch()["runs"] if run["cell"] == "b"] == ["b"], "still kept for it"
    two.go_away()
    until(lambda: outputs(server, path, "b") == "2\n")


# The end of the server


def test_the_end_in_the_middle_of_a_cell_leaves_the_outputs_so_far(own_server: JupyterServer) -> None:
    tab = opened(own_server, "n.ipynb", ("a", SLOW))
    tab.run("a", SLOW)
    time.sleep(1.2)
    tab.go_away()
    own_server.process.send_signal(signal.SIGTERM)
    assert own_server.process.wait(40) is not None
    text = outputs(own_server, "n.ipynb", "a")
    assert text.startswith("0\n1\n")
    assert "ended while this cell was running" in text


def test_a_tab_that_sleeps_at_the_end_loses_nothing(own_server: JupyterServer) -> None:
    tab = opened(own_server, "n.ipynb", ("a", "print(1)"))
    tab.wait_for_idle(tab.run("a", "print(1)"))
    own_server.process.send_signal(signal.SIGTERM)  # connected, but it answers nothing
    own_server.process.wait(40)
    assert outputs(own_server, "n.ipynb", "a") == "1\n"


def test_what_runs_on_after_the_tab_has_saved_is_in_the_notebook(own_server: JupyterServer) -> None:
    tab = opened(own_server, "n.ipynb", ("a", LONG))
    with follow(own_server) as events:
        message = tab.run("a", LONG)
        tab.wait_for("stream", message)
        own_server.process.send_signal(signal.SIGTERM)
        assert json.loads(events.recv())["event"] == "stopping"
        own_server.saving({"tab": tab.name, "saved": False})
        saved = notebook(("a", LONG))
        saved["cells"][0] |= {
            "outputs": [{"output_type": "stream", "name": "stdout", "text": "0\n"}],
            "execution_count": 1,
        }
        write(own_server, "n.ipynb", saved)
        time.sleep(1.5)  # it goes on
        own_server.saving({"tab": tab.name, "saved": True})
        own_server.process.wait(40)
    text = outputs(own_server, "n.ipynb", "a")
    assert text.startswith("0\n1\n2\n")
    assert "ended while this cell was running" in text


def test_a_killed_server_finds_them_again(tmp_path: Path) -> None:
    with running(tmp_path) as first:
        tab = opened(first, "n.ipynb", ("a", SLOW), ("b", "print(1)"))
        tab.wait_for_idle(tab.run("b", "print(1)"))
        tab.run("a", SLOW)
        time.sleep(3.2)
        first.process.kill()
    with running(tmp_path) as again:
        until(lambda: outputs(again, "n.ipynb", "b"))
        assert outputs(again, "n.ipynb", "b") == "1\n"
        assert outputs(again, "n.ipynb", "a").startswith("0\n1\n")


def test_a_spoiled_spool_keeps_no_server_from_starting(tmp_path: Path) -> None:
    folder = tmp_path / ".local/state/aiinfn/outputs"
    folder.mkdir(parents=True)
    for number, content in enumerate([b"", b"{", b"[]", b'{"message": 5}', b"\0" * 1000, b"{}" * 1000]):
        (folder / f"{number}.json").write_bytes(content)
    (folder / "b.json").symlink_to("/dev/zero")
    os.mkfifo(folder / "c.json")
    with running(tmp_path) as server:
        write(server, "n.ipynb", notebook())
        assert Tab(server, "n.ipynb").fetch()["runs"] == []
