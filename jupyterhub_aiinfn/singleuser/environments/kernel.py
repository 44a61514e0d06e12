"""Starts the kernel of an own environment: ``python -m …kernel REFERENCE -f FILE``.

Where the environment cannot be used, a kernel starts that answers every cell with the reason and the remedy: a kernel
that dies says nothing to anybody.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from jupyterhub_aiinfn.errors import AiinfnError

from .layering import clean_environment


def main(arguments: list[str]) -> None:
    """Become the environment's kernel, or the one that explains why there is none."""
    from .environments import OwnEnvironments

    name, *rest = arguments
    try:
        environments = OwnEnvironments(os.environ)
        found = environments.find(name)
        if found.problem:
            return explain(found.problem, rest)
        prefix, base = found.prefix, environments.base
    except (AiinfnError, OSError) as error:
        return explain(str(error), rest)
    assert base is not None, "a ready environment has the image that it lies on"
    path = f"{prefix}/bin:{base.prefix}/bin:{os.environ.get('PATH', os.defpath)}"
    variables = clean_environment(PATH=path, VIRTUAL_ENV=str(prefix))
    python = str(prefix / "bin" / "python")
    os.execve(python, [python, "-m", "ipykernel_launcher", *rest], variables)  # noqa: S606 - that is its purpose


def explain(sentence: str, arguments: list[str]) -> None:
    """Run a kernel that can only say why the environment's own one cannot run."""
    from ipykernel.kernelapp import IPKernelApp
    from ipykernel.kernelbase import Kernel

    class ExplainingKernel(Kernel):
        implementation = "aiinfn-explains"
        implementation_version = "1"
        language_info = {"name": "python", "mimetype": "text/x-python", "file_extension": ".py"}
        banner = sentence

        async def do_execute(self, code: str, silent: bool, *_: Any, **__: Any) -> dict[str, Any]:
            count = {"execution_count": self.execution_count}
            if silent or not code.strip():
                return {"status": "ok", "payload": [], "user_expressions": {}, **count}
            text = f"{sentence}.\nThen restart the kernel."
            said = {"ename": "EnvironmentNotUsable", "evalue": sentence, "traceback": [text]}
            self.send_response(self.iopub_socket, "error", said)
            return {"status": "error", **said, **count}

    IPKernelApp.launch_instance(argv=arguments, kernel_class=ExplainingKernel)


if __name__ == "__main__":
    main(sys.argv[1:])
