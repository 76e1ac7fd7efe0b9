//! The statement that stores a batch.

use crate::origin::Source;

/// With its types as arrays, from `$1` on: what a caller gives.
pub(super) const COLUMNS: &str = "event_id, system_id, slot, commit_lsn, change_index, \
     consumer_group, origin_topic, origin_partition, origin_offset, part, \
     dead_letter_topic, dead_letter_partition, dead_letter_offset, \
     topic, partition, key, payload, headers, record_timestamp, \
     error_code, error_message, error_chain, error_backtrace, attempts, first_failed_at, fingerprint";

/// How many columns these are.
const COUNT: usize = 26;

/// What two failures of one event have in common, as the unique indexes have it.
const fn identity(source: Source) -> &'static str {
    match source {
        Source::Relay => "system_id, slot, commit_lsn, change_index, event_id",
        Source::Consumer => "consumer_group, origin_topic, origin_partition, origin_offset, part",
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
             AND given.origin_partition = stored.origin_partition AND given.origin_offset = stored.origin_offset \
             AND given.part = stored.part"
        }
    }
}

/// Whether it is a later failure than the one that the row was last written from: a later dead letter or one of another
/// topic, one after more attempts (its topic may have been made anew), or none that could tell. A dead-letter topic may
/// be read again from its beginning, and that is no news.
const LATER: &str = "(EXCLUDED.dead_letter_topic IS NULL
     OR (event.dead_letter_topic, event.dead_letter_partition) IS DISTINCT FROM
        (EXCLUDED.dead_letter_topic, EXCLUDED.dead_letter_partition)
     OR EXCLUDED.dead_letter_offset > event.dead_letter_offset OR EXCLUDED.attempts > event.attempts)";

/// What is that of the last failure.
const OF_LAST: [&str; 9] = [
    "last_failed_at",
    "error_code",
    "error_message",
    "error_chain",
    "error_backtrace",
    "fingerprint",
    "dead_letter_topic",
    "dead_letter_partition",
    "dead_letter_offset",
];

/// What changes in a row that is there already. A relay that was killed reads its log again, and that is all it means.
/// A consumer counts its attempts itself, over all retries and replays; a dead letter that is read again is nothing new.
/// A later one means that it failed again: whoever replayed it, or still waits to hear that Kafka has it, is told so.
fn news(source: Source) -> String {
    let last = OF_LAST.map(|column| {
        format!("{column} = CASE WHEN {LATER} THEN EXCLUDED.{column} ELSE event.{column} END")
    });
    let last = last.join(", ");
    match source {
        Source::Relay => {
            "last_failed_at = EXCLUDED.last_failed_at,
             attempts = least(event.attempts::bigint + EXCLUDED.attempts, 2147483647)"
                .to_owned()
        }
        Source::Consumer => format!(
            "attempts = greatest(EXCLUDED.attempts,
                                least(event.attempts::bigint + {LATER}::integer, 2147483647)),
             {last},
             (status, status_changed_at, status_changed_by, lease_token, lease_until) = (
                 SELECT CASE WHEN again THEN 'open' ELSE event.status END,
                        CASE WHEN again THEN now() ELSE event.status_changed_at END,
                        CASE WHEN again THEN NULL ELSE event.status_changed_by END,
                        CASE WHEN again THEN NULL ELSE event.lease_token END,
                        CASE WHEN again THEN NULL ELSE event.lease_until END
                   FROM (SELECT event.status IN ('replaying', 'replayed') AND {LATER}) AS failed (again))"
        ),
    }
}

/// What is recorded of rows that are open again.
const fn logged(source: Source) -> &'static str {
    match source {
        Source::Relay => "",
        Source::Consumer => {
            ",
         logged AS (
             INSERT INTO cdc.failed_event_action (failed_event_id, status, actor, note)
             SELECT id, 'open', 'group ' || consumer_group, 'failed again: ' || error_code FROM stored WHERE opened)"
        }
    }
}

/// Stores what `$1` and on give and answers with one number for each, in their order.
///
/// `durable` puts the commit on disk whatever the server's default is; it is part of the statement, since a pooler may
/// serve each one by another session. Only what is read is evaluated, hence the join. Of several failures of
/// one event the last one counts. A row that was there has an `xmax`: it was locked to be changed.
pub(super) fn sql(source: Source) -> String {
    let parameters: Vec<String> = (1..=COUNT).map(|number| format!("${number}")).collect();
    let parameters = parameters.join(", ");
    let (identity, same, news, logged) =
        (identity(source), same(source), news(source), logged(source));
    let given: String = COLUMNS.replace(
        "first_failed_at",
        "coalesce(first_failed_at, now()) AS first_failed_at",
    );
    format!(
        "WITH durable AS MATERIALIZED (SELECT set_config('synchronous_commit', 'on', true) AS setting),
         given AS MATERIALIZED (SELECT * FROM unnest({parameters}) WITH ORDINALITY AS given ({COLUMNS}, place)),
         stored AS (
             INSERT INTO cdc.failed_event AS event (source, {COLUMNS})
             SELECT DISTINCT ON ({identity}) '{source}', {given} FROM durable, given 
              ORDER BY {identity}, attempts DESC, dead_letter_offset DESC NULLS LAST, place DESC
             ON CONFLICT ({identity}) WHERE source = '{source}' DO UPDATE
                SET {news}
             RETURNING event.id, {identity}, event.error_code,
                       event.xmax <> 0 AND event.status = 'open' AND event.status_changed_at = now() AS opened){logged}
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
