#!/bin/sh
# Three databases, each with an owner of its own who cannot open the others': run once by PostgreSQL's image on an empty volume.
# They cannot be one: Prefect, MLflow and Optuna each keep a table alembic_version.
set -eu
for name in prefect mlflow studies; do
    variable=$(printf '%s' "$name" | tr '[:lower:]' '[:upper:]')_DB_PASSWORD
    eval "password=\${$variable:?}"
    export NEW_PASSWORD="$password"
    psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres --set=name="$name" <<'SQL'
\getenv password NEW_PASSWORD
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE CONNECT, TEMPORARY ON DATABASE :"name" FROM PUBLIC;
SQL
done
