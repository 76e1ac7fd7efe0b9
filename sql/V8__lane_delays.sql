-- Ordered mode in the runner: how many delays of its plan a record has waited through, lanes that are given up one
-- record after the other so that each becomes a dead letter, and records that come back from the store of failed events.

ALTER TABLE cdc.lane ADD COLUMN dead_through bigint NOT NULL DEFAULT 0;
ALTER TABLE cdc.lane_event ADD COLUMN delays integer NOT NULL DEFAULT 0;

-- A replay, or a discard, knows where the record was read.
CREATE INDEX lane_event_of_origin
    ON cdc.lane_event (consumer_group, origin_topic, origin_partition, origin_offset, part);

COMMENT ON COLUMN cdc.lane.dead_through IS
    'Records up to this position that were never tried are given up without an attempt: one before them was, with all that waited.';
COMMENT ON COLUMN cdc.lane_event.delays IS
    'How many delays between attempts it has waited through, with the one that it waits for.';

-- As in V6, with delays.
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
        status, attempts, delays, first_failed_at, last_failed_at, error_code, error_message, error_chain
    )
    SELECT p_lane, v_position, p_group, p_topic, p_partition, p_offset, part, coalesce(v_lane.generation, 0),
           p_key, p_value, p_header_names, p_header_values, p_timestamp,
           status, attempts, coalesce(delays, 0), coalesce(to_timestamp(first_failed), now()), now(), code, message, chain
      FROM jsonb_to_recordset(p_remainders) AS remainder (
          part text, status text, attempts integer, delays integer, first_failed double precision,
          code text, message text, chain jsonb
      )
     UNION ALL
    SELECT p_lane, v_position, p_group, p_topic, p_partition, p_offset, '', coalesce(v_lane.generation, 0),
           p_key, p_value, p_header_names, p_header_values, p_timestamp,
           'open', 0, 0, NULL, NULL, NULL, NULL, NULL
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

-- As in V6, with delays. What is behind a head that is given up with its lane is given up when its turn comes.
CREATE OR REPLACE FUNCTION cdc.lane_settle(
    p_lane bytea, p_token uuid, p_event bigint, p_term_seconds double precision,
    p_remainders jsonb, p_due_seconds double precision
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_lane    cdc.lane;
    v_head    cdc.lane_event;
    v_events  bigint;
    v_through bigint;
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
                   first_failed_at = coalesce(event.first_failed_at, to_timestamp(remainder.first_failed), now()),
                   last_failed_at = now(), error_code = remainder.code, error_message = remainder.message,
                   error_chain = remainder.chain
              FROM jsonb_to_record(p_remainders -> 0) AS remainder (
                  part text, status text, attempts integer, delays integer, first_failed double precision,
                  code text, message text, chain jsonb
              )
             WHERE event.id = p_event;
        END IF;
        INSERT INTO cdc.lane_event (
            lane_id, position, consumer_group, origin_topic, origin_partition, origin_offset, part, generation,
            key, value, header_names, header_values, record_timestamp, parked_at,
            status, attempts, delays, first_failed_at, last_failed_at, error_code, error_message, error_chain
        )
        SELECT v_head.lane_id, v_head.position, v_head.consumer_group, v_head.origin_topic, v_head.origin_partition,
               v_head.origin_offset, remainder.part, v_head.generation, v_head.key, v_head.value, v_head.header_names,
               v_head.header_values, v_head.record_timestamp, v_head.parked_at,
               remainder.status, remainder.attempts, coalesce(remainder.delays, 0),
               coalesce(v_head.first_failed_at, to_timestamp(remainder.first_failed), now()), now(),
               remainder.code, remainder.message, remainder.chain
          FROM jsonb_to_recordset(p_remainders - 0) AS remainder (
              part text, status text, attempts integer, delays integer, first_failed double precision,
              code text, message text, chain jsonb
          );
        SELECT v_events + count(*) FILTER (WHERE status IN ('open', 'held')) INTO v_events
          FROM jsonb_to_recordset(p_remainders) AS remainder (status text);
        -- One that is given up with another takes nothing more with it.
        IF p_remainders @> '[{"status": "dead_lettered"}]' AND v_head.position > v_through THEN
            v_through := v_lane.last_position;
        END IF;
    END IF;

    v_keep := v_events > 0 AND p_due_seconds IS NULL;
    UPDATE cdc.lane
       SET events = v_events, dead_through = v_through,
           due_at = CASE WHEN v_events > 0
               THEN now() + make_interval(secs => coalesce(p_due_seconds, p_term_seconds)) END,
           lease_token = CASE WHEN v_keep THEN lease_token END,
           abandoned = 0
     WHERE id = p_lane;
    RETURN CASE WHEN v_keep THEN 'more' ELSE 'released' END;
END;
$$;

-- A record that was given up comes back, perhaps with another value: it is tried again in its place.
--
-- 'unknown': no lane knows it. 'busy': a worker has its lane at this moment. 'done'.
CREATE FUNCTION cdc.lane_replay(
    p_group text, p_topic text, p_partition integer, p_offset bigint, p_part text, p_alone bytea,
    p_value bytea, p_header_names text[], p_header_values bytea[]
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_event  bigint;
    v_answer text;
BEGIN
    -- The offset of the replay is stored next.
    PERFORM set_config('synchronous_commit', 'on', true);
    -- If there are several, the topic was made anew: the last one is meant, and above all what others wait for.
    SELECT id INTO v_event FROM cdc.lane_event
     WHERE consumer_group = p_group AND origin_topic = p_topic AND origin_partition = p_partition
       AND origin_offset = p_offset AND part = p_part AND attempts > 0
     ORDER BY status IN ('open', 'held') DESC, id DESC
     LIMIT 1;
    IF NOT FOUND THEN
        RETURN 'unknown';
    END IF;
    v_answer := cdc.lane_operate(v_event, 'retry', p_alone, 'replay', NULL);
    IF v_answer = 'gone' THEN
        RETURN 'unknown';
    END IF;
    IF v_answer = 'done' THEN
        UPDATE cdc.lane_event
           SET value = p_value, header_names = p_header_names, header_values = p_header_values, delays = 1
         WHERE id = v_event;
    END IF;
    RETURN v_answer;
END;
$$;

-- Whoever discards a failed event gives up the record in its lane too, and those behind it go on. The definer's rights:
-- the role of an operator may know the store of failed events only.
CREATE FUNCTION cdc.lane_follows_discard() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_event cdc.lane_event;
BEGIN
    FOR v_event IN
        SELECT * FROM cdc.lane_event
         WHERE consumer_group = NEW.consumer_group AND origin_topic = NEW.origin_topic
           AND origin_partition = NEW.origin_partition AND origin_offset = NEW.origin_offset
           AND part = NEW.part AND status <> 'open'
    LOOP
        PERFORM FROM cdc.lane WHERE id = v_event.lane_id FOR UPDATE;
        -- It may have come back meanwhile.
        DELETE FROM cdc.lane_event WHERE id = v_event.id AND status <> 'open' RETURNING * INTO v_event;
        IF NOT FOUND THEN
            CONTINUE;
        END IF;
        IF v_event.status = 'held' THEN
            -- A worker that has another part of the record goes on with it.
            UPDATE cdc.lane
               SET events = events - 1,
                   due_at = CASE WHEN events = 1 THEN NULL WHEN lease_token IS NULL THEN now() ELSE due_at END,
                   lease_token = CASE WHEN events > 1 THEN lease_token END
             WHERE id = v_event.lane_id;
        END IF;
        INSERT INTO cdc.lane_action (
            lane_event_id, consumer_group, origin_topic, origin_partition, origin_offset, part, action, actor, note
        )
        VALUES (
            v_event.id, v_event.consumer_group, v_event.origin_topic, v_event.origin_partition,
            v_event.origin_offset, v_event.part, 'discard', coalesce(NEW.status_changed_by, ''), NEW.note
        );
    END LOOP;
    RETURN NULL;
END;
$$;

CREATE TRIGGER failed_event_discarded
    AFTER UPDATE OF status ON cdc.failed_event
    FOR EACH ROW WHEN (NEW.source = 'consumer' AND NEW.status = 'discarded' AND OLD.status <> 'discarded')
    EXECUTE FUNCTION cdc.lane_follows_discard();
