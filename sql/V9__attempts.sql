-- What endpoints answered, request by request, for people. `cdc.delivery` has the last answer only.

CREATE TABLE cdc.attempt (
    event_id     text        NOT NULL,
    endpoint_id  text        NOT NULL,
    -- The claim of its delivery that it was made under: one request each.
    epoch        bigint      NOT NULL,
    -- When it was over, and how long it took.
    at           timestamptz NOT NULL DEFAULT now(),
    milliseconds integer     NOT NULL,
    status       integer,
    code         text,
    excerpt      text,
    PRIMARY KEY (event_id, endpoint_id, epoch)
) WITH (autovacuum_vacuum_insert_scale_factor = 0.1);

CREATE INDEX attempt_by_endpoint ON cdc.attempt (endpoint_id, at);
-- For the removal of old rows: they are written in the order of their age.
CREATE INDEX attempt_by_age ON cdc.attempt USING brin (at);

COMMENT ON TABLE cdc.attempt IS
    'What endpoints answered, request by request (`notify.attempt_log`); deleted by age (`notify.retention`).';
COMMENT ON COLUMN cdc.attempt.status IS
    'The status of the answer; NULL when there was none.';
COMMENT ON COLUMN cdc.attempt.code IS
    'Why it did not arrive; NULL when it did.';
COMMENT ON COLUMN cdc.attempt.excerpt IS
    'The beginning of the answer, when it did not arrive.';
