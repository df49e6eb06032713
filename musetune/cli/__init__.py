"""The command line, thin over the package."""

from musetune.cli.app import app, main

__all__ = ["app", "main"]
