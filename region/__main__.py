"""``python -m region``."""

from region.cli import main

if __name__ == "__main__":
    main(prog_name="python -m region")
