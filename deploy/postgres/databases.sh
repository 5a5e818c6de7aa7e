#!/bin/sh
# Runs once, when the server's data is first made: a database and an owner for each use, and the role that only reads.
# Passwords come from files; psql reads them from its environment, so that no command line shows them.
set -eu
secrets="${TONGBAO_SECRETS:-/run/secrets}"
for name in airflow mirror reader superset; do
    eval "export ${name}_password=\"\$(cat \"$secrets/${name}_db_password\")\""
done
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
\getenv airflow airflow_password
\getenv mirror mirror_password
\getenv reader reader_password
\getenv superset superset_password
CREATE ROLE airflow LOGIN PASSWORD :'airflow';
CREATE ROLE tongbao LOGIN PASSWORD :'mirror';
CREATE ROLE superset LOGIN PASSWORD :'superset';
CREATE ROLE tongbao_reader LOGIN PASSWORD :'reader' CONNECTION LIMIT 50;
ALTER ROLE tongbao_reader SET default_transaction_read_only = on;
ALTER ROLE tongbao_reader SET statement_timeout = '60s';
CREATE DATABASE airflow OWNER airflow;
CREATE DATABASE superset OWNER superset;
CREATE DATABASE warehouse OWNER tongbao;
-- Each database for its own user; the reader in the warehouse only.
REVOKE CONNECT ON DATABASE airflow, superset, warehouse, postgres, template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE warehouse TO tongbao_reader;
\connect warehouse
-- What only the server's owner can take back: large objects would be a way to write.
REVOKE EXECUTE ON FUNCTION lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea), lo_put(oid, bigint, bytea),
    lowrite(integer, bytea), lo_open(oid, integer) FROM PUBLIC;
SQL
