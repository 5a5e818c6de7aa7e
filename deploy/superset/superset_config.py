"""Superset's own settings, in a container and for `make superset`: secrets from files, warehouses only read.

Read by Superset's Python (requirements/superset.txt), not by the project's. From the environment: TONGBAO_SECRETS, the
folder of secret files (default /run/secrets); SUPERSET_DATABASE, Superset's own database, without its password.
"""

import os
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL, make_url
from superset.config import THEME_DARK as _DARK
from superset.config import THEME_DEFAULT as _LIGHT

_SECRETS = Path(os.environ.get("TONGBAO_SECRETS", "/run/secrets"))


def _secret(name: str) -> str:
    return (_SECRETS / name).read_text(encoding="utf-8").strip()


def _derived(name: str) -> str:
    """A key of its own for each use, so that none of Superset's published defaults is left."""
    return sha256(f"{name}:{SECRET_KEY}".encode()).hexdigest()


SECRET_KEY = _secret("superset_secret_key")
GUEST_TOKEN_JWT_SECRET = _derived("guest")
GLOBAL_ASYNC_QUERIES_JWT_SECRET = _derived("async")

_own = make_url(os.environ["SUPERSET_DATABASE"])
if _own.get_backend_name() == "postgresql":
    _own = _own.set(password=_secret("superset_db_password"))
SQLALCHEMY_DATABASE_URI = _own.render_as_string(hide_password=False)

# The published DuckDB file opens with these, whatever a connection says: read, nothing else of the host, no way back.
_LOCK = {
    "access_mode": "read_only",
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "memory_limit": "1GB",
    "threads": "2",
    "lock_configuration": "true",
}


def DB_SQLA_URI_VALIDATOR(uri: URL) -> None:
    """Only the two back ends can be connected to; the others' drivers could open files of the host."""
    if uri.get_backend_name() not in ("duckdb", "postgresql"):
        raise ValueError("a database connection is duckdb:///… or postgresql+psycopg2://…")


def DB_CONNECTION_MUTATOR(
    uri: URL, params: dict[str, Any], username: str | None, security_manager: Any, source: Any
) -> tuple[URL, dict[str, Any]]:
    """Every connection to a warehouse, as it is opened: DuckDB locked, PostgreSQL with the reader's password."""
    DB_SQLA_URI_VALIDATOR(uri)
    if uri.get_backend_name() == "duckdb":
        return uri.set(query=_LOCK), {**params, "connect_args": {}}
    # The reader's password goes to the warehouse that is set, and to no server that somebody adds.
    ours = make_url(os.environ.get("SUPERSET_WAREHOUSE", "postgresql://"))
    is_ours = (uri.host, uri.port, uri.username) == (ours.host, ours.port, ours.username)
    if is_ours and not uri.password and (_SECRETS / "reader_db_password").exists():
        uri = uri.set(password=_secret("reader_db_password"))
    return uri, params


# Browser sessions.
WTF_CSRF_ENABLED = True
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
RATELIMIT_ENABLED = True
RATELIMIT_APPLICATION = "500 per second"
AUTH_RATE_LIMIT = "20 per minute"
ENABLE_CORS = False

# Nothing is loaded from, or told to, another host: no usage pixel, no map tiles, no web fonts.
TALISMAN_ENABLED = True
TALISMAN_CONFIG = {
    "content_security_policy": {
        "base-uri": ["'self'"],
        "default-src": ["'self'"],
        "img-src": ["'self'", "blob:", "data:"],
        "worker-src": ["'self'", "blob:"],
        "connect-src": ["'self'"],
        "object-src": "'none'",
        "style-src": ["'self'", "'unsafe-inline'"],
        "font-src": ["'self'"],
        "script-src": ["'self'", "'strict-dynamic'"],
    },
    "content_security_policy_nonce_in": ["script-src"],
    "force_https": False,
    "session_cookie_secure": False,
}
THEME_FONT_URL_ALLOWED_DOMAINS: list[str] = []
DATASET_IMPORT_ALLOWED_DATA_URLS: list[str] = []
DOCUMENTATION_URL = None
BUG_REPORT_URL = None

# Limits. A query is ended by its time as long as it runs in the worker's own thread (gunicorn's class sync).
ROW_LIMIT = 10_000
SQL_MAX_ROW = 10_000
DISPLAY_MAX_ROW = 10_000
DEFAULT_SQLLAB_LIMIT = 1_000
SQLLAB_TIMEOUT = 30
SUPERSET_WEBSERVER_TIMEOUT = 60
# The figures of a chart are of the release that is served now.
CACHE_CONFIG = {"CACHE_TYPE": "NullCache"}
DATA_CACHE_CONFIG = {"CACHE_TYPE": "NullCache"}
TIME_GRAIN_DENYLIST: list[str] = []
CELERY_CONFIG = None

# What the county reads.
APP_NAME = "政务服务效能 · 通报"
BABEL_DEFAULT_LOCALE = "zh"
LANGUAGES = {"zh": {"flag": "cn", "name": "中文"}, "en": {"flag": "us", "name": "English"}}
_FONTS = "'Noto Sans CJK SC', 'Microsoft YaHei', 'PingFang SC', Inter, Helvetica, Arial, sans-serif"
_TOKENS = {"brandAppName": APP_NAME, "brandLogoAlt": APP_NAME, "fontFamily": _FONTS}
THEME_DEFAULT = {**_LIGHT, "token": {**_LIGHT["token"], **_TOKENS}}
THEME_DARK = {**_DARK, "token": {**_DARK["token"], **_TOKENS}}


def TONGBAO_ADMIN_PASSWORD() -> str:
    """The password of the one user that prepare.py makes."""
    return _secret("superset_admin_password")
