"""The language files say what the sources say, and JupyterLab finds them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from jupyterlab_server.translation_utils import get_installed_packages_locale, get_language_packs

ROOT = Path(__file__).resolve().parents[2]
LOCALE = "jupyterhub_aiinfn/locale"


def test_the_language_files_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/translations.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_jupyterlab_offers_italian_and_finds_our_texts() -> None:
    packs, _ = get_language_packs()
    assert "it_IT" in packs
    found, message = get_installed_packages_locale("it_IT")
    assert message == ""
    assert found["jupyterhub_aiinfn"][""]["language"] == "it_IT"


def test_a_translation_keeps_the_places_for_what_is_filled_in() -> None:
    for file in (ROOT / LOCALE).glob("*/LC_MESSAGES/*.json"):
        catalog = json.loads(file.read_text())
        catalog.pop("")
        assert catalog, f"{file} translates nothing"
        for text, translations in catalog.items():
            # of a plural only the singular is the key: "once more" beside "%1 times more"
            wrong = [one for one in translations if not places(text) <= places(one) <= places(text) | {"%1"}]
            assert not (places(translations[0]) ^ places(text) if len(translations) == 1 else wrong), f"{file}: {text}"


def places(text: str) -> set[str]:
    return set(re.findall(r"%\d", text))
