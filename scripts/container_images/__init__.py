"""Build the container images of ``images/``: ``python -m scripts.container_images``, which `make images` calls."""
