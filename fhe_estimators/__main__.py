"""``python -m fhe_estimators``: the command ``fhe-estimators``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
