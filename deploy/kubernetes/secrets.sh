#!/bin/sh
# Make the cluster's secrets from a file of NAME=value lines; they pass through no command line and no manifest.
set -eu
[ $# = 1 ] || { echo "usage: sh secrets.sh secrets.env" >&2; exit 2; }
set -a
. "$(cd "$(dirname "$1")" && pwd)/$(basename "$1")"
set +a
for name in PREFECT_DB_PASSWORD MLFLOW_DB_PASSWORD STUDIES_DB_PASSWORD PREFECT_PASSWORD MLFLOW_PASSWORD MLFLOW_SECRET_KEY; do
    eval ": \"\${$name:?set it in $1}\""
done
make() {
    ${KUBECTL:-kubectl} --namespace evertune create secret generic "$1" --from-env-file=/dev/stdin --dry-run=client --output yaml |
        ${KUBECTL:-kubectl} --namespace evertune apply --filename -
}
make evertune-prefect <<EOF
PGPASSWORD=$PREFECT_DB_PASSWORD
PREFECT_SERVER_API_AUTH_STRING=admin:$PREFECT_PASSWORD
EOF
make evertune-mlflow <<EOF
PGPASSWORD=$MLFLOW_DB_PASSWORD
MLFLOW_AUTH_ADMIN_PASSWORD=$MLFLOW_PASSWORD
MLFLOW_FLASK_SERVER_SECRET_KEY=$MLFLOW_SECRET_KEY
EOF
make evertune-clients <<EOF
PGPASSWORD=$STUDIES_DB_PASSWORD
MLFLOW_TRACKING_PASSWORD=$MLFLOW_PASSWORD
PREFECT_API_AUTH_STRING=admin:$PREFECT_PASSWORD
EOF
