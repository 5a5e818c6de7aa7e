# The image of every process of tongbao (target app) and of Superset with the drivers of both back ends (target superset).
# Built with the package index that the builder's pip is set to; all versions are pinned by hash.
FROM python:3.11.14-slim-bookworm AS app
ENV PYTHONUNBUFFERED=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /opt/tongbao
COPY requirements/ requirements/
# dev holds what the simulated sources of the demo need (SFTP and HTTP servers) besides base.
ARG REQUIREMENTS=requirements/dev.txt
RUN pip install --no-deps --require-hashes -r "$REQUIREMENTS"
COPY . .
# Compiled once here; as another user at run time Airflow would be compiled at every start.
RUN python -m compileall -q . \
 && useradd --uid 10001 --home-dir /var/lib/tongbao --shell /usr/sbin/nologin tongbao \
 && install -d -o tongbao -g tongbao -m 0700 /var/lib/tongbao \
 && install -d -o tongbao -g tongbao -m 0755 /var/lib/tongbao/published
ENV PYTHONPATH=/opt/tongbao PYTHONDONTWRITEBYTECODE=1 TONGBAO_HOME=/var/lib/tongbao
USER tongbao
ENTRYPOINT ["python", "-m", "ops.container"]

FROM python:3.11.14-slim-bookworm AS superset
ENV PYTHONUNBUFFERED=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /opt/superset
COPY requirements/superset.txt requirements.txt
RUN pip install --no-deps --require-hashes -r requirements.txt
COPY deploy/superset/ ./
COPY bi/superset/assets/ assets/
RUN useradd --uid 10002 --home-dir /var/lib/superset --shell /usr/sbin/nologin superset \
 && install -d -o superset -g superset -m 0700 /var/lib/superset
ENV SUPERSET_HOME=/var/lib/superset SUPERSET_CONFIG_PATH=/opt/superset/superset_config.py SUPERSET_ASSETS=/opt/superset/assets
USER superset
ENTRYPOINT ["/opt/superset/start.sh"]
