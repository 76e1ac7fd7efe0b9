-- cdc.emit_message writes an event to the write-ahead log only: no table, nothing to clean up, the cheapest to
-- decode. Such an event can be read once, from the log; it can't be queried or sent again from the database.
--
-- It is transactional: a rollback takes it back. The overloads are those of cdc.emit.

CREATE FUNCTION cdc.emit_message(
    aggregatetype text,
    aggregateid   text,
    type          text,
    payload       json,
    headers       jsonb DEFAULT NULL,
    id            uuid  DEFAULT pg_catalog.gen_random_uuid()
) RETURNS uuid
    LANGUAGE plpgsql
AS $$
DECLARE
    event uuid := COALESCE(emit_message.id, pg_catalog.gen_random_uuid());
BEGIN
    -- No table checks these.
    IF emit_message.aggregatetype IS NULL OR emit_message.type IS NULL THEN
        RAISE EXCEPTION 'aggregatetype and type of an event must not be NULL'
            USING ERRCODE = 'not_null_violation';
    END IF;
    IF emit_message.headers IS NOT NULL AND (
        pg_catalog.jsonb_typeof(emit_message.headers) <> 'object'
        OR pg_catalog.jsonb_path_exists(
            emit_message.headers, 'strict $.* ? (@.type() != "string" && @.type() != "null")'
        )
    ) THEN
        RAISE EXCEPTION 'headers of an event must be an object of texts'
            USING ERRCODE = 'check_violation', DETAIL = pg_catalog.format('headers: %s', emit_message.headers);
    END IF;
    -- json_build_object puts a json argument in as it was written.
    PERFORM pg_catalog.pg_logical_emit_message(
        true,
        'outbox',
        pg_catalog.json_build_object(
            'id', event,
            'aggregatetype', emit_message.aggregatetype,
            'aggregateid', emit_message.aggregateid,
            'type', emit_message.type,
            'headers', emit_message.headers,
            'payload', emit_message.payload
        )::pg_catalog.text
    );
    RETURN event;
END
$$;

CREATE FUNCTION cdc.emit_message(
    aggregatetype text,
    aggregateid   text,
    type          text,
    payload       jsonb,
    headers       jsonb DEFAULT NULL,
    id            uuid  DEFAULT pg_catalog.gen_random_uuid()
) RETURNS uuid
    LANGUAGE plpgsql
AS $$
BEGIN
    RETURN cdc.emit_message(
        emit_message.aggregatetype, emit_message.aggregateid, emit_message.type,
        emit_message.payload::pg_catalog.json, emit_message.headers, emit_message.id
    );
END
$$;

CREATE FUNCTION cdc.emit_message(
    aggregatetype text,
    aggregateid   text,
    type          text,
    payload       text,
    headers       jsonb DEFAULT NULL,
    id            uuid  DEFAULT pg_catalog.gen_random_uuid()
) RETURNS uuid
    LANGUAGE plpgsql
AS $$
BEGIN
    RETURN cdc.emit_message(
        emit_message.aggregatetype, emit_message.aggregateid, emit_message.type,
        emit_message.payload::pg_catalog.json, emit_message.headers, emit_message.id
    );
END
$$;

COMMENT ON FUNCTION cdc.emit_message(text, text, text, json, jsonb, uuid) IS
    'Writes an event to the write-ahead log in the current transaction, without a table, and returns its id.';
COMMENT ON FUNCTION cdc.emit_message(text, text, text, jsonb, jsonb, uuid) IS
    'Writes an event to the write-ahead log; the payload is the text that jsonb prints.';
COMMENT ON FUNCTION cdc.emit_message(text, text, text, text, jsonb, uuid) IS
    'Writes an event to the write-ahead log; the payload must be valid JSON.';
