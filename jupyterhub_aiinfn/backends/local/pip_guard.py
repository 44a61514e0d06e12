"""``pip install`` in an image's environment, which nobody can change, ends in a sentence that says what to do instead.

pip reads ``pip.conf`` of its environment and hands itself over to the interpreter that ``python`` names there. That is
a small program here: it refuses to change the image and hands everything else to the real interpreter. It catches
``pip``, ``python -m pip`` and ``%pip`` alike, and only the pip of the image: own environments have their own settings.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from .state import write_file

GUARD = """\
#!/bin/sh
# pip of this environment comes here (see pip.conf beside this folder): $1 is pip's runner, the rest are its words.
for word in "$@"; do
  case "$word" in
    --target*|-t|--prefix*|--root*|--dry-run|--help|-h) exec {python} "$@" ;;
  esac
done
for word in "$@"; do
  case "$word" in
    install|uninstall)
      cat >&2 <<'END'
ERROR: This is the environment of the image {title}, which everybody shares and nobody can change.
Make an environment of your own, which lies on it and has your packages as well. In a terminal:
    aiinfn env create my-tools PACKAGES
or with the card Environments of the launcher. Then choose the kernel "my-tools (from {title})".
END
      exit 1 ;;
  esac
done
exec {python} "$@"
"""
WITHOUT_PIP = '#!/bin/sh\nexec "{guard}" pip "$@"\n'


def guard_pip(prefix: Path, title: str) -> None:
    """Guard the pip of the environment ``prefix``; where it has none, ``pip`` says the same."""
    guard = prefix / "libexec" / "pip-of-the-image"
    guard.parent.mkdir(exist_ok=True)
    text = GUARD.replace("{python}", shlex.quote(f"{prefix}/bin/python")).replace("{title}", title)
    write_file(guard, text.encode(), mode=0o755)
    write_file(prefix / "pip.conf", f"[global]\npython = {guard}\n".encode(), mode=0o644)
    for name in ("pip", "pip3"):
        if not (prefix / "bin" / name).exists():
            write_file(prefix / "bin" / name, WITHOUT_PIP.replace("{guard}", str(guard)).encode(), mode=0o755)
