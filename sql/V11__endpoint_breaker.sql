-- A process that is started leaves those endpoints alone that did nothing but fail before.

ALTER TABLE cdc.endpoint
    ADD COLUMN failures_in_a_row integer,
    ADD COLUMN closed_until timestamptz,
    ADD CONSTRAINT endpoint_closing_is_complete CHECK (
        failures_in_a_row > 0 AND closed_until IS NOT NULL
        OR num_nonnulls(failures_in_a_row, closed_until) = 0
    );

COMMENT ON COLUMN cdc.endpoint.failures_in_a_row IS
    'How often it failed in a row, when that closed it; NULL while it is not closed.';
COMMENT ON COLUMN cdc.endpoint.closed_until IS
    'Until then nothing is sent to it; afterwards one request at a time, until one succeeds.';
