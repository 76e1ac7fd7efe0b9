-- Lanes: a replay that comes again after it was dealt with, from a consumer that was killed before it stored the offset,
-- is known. It was handled a second time, after later records of its key.

ALTER TABLE cdc.lane_action
    ADD COLUMN attempt          bigint,
    ADD COLUMN failed_event     bigint,
    ADD COLUMN record_timestamp bigint;

COMMENT ON COLUMN cdc.lane_action.attempt IS
    'Of a replay: the attempt that it asked for.';
COMMENT ON COLUMN cdc.lane_action.failed_event IS
    'Of a replay: its number in the store of failed events; NULL if it does not come from there, and is never known again.';
COMMENT ON COLUMN cdc.lane_action.record_timestamp IS
    'Of a replay: of the record, so that one of a topic that was made anew is not taken for it. Milliseconds since 1970.';

-- As in V8, but it knows what it did. The one with fewer parameters is for versions before this one.
CREATE FUNCTION cdc.lane_replay(
    p_group text, p_topic text, p_partition integer, p_offset bigint, p_part text, p_alone bytea,
    p_value bytea, p_header_names text[], p_header_values bytea[], p_timestamp bigint, p_attempt bigint,
    p_failed_event bigint
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
    IF FOUND THEN
        v_answer := cdc.lane_operate(v_event, 'retry', p_alone, 'replay', NULL);
    END IF;
    IF v_answer IS NULL OR v_answer = 'gone' THEN
        PERFORM FROM cdc.lane_action
          WHERE consumer_group = p_group AND origin_topic = p_topic AND origin_partition = p_partition
            AND origin_offset = p_offset AND part = p_part AND action = 'retry' AND attempt = p_attempt
            AND failed_event = p_failed_event AND record_timestamp IS NOT DISTINCT FROM p_timestamp;
        RETURN CASE WHEN FOUND THEN 'done' ELSE 'unknown' END;
    END IF;
    IF v_answer = 'done' THEN
        UPDATE cdc.lane_event
           SET value = p_value, header_names = p_header_names, header_values = p_header_values, delays = 1
         WHERE id = v_event;
        UPDATE cdc.lane_action SET attempt = p_attempt, failed_event = p_failed_event, record_timestamp = p_timestamp
         WHERE id = (SELECT max(id) FROM cdc.lane_action
                      WHERE consumer_group = p_group AND origin_topic = p_topic AND origin_partition = p_partition
                        AND origin_offset = p_offset AND lane_event_id = v_event);
    END IF;
    RETURN v_answer;
END;
$$;
