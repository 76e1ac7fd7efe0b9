-- cdc.emit writes an event to cdc.outbox. Three overloads, so that a call needs no cast: a bare literal or a
-- parameter without a type goes to the one with text.
--
-- Names inside are qualified, so the caller's search_path does not matter; the caller's privileges apply.

CREATE FUNCTION cdc.emit(
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
    event uuid := COALESCE(emit.id, pg_catalog.gen_random_uuid());
BEGIN
    INSERT INTO cdc.outbox (id, aggregatetype, aggregateid, type, payload, headers)
    VALUES (event, emit.aggregatetype, emit.aggregateid, emit.type, emit.payload, emit.headers);
    RETURN event;
END
$$;

CREATE FUNCTION cdc.emit(
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
    RETURN cdc.emit(
        emit.aggregatetype, emit.aggregateid, emit.type, emit.payload::pg_catalog.json, emit.headers, emit.id
    );
END
$$;

CREATE FUNCTION cdc.emit(
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
    RETURN cdc.emit(
        emit.aggregatetype, emit.aggregateid, emit.type, emit.payload::pg_catalog.json, emit.headers, emit.id
    );
END
$$;

COMMENT ON FUNCTION cdc.emit(text, text, text, json, jsonb, uuid) IS
    'Writes an event to cdc.outbox in the current transaction and returns its id.';
COMMENT ON FUNCTION cdc.emit(text, text, text, jsonb, jsonb, uuid) IS
    'Writes an event to cdc.outbox; the payload is the text that jsonb prints.';
COMMENT ON FUNCTION cdc.emit(text, text, text, text, jsonb, uuid) IS
    'Writes an event to cdc.outbox; the payload must be valid JSON.';
