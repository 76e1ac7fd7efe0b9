//! How a timeline came to be: the timelines before it, and where it left each.

use std::str::FromStr;

use pg_lsn::Lsn;

use super::TimelineId;

/// The timelines that a timeline descends from. That of the first timeline is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TimelineHistory {
    switches: Vec<TimelineSwitch>,
}

/// The end of one timeline in a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimelineSwitch {
    /// The timeline that was left.
    pub timeline: TimelineId,
    /// The first position that is not on it any more.
    pub at: Lsn,
}

/// A line of a history file is not a timeline and a position, or its timelines do not count up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a line of a timeline history: {line:?}")]
pub struct InvalidTimelineHistory {
    line: String,
}

impl TimelineHistory {
    /// The switches, the oldest first.
    #[must_use]
    pub fn switches(&self) -> &[TimelineSwitch] {
        &self.switches
    }

    /// Where the history left `timeline`: what that timeline has from there on did not happen here. `None` for a
    /// timeline that is not among the ancestors.
    #[must_use]
    pub fn switch_point(&self, timeline: TimelineId) -> Option<Lsn> {
        let switch = self.switches.iter().find(|s| s.timeline == timeline);
        switch.map(|switch| switch.at)
    }
}

impl FromStr for TimelineHistory {
    type Err = InvalidTimelineHistory;

    /// From the content of a history file: lines of timeline, position and reason, and comments behind `#`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut switches: Vec<TimelineSwitch> = Vec::new();
        for line in text.lines() {
            if line.trim().is_empty() || line.trim_start().starts_with('#') {
                continue;
            }
            let switch = read_line(line)
                .filter(|next| switches.last().is_none_or(|s| s.timeline < next.timeline));
            switches.push(switch.ok_or_else(|| InvalidTimelineHistory {
                line: line.chars().take(100).collect(),
            })?);
        }
        Ok(Self { switches })
    }
}

fn read_line(line: &str) -> Option<TimelineSwitch> {
    let mut fields = line.split_whitespace();
    Some(TimelineSwitch {
        timeline: fields.next()?.parse().ok()?,
        at: fields.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(number: u32) -> TimelineId {
        number.to_string().parse().unwrap()
    }

    #[test]
    fn knows_where_each_ancestor_was_left() {
        let text = "1\t0/3000148\tno recovery target specified\n\n# by hand\n3\t1/A0\tbefore 2024-01-01 00:00:00+00\n";
        let history: TimelineHistory = text.parse().unwrap();
        assert_eq!(
            history.switch_point(TimelineId::FIRST),
            Some("0/3000148".parse().unwrap())
        );
        assert_eq!(
            history.switch_point(timeline(3)),
            Some("1/A0".parse().unwrap())
        );
        assert_eq!(history.switch_point(timeline(2)), None);
        assert_eq!(history.switch_point(timeline(4)), None);
        assert_eq!(history.switches().len(), 2);
    }

    #[test]
    fn the_first_timeline_has_no_history() {
        assert_eq!("".parse(), Ok(TimelineHistory::default()));
    }

    #[test]
    fn refuses_what_is_no_history() {
        for text in [
            "1",
            "x\t0/1",
            "1\t5\treason",
            "2\t0/1\n1\t0/2",
            "1\t0/1\n1\t0/1",
        ] {
            assert!(text.parse::<TimelineHistory>().is_err(), "{text:?}");
        }
    }
}
