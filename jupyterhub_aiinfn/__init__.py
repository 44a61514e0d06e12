"""An extension bundle for JupyterHub: shared accelerators for the machine learning of a physics institute."""

__version__ = "0.1.0"
