"""Environments of images, and the starts that wait until one is built."""
