-- Lanes: the parts that are left of one record have times of their own. They shared that of the lane, so that a part was
-- tried early when another was done, and late when another was put off.

ALTER TABLE cdc.lane_event ADD COLUMN due_at timestamptz;

COMMENT ON COLUMN cdc.lane_event.due_at IS
    'When it is tried again; NULL: when its turn comes. That of the lane is the first of the record at its head.';

-- As in V8, with the time of each part. One that comes without, from a version before this one, has that of the record.
CREATE OR REPLACE FUNCTION cdc.lane_put(
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
        status, attempts, delays, due_at, first_failed_at, last_failed_at, error_code, error_message, error_chain
    )
    SELECT p_lane, v_position, p_group, p_topic, p_partition, p_offset, part, coalesce(v_lane.generation, 0),
           p_key, p_value, p_header_names, p_header_values, p_timestamp,
           status, attempts, coalesce(delays, 0),
           CASE WHEN status = 'open' THEN now() + make_interval(secs => coalesce(due, p_due_seconds)) END,
           coalesce(to_timestamp(first_failed), now()), now(), code, message, chain
      FROM jsonb_to_recordset(p_remainders) AS remainder (
          part text, status text, attempts integer, delays integer, due double precision,
          first_failed double precision, code text, message text, chain jsonb
      )
     UNION ALL
    SELECT p_lane, v_position, p_group, p_topic, p_partition, p_offset, '', coalesce(v_lane.generation, 0),
           p_key, p_value, p_header_names, p_header_values, p_timestamp,
           'open', 0, 0, NULL, NULL, NULL, NULL, NULL, NULL
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

-- As in V8, with the time of each part: 'released' says that the lane was let go until the first of those that are left.
CREATE OR REPLACE FUNCTION cdc.lane_settle(
    p_lane bytea, p_token uuid, p_event bigint, p_term_seconds double precision,
    p_remainders jsonb, p_due_seconds double precision
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_lane    cdc.lane;
    v_head    cdc.lane_event;
    v_events  bigint;
    v_through bigint;
    v_due     timestamptz;
    v_keep    boolean;
BEGIN
    SELECT * INTO v_lane FROM cdc.lane WHERE id = p_lane AND lease_token = p_token FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 'lost';
    END IF;
    v_events := v_lane.events;
    v_through := v_lane.dead_through;

    SELECT * INTO v_head FROM cdc.lane_event WHERE id = p_event AND lane_id = p_lane AND status = 'open' FOR UPDATE;
    -- It may be gone: then an earlier call did this, and only its answer was lost.
    IF FOUND THEN
        v_events := v_events - 1;
        IF p_remainders IS NULL THEN
            DELETE FROM cdc.lane_event WHERE id = p_event;
        ELSE
            UPDATE cdc.lane_event AS event
               SET part = remainder.part, status = remainder.status, attempts = remainder.attempts,
                   delays = coalesce(remainder.delays, 0),
                   due_at = CASE WHEN remainder.status = 'open'
                       THEN now() + make_interval(secs => coalesce(remainder.due, p_due_seconds)) END,
                   first_failed_at = coalesce(event.first_failed_at, to_timestamp(remainder.first_failed), now()),
                   last_failed_at = now(), error_code = remainder.code, error_message = remainder.message,
                   error_chain = remainder.chain
              FROM jsonb_to_record(p_remainders -> 0) AS remainder (
                  part text, status text, attempts integer, delays integer, due double precision,
                  first_failed double precision, code text, message text, chain jsonb
              )
             WHERE event.id = p_event;
        END IF;
        INSERT INTO cdc.lane_event (
            lane_id, position, consumer_group, origin_topic, origin_partition, origin_offset, part, generation,
            key, value, header_names, header_values, record_timestamp, parked_at,
            status, attempts, delays, due_at, first_failed_at, last_failed_at, error_code, error_message, error_chain
        )
        SELECT v_head.lane_id, v_head.position, v_head.consumer_group, v_head.origin_topic, v_head.origin_partition,
               v_head.origin_offset, remainder.part, v_head.generation, v_head.key, v_head.value, v_head.header_names,
               v_head.header_values, v_head.record_timestamp, v_head.parked_at,
               remainder.status, remainder.attempts, coalesce(remainder.delays, 0),
               CASE WHEN remainder.status = 'open'
                   THEN now() + make_interval(secs => coalesce(remainder.due, p_due_seconds)) END,
               coalesce(v_head.first_failed_at, to_timestamp(remainder.first_failed), now()), now(),
               remainder.code, remainder.message, remainder.chain
          FROM jsonb_to_recordset(p_remainders - 0) AS remainder (
              part text, status text, attempts integer, delays integer, due double precision,
              first_failed double precision, code text, message text, chain jsonb
          );
        SELECT v_events + count(*) FILTER (WHERE status IN ('open', 'held')) INTO v_events
          FROM jsonb_to_recordset(p_remainders) AS remainder (status text);
        -- One that is given up with another takes nothing more with it.
        IF p_remainders @> '[{"status": "dead_lettered"}]' AND v_head.position > v_through THEN
            v_through := v_lane.last_position;
        END IF;
    END IF;

    -- Of what is next in the lane: the parts that are left of one record, or one that waited behind it.
    SELECT min(coalesce(due_at, now())) INTO v_due FROM cdc.lane_event
     WHERE lane_id = p_lane AND status = 'open' AND position = (
           SELECT min(position) FROM cdc.lane_event WHERE lane_id = p_lane AND status IN ('open', 'held'));
    v_keep := v_events > 0 AND p_due_seconds IS NULL AND coalesce(v_due <= now(), true);
    UPDATE cdc.lane
       SET events = v_events, dead_through = v_through,
           due_at = CASE WHEN v_keep THEN now() + make_interval(secs => p_term_seconds)
                         WHEN v_events > 0 THEN coalesce(v_due, now()) END,
           lease_token = CASE WHEN v_keep THEN lease_token END,
           abandoned = 0
     WHERE id = p_lane;
    RETURN CASE WHEN v_keep THEN 'more' ELSE 'released' END;
END;
$$;

-- As in V6: what is retried waits no longer.
CREATE OR REPLACE FUNCTION cdc.lane_operate(p_event bigint, p_action text, p_lane bytea, p_actor text, p_note text)
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
            UPDATE cdc.lane_event SET status = 'open', due_at = NULL WHERE id = p_event;
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
