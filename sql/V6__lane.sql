-- Ordered mode: records of a key that failed, with those that came after them, in the order of the key.
--
-- A key is open while its lane has events. The consumer that owns the partition puts records in at the end, workers
-- anywhere take them out at the head. Each step is one call of a function below, which first takes the lock and then
-- looks: in a function each statement sees what was committed before it, so nothing is decided by an old view.
-- The order of locks is owner, lane, events.

CREATE TABLE cdc.lane_owner (
    consumer_group text        NOT NULL,
    topic          text        NOT NULL,
    partition      integer     NOT NULL,
    epoch          bigint      NOT NULL,
    taken_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer_group, topic, partition)
);

CREATE TABLE cdc.lane (
    id              bytea       PRIMARY KEY,
    consumer_group  text        NOT NULL,
    topic           text        NOT NULL,
    partition       integer     NOT NULL,
    partition_count integer     NOT NULL,
    last_offset     bigint      NOT NULL,
    last_position   bigint      NOT NULL,
    generation      integer     NOT NULL DEFAULT 0,
    events          bigint      NOT NULL,
    due_at          timestamptz,
    lease_token     uuid,
    abandoned       integer     NOT NULL DEFAULT 0,
    opened_at       timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT lane_events_are_counted CHECK (events >= 0),
    CONSTRAINT lane_without_events_is_never_due CHECK (events > 0 OR due_at IS NULL),
    CONSTRAINT lane_lease_ends CHECK (lease_token IS NULL OR due_at IS NOT NULL)
);

-- What workers ask for: it must not matter how many lanes wait.
CREATE INDEX lane_by_due ON cdc.lane (consumer_group, due_at) WHERE due_at IS NOT NULL;
-- What an owner asks for.
CREATE INDEX lane_of_partition ON cdc.lane (consumer_group, topic, partition);

CREATE TABLE cdc.lane_event (
    id               bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    lane_id          bytea       NOT NULL,
    position         bigint      NOT NULL,
    -- Where the record was read first, and which part of it this is.
    consumer_group   text        NOT NULL,
    origin_topic     text        NOT NULL,
    origin_partition integer     NOT NULL,
    origin_offset    bigint      NOT NULL,
    part             text        NOT NULL DEFAULT '',
    generation       integer     NOT NULL DEFAULT 0,
    -- The record, byte for byte.
    key              bytea,
    value            bytea,
    header_names     text[]      NOT NULL,
    header_values    bytea[]     NOT NULL,
    record_timestamp bigint,
    -- What happened to it.
    status           text        NOT NULL DEFAULT 'open',
    parked_at        timestamptz NOT NULL DEFAULT now(),
    attempts         integer     NOT NULL DEFAULT 0,
    first_failed_at  timestamptz,
    last_failed_at   timestamptz,
    error_code       text,
    error_message    text,
    error_chain      jsonb,
    CONSTRAINT lane_event_status_is_known CHECK (status IN ('open', 'held', 'skipped', 'dead_lettered')),
    CONSTRAINT lane_event_headers_are_pairs CHECK (cardinality(header_names) = cardinality(header_values)),
    CONSTRAINT lane_event_failure_is_complete CHECK (
        num_nulls(first_failed_at, last_failed_at, error_code, error_message, error_chain) IN (0, 5)
        AND (attempts = 0) = (error_code IS NULL)
    )
);

CREATE INDEX lane_event_in_order ON cdc.lane_event (lane_id, position) WHERE status IN ('open', 'held');
CREATE UNIQUE INDEX lane_event_once
    ON cdc.lane_event (lane_id, generation, origin_partition, origin_offset, part)
    WHERE status IN ('open', 'held');
CREATE INDEX lane_event_dead ON cdc.lane_event (consumer_group, status, last_failed_at) WHERE status <> 'open';

CREATE TABLE cdc.lane_action (
    id               bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    lane_event_id    bigint      NOT NULL,
    consumer_group   text        NOT NULL,
    origin_topic     text        NOT NULL,
    origin_partition integer     NOT NULL,
    origin_offset    bigint      NOT NULL,
    part             text        NOT NULL,
    action           text        NOT NULL,
    at               timestamptz NOT NULL DEFAULT now(),
    actor            text        NOT NULL,
    note             text
);

CREATE INDEX lane_action_of_origin ON cdc.lane_action (consumer_group, origin_topic, origin_partition, origin_offset);

-- Puts a record in at the end of its lane: the remainders of one that failed, which opens the lane, or, without
-- remainders, one that has to wait behind others, if there are any.
--
-- 'fenced': the caller's epoch is over. 'drained': nothing waits, it is the record's turn. 'full': p_most_events wait.
-- 'parked': it is in, or was.
CREATE FUNCTION cdc.lane_put(
    p_group text, p_topic text, p_partition integer, p_epoch bigint, p_partition_count integer, p_offset bigint,
    p_lane bytea, p_key bytea, p_value bytea, p_header_names text[], p_header_values bytea[], p_timestamp bigint,
    p_remainders jsonb, p_due_seconds double precision, p_most_events bigint
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_lane     cdc.lane;
    v_position bigint;
    v_events   bigint;
BEGIN
    -- The offset is stored next: this must be on disk whatever the server's default is.
    PERFORM set_config('synchronous_commit', 'on', true);
    -- A new owner waits here for what the old one is doing, and the old one's next call finds another epoch.
    PERFORM FROM cdc.lane_owner
      WHERE consumer_group = p_group AND topic = p_topic AND partition = p_partition AND epoch = p_epoch
        FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN 'fenced';
    END IF;

    SELECT * INTO v_lane FROM cdc.lane WHERE id = p_lane FOR UPDATE;
    -- Done before, in a call whose answer was lost or by a consumer that was killed before it stored the offset.
    IF FOUND AND (
        v_lane.partition = p_partition AND v_lane.last_offset >= p_offset
        OR EXISTS (
            SELECT FROM cdc.lane_event
             WHERE lane_id = p_lane AND generation = v_lane.generation AND origin_partition = p_partition
               AND origin_offset = p_offset AND status IN ('open', 'held')
        )
    ) THEN
        RETURN 'parked';
    END IF;
    IF p_remainders IS NULL AND coalesce(v_lane.events, 0) = 0 THEN
        RETURN 'drained';
    END IF;
    IF p_remainders IS NULL AND v_lane.events >= p_most_events THEN
        RETURN 'full';
    END IF;

    v_position := coalesce(v_lane.last_position, 0) + 1;
    INSERT INTO cdc.lane_event (
        lane_id, position, consumer_group, origin_topic, origin_partition, origin_offset, part, generation,
        key, value, header_names, header_values, record_timestamp,
        status, attempts, first_failed_at, last_failed_at, error_code, error_message, error_chain
    )
    SELECT p_lane, v_position, p_group, p_topic, p_partition, p_offset, part, coalesce(v_lane.generation, 0),
           p_key, p_value, p_header_names, p_header_values, p_timestamp,
           status, attempts, coalesce(to_timestamp(first_failed), now()), now(), code, message, chain
      FROM jsonb_to_recordset(p_remainders) AS remainder (
          part text, status text, attempts integer, first_failed double precision, code text, message text, chain jsonb
      )
     UNION ALL
    SELECT p_lane, v_position, p_group, p_topic, p_partition, p_offset, '', coalesce(v_lane.generation, 0),
           p_key, p_value, p_header_names, p_header_values, p_timestamp,
           'open', 0, NULL, NULL, NULL, NULL, NULL
     WHERE p_remainders IS NULL;

    SELECT count(*) INTO v_events FROM cdc.lane_event
     WHERE lane_id = p_lane AND position = v_position AND status IN ('open', 'held');
    INSERT INTO cdc.lane AS lane (
        id, consumer_group, topic, partition, partition_count, last_offset, last_position, events, due_at
    )
    VALUES (
        p_lane, p_group, p_topic, p_partition, p_partition_count, p_offset, v_position, v_events,
        CASE WHEN v_events > 0 THEN now() + make_interval(secs => p_due_seconds) END
    )
    ON CONFLICT (id) DO UPDATE
       SET partition = excluded.partition, partition_count = excluded.partition_count,
           last_offset = excluded.last_offset, last_position = excluded.last_position,
           events = lane.events + excluded.events,
           due_at = CASE WHEN lane.events = 0 THEN excluded.due_at ELSE lane.due_at END,
           opened_at = CASE WHEN lane.events = 0 THEN now() ELSE lane.opened_at END;
    RETURN 'parked';
END;
$$;

-- Takes the head out of a leased lane, or puts what is left of it in its place.
--
-- 'lost': another has the lane, or nobody. 'released': it was let go, being empty or having to wait until
-- p_due_seconds have passed. 'more': the lease goes on for p_term_seconds.
CREATE FUNCTION cdc.lane_settle(
    p_lane bytea, p_token uuid, p_event bigint, p_term_seconds double precision,
    p_remainders jsonb, p_due_seconds double precision
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_lane    cdc.lane;
    v_head    cdc.lane_event;
    v_events  bigint;
    v_changed bigint;
    v_keep    boolean;
BEGIN
    SELECT * INTO v_lane FROM cdc.lane WHERE id = p_lane AND lease_token = p_token FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 'lost';
    END IF;
    v_events := v_lane.events;

    SELECT * INTO v_head FROM cdc.lane_event WHERE id = p_event AND lane_id = p_lane AND status = 'open' FOR UPDATE;
    -- It may be gone: then an earlier call did this, and only its answer was lost.
    IF FOUND THEN
        v_events := v_events - 1;
        IF p_remainders IS NULL THEN
            DELETE FROM cdc.lane_event WHERE id = p_event;
        ELSE
            UPDATE cdc.lane_event AS event
               SET part = remainder.part, status = remainder.status, attempts = remainder.attempts,
                   first_failed_at = coalesce(event.first_failed_at, to_timestamp(remainder.first_failed), now()),
                   last_failed_at = now(), error_code = remainder.code, error_message = remainder.message,
                   error_chain = remainder.chain
              FROM jsonb_to_record(p_remainders -> 0) AS remainder (
                  part text, status text, attempts integer, first_failed double precision,
                  code text, message text, chain jsonb
              )
             WHERE event.id = p_event;
        END IF;
        INSERT INTO cdc.lane_event (
            lane_id, position, consumer_group, origin_topic, origin_partition, origin_offset, part, generation,
            key, value, header_names, header_values, record_timestamp, parked_at,
            status, attempts, first_failed_at, last_failed_at, error_code, error_message, error_chain
        )
        SELECT v_head.lane_id, v_head.position, v_head.consumer_group, v_head.origin_topic, v_head.origin_partition,
               v_head.origin_offset, remainder.part, v_head.generation, v_head.key, v_head.value, v_head.header_names,
               v_head.header_values, v_head.record_timestamp, v_head.parked_at,
               remainder.status, remainder.attempts,
               coalesce(v_head.first_failed_at, to_timestamp(remainder.first_failed), now()), now(),
               remainder.code, remainder.message, remainder.chain
          FROM jsonb_to_recordset(p_remainders - 0) AS remainder (
              part text, status text, attempts integer, first_failed double precision,
              code text, message text, chain jsonb
          );
        SELECT v_events + count(*) FILTER (WHERE status IN ('open', 'held')) INTO v_events
          FROM jsonb_to_recordset(p_remainders) AS remainder (status text);
        IF p_remainders @> '[{"status": "dead_lettered"}]' THEN
            UPDATE cdc.lane_event SET status = 'dead_lettered'
             WHERE lane_id = p_lane AND position > v_head.position AND status IN ('open', 'held');
            GET DIAGNOSTICS v_changed = ROW_COUNT;
            v_events := v_events - v_changed;
        END IF;
    END IF;

    v_keep := v_events > 0 AND p_due_seconds IS NULL;
    UPDATE cdc.lane
       SET events = v_events,
           due_at = CASE WHEN v_events > 0
               THEN now() + make_interval(secs => coalesce(p_due_seconds, p_term_seconds)) END,
           lease_token = CASE WHEN v_keep THEN lease_token END,
           abandoned = 0
     WHERE id = p_lane;
    RETURN CASE WHEN v_keep THEN 'more' ELSE 'released' END;
END;
$$;

-- What an operator does with an event: 'retry' it, 'discard' it, or 'resolve' it, having dealt with it elsewhere.
--
-- One that was skipped or dead-lettered is tried again in a lane by itself, p_lane: those behind it went on long ago.
-- 'gone': no such event. 'busy': somebody else has its lane. 'done'.
CREATE FUNCTION cdc.lane_operate(p_event bigint, p_action text, p_lane bytea, p_actor text, p_note text)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_lane  cdc.lane;
    v_event cdc.lane_event;
    v_next  bigint;
BEGIN
    SELECT lane.* INTO v_lane
      FROM cdc.lane JOIN cdc.lane_event AS event ON event.lane_id = lane.id
     WHERE event.id = p_event
       FOR UPDATE OF lane;
    SELECT * INTO v_event FROM cdc.lane_event WHERE id = p_event FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 'gone';
    END IF;

    IF v_event.status IN ('open', 'held') THEN
        -- Or another operator has just put it into another lane.
        IF v_event.lane_id IS DISTINCT FROM v_lane.id OR v_lane.lease_token IS NOT NULL AND v_lane.due_at > now() THEN
            RETURN 'busy';
        END IF;
        IF p_action = 'retry' THEN
            UPDATE cdc.lane_event SET status = 'open' WHERE id = p_event;
            v_next := v_lane.events;
        ELSE
            DELETE FROM cdc.lane_event WHERE id = p_event;
            v_next := v_lane.events - 1;
        END IF;
        UPDATE cdc.lane
           SET events = v_next, due_at = CASE WHEN v_next > 0 THEN now() END, lease_token = NULL, abandoned = 0
         WHERE id = v_lane.id;
    ELSIF p_action = 'retry' THEN
        UPDATE cdc.lane_event SET status = 'open', lane_id = p_lane, position = 1 WHERE id = p_event;
        -- Kept for no key: no partition count, so that it is not loaded as one.
        INSERT INTO cdc.lane AS lane (
            id, consumer_group, topic, partition, partition_count, last_offset, last_position, events, due_at
        )
        VALUES (
            p_lane, v_event.consumer_group, v_event.origin_topic, v_event.origin_partition, 0,
            v_event.origin_offset, 1, 1, now()
        )
        ON CONFLICT (id) DO UPDATE SET events = lane.events + 1, due_at = now();
    ELSE
        DELETE FROM cdc.lane_event WHERE id = p_event;
    END IF;

    INSERT INTO cdc.lane_action (
        lane_event_id, consumer_group, origin_topic, origin_partition, origin_offset, part, action, actor, note
    )
    VALUES (
        p_event, v_event.consumer_group, v_event.origin_topic, v_event.origin_partition, v_event.origin_offset,
        v_event.part, p_action, p_actor, p_note
    );
    RETURN 'done';
END;
$$;

COMMENT ON TABLE cdc.lane_owner IS
    'Who may put records of a partition into lanes: the consumer that has the newest epoch.';
COMMENT ON COLUMN cdc.lane_owner.epoch IS
    'Counted up at each assignment of the partition; a consumer with an older one is refused.';
COMMENT ON TABLE cdc.lane IS
    'A key with records that wait for their turn, or had some a moment ago. Rows without events go when the committed offset has passed them.';
COMMENT ON COLUMN cdc.lane.id IS
    'A digest of group, topic and key; of group, topic, partition and offset for a record without key, which has a lane of its own.';
COMMENT ON COLUMN cdc.lane.partition IS
    'Where its last record was read, out of partition_count partitions.';
COMMENT ON COLUMN cdc.lane.last_offset IS
    'Of the last record that was put in. Whatever the key has up to here was dealt with: it is not handled again when it is read again.';
COMMENT ON COLUMN cdc.lane.last_position IS
    'Counts the records that were ever put in; the next one gets the number after it.';
COMMENT ON COLUMN cdc.lane.generation IS
    'Counted up when offsets of the topic begin to mean something else: it was made anew, or the group was set back on purpose.';
COMMENT ON COLUMN cdc.lane.events IS
    'How many rows of cdc.lane_event are open or held.';
COMMENT ON COLUMN cdc.lane.due_at IS
    'From then on a worker may take it: the time of the next attempt, or the end of the lease of the worker that has it. NULL when nothing is to be done: no events, or the head is held.';
COMMENT ON COLUMN cdc.lane.lease_token IS
    'Of the worker that has it, or had it and did not come back.';
COMMENT ON COLUMN cdc.lane.abandoned IS
    'How many workers in a row had it and did not come back: what kills its worker is given up too.';
COMMENT ON TABLE cdc.lane_event IS
    'A record in a lane, or one that was given up. Dead ones (held, skipped, dead_lettered) stay until an operator deals with them.';
COMMENT ON COLUMN cdc.lane_event.position IS
    'Its place in the lane; the parts of one record share one.';
COMMENT ON COLUMN cdc.lane_event.part IS
    'The part of the record that is left to do, as its handler named it; empty is all of it.';
COMMENT ON COLUMN cdc.lane_event.header_values IS
    'In the order of header_names; NULL is a header without value.';
COMMENT ON COLUMN cdc.lane_event.record_timestamp IS
    'Milliseconds since 1970.';
COMMENT ON COLUMN cdc.lane_event.status IS
    '"open": waits for its turn. "held": given up, and what is behind it waits for an operator. "skipped": given up, the next one went on. "dead_lettered": given up with all that was in the lane.';
COMMENT ON COLUMN cdc.lane_event.attempts IS
    'How often it was tried; 0 for what only waits behind another.';
COMMENT ON TABLE cdc.lane_action IS
    'What operators did with records of lanes: who, when, why.';
