//! `coupon-service reconcile`: completes what a crash has left half done.

use anyhow::Result;

use crate::coupons::{Campaign, Coupons};
use crate::desk::{Answer, Desk};
use crate::settings::Settings;
use crate::tickets::Restored;

/// What was found, and what became of it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Report {
    /// Applications without a coupon whose event was sent (again), since it is not sent with their row.
    announced: usize,
    /// Applications of users who held a ticket and had heard nothing.
    completed: usize,
    /// Those that were recorded meanwhile.
    in_time: usize,
    /// Claims of users whose ticket was another's, when no other was left.
    given_back: usize,
}

/// Compares, completes, and prints what there was to do. May run beside the service, and be repeated.
///
/// # Errors
///
/// Redis or PostgreSQL cannot be reached.
pub(crate) async fn run(settings: Settings) -> Result<()> {
    // It is for what a crash has left; it is not to crash there itself.
    let settings = Settings {
        crash_after: None,
        ..settings
    };
    let desk = Desk::open(&settings).await?;
    let report = complete(&desk).await;
    desk.announcing().close().await;
    let report = report?;
    let restored = desk.restore().await?;
    let campaign = Coupons(desk.database()).campaign().await?;
    print(&report, restored, campaign);
    Ok(())
}

async fn complete(desk: &Desk) -> Result<Report> {
    // Before those that are recorded only now, and announced with that.
    let announced = desk.applications().announce(None).await?;
    let claims = desk.tickets().claims().await?;
    // Read after the claims: what is missing here was not recorded when the claim was seen.
    let recorded = desk.applications().all().await?;
    let half_done = claims
        .into_iter()
        .filter(|(user, ticket)| recorded.get(user) != Some(ticket));
    let mut report = Report {
        announced,
        ..Report::default()
    };
    for (user, _) in half_done {
        match desk.apply(user).await? {
            Answer::Accepted(_) => report.completed += 1,
            Answer::AlreadyApplied(_) => report.in_time += 1,
            Answer::SoldOut => report.given_back += 1,
        }
    }
    Ok(report)
}

#[expect(clippy::print_stdout, reason = "the command's result")]
fn print(report: &Report, restored: Restored, campaign: Campaign) {
    let Report {
        announced,
        completed,
        in_time,
        given_back,
    } = report;
    let waiting = campaign.applications - campaign.coupons;
    println!("announced     {announced}");
    println!("completed     {completed}");
    println!("in time       {in_time}");
    println!("given back    {given_back}");
    println!("tickets left  {}", restored.free);
    println!("applications  {}", campaign.applications);
    println!("coupons       {}", campaign.coupons);
    println!("without one   {waiting}");
}
