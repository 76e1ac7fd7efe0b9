//! Settings that cannot go together.

use std::collections::HashSet;

use super::{Converter, EnvelopeFormat, ExpandJson, OutboxSettings, Target};
use crate::cloud_events;

/// Settings of which no record can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{option} must {constraint}")]
pub struct InvalidSettings {
    /// The option, as section `[outbox]` calls it.
    pub option: &'static str,
    /// What is allowed, as the end of the sentence "`option` must …".
    pub constraint: String,
}

impl OutboxSettings {
    /// Checks what the types cannot.
    ///
    /// # Errors
    ///
    /// The first fault found.
    pub fn validate(&self) -> Result<(), InvalidSettings> {
        self.check_columns()?;
        self.check_topic()?;
        self.check_placement()?;
        if self.expand_json == ExpandJson::Lossless && self.value_format == Converter::JsonSchema {
            return Err(InvalidSettings {
                option: "expand_json",
                constraint: "be false or \"debezium\" with value_format = \"json_schema\": what keeps everything has \
                             no schema"
                    .to_owned(),
            });
        }
        Ok(())
    }

    fn check_columns(&self) -> Result<(), InvalidSettings> {
        let columns = &self.columns;
        for (option, column) in [
            ("id", Some(&columns.id)),
            ("route_by", Some(&columns.route_by)),
            ("key", Some(&columns.key)),
            ("type", Some(&columns.event_type)),
            ("payload", Some(&columns.payload)),
            ("timestamp", columns.timestamp.as_ref()),
            ("headers", columns.headers.as_ref()),
            ("schema_version", columns.schema_version.as_ref()),
            ("traceparent", columns.traceparent.as_ref()),
            ("tracestate", columns.tracestate.as_ref()),
        ] {
            if column.is_some_and(String::is_empty) {
                return Err(InvalidSettings {
                    option,
                    constraint: "name a column".to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Whether the template fits the regex.
    fn check_topic(&self) -> Result<(), InvalidSettings> {
        let regex = &self.route_regex;
        match self.topic.groups().find(|group| !regex.has_group(group)) {
            None => Ok(()),
            Some(group) => Err(InvalidSettings {
                option: "topic",
                constraint: format!("have no group that route_regex lacks: {regex} has no {group}"),
            }),
        }
    }

    fn check_placement(&self) -> Result<(), InvalidSettings> {
        let refuse = |constraint| {
            Err(InvalidSettings {
                option: "placement",
                constraint,
            })
        };
        let is_cloud_event = matches!(self.format, EnvelopeFormat::CloudEvents(_));
        let mut taken = HashSet::from([(Target::Envelope, crate::PAYLOAD_MEMBER)]);
        for placement in &self.placement {
            let target = placement.target;
            let alias = match target {
                Target::Partition => "",
                Target::Header | Target::Envelope => placement.alias.as_str(),
            };
            if !taken.insert((target, alias)) {
                return refuse(match target {
                    Target::Partition => "make only one column the partition".to_owned(),
                    Target::Header | Target::Envelope => {
                        format!(
                            "have {alias:?} in the {target} only once: {placement} needs another alias"
                        )
                    }
                });
            }
            if is_cloud_event && target == Target::Header && cloud_events::is_own(alias) {
                return refuse(format!(
                    "leave the header {alias:?} to format = \"cloudevents\""
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(change: impl FnOnce(&mut OutboxSettings)) -> InvalidSettings {
        let mut settings = OutboxSettings::default();
        change(&mut settings);
        settings.validate().unwrap_err()
    }

    fn placed(list: &[&str]) -> OutboxSettings {
        OutboxSettings {
            placement: list.iter().map(|text| text.parse().unwrap()).collect(),
            ..OutboxSettings::default()
        }
    }

    #[test]
    fn takes_debezium_s_defaults() {
        assert_eq!(OutboxSettings::default().validate(), Ok(()));
        // Two names for one column, and one name in two places, are no clash.
        assert_eq!(
            placed(&["type:header", "type:header:t", "type:envelope", "id:header"]).validate(),
            Ok(())
        );
    }

    #[test]
    fn refuses_a_name_that_is_taken() {
        for list in [
            &["a:header:x", "b:header:x"][..],
            &["a:envelope:payload"],
            &["a:partition", "b:partition"],
        ] {
            assert_eq!(
                placed(list).validate().unwrap_err().option,
                "placement",
                "{list:?}"
            );
        }
        let cloud_events = OutboxSettings {
            format: EnvelopeFormat::CloudEvents(crate::CloudEvents::default()),
            ..placed(&["type:header:ce_type"])
        };
        assert_eq!(cloud_events.validate().unwrap_err().option, "placement");
    }

    #[test]
    fn refuses_a_column_without_a_name() {
        assert_eq!(fault(|s| s.columns.key.clear()).option, "key");
        assert_eq!(
            fault(|s| s.columns.timestamp = Some(String::new())).option,
            "timestamp"
        );
    }

    #[test]
    fn refuses_a_template_with_a_group_that_the_regex_lacks() {
        let error = fault(|s| s.topic = "${other}.events".parse().unwrap());
        assert_eq!(error.option, "topic");
        assert!(error.to_string().contains("other"), "{error}");
    }

    #[test]
    fn refuses_a_schema_for_what_has_none() {
        let error = fault(|s| {
            s.expand_json = ExpandJson::Lossless;
            s.value_format = Converter::JsonSchema;
        });
        assert_eq!(error.option, "expand_json");
    }
}
