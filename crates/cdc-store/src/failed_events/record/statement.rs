//! The statement that stores a batch.

use crate::origin::Source;

/// With its types as arrays, from `$1` on: what a caller gives.
pub(super) const COLUMNS: &str = "event_id, system_id, slot, commit_lsn, change_index, \
     consumer_group, origin_topic, origin_partition, origin_offset, \
     dead_letter_topic, dead_letter_partition, dead_letter_offset, \
     topic, partition, key, payload, headers, record_timestamp, \
     error_code, error_message, error_chain, attempts, first_failed_at, fingerprint";

/// How many columns these are.
const COUNT: usize = 24;

/// What two failures of one event have in common, as the unique indexes have it.
const fn identity(source: Source) -> &'static str {
    match source {
        Source::Relay => "system_id, slot, commit_lsn, change_index, event_id",
        Source::Consumer => "consumer_group, origin_topic, origin_partition, origin_offset",
    }
}

/// The same as a comparison of what was given with what is stored. A relay's event may have no id.
const fn same(source: Source) -> &'static str {
    match source {
        Source::Relay => {
            "given.system_id = stored.system_id AND given.slot = stored.slot \
             AND given.commit_lsn = stored.commit_lsn AND given.change_index = stored.change_index \
             AND given.event_id IS NOT DISTINCT FROM stored.event_id"
        }
        Source::Consumer => {
            "given.consumer_group = stored.consumer_group AND given.origin_topic = stored.origin_topic \
             AND given.origin_partition = stored.origin_partition AND given.origin_offset = stored.origin_offset"
        }
    }
}

/// What changes in a row that is there already, besides the count. A relay that was killed reads its log again, and
/// that is all it means. A consumer may have failed again at what was replayed: then there is another dead letter.
const fn news(source: Source) -> &'static str {
    match source {
        Source::Relay => "",
        Source::Consumer => {
            ", error_code = EXCLUDED.error_code, error_message = EXCLUDED.error_message,
               error_chain = EXCLUDED.error_chain, fingerprint = EXCLUDED.fingerprint,
               dead_letter_topic = EXCLUDED.dead_letter_topic,
               dead_letter_partition = EXCLUDED.dead_letter_partition,
               dead_letter_offset = EXCLUDED.dead_letter_offset,
               (status, status_changed_at, status_changed_by) = (
                   SELECT CASE WHEN again THEN 'open' ELSE event.status END,
                          CASE WHEN again THEN now() ELSE event.status_changed_at END,
                          CASE WHEN again THEN NULL ELSE event.status_changed_by END
                     FROM (SELECT event.status = 'replayed' AND
                                  (event.dead_letter_topic, event.dead_letter_partition, event.dead_letter_offset)
                                  IS DISTINCT FROM
                                  (EXCLUDED.dead_letter_topic, EXCLUDED.dead_letter_partition,
                                   EXCLUDED.dead_letter_offset)) AS failed (again))"
        }
    }
}

/// Stores what `$1` and on give and answers with one number for each, in their order.
///
/// `durable` puts the commit on disk whatever the server's default is; it is part of the statement, since a pooler may
/// serve each one by another session. Only what is read is evaluated, hence the join.
pub(super) fn sql(source: Source) -> String {
    let parameters: Vec<String> = (1..=COUNT).map(|number| format!("${number}")).collect();
    let (parameters, identity, same, news) = (
        parameters.join(", "),
        identity(source),
        same(source),
        news(source),
    );
    let given: String = COLUMNS.replace(
        "first_failed_at",
        "coalesce(first_failed_at, now()) AS first_failed_at",
    );
    format!(
        "WITH durable AS MATERIALIZED (SELECT set_config('synchronous_commit', 'on', true) AS setting),
         given AS MATERIALIZED (SELECT * FROM unnest({parameters}) WITH ORDINALITY AS given ({COLUMNS}, place)),
         stored AS (
             INSERT INTO cdc.failed_event AS event (source, {COLUMNS})
             SELECT DISTINCT ON ({identity}) '{source}', {given} FROM durable, given ORDER BY {identity}, place
             ON CONFLICT ({identity}) WHERE source = '{source}' DO UPDATE
                SET last_failed_at = EXCLUDED.last_failed_at,
                    attempts = least(event.attempts::bigint + EXCLUDED.attempts, 2147483647){news}
             RETURNING event.id, {identity})
         SELECT stored.id FROM given JOIN stored ON {same} ORDER BY place"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_parameter_for_each_column() {
        assert_eq!(COLUMNS.split(',').count(), COUNT);
    }
}
