-- That a delivery arrived costs PostgreSQL less, and identities are compared by their bytes.

-- Event and endpoint are identities, not words of a language. In the order of a language each look into an index costs more,
-- and an index whose order the operating system has changed by an update no longer finds what is in it: events would be
-- sent again. The indexes are built anew, during which the notifier waits.
ALTER TABLE cdc.delivery ALTER event_id TYPE text COLLATE "C", ALTER endpoint_id TYPE text COLLATE "C";
ALTER TABLE cdc.attempt ALTER event_id TYPE text COLLATE "C", ALTER endpoint_id TYPE text COLLATE "C";
ANALYZE cdc.delivery, cdc.attempt;

-- Writes down that deliveries arrived, and gives how many were not known to have.
--
-- The session keeps the plan, which may have been made when the table was empty: hence it must be one look into the index for
-- each delivery, whatever the table's size.
CREATE FUNCTION cdc.settle_arrived(p_events text[], p_endpoints text[], p_statuses integer[]) RETURNS bigint
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    v_settled bigint;
BEGIN
    PERFORM set_config('synchronous_commit', 'on', true);
    UPDATE cdc.delivery AS held
       SET state = 'delivered', owner = NULL, lease_until = NULL, status = given.status, code = NULL, excerpt = NULL,
           origin = NULL, untold = false, changed_at = now()
      FROM unnest(p_events, p_endpoints, p_statuses) AS given (event, endpoint, status)
     WHERE held.event_id = given.event AND held.endpoint_id = given.endpoint AND held.state <> 'delivered';
    GET DIAGNOSTICS v_settled = ROW_COUNT;
    RETURN v_settled;
END $$;

COMMENT ON FUNCTION cdc.settle_arrived(text[], text[], integer[]) IS
    'Writes down that deliveries arrived; gives how many were not known to have.';
