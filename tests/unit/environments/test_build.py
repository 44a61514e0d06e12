"""The build program, run as a process against an index on loopback."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from jupyterhub_aiinfn.backends.local.environment_lock import is_held
from jupyterhub_aiinfn.backends.local.state import read_json

from .conftest import Builder, kernel_wheel, wheel


def wait_until(condition: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.03)


def nothing_left(builder: Builder) -> bool:
    return not builder.path.exists() and not is_held(builder.path)


def test_a_build_is_ready_readable_by_everybody_and_has_a_kernel(builder: Builder) -> None:
    builder.freeze(builder.index.add(kernel_wheel()), builder.index.add(wheel("one")))
    code, output = builder.run()
    assert code == 0, output
    ready = read_json(builder.path / "ready.json")
    assert (ready["image"], ready["packages"]) == ("demo", 2)
    assert ready["bytes"] > 100_000
    spec = read_json(builder.path / "share/jupyter/kernels/python3/kernel.json")
    assert spec["argv"][0] == str(builder.path / "bin/python")
    assert spec["display_name"] == "Demo of it"
    for path in [builder.path.parent, *builder.path.rglob("*")]:
        mode = path.stat().st_mode
        assert mode & 0o004, path
        assert not mode & 0o022, path
    assert list(builder.path.glob("lib/*/site-packages/one/__pycache__/*.pyc"))
    last = read_json(builder.progress)
    assert (last["step"], last["done"], last["total"]) == ("ready", 2, 2)
    assert last["bytes_done"] == last["bytes_total"] == sum(map(len, builder.index.wheels.values()))


@pytest.mark.slow
def test_progress_of_a_slow_index_has_many_values_and_never_goes_back(builder: Builder) -> None:
    pins = [builder.index.add(kernel_wheel()), *(builder.index.add(wheel(f"p{number}")) for number in range(14))]
    builder.freeze(*pins)
    builder.index.seconds_between_pieces = 0.2
    seen: list[tuple[int, int]] = []
    with builder.start() as process:
        while process.poll() is None:
            if said := read_json(builder.progress):
                value = (said["bytes_done"], said["done"])
                seen += [value] if value not in seen else []
                assert said["total"] == 15
                assert said["bytes_total"] > 0
            time.sleep(0.03)
    assert process.returncode == 0
    assert seen == sorted(seen)
    assert len(seen) >= 10, seen


def test_the_second_build_finds_the_first_one(builder: Builder) -> None:
    builder.freeze(builder.index.add(kernel_wheel()))
    assert builder.run()[0] == 0
    built_at = read_json(builder.path / "ready.json")["built_at"]
    assert builder.run()[0] == 0
    assert read_json(builder.path / "ready.json")["built_at"] == built_at


@pytest.mark.slow
def test_two_builders_at_once_build_once_and_both_see_progress(builder: Builder) -> None:
    builder.freeze(builder.index.add(kernel_wheel()), *(builder.index.add(wheel(f"p{n}")) for n in range(8)))
    builder.index.seconds_between_pieces = 0.08
    with builder.start(progress="a.json") as one, builder.start(progress="b.json") as two:
        outputs = [process.communicate(timeout=60)[0] for process in (one, two)]
    assert (one.returncode, two.returncode) == (0, 0), outputs
    files = [name for name in builder.index.served if name.endswith(".whl")]
    assert sorted(files) == sorted(set(files))
    for name in ("a.json", "b.json"):
        assert read_json(builder.cache / name)["bytes_done"] > 0


def test_a_killed_build_leaves_nothing_ready_and_the_next_one_works(builder: Builder) -> None:
    builder.freeze(builder.index.add(kernel_wheel()), *(builder.index.add(wheel(f"p{n}")) for n in range(8)))
    builder.index.seconds_between_pieces = 0.2
    with builder.start() as process:
        wait_until(lambda: (read_json(builder.progress) or {}).get("bytes_done"))
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    assert builder.path.exists()
    assert not (builder.path / "ready.json").exists()
    wait_until(lambda: not is_held(builder.path), 5)  # its pip has died with it
    builder.index.seconds_between_pieces = 0
    code, output = builder.run()
    assert code == 0, output


def test_a_build_that_is_stopped_clears_up(builder: Builder) -> None:
    builder.freeze(builder.index.add(kernel_wheel()), *(builder.index.add(wheel(f"p{n}")) for n in range(8)))
    builder.index.seconds_between_pieces = 0.2
    with builder.start() as process:
        wait_until(lambda: (read_json(builder.progress) or {}).get("bytes_done"))
        process.terminate()
        assert process.wait(10) == 128 + signal.SIGTERM
    assert nothing_left(builder)


def test_a_package_that_does_not_exist_is_named_and_the_next_build_works(builder: Builder) -> None:
    good = builder.index.add(kernel_wheel())
    builder.freeze(good, f"nowhere==3.1 \\\n    --hash=sha256:{'0' * 64}\n")
    code, output = builder.run()
    assert code == 1
    sentence = output.splitlines()[-1]
    assert sentence.startswith(
        "environment demo: nowhere 3.1 could not be installed: the package index has no such wheel"
    )
    assert "No matching distribution found for nowhere==3.1" in output
    assert nothing_left(builder)
    builder.freeze(good)
    assert builder.run()[0] == 0


def test_another_file_than_the_frozen_one_is_refused_and_named(builder: Builder) -> None:
    pins = [builder.index.add(kernel_wheel()), builder.index.add(wheel("changed")), builder.index.add(wheel("good"))]
    builder.freeze(*pins)
    builder.index.add(wheel("changed"))  # other noise, other hash
    code, output = builder.run()
    assert code == 1
    assert "environment demo: changed 1.0 could not be installed: what was downloaded is not what was frozen" in output
    assert nothing_left(builder)


def test_a_damaged_wheel_is_named(builder: Builder) -> None:
    name, data = wheel("damaged")
    builder.freeze(builder.index.add(kernel_wheel()), builder.index.add((name, data[: len(data) // 2])))
    code, output = builder.run()
    assert code == 1
    assert "environment demo: damaged 1.0 could not be installed" in output.splitlines()[-1]
    assert nothing_left(builder)


def test_a_wheel_whose_installation_fails_is_named(builder: Builder) -> None:
    escaping = wheel("escaping", files={"../../../../../escaped.py": b""})
    builder.freeze(builder.index.add(kernel_wheel()), builder.index.add(escaping), builder.index.add(wheel("zzz")))
    code, output = builder.run()
    assert code == 1
    assert "environment demo: escaping 1.0 could not be installed" in output.splitlines()[-1]
    assert nothing_left(builder)


def test_an_index_that_does_not_answer_is_said(builder: Builder) -> None:
    builder.freeze(builder.index.add(kernel_wheel()))
    builder.environment |= {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "1"}
    code, output = builder.run()
    assert code == 1
    assert "ipykernel 1.0 could not be installed: the package index cannot be reached" in output.splitlines()[-1]


def test_a_full_disk_is_said_and_leaves_nothing(builder: Builder) -> None:
    builder.freeze(builder.index.add(kernel_wheel()), *(builder.index.add(wheel(f"p{n}")) for n in range(20)))
    builder.path.parent.mkdir(parents=True)
    mount = (
        f'mount -t tmpfs -o size=1m none {builder.path.parent} && "$@"; code=$?; ls {builder.path.parent}; exit $code'
    )
    unshare = ["unshare", "-m"] if os.getuid() == 0 else ["unshare", "-rm"]
    code, output = builder.run((*unshare, "sh", "-c", mount, "sh"))
    assert code == 1, output
    assert "the disk is full; make room" in output
    assert output.splitlines()[-1].endswith(".lock"), "more than the lock is left"


def test_packages_that_do_not_fit_together_are_found(builder: Builder) -> None:
    name = "needy-1.0.dist-info/METADATA"
    metadata = b"Metadata-Version: 2.1\nName: needy\nVersion: 1.0\nRequires-Dist: forgotten\n"
    file, data = wheel("needy", files={"needy.py": b""})
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(packed, "w") as new:
        for entry in old.namelist():
            new.writestr(entry, metadata if entry == name else old.read(entry))
    builder.freeze(builder.index.add(kernel_wheel()), builder.index.add((file, packed.getvalue())))
    code, output = builder.run()
    assert code == 1
    assert "forgotten" in output.splitlines()[-1]
    assert nothing_left(builder)


def test_no_kernel_is_said(builder: Builder) -> None:
    builder.freeze(builder.index.add(wheel("one")))
    code, output = builder.run()
    assert code == 1
    assert "add ipykernel to requirements.in" in output.splitlines()[-1]
    assert nothing_left(builder)


def test_pips_cache_and_a_folder_of_wheels_are_used(builder: Builder, tmp_path: Path) -> None:
    pins = [builder.index.add(kernel_wheel()), builder.index.add(wheel("one"))]
    builder.freeze(*pins)
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name, data in builder.index.wheels.items():
        (folder / name).write_bytes(data)
    builder.environment |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder)}
    code, output = builder.run()
    assert code == 0, output
    assert builder.index.served == []
    last = json.loads(builder.progress.read_text())
    assert last["bytes_done"] == last["bytes_total"]


@pytest.mark.parametrize("text", ["", "# nothing\n"])
def test_an_empty_frozen_file_is_an_error(builder: Builder, text: str) -> None:
    builder.frozen.write_text(text)
    code, output = builder.run()
    assert code == 1
    assert "Traceback" not in output


def test_a_folder_that_cannot_be_written_is_a_sentence(builder: Builder) -> None:
    builder.freeze(builder.index.add(kernel_wheel()))
    builder.path.parent.write_text("a file where a folder should be")
    code, output = builder.run()
    assert code == 1
    assert output.splitlines()[-1].startswith("environment demo cannot be built in ")
    assert "Traceback" not in output


def test_pip_holds_the_lock_and_not_the_terminal(builder: Builder) -> None:
    builder.freeze(builder.index.add(kernel_wheel()), *(builder.index.add(wheel(f"p{n}")) for n in range(4)))
    builder.index.seconds_between_pieces = 0.1
    with builder.start() as process:
        wait_until(lambda: (read_json(builder.progress) or {}).get("bytes_done"))
        assert is_held(builder.path)
        assert process.stdin is None
        process.communicate(timeout=60)
    assert not is_held(builder.path)
    assert subprocess.run([builder.path / "bin/python", "-c", "import p1"]).returncode == 0
