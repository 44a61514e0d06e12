"""The cluster's programs are built once, and what goes wrong is said; here with a Go module of a few lines."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools.cluster import build
from tests.tools.cluster.errors import ClusterError

PROGRAM = """package main

import ("fmt"; "os"; "path/filepath")

func main() { fmt.Println("I am", filepath.Base(os.Args[0])) }
"""


@pytest.fixture
def tool(tmp_path: Path) -> build.Tool:
    module = tmp_path / "modules" / "tiny"
    module.mkdir(parents=True)
    (module / "go.mod").write_text("module aiinfn.test/tiny\n\ngo 1.24.0\n")
    (module / "main.go").write_text(PROGRAM)
    return build.Tool("tiny", names=("one", "other"), modules=module.parent)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def test_a_tool_is_built_once_and_acts_as_the_name_it_is_called_by(tool: build.Tool, cache: Path) -> None:
    folder = build.built(tool, cache=cache)
    for name in ("tiny", "one", "other"):
        assert subprocess.check_output([folder / "bin" / name], text=True) == f"I am {name}\n"
    made = (folder / "bin" / "tiny").stat().st_mtime_ns
    assert build.built(tool, cache=cache) == folder
    assert (folder / "bin" / "tiny").stat().st_mtime_ns == made


def test_every_source_counts_and_where_they_lie_does_not(tool: build.Tool, cache: Path, tmp_path: Path) -> None:
    before = build.folder_of(tool, cache)
    tool.modules.rename(tmp_path / "elsewhere")
    moved = build.Tool("tiny", names=("one", "other"), modules=tmp_path / "elsewhere")
    assert build.folder_of(moved, cache) == before
    (moved.source / "go.sum").write_text("")
    assert build.folder_of(moved, cache) != before


def test_the_compilers_words_are_told_and_nothing_half_built_stays(tool: build.Tool, cache: Path) -> None:
    (tool.source / "main.go").write_text("package main\n\nfunc main() { nonsense() }\n")
    with pytest.raises(ClusterError, match=r"(?s)failed in modules/tiny:.*undefined: nonsense"):
        build.built(tool, cache=cache)
    assert [path.name for path in cache.iterdir()] == ["cluster-tiny.lock"]


def test_what_a_killed_build_left_is_removed_by_the_next(tool: build.Tool, cache: Path) -> None:
    (cache / ".cluster-tiny-abandoned" / "part").mkdir(parents=True)
    (cache / ".cluster-other-abandoned").mkdir()
    build.built(tool, cache=cache)
    assert {path.name for path in cache.iterdir() if path.name.startswith(".")} == {".cluster-other-abandoned"}


def test_two_checkouts_that_build_at_once_build_it_once(tool: build.Tool, cache: Path) -> None:
    (tool.source / "main.go").write_text(f"{PROGRAM}\n// {tool.source}: the compiler has not seen it\n")
    script = (
        "import sys; from pathlib import Path; from tests.tools.cluster import build; said = []; "
        "tool = build.Tool('tiny', names=('one', 'other'), modules=Path(sys.argv[1])); "
        "build.built(tool, said.append, Path(sys.argv[2])); print(bool(said))"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tool.modules), str(cache)],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    assert sorted(each.communicate(timeout=120)[0] for each in both) == ["False\n", "True\n"]


@pytest.mark.parametrize("says", ["go1.19.8", "nonsense", ""])
def test_a_go_that_is_too_old_is_refused_in_a_sentence(says: str, tmp_path: Path) -> None:
    program = tmp_path / "go"
    program.write_text(f"#!/bin/sh\necho {says}\n")
    program.chmod(0o755)
    with pytest.raises(ClusterError, match=r"needs? Go 1\.26 or newer.*`make setup`"):
        build.find_go(str(program), str(tmp_path / "missing"))


def test_setup_brings_the_go_that_the_modules_need() -> None:
    checkout = Path(__file__).parents[2]
    found = re.search(r"(?m)^OLDEST_GO = \((\d+), (\d+)\)$", (checkout / ".ci" / "setup.py").read_text())
    assert found is not None
    assert tuple(map(int, found.groups())) == build.OLDEST_GO
    for tool in build.ALL:
        needed = re.search(r"(?m)^go (\d+)\.(\d+)", (tool.source / "go.mod").read_text())
        assert needed is not None
        assert tuple(map(int, needed.groups())) <= build.OLDEST_GO, tool.name


def test_the_modules_that_are_built_are_whole_and_name_no_index_and_no_machine() -> None:
    for tool in build.ALL:
        for name in ("go.mod", "go.sum"):
            text = (tool.source / name).read_text()
            assert text, f"{tool.name} has no {name}"
            assert "://" not in text
            assert "=> /" not in text
            assert "=> ." not in text
