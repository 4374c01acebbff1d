"""`python -m lethe`, which torchrun wants: `torchrun --nproc-per-node 2 -m lethe train fomo`."""

import sys

from lethe.cli import entry

if __name__ == "__main__":
    sys.exit(entry())
