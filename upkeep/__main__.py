"""``python -m upkeep``."""

from upkeep.cli import main

if __name__ == "__main__":
    main()
