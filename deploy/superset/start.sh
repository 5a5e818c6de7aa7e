#!/bin/sh
# The container's command: Superset's own database and the dashboards are brought up to date, then it serves.
set -eu
python /opt/superset/prepare.py
exec gunicorn --config /opt/superset/gunicorn.conf.py
