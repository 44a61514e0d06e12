"""A person's own environments: laid on the image's environment, in the home or in a project folder, seen as kernels."""
