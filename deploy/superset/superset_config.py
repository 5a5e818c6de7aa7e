"""Superset's own settings: secrets from files, no examples, SQL of users checked against the database's own limits."""

import os
from pathlib import Path

from sqlalchemy.engine import make_url

_SECRETS = Path(os.environ.get("TONGBAO_SECRETS", "/run/secrets"))


def _secret(name: str) -> str:
    return (_SECRETS / name).read_text(encoding="utf-8").strip()


SECRET_KEY = _secret("superset_secret_key")
SQLALCHEMY_DATABASE_URI = (
    make_url(os.environ["SUPERSET_DATABASE"])
    .set(password=_secret("superset_db_password"))
    .render_as_string(hide_password=False)
)
# The published DuckDB file is one: Superset refuses file databases unless told otherwise.
PREVENT_UNSAFE_DB_CONNECTIONS = False
WTF_CSRF_ENABLED = True
TALISMAN_ENABLED = True
SESSION_COOKIE_SAMESITE = "Lax"
BABEL_DEFAULT_LOCALE = "zh"
LANGUAGES = {"zh": {"flag": "cn", "name": "中文"}, "en": {"flag": "us", "name": "English"}}
SQLLAB_TIMEOUT = 60
SUPERSET_WEBSERVER_TIMEOUT = 60
