-- The outbox: an application inserts one row per event in the transaction that changes its data.
--
-- The payload is json, not jsonb: its bytes stay as written, and decoding does not have to print it again for
-- every row. The relay reads inserts only, so rows may be deleted at any time, even in the same transaction.

CREATE TABLE cdc.outbox (
    id            uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    aggregatetype text        NOT NULL,
    aggregateid   text,
    type          text        NOT NULL,
    payload       json,
    headers       jsonb,
    created_at    timestamptz NOT NULL DEFAULT now(),
    -- Headers of another form would be found out only by the relay, long after the application could react.
    CONSTRAINT outbox_headers_are_texts CHECK (
        headers IS NULL
        OR (
            jsonb_typeof(headers) = 'object'
            AND NOT jsonb_path_exists(headers, 'strict $.* ? (@.type() != "string" && @.type() != "null")')
        )
    )
);

COMMENT ON TABLE cdc.outbox IS
    'Events, one row each, written in the transaction that changes the data; streamed to Kafka by cdc-relay.';
COMMENT ON COLUMN cdc.outbox.id IS
    'Identity of the event; becomes the record header "id". Consumers tell a repeated event by it.';
COMMENT ON COLUMN cdc.outbox.aggregatetype IS
    'Kind of thing the event is about; chooses the topic.';
COMMENT ON COLUMN cdc.outbox.aggregateid IS
    'Which thing the event is about; becomes the record key. Events of one key keep their commit order.';
COMMENT ON COLUMN cdc.outbox.type IS
    'What happened.';
COMMENT ON COLUMN cdc.outbox.payload IS
    'Becomes the record value, byte for byte; NULL gives a record without value.';
COMMENT ON COLUMN cdc.outbox.headers IS
    'Object of texts, each a record header, such as {"traceparent": "00-…"}; a null is a header without value.';
COMMENT ON COLUMN cdc.outbox.created_at IS
    'When the row was written; the relay does not need it.';
COMMENT ON CONSTRAINT outbox_headers_are_texts ON cdc.outbox IS
    'Kafka headers are names with texts.';
