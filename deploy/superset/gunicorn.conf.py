"""How Superset is served, in a container and by `make superset`; SUPERSET_BIND and SUPERSET_WORKERS may be set."""

import os

bind = os.environ.get("SUPERSET_BIND", "0.0.0.0:8088")
wsgi_app = "superset.app:create_app()"
# One request a process at a time: a query that is too long can be ended (SQLLAB_TIMEOUT), and a process that hangs is
# replaced; with threads neither is so.
worker_class = "sync"
workers = int(os.environ.get("SUPERSET_WORKERS", "4"))
timeout = 120
# Loaded once; the processes share its memory.
preload_app = True
control_socket_disable = True
max_requests = 2000
max_requests_jitter = 200
# Heartbeats in memory: a slow disk is no sign of a worker that hangs.
worker_tmp_dir = "/dev/shm"  # noqa: S108 gunicorn makes a file of its own in it


def post_fork(server, worker):
    """No connection to Superset's own database is shared with the process that was forked from."""
    from superset.extensions import db

    app = worker.app.wsgi()
    with app.app_context():
        db.engine.dispose()
