//! The consumer side is killed again and again.

use anyhow::{Result, ensure};
use cdc_e2e::chaos::consumers::{self, ConsumerPlan};
use cdc_e2e::progress::Progress;
use cdc_e2e::{Scenario, random};

/// `make chaos` does it two hundred times.
#[tokio::test(flavor = "multi_thread")]
async fn every_event_ends_delivered_or_as_one_open_failure_whatever_is_killed() -> Result<()> {
    let plan = ConsumerPlan {
        cycles: 6,
        seed: random::entropy(),
    };
    let verdict = consumers::run(Scenario::shared().await?, plan, &Progress::silent()).await?;
    verdict.require_clean()?;
    let (open, doubtful) = verdict.failures();
    ensure!(open > 0, "no event has failed: {verdict}");
    ensure!(
        doubtful > 0,
        "no kill has met a request in flight: {verdict}"
    );
    Ok(())
}
