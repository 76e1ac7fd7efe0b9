-- The store of what failed: events that could not be delivered, each until somebody replays or discards it.
--
-- It need not be in the database of the outbox (`postgres.store_url`). A row is written before the event counts as
-- dealt with, so a crash between the two writes it again: the unique indexes turn that into a count.

CREATE TABLE cdc.failed_event (
    id                    bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source                text        NOT NULL,
    event_id              text,
    -- Where the relay found it.
    system_id             text,
    slot                  text,
    commit_lsn            pg_lsn,
    change_index          bigint,
    -- Where a consumer found it, and from which dead letter it was taken.
    consumer_group        text,
    origin_topic          text,
    origin_partition      integer,
    origin_offset         bigint,
    dead_letter_topic     text,
    dead_letter_partition integer,
    dead_letter_offset    bigint,
    -- The record, byte for byte.
    topic                 text,
    partition             integer,
    key                   bytea,
    payload               bytea,
    headers               jsonb       NOT NULL DEFAULT '[]',
    record_timestamp      bigint,
    -- What happened to it.
    error_code            text        NOT NULL,
    error_message         text        NOT NULL,
    error_chain           jsonb       NOT NULL DEFAULT '[]',
    attempts              integer     NOT NULL DEFAULT 1,
    first_failed_at       timestamptz NOT NULL DEFAULT now(),
    last_failed_at        timestamptz NOT NULL DEFAULT now(),
    fingerprint           text        NOT NULL,
    -- What is done about it.
    status                text        NOT NULL DEFAULT 'open',
    status_changed_at     timestamptz NOT NULL DEFAULT now(),
    status_changed_by     text,
    note                  text,
    lease_token           uuid,
    lease_until           timestamptz,
    CONSTRAINT failed_event_origin_is_complete CHECK (
        CASE source
            WHEN 'relay' THEN num_nulls(system_id, slot, commit_lsn, change_index) = 0
                AND num_nonnulls(consumer_group, origin_topic, origin_partition, origin_offset) = 0
            WHEN 'consumer' THEN num_nulls(consumer_group, origin_topic, origin_partition, origin_offset) = 0
                AND num_nonnulls(system_id, slot, commit_lsn, change_index) = 0
            ELSE false
        END
    ),
    CONSTRAINT failed_event_dead_letter_is_complete CHECK (
        num_nonnulls(dead_letter_topic, dead_letter_partition, dead_letter_offset) = 0
        OR source = 'consumer' AND num_nulls(dead_letter_topic, dead_letter_partition, dead_letter_offset) = 0
    ),
    CONSTRAINT failed_event_headers_are_a_list CHECK (jsonb_typeof(headers) = 'array'),
    CONSTRAINT failed_event_chain_is_a_list CHECK (jsonb_typeof(error_chain) = 'array'),
    CONSTRAINT failed_event_attempts_are_counted CHECK (attempts > 0),
    CONSTRAINT failed_event_status_is_known CHECK (status IN ('open', 'replaying', 'replayed', 'discarded')),
    CONSTRAINT failed_event_without_topic_is_not_replayed CHECK (topic IS NOT NULL OR status IN ('open', 'discarded')),
    -- Only who replays an event holds it, and not for ever.
    CONSTRAINT failed_event_lease_is_of_a_replay CHECK (
        num_nonnulls(lease_token, lease_until) = CASE status WHEN 'replaying' THEN 2 ELSE 0 END
    )
);

-- Not the timeline: after a failover the same event is read again under another one. The event's id instead: a
-- server that was set back in time writes other events at the same positions.
CREATE UNIQUE INDEX failed_event_of_relay
    ON cdc.failed_event (system_id, slot, commit_lsn, change_index, event_id) NULLS NOT DISTINCT
    WHERE source = 'relay';
CREATE UNIQUE INDEX failed_event_of_consumer
    ON cdc.failed_event (consumer_group, origin_topic, origin_partition, origin_offset)
    WHERE source = 'consumer';
CREATE INDEX failed_event_by_age ON cdc.failed_event (status, last_failed_at);
CREATE INDEX failed_event_by_fingerprint ON cdc.failed_event (fingerprint);

CREATE TABLE cdc.failed_event_action (
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    failed_event_id bigint      NOT NULL REFERENCES cdc.failed_event ON DELETE CASCADE,
    status          text        NOT NULL,
    at              timestamptz NOT NULL DEFAULT now(),
    actor           text        NOT NULL,
    note            text
);

CREATE INDEX failed_event_action_of_event ON cdc.failed_event_action (failed_event_id, id);

COMMENT ON TABLE cdc.failed_event IS
    'Events that could not be delivered; see `cdc-relay recover --help`. Old rows that are replayed or discarded may be deleted.';
COMMENT ON COLUMN cdc.failed_event.source IS
    '"relay": it did not get into Kafka. "consumer": a consumer group could not handle it.';
COMMENT ON COLUMN cdc.failed_event.event_id IS
    'Identity of the event, as in the record header "id"; NULL when it has none.';
COMMENT ON COLUMN cdc.failed_event.system_id IS
    'The PostgreSQL cluster (system_identifier) that it was read from.';
COMMENT ON COLUMN cdc.failed_event.commit_lsn IS
    'Position of its transaction''s commit; change_index is its place in the transaction.';
COMMENT ON COLUMN cdc.failed_event.dead_letter_topic IS
    'With partition and offset: the dead letter that the row was last written from. Another one means that it failed again.';
COMMENT ON COLUMN cdc.failed_event.topic IS
    'Where a replay sends it; NULL when no record could be made of the event, so that it cannot be replayed.';
COMMENT ON COLUMN cdc.failed_event.partition IS
    'Where a replay sends it; NULL lets the key decide.';
COMMENT ON COLUMN cdc.failed_event.payload IS
    'The value, byte for byte; NULL is a record without value.';
COMMENT ON COLUMN cdc.failed_event.headers IS
    'List of [name, value in base64 or null], in order; names may repeat.';
COMMENT ON COLUMN cdc.failed_event.record_timestamp IS
    'Milliseconds since 1970; NULL gives a replayed record the time of sending.';
COMMENT ON COLUMN cdc.failed_event.error_chain IS
    'The causes of the error, outermost first; shortened where it is long.';
COMMENT ON COLUMN cdc.failed_event.attempts IS
    'How often it failed, as far as it is known.';
COMMENT ON COLUMN cdc.failed_event.fingerprint IS
    'The same for events that failed for the same reason: source, slot or group, topic, and error code.';
COMMENT ON COLUMN cdc.failed_event.status IS
    'open → replaying → replayed, or back to open; open → discarded.';
COMMENT ON COLUMN cdc.failed_event.lease_until IS
    'Until then nobody else replays it; after that it counts as open.';
COMMENT ON TABLE cdc.failed_event_action IS
    'Who did what with which failed event, and when.';
COMMENT ON COLUMN cdc.failed_event_action.status IS
    'The status that the action gave to the event.';
