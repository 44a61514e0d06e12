from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.cli.main import cli
from jupyterhub_aiinfn.hub.people import People
from jupyterhub_aiinfn.values import load_values

from .test_people import TEXT


@pytest.fixture
def places(tmp_path: Path) -> list[str]:
    (tmp_path / "values.yaml").write_text(TEXT)
    return ["--state", str(tmp_path / "state"), "--values", str(tmp_path / "values.yaml")]


def run(*arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["user", *arguments], input=typed)


def people_of(places: list[str]) -> People:
    return People(StateFolder(Path(places[1])), load_values(Path(places[3])))


def test_add_says_where_the_password_is(places: list[str]) -> None:
    result = run("add", "dora", "--group", "users", "--group", "quantum", *places)
    assert result.exit_code == 0, result.output
    file = Path(places[1]) / "passwords" / "dora"
    assert result.output == f"dora can log in; the first password is in {file}\n"
    assert people_of(places).verify("dora", file.read_text().strip())
    assert people_of(places).groups("dora") == ("users", "quantum")


def test_passwd_reads_standard_input(places: list[str]) -> None:
    assert run("passwd", "alice", *places, typed="a good password\n").output == "alice has a new password\n"
    assert people_of(places).verify("alice", "a good password")


def test_list_shows_everybody(places: list[str]) -> None:
    run("add", "dora", *places)
    lines = run("list", *places).output.splitlines()
    assert [line.split()[0] for line in lines] == ["name", "admin", "alice", "dora"]
    assert lines[1].split()[1:3] == ["admin", "admins"]
    assert lines[3].endswith("passwords/dora")


@pytest.mark.parametrize(
    ("arguments", "typed", "sentence"),
    [
        (["add", "../x"], None, "cannot be a login name"),
        (["add", "alice"], None, "exists already"),
        (["passwd", "nobody"], "a good password\n", "nobody is called 'nobody'"),
        (["passwd", "alice"], "short\n", "at least 10"),
        (["passwd", "alice"], "", "at least 10"),
    ],
)
def test_errors_are_a_sentence_and_exit_code_1(
    places: list[str], arguments: list[str], typed: str | None, sentence: str
) -> None:
    result = run(*arguments, *places, typed=typed)
    assert result.exit_code == 1
    assert sentence in result.output
    assert "Traceback" not in result.output


def test_a_folder_that_cannot_be_made_is_a_sentence(places: list[str]) -> None:
    result = run("list", "--state", "/proc/aiinfn", *places[2:])
    assert result.exit_code == 1
    assert "the state folder /proc/aiinfn cannot be used" in result.output
