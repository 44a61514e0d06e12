"""What a session serves cannot act for who opens it, where each person's sessions have an address of their own."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.platform import RunningPlatform

from .conftest import ROOT, MakePerson
from .person import Person

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

KERNEL = '{"argv": ["true"], "display_name": "Evil", "language": "python"}'
PAGE = """<!doctype html><meta charset="utf-8"><title>evil</title><script>
const hub = HUB + '/hub/';
const read = path => fetch(hub + path, {credentials: 'include', referrer: hub + 'home'})
  .then(answer => answer.text().then(text => text.includes('alice')), () => 'nothing');
const forge = () => fetch(hub + 'api/users/alice/tokens', {
  method: 'POST', mode: 'no-cors', credentials: 'include', referrer: hub + 'home', body: '{"note": "forged"}'
}).then(() => 'sent', () => 'nothing');
(async () => {
  document.title = `read ${await read('home')}, ${await read('token')}; ${await forge()}`;
})();
</script>"""


@pytest.fixture(scope="module")
def named(built: None) -> Iterator[RunningPlatform]:
    """A platform with a name: browsers find every name below localhost on this machine."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://hub.localhost:{port}"
    text = (ROOT / "config/local.yaml").read_text()
    assert "\nsite:\n" in text
    values = text.replace("\nsite:\n", f"\nsite:\n  url: {url}\n")
    with RunningPlatform.start(values=values, arguments=["--port", str(port)]) as running:
        assert running.url == url
        assert "enforced      the sessions of each person have an address of their own" in running.output
        yield running


def test_a_day_with_addresses_of_their_own(person: MakePerson, named: RunningPlatform, results: Path) -> None:
    alice = person("alice", named)
    alice.log_in()
    alice.start("python")
    page = alice.page
    own = named.url.replace("//hub.", "//alice.hub.")
    assert page.url.startswith(f"{own}/user/alice/lab")
    alice.new_notebook("Python")
    alice.run_cell("print(6 * 7)")
    expect(page.locator(".jp-OutputArea-output").last).to_contain_text("42", timeout=60_000)
    alice.save_as("own.ipynb")
    page.locator("#jp-aiinfn-session-status button").click()
    panel = page.locator("#jp-aiinfn-session-panel")
    expect(panel).to_contain_text("Charged to")
    expect(panel).not_to_contain_text("does not answer")
    page.screenshot(path=str(results / "own-addresses.png"))
    nothing_is_reached(alice, named, own)
    alice.go("/services/aiinfn/")
    expect(page.locator("main")).to_contain_text("Python")
    alice.go("/user/alice/lab/tree/own.ipynb")
    page.wait_for_url(f"{own}/user/alice/lab/tree/own.ipynb*")
    alice.stop()


def nothing_is_reached(alice: Person, named: RunningPlatform, own: str) -> None:
    """A page in the session reads nothing of the hub, and what it sends there changes nothing."""
    assert what_an_evil_page_does(alice, named, own) == "read nothing, nothing; sent"
    assert "201 POST /hub/api/users/alice/tokens" not in named.log("hub")


def what_an_evil_page_does(alice: Person, platform: RunningPlatform, own: str) -> str:
    """Open a page that a kernel of the home brings, as somebody might who was given a link; what it says it reached."""
    folder = platform.state.home("user-alice") / ".local/share/jupyter/kernels/evil"
    alice.run_cell(
        f"import pathlib; f = pathlib.Path.home() / {str(folder.relative_to(platform.state.home('user-alice')))!r}\n"
        f"f.mkdir(parents=True); (f / 'kernel.json').write_text({KERNEL!r})\n"
        f"(f / 'x.html').write_text({PAGE.replace('HUB', repr(platform.url))!r}); print('made', 'it')"
    )
    expect(alice.page.locator(".jp-OutputArea-output").last).to_contain_text("made it", timeout=60_000)
    evil = alice.context.new_page()
    evil.goto(f"{own}/user/alice/kernelspecs/evil/x.html")
    evil.wait_for_function("document.title.startsWith('read')")
    said = evil.title()
    evil.close()
    return said


def test_without_them_such_a_page_reads_the_hub(person: MakePerson, platform: RunningPlatform) -> None:
    """Why the platform says at its start that this is not enforced: the same page, one address for all."""
    assert "NOT enforced  sessions have the address of the hub" in platform.output
    alice = person("alice", platform)
    alice.log_in()
    alice.start("python")
    alice.new_notebook("Python")
    assert what_an_evil_page_does(alice, platform, platform.url).startswith("read true, true;")
