//! Every record that the real Debezium made (`tests/golden/`), made again from the same rows by this crate, on a real
//! PostgreSQL (`DATABASE_URL`, as `make services-up` provides it). What differs must be listed in [`difference`].
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod compare;
mod difference;
mod group;
mod partitioner;
mod replay;
mod translate;

use std::collections::HashMap;

use crate::compare::compare;
use crate::difference::DIFFERENCES;
use crate::group::Group;
use crate::replay::Server;

#[tokio::test]
async fn every_record_is_debezium_s_or_its_difference_is_listed() {
    let mut server = Server::start().await;
    let mut mismatches = Vec::new();
    for group in Group::all() {
        let outcomes = server.replay(&group, translate::settings(&group)).await;
        for (step, ours) in group.steps.iter().zip(&outcomes) {
            mismatches.extend(compare(&group, step, ours));
        }
    }
    let mut seen: HashMap<usize, usize> = HashMap::new();
    let mut unlisted = Vec::new();
    for mismatch in mismatches {
        match DIFFERENCES
            .iter()
            .position(|listed| listed.covers(&mismatch))
        {
            Some(at) => *seen.entry(at).or_default() += 1,
            None => unlisted.push(mismatch.to_string()),
        }
    }
    assert!(
        unlisted.is_empty(),
        "{} differences that are not listed:\n{}",
        unlisted.len(),
        unlisted.join("\n")
    );
    for (at, listed) in DIFFERENCES.iter().enumerate() {
        assert!(
            listed.is_unstable || seen.contains_key(&at),
            "no longer differs, take it off the list: {listed:?}"
        );
    }
}

#[test]
fn every_difference_is_in_the_documentation() {
    let page = include_str!("../../../../docs/debezium.md");
    for listed in DIFFERENCES {
        assert!(
            page.contains(listed.reason),
            "docs/debezium.md does not say: {}",
            listed.reason
        );
    }
}
