#!/bin/bash
# The roles of the stack. Runs once, when the volume is empty; each password is that of the role's secret, its URL.
set -euo pipefail

password() { sed -E 's|^[a-z]+://[^:]+:([^@]+)@.*|\1|' "/run/secrets/$1"; }

psql --no-psqlrc -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d "$POSTGRES_DB" \
  -v app="$(password app_url)" -v relay="$(password relay_url)" -v database="$POSTGRES_DB" <<'SQL'
-- Owns what the services and `cdc-relay init` make. REPLICATION, since init makes the slot.
CREATE ROLE app LOGIN REPLICATION PASSWORD :'app';
ALTER DATABASE :"database" OWNER TO app;
CREATE SCHEMA cdc AUTHORIZATION app;

-- Relays, notifies and collects; owns nothing.
CREATE ROLE relay LOGIN REPLICATION PASSWORD :'relay';
GRANT USAGE ON SCHEMA cdc TO relay;
GRANT pg_read_all_stats TO relay; -- to say who holds the slot
ALTER DEFAULT PRIVILEGES FOR ROLE app IN SCHEMA cdc GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO relay;
SQL
