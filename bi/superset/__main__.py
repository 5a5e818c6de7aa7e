"""``python -m bi.superset`` writes assets/ from dashboards.yaml and dbt's YAML; ``--check`` says what is stale."""

from __future__ import annotations

import sys

from bi.superset.export import stale, write

if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        found = stale()
        sys.stdout.writelines(f"{name} is not what is declared: python -m bi.superset\n" for name in found)
        sys.exit(bool(found))
    write()
