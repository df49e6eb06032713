"""Does generated audio follow its lead sheets? `musetune evaluate` from a checkout.

    python recipes/evaluate.py --suite obedience [--base nano] [--adapter theory] [--out out/evaluation] [--limit 8]

`--help` says what is compared and measured; the protocol is in musetune/suites.
"""

from musetune.cli import main

if __name__ == "__main__":
    main("evaluate")
