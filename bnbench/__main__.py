"""Makes ``python -m bnbench`` the same as ``bnbench``."""

from bnbench.cli import main

if __name__ == "__main__":
    main()
