"""``python -m musetune.cli``."""

from musetune.cli.app import main

main()
