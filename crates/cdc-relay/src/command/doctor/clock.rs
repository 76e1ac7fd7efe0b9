//! The clocks of PostgreSQL and of this machine.

use super::finding::Findings;
use crate::database::ClockDifference;

/// More than this is no noise, and the lag that the relay reports is wrong by it.
const NOTEWORTHY_SECONDS: f64 = 1.0;

/// Kafka's clock cannot be asked for; what depends on it is among the topics' settings.
pub(super) fn check(difference: ClockDifference, findings: &mut Findings) {
    let ClockDifference {
        ahead_seconds,
        precision_seconds,
    } = difference;
    let relation = if ahead_seconds < 0.0 {
        "behind"
    } else {
        "ahead of"
    };
    let apart = ahead_seconds.abs();
    if apart - precision_seconds > NOTEWORTHY_SECONDS {
        findings.warn(
            "clock",
            format!("the server's clock is {apart:.1} s {relation} this machine's: the lag and latency that the relay reports are wrong by that"),
            "synchronise both with NTP; a record's time is the commit's, by the server's clock",
            None,
        );
    } else {
        findings.ok(
            "clock",
            format!(
                "{:.0} ms {relation} this machine's; Kafka's is not known",
                apart * 1e3
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Report;
    use super::*;

    fn status(ahead_seconds: f64, precision_seconds: f64) -> (String, String) {
        let mut findings = Findings::at("db");
        check(
            ClockDifference {
                ahead_seconds,
                precision_seconds,
            },
            &mut findings,
        );
        let mut report = Report::default();
        report.add(findings);
        let found = &report.findings[0];
        (format!("{:?}", found.status), found.what.clone())
    }

    #[test]
    fn tells_clocks_apart_only_beyond_what_the_network_explains() {
        assert_eq!(status(0.4, 0.0).0, "Ok");
        assert_eq!(status(-3.0, 2.5).0, "Ok");
        let (found, what) = status(-3.0, 0.001);
        assert_eq!(found, "Warn");
        assert!(what.contains("3.0 s behind"), "{what}");
        assert!(status(90.0, 0.1).1.contains("90.0 s ahead of"));
    }
}
