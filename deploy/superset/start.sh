#!/bin/sh
# Migrates Superset's own database, makes the administrator once, serves.
set -eu
export SUPERSET_CONFIG_PATH=/app/pythonpath/superset_config.py
superset db upgrade
superset fab create-admin --username tongbao --firstname tongbao --lastname tongbao --email tongbao@localhost \
    --password "$(cat /run/secrets/superset_admin_password)" || true
superset init
exec gunicorn --bind 0.0.0.0:8088 --workers 2 --worker-class gthread --threads 8 --timeout 60 "superset.app:create_app()"
