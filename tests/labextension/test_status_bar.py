"""The status bar of a real JupyterLab in a real browser."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest

pytestmark = pytest.mark.slow

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
NEWS = ["--LabApp.news_url=", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
SESSION = {
    "AIINFN_PROFILE": "gpu",
    "AIINFN_PROFILE_NAME": "GPU",
    "AIINFN_PROJECT": "lhcb",
    "AIINFN_PROJECT_NAME": "LHCb FlashSim",
    "AIINFN_ACCELERATOR": "a100-1g",
    "AIINFN_EMULATED": "1",
}
AXE = "axe.run('#jp-aiinfn-session-status').then(found => found.violations.map(violation => violation.id))"


@pytest.fixture(params=[SESSION, {}], ids=["platform", "by-hand"])
def lab(request, tmp_path) -> Iterator[tuple[str, dict[str, str]]]:
    """The address of a JupyterLab, and how its session was described to it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--ServerApp.port={port}", *NEWS]
    command += ["--ServerApp.port_retries=0", f"--ServerApp.root_dir={tmp_path}", "--IdentityProvider.token=t"]
    folders = {f"JUPYTER_{name}_DIR": str(tmp_path / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIINFN_", "JUPYTER"))}
    environment |= folders | request.param | {"HOME": str(tmp_path)}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until_it_answers(f"http://127.0.0.1:{port}/api", process, tmp_path / "log")
        yield f"http://127.0.0.1:{port}/lab?token=t&reset", request.param
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(url, timeout=5).raise_for_status()
            return
        except httpx.HTTPError:
            time.sleep(0.2)
    pytest.fail("JupyterLab did not start:\n" + log.read_text()[-3000:])


@pytest.fixture
async def page():
    from playwright.async_api import async_playwright

    program = shutil.which("chromium")
    assert program, "chromium is missing; run `make setup`"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield await browser.new_page()
        await browser.close()


async def test_profile_and_project_are_in_the_status_bar(lab, page):
    url, session = lab
    strangers: list[str] = []
    page.on("request", lambda request: strangers.append(request.url) if "127.0.0.1" not in request.url else None)
    await page.goto(url)
    await page.wait_for_selector("#jp-main-statusbar", timeout=60_000)
    item = page.locator(".jp-aiinfn-session")
    if not session:
        await page.wait_for_selector(".jp-Launcher", timeout=60_000)
        assert await item.count() == 0
        return
    await item.wait_for(timeout=60_000)
    assert await item.inner_text() == "GPU · LHCb FlashSim · EMULATED"
    assert "Charged to the project: LHCb FlashSim" in (await item.get_attribute("title") or "")
    await page.add_script_tag(content=axe_source())
    assert await page.evaluate(AXE) == []
    assert [address for address in strangers if address.startswith("http")] == []


def axe_source() -> str:
    from importlib.resources import files

    return files("axe_core_python").joinpath("axe.min.js").read_text()
