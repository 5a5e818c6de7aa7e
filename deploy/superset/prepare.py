"""Superset's own database made ready, all at once: schema, roles, the administrator, the dashboards of bi/superset.

Runs under Superset's Python before the server starts, and again for every update: what it finds it brings up to date.
From the environment: SUPERSET_ASSETS, the folder of the assets; SUPERSET_WAREHOUSE, where the dashboards read, as an
SQLAlchemy address (DuckDB or PostgreSQL); what superset_config.py reads.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml
from superset.app import create_app

USER = "tongbao"


def contents(folder: Path, warehouse: str | None) -> dict[str, str]:
    """The assets as Superset's importer takes them; ``warehouse`` replaces the address of the one database."""
    found = {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in sorted(folder.rglob("*.yaml"))}
    for name in [name for name in found if name.startswith("databases/") and warehouse]:
        found[name] = yaml.safe_dump({**yaml.safe_load(found[name]), "sqlalchemy_uri": warehouse})
    return found


def prepare(app: Any) -> None:
    """Raises what Superset raises; the parts before it are then done, and are done again next time."""
    import superset
    from flask_migrate import upgrade
    from superset import appbuilder, security_manager
    from superset.commands.importers.v1.assets import ImportAssetsCommand
    from superset.extensions import db
    from superset.utils.core import override_user

    upgrade(directory=str(Path(superset.__file__).with_name("migrations")))
    appbuilder.add_permissions(update_perms=True)
    security_manager.sync_role_definitions()
    db.session.commit()
    password = app.config["TONGBAO_ADMIN_PASSWORD"]()
    user = security_manager.find_user(username=USER)
    if user is None:
        admin = security_manager.find_role("Admin")
        user = security_manager.add_user(USER, USER, USER, f"{USER}@localhost", admin, password)
    else:
        # The file is what counts, so that another password is a new file and a restart.
        security_manager.reset_password(user.id, password)
    with override_user(user):
        ImportAssetsCommand(contents(Path(os.environ["SUPERSET_ASSETS"]), os.environ.get("SUPERSET_WAREHOUSE"))).run()


if __name__ == "__main__":
    application = create_app()
    with application.app_context():
        prepare(application)
