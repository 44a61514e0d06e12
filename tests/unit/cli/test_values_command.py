"""`aiinfn values` as a process: exit codes, sentences, no traceback; and what `aiinfn --help` imports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from jupyterhub_aiinfn.cli.main import COMMANDS, cli

CONFIG = Path(__file__).parents[3] / "config"


def aiinfn(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jupyterhub_aiinfn.cli", *map(os.fspath, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stdout + done.stderr
    return done


def test_a_good_file_exits_0() -> None:
    done = aiinfn("values", "check", CONFIG / "local.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert "local.yaml is valid: 4 profiles, 4 images, 3 projects" in done.stdout


def test_a_wrong_file_exits_1_with_everything_at_once(tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    text = (CONFIG / "local.yaml").read_text("utf-8")
    path.write_text(text.replace("image: quantum", "image: quantun").replace("timezone:", "timezon:"))
    done = aiinfn("values", "check", path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: {path}: 2 problems\n")
    assert 'site.timezon (line 7): is not a known key (found "Europe/Rome"); did you mean "timezone"?' in done.stderr
    assert 'is not an image (found "quantun"); did you mean "quantum"?' in done.stderr


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"a: !!python/object:os.system x", b"a: " + b"9" * 5000, b"[" * 10**6]
)
def test_a_hostile_file_exits_1_with_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "values.yaml"
    path.write_bytes(content)
    for command in ("check", "show"):
        done = aiinfn("values", command, path)
        assert done.returncode == 1
        assert f"Error: {path}: " in done.stderr
        assert len(done.stderr) < 2000


def test_what_is_no_file_exits_1(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent", Path("/dev/zero"), tmp_path / os.fsdecode(b"\xff")):
        done = aiinfn("values", "check", path)
        assert done.returncode == 1
        assert "cannot be read" in done.stderr


def test_what_show_prints_checks_and_shows_as_itself(tmp_path: Path) -> None:
    path = tmp_path / "shown.yaml"
    path.write_text(aiinfn("values", "show", CONFIG / "examples" / "farm.yaml").stdout)
    assert aiinfn("values", "check", path).returncode == 0
    assert aiinfn("values", "show", path).stdout == path.read_text()
    assert yaml.safe_load(path.read_text())["limits"]["stop_grace"] == "10s"


def test_schema_prints_the_schema() -> None:
    done = aiinfn("values", "schema")
    assert done.returncode == 0
    assert json.loads(done.stdout) == json.loads((CONFIG / "values.schema.json").read_text("utf-8"))


def test_help_names_every_command_and_imports_little() -> None:
    script = (
        "import sys; from jupyterhub_aiinfn.cli.main import cli\n"
        "try: cli(['--help'])\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'fastapi', 'jupyterhub', 'sqlalchemy', 'argon2', 'httpx', 'psutil', 'pydantic', 'yaml', 'uvicorn'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.endswith("HEAVY []\n")
    assert all(name in done.stdout for name in COMMANDS)


def test_values_needs_the_bare_install_only() -> None:
    script = (
        "import sys; from jupyterhub_aiinfn.cli.main import cli\n"
        f"try: cli(['values', 'check', {str(CONFIG / 'local.yaml')!r}])\n"
        "except SystemExit as end: assert not end.code\n"
        "bare = {'click', 'pydantic', 'pydantic_core', 'yaml', 'annotated_types', 'typing_extensions'}\n"
        "bare.add('typing_inspection')\n"
        "files = {name.split('.')[0]: str(getattr(m, '__file__', '')) for name, m in sys.modules.items()}\n"
        "tops = {name for name, file in files.items() if 'site-packages' in file}\n"
        "print('BEYOND', sorted(t for t in tops - bare if not t.startswith('_')))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.endswith("BEYOND []\n"), done.stdout


def test_an_unknown_command_is_a_usage_error() -> None:
    result = CliRunner().invoke(cli, ["valuse"])
    assert result.exit_code == 2
    assert "No such command 'valuse'" in result.output


def test_a_command_whose_packages_are_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMMANDS, "values", ("jupyterhub_aiinfn_absent.cli:values", "Absent."))
    result = CliRunner().invoke(cli, ["values", "check", "x"])
    assert result.exit_code == 1
    assert "needs the Python package jupyterhub_aiinfn_absent" in result.output
    assert "jupyterhub-aiinfn[local]" in result.output


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    command = f"{sys.executable} -m jupyterhub_aiinfn.cli values schema | head -c 10"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
