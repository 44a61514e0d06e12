"""A setting, endpoint, command, error, variable or image that no page describes fails here."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import ModuleType

from bs4 import BeautifulSoup

from jupyterhub_aiinfn.values import Values


def text_of(page: Path) -> str:
    return " ".join(BeautifulSoup(page.read_text(), "html.parser").get_text(" ").split())


def test_every_setting_has_a_description_of_its_own(generated: ModuleType) -> None:
    schema = Values.model_json_schema(by_alias=True)
    sections = [("", schema), *generated.walk_sections(schema, schema, "")]
    bare = [
        f"{path}.{name}"
        for path, definition in sections
        for name, field in definition.get("properties", {}).items()
        if not field.get("description", "").strip()
    ]
    assert not bare, f"without a description: {bare}"


def test_every_setting_is_on_the_reference_page(generated: ModuleType, html: Path) -> None:
    page = BeautifulSoup((html / "reference/values.html").read_text(), "html.parser")
    titles = {heading.get_text().rstrip("¶") for heading in page.find_all("h2") + page.find_all("h3")}
    keys = {code.get_text() for code in page.select("td:first-child code")}
    for path in generated.value_paths():
        section, _, key = path.rpartition(".")
        assert key in keys, path
        assert not section or section in titles, path


def test_every_section_of_the_values_file_is_in_the_how_to(docs: Path) -> None:
    text = (docs / "how-to/values-file.md").read_text()
    missing = [name for name in Values.model_fields if not re.search(rf"(?m)^{name}:", text)]
    assert not missing


def test_every_command_and_option_has_help_and_is_on_the_page(generated: ModuleType, html: Path) -> None:
    text = text_of(html / "reference/cli.html")
    for path, command in generated.commands().items():
        assert command.help, f"{path} has no help"
        assert path in text
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert parameter.help, f"{path} {parameter.opts} has no help"
                assert parameter.opts[0] in text


def test_every_endpoint_has_a_sentence_and_is_on_the_page(generated: ModuleType, html: Path) -> None:
    text = text_of(html / "reference/rest.html")
    for method, path, found in generated.endpoints(generated.openapi()):
        assert f"{method} {path}" in text
        assert found.get("description"), f"{method} {path} has no docstring"


def test_every_error_is_on_the_page(generated: ModuleType, html: Path) -> None:
    text = text_of(html / "reference/errors.html")
    from jupyterhub_aiinfn.errors import AiinfnError

    for _, error in generated.walk_errors(AiinfnError, 0):
        assert error.__name__ in text


def test_every_variable_is_on_the_page(docs: Path, root: Path) -> None:
    lines = re.findall(r"(?m)^`[A-Z_`, ]+`$", (docs / "reference/environment-variables.md").read_text())
    described = {name for line in lines for name in re.findall(r"\bAIINFN_\w+", line)}
    sources = [file.read_text() for file in (root / "jupyterhub_aiinfn").rglob("*.py")]
    used = {name for source in sources for name in re.findall(r"[\"'](AIINFN_[A-Z_]*[A-Z])[\"']", source)}
    session = (root / "jupyterhub_aiinfn/hub/session_environment.py").read_text()
    used |= {f"AIINFN_{name}" for name in re.findall(r'"([A-Z_]+)": ', session) if "JUPYTER" not in name}
    assert used == described


def test_every_image_is_described_and_used_in_a_how_to(generated: ModuleType, docs: Path) -> None:
    folders = generated.image_folders()
    assert folders
    how_to = (docs / "how-to/environments.md").read_text()
    for folder in folders:
        assert len((folder / "README.md").read_text().split()) > 20, folder
        assert f"`{folder.name}`" in how_to, folder.name


def test_every_setting_of_the_session_panel_is_on_its_page(docs: Path, root: Path) -> None:
    schema = json.loads((root / "labextension/schema/session.json").read_text())
    page = (docs / "how-to/session-panel.md").read_text()
    rows = set(re.findall(r"(?m)^\| `(\w+)` \|", page))
    assert set(schema["properties"]) == rows
    bare = [name for name, field in schema["properties"].items() if not field.get("description")]
    assert not bare


PANEL_PAGES = {
    "cleanup": "when-the-home-is-full",
    "environments": "own-environments",
    "outputs": "nothing-is-lost",
    "saving": "nothing-is-lost",
    "session": "session-panel",
}


def test_every_plugin_of_jupyterlab_has_its_page(docs: Path, root: Path) -> None:
    schemas = {file.stem: json.loads(file.read_text()) for file in (root / "labextension/schema").glob("*.json")}
    assert set(schemas) == set(PANEL_PAGES)
    for name, schema in schemas.items():
        if schema["properties"]:
            page = (docs / f"how-to/{PANEL_PAGES[name]}.md").read_text()
            assert schema["title"] in page, f"the settings of {name} are not on the page {PANEL_PAGES[name]}"
