"""`aiinfn support-bundle`: what helps is in it, and no secret is, wherever one was put."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.supervisor.bundle.redaction import Redactor
from jupyterhub_aiinfn.values import parse_values
from tests.platform import RunningPlatform, traversable_folder

from .test_running import CHOICE, aiinfn, build_python

pytestmark = pytest.mark.slow

CANARIES = {
    "secret file": "canary-secret-0123",
    "first password": "cana-ryfi-rstp-assw-ordx",
    "hash": "$argon2id$v=19$m=19456,t=2,p=1$Y2FuYXJ5c2FsdA$Y2FuYXJ5aGFzaA",
    "token in an address": "canarytokenaddress",
    "token in a header": "canaryheadertoken99",
    "cookie": "canarycookievalue",
    "password in a form": "canary form",
    "password in JSON": 'canary, "json"',
    "address of an index": "canaryindexpassword",
    "bare token": "c0ffee" * 8,
    "JWT": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl",
    "environment": "canaryenvironmentvalue",
    "key": "MIIcanarykeycanarykey",
}
LINES = [
    f"loaded {CANARIES['secret file']} and also {CANARIES['first password']}",
    f"302 GET /hub/api/oauth2/authorize?client_id=x&token={CANARIES['token in an address']}&code=canarycode",
    f"Authorization: token {CANARIES['token in a header']}",
    f"Cookie: jupyterhub-session-id={CANARIES['cookie']}; other={CANARIES['cookie']}",
    f"username=alice&password={CANARIES['password in a form'].replace(' ', '+')}".replace("canary+form", "canaryform"),
    json.dumps({"password": CANARIES["password in JSON"]}),
    f"Looking in indexes: https://reader:{CANARIES['address of an index']}@index.example.org/simple",
    f"new token {CANARIES['bare token']} for bob; hash {CANARIES['hash']}",
    f"id_token {CANARIES['JWT']}",
    f"JUPYTERHUB_API_TOKEN={CANARIES['environment']}",
    f"-----BEGIN RSA PRIVATE KEY-----\n{CANARIES['key']}\n-----END RSA PRIVATE KEY-----",
]
TRACES = ("js0n", *CANARIES.values(), "canarycode", "canaryform", "canary,", "canary", "c0ffeec0ffee")


@pytest.fixture
def state(folder: Path) -> StateFolder:
    """A state folder with a canary in every place."""
    found = StateFolder(folder / "state")
    found.prepare()
    (found.secrets / "odd-secret").write_text(CANARIES["secret file"] + "\n")
    (found.passwords / "alice").write_text(CANARIES["first password"] + "\n")
    found.people.write_text(json.dumps({"alice": {"hash": CANARIES["hash"]}, "zoe": {"groups": ["lab"]}}))
    (found.logs / "hub.log").write_text("the hub starts\n" + "\n".join(LINES) + "\nthe hub is there\n")
    return found


def bundle(state: StateFolder, *arguments: str, file: Path | None = None) -> dict[str, str]:
    output = file or state.root.parent / "bundle.tar.gz"
    output.unlink(missing_ok=True)
    done = aiinfn("support-bundle", "--state", str(state.root), "--output", str(output), *arguments)
    assert done.returncode == 0, done.stderr
    return unpacked(output)


def unpacked(file: Path) -> dict[str, str]:
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with tarfile.open(file) as archive:
        members = archive.getmembers()
        assert all(one.isreg() and one.name.startswith("aiinfn-support/") for one in members)
        return {one.name.partition("/")[2]: archive.extractfile(one).read().decode() for one in members}  # type: ignore[union-attr]


def test_no_canary_is_in_it_and_what_helps_is(state: StateFolder) -> None:
    found = bundle(state)
    everything = "\n".join(found.values())
    assert [one for one in TRACES if one in everything] == []
    assert "the hub starts" in found["logs/hub.log"]
    assert "the hub is there" in found["logs/hub.log"]
    assert "/hub/api/oauth2/authorize?client_id=x&token=[removed]" in found["logs/hub.log"]
    assert {"README.txt", "version.json", "status.json", "doctor.json", "values.yaml", "workloads.json"} <= found.keys()
    assert parse_values(found["values.yaml"], "bundle").profiles.keys() == {"python", "quantum", "gpu", "fpga"}
    for name in ("version.json", "status.json", "doctor.json", "workloads.json", "databases.json"):
        json.loads(found[name])


def test_names_are_replaced_the_same_everywhere_when_asked(state: StateFolder) -> None:
    (state.homes / "user-maria").mkdir()
    (state.logs / "service.log").write_text("start of Alice: ok\n/home/user-maria/x and alice's, malice and zoe\n")
    (state.logs / "hub.log").write_text("GET /login?next=%2Fuser%2Falice%2Flab&url=%2fuser%2fbob (person)\n")
    assert "alice's, malice" in bundle(state)["logs/service.log"]
    found = bundle(state, "--without-names")
    everything = "\n".join(found.values())
    assert re.findall(r"(?i)(?<![a-z])(alice|bob|carol|maria|zoe)(?![a-z])", everything) == []
    line = re.fullmatch(
        r"start of (person-\d+): ok\n/home/user-(person-\d+)/x and (person-\d+)'s, malice and (person-\d+)\n",
        found["logs/service.log"],
    )
    assert re.fullmatch(
        r"GET /login\?next=%2Fuser%2Fperson-\d+%2Flab&url=%2fuser%2fperson-\d+ \(person\)\n", found["logs/hub.log"]
    )
    assert line is not None
    assert line[1] == line[3]
    assert len({line[1], line[2], line[4]}) == 3


def test_a_real_platform_with_a_session(folder: Path) -> None:
    with RunningPlatform.start() as running:
        build_python(running)
        with running.login("alice") as browser:
            browser.start(**CHOICE)
            browser.wait_ready()
            # what runs has tokens in its environment; none of them may be in the bundle
            tokens = set()
            for one in running.processes():
                try:
                    variables = Path(f"/proc/{one.pid}/environ").read_bytes().decode(errors="replace").split("\0")
                except OSError:
                    continue
                tokens |= {
                    text.partition("=")[2] for text in variables if re.search("TOKEN|SECRET", text.partition("=")[0])
                }
            tokens |= {cookie.value or "" for cookie in browser.client.cookies.jar}
            tokens |= {file.read_text().strip() for file in running.state.secrets.iterdir()}
            tokens |= {file.read_text().strip() for file in running.state.passwords.iterdir()}
            found = bundle(running.state, file=folder / "bundle.tar.gz")
        everything = "\n".join(found.values())
        long = {token for token in tokens if len(token) > 5}
        assert len(long) > 10
        assert [token for token in long if token in everything] == []
        assert json.loads(found["status.json"])["running"]
        assert [one["person"] for one in json.loads(found["workloads.json"]) if one["kind"] == "session"] == ["alice"]
        databases = json.loads(found["databases.json"])
        assert databases["database of the hub"]["rows"]["users"] >= 1
        assert databases["database of the service"]["version"]


def test_links_pipes_and_what_cannot_be_read(state: StateFolder) -> None:
    (state.logs / "proxy.log").symlink_to("/etc/passwd")
    (state.logs / "folder.log").mkdir()
    os.mkfifo(state.logs / "pipe.log")
    (state.secrets / "linked").symlink_to("/etc/passwd")
    found = bundle(state)
    assert "root:x:" not in "\n".join(found.values())
    for name in ("proxy.log", "folder.log", "pipe.log"):
        assert f"logs/{name} is not in the bundle: " in found["README.txt"]
    assert f"{state.secrets / 'linked'} was not read" in found["README.txt"]


def test_a_huge_log_is_its_end_and_no_half_of_a_secret(state: StateFolder) -> None:
    token = "0123456789abcdef" * 4
    (state.secrets / "long").write_text(token)
    tail = "x" * (2**20 - 40) + "\nlast line\n"
    # so that the cut goes through the token, on a line of its own and on a line without end
    (state.logs / "hub.log").write_text("first line\n" * 200_000 + token + tail)
    (state.logs / "service.log").write_text("y" * 3_000_000 + token + "z" * (2**20 - 40))
    started = time.monotonic()
    found = bundle(state, "--megabytes", "1")
    assert time.monotonic() - started < 30
    assert found["logs/hub.log"].endswith("last line\n")
    assert max(map(len, found.values())) <= 2**20
    everything = "\n".join(found.values())
    assert "first line" not in found["logs/hub.log"]
    assert token[-20:] not in everything


@pytest.mark.parametrize(
    "unit", ["a", "token", "0a", "eyJ", "a://", "$argon2id$", "-----BEGIN PRIVATE KEY-----", 'password="']
)
def test_hostile_lines_take_no_time(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    started = time.process_time()
    Redactor(["some-secret"], ["alice"]).clean(text)
    assert time.process_time() - started < 10


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=50), st.text("abcdef0123456789", min_size=6, max_size=64), st.text(max_size=50))
def test_a_known_secret_never_stays(before: str, secret: str, after: str) -> None:
    assert secret not in Redactor([secret]).clean(before + secret + after)


def test_what_is_there_already_is_left_alone(state: StateFolder) -> None:
    file = state.root.parent / "precious.txt"
    file.write_text("precious")
    for output in (file, Path("/dev/full"), state.root.parent / "no" / "folder", state.root.parent):
        done = aiinfn("support-bundle", "--state", str(state.root), "--output", str(output))
        assert done.returncode == 1
        assert done.stderr.startswith("Error: ")
        assert "Traceback" not in done.stderr
    assert file.read_text() == "precious"


def test_a_disk_that_is_full_is_a_sentence_and_leaves_nothing(state: StateFolder) -> None:
    (state.logs / "hub.log").write_text(os.urandom(400_000).hex(" "))
    output = state.root.parent / "bundle.tar.gz"
    limited = "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    limited += "resource.setrlimit(resource.RLIMIT_FSIZE, (16384, 16384))\n"
    limited += "from jupyterhub_aiinfn.cli.main import main; main()"
    arguments = ["support-bundle", "--state", str(state.root), "--output", str(output)]
    done = subprocess.run(
        [sys.executable, "-c", limited, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert f"Error: {output} cannot be written: file too large; make room" in done.stderr
    assert not output.exists()


@pytest.mark.root
def test_a_full_file_system(state: StateFolder) -> None:
    (state.logs / "hub.log").write_text(os.urandom(400_000).hex(" "))
    place = traversable_folder()
    script = 'mount -t tmpfs -o size=64k none "$0" && exec "$@"'
    command = [sys.executable, "-m", "jupyterhub_aiinfn.cli", "support-bundle", "--state", str(state.root)]
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, str(place), *command, "--output", str(place / "bundle.tar.gz")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    place.rmdir()
    assert done.returncode == 1
    assert "cannot be written: no space left on device; make room" in done.stderr


def test_there_must_be_a_state_folder(folder: Path) -> None:
    done = aiinfn("support-bundle", "--state", str(folder / "absent"), "--output", str(folder / "bundle.tar.gz"))
    assert done.returncode == 1
    assert "there is no state folder" in done.stderr
