"""Make a data set of cached latents from a folder of music: `musetune prepare` from a checkout.

    python recipes/prepare.py SRC OUT [--base nano] [--genre folk] [--data-license CC0-1.0]

`--help` says what SRC may hold and what OUT becomes; the work is done by musetune/datasets/prepare.py.
"""

from musetune.cli import main

if __name__ == "__main__":
    main("prepare")
