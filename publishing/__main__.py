"""``python -m publishing``."""

from publishing.cli import main

if __name__ == "__main__":
    main()
