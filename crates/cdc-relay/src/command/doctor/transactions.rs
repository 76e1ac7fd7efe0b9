//! Transactions that hold a slot back.

use std::time::Duration;

use super::finding::Findings;
use crate::config::Config;
use crate::database::{Blocker, Database};
use crate::error_code::ErrorCode;
use crate::failure::Failure;

/// Older transactions keep log and dead rows; an outbox needs none of this age.
const OLD: Duration = Duration::from_secs(300);

pub(super) async fn check(
    database: &Database,
    config: &Config,
    findings: &mut Findings,
) -> Result<(), Failure> {
    judge(&database.writing_transactions(config).await?, findings);
    Ok(())
}

fn judge(open: &[Blocker], findings: &mut Findings) {
    let old = || {
        open.iter()
            .filter(|open| open.age_seconds > OLD.as_secs_f64())
    };
    for blocker in old() {
        let end = match blocker.pid {
            Some(pid) => format!(
                "SELECT pg_terminate_backend({pid}) ends it; idle_in_transaction_session_timeout prevents it"
            ),
            None => format!(
                "COMMIT PREPARED or ROLLBACK PREPARED '{}', as its owner decides",
                blocker.name
            ),
        };
        findings.warn(
            "transactions",
            format!(
                "{blocker} keeps the slot's log from being removed, and a new slot from being made"
            ),
            end,
            Some(ErrorCode::OldTransaction),
        );
    }
    if old().next().is_none() {
        findings.ok(
            "transactions",
            format!(
                "none that has written is open for more than {} s",
                OLD.as_secs()
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::{Report, Status};
    use super::*;

    fn blocker(pid: Option<i32>, age_seconds: f64) -> Blocker {
        Blocker {
            pid,
            age_seconds,
            state: "idle in transaction".to_owned(),
            name: "billing".to_owned(),
        }
    }

    #[test]
    fn names_each_old_transaction_and_how_to_end_it() {
        let mut findings = Findings::at("db");
        let open = [
            blocker(Some(42), 4000.0),
            blocker(None, 400.0),
            blocker(Some(43), 200.0),
        ];
        judge(&open, &mut findings);
        let mut report = Report::default();
        report.add(findings);
        let [session, prepared] = &report.findings[..] else {
            panic!("two findings: {report:?}")
        };
        assert_eq!(session.status, Status::Warn);
        assert!(
            session.what.contains("pid 42") && session.what.contains("4000 s"),
            "{session:?}"
        );
        assert!(
            session
                .remedy
                .as_ref()
                .unwrap()
                .contains("pg_terminate_backend(42)"),
            "{session:?}"
        );
        assert!(
            prepared
                .remedy
                .as_ref()
                .unwrap()
                .contains("ROLLBACK PREPARED 'billing'"),
            "{prepared:?}"
        );
    }
}
