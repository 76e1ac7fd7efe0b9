-- A consumer may fail at a part of a record (one webhook endpoint of many): each part is a failed event of its own.
-- And what is told about failures, once for each reason and window.

ALTER TABLE cdc.failed_event
    ADD COLUMN part text NOT NULL DEFAULT '',
    ADD COLUMN error_backtrace text,
    ADD CONSTRAINT failed_event_part_is_of_a_consumer CHECK (part = '' OR source = 'consumer');

DROP INDEX cdc.failed_event_of_consumer;
CREATE UNIQUE INDEX failed_event_of_consumer
    ON cdc.failed_event (consumer_group, origin_topic, origin_partition, origin_offset, part)
    WHERE source = 'consumer';

-- What is to be told is looked for every few seconds, however many wait.
CREATE INDEX failed_event_open ON cdc.failed_event (fingerprint, last_failed_at, id) WHERE status = 'open';

ALTER TABLE cdc.failed_event_action
    ADD COLUMN payload_replaced boolean NOT NULL DEFAULT false,
    ADD COLUMN replaced_payload bytea,
    ADD CONSTRAINT failed_event_action_keeps_what_it_replaced CHECK (payload_replaced OR replaced_payload IS NULL);

-- Several instances look for what is to be told: a row is claimed by one of them for as long as it may take to tell it.
CREATE TABLE cdc.alert (
    fingerprint   text        PRIMARY KEY,
    covered_until timestamptz,
    sent_at       timestamptz,
    claim_token   uuid,
    claimed_until timestamptz,
    CONSTRAINT alert_claim_is_complete CHECK (num_nulls(claim_token, claimed_until) IN (0, 2))
);

COMMENT ON COLUMN cdc.failed_event.part IS
    'Which part of the record failed, as its consumer names it; empty is all of it.';
COMMENT ON COLUMN cdc.failed_event.error_backtrace IS
    'Where the error happened, if that is known; shortened where it is long.';
COMMENT ON COLUMN cdc.failed_event.attempts IS
    'How often it failed, as far as it is known. Of a consumer: over all retries and replays.';
COMMENT ON COLUMN cdc.failed_event_action.payload_replaced IS
    'The action gave the event another payload; replaced_payload is the one that it had (NULL: a record without value).';
COMMENT ON TABLE cdc.alert IS
    'Until when failures of one reason were told, so that several instances tell each once in a window.';
COMMENT ON COLUMN cdc.alert.covered_until IS
    'Failures up to here were counted in what was told last.';
COMMENT ON COLUMN cdc.alert.claimed_until IS
    'Until then one instance tries to tell it; after a failure, until it is tried again.';
