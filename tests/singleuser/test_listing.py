"""A folder is listed while its files are renamed, on a real server."""

from __future__ import annotations

import threading
from pathlib import Path

import httpx
import pytest

from .conftest import TOKEN, running

pytestmark = pytest.mark.slow
HEADERS = {"Authorization": f"token {TOKEN}"}


def test_a_folder_is_listed_while_its_files_are_renamed(tmp_path: Path) -> None:
    folder, ended = tmp_path / "busy", threading.Event()
    folder.mkdir()
    for number in range(20):
        (folder / f"{number}.txt").touch()

    def rename() -> None:
        while not ended.wait(0.002):
            for number in range(20):
                (folder / f"{number}.txt").rename(folder / f"{number}.csv")
            for number in range(20):
                (folder / f"{number}.csv").rename(folder / f"{number}.txt")

    with running(tmp_path) as server, httpx.Client(headers=HEADERS, timeout=30) as client:
        other = threading.Thread(target=rename)
        other.start()
        try:
            answers = [client.get(f"{server.url}api/contents/busy").status_code for _ in range(200)]
        finally:
            ended.set()
            other.join()
        assert set(answers) == {200}
        assert client.get(f"{server.url}api/contents/none").status_code == 404
        assert client.get(f"{server.url}api/contents/busy/none.txt").status_code == 404
