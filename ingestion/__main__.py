"""``python -m ingestion``: see ``ingestion.cli``."""

from ingestion.cli import main

if __name__ == "__main__":
    main(prog_name="python -m ingestion")
