//! The arguments of what `endpoint` lists.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::Args;
use notifier::{AttemptPlace, DeliveryPlace, DeliveryState, EndpointId, Statuses};

use super::endpoint_id;
use crate::cli::After;

/// Arguments of `endpoint list`.
#[derive(Debug, Args)]
pub(crate) struct EndpointList {
    /// At most this many, by name; without it, all.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<NonZeroU32>,
    /// Only those whose names come after this one, which need not be there any more.
    #[arg(long, value_name = "ENDPOINT", value_parser = endpoint_id)]
    pub(crate) after: Option<EndpointId>,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `endpoint deliveries`.
#[derive(Debug, Args)]
pub(crate) struct EndpointDeliveries {
    /// Only those to this endpoint.
    #[arg(long, value_parser = endpoint_id)]
    pub(crate) endpoint: Option<EndpointId>,
    /// Only those of this state: failed, unknown, missed or retrying.
    #[arg(long, default_value = "failed")]
    pub(crate) state: DeliveryState,
    /// At most this many, the oldest first.
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
    /// Goes on behind a list that was cut off, with what it said at its end.
    #[arg(long, value_name = "PLACE")]
    pub(crate) after: Option<After<DeliveryPlace>>,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `endpoint attempts`.
#[derive(Debug, Args)]
pub(crate) struct EndpointAttempts {
    /// Only those to this endpoint.
    #[arg(long, value_parser = endpoint_id)]
    pub(crate) endpoint: Option<EndpointId>,
    /// Only those of this event, as `webhook-id` has it.
    #[arg(long)]
    pub(crate) event: Option<String>,
    /// Only those that were answered with this status, such as 503, or one of this class, such as 5xx.
    #[arg(long)]
    pub(crate) status: Option<Statuses>,
    /// Only those that failed with this error code, such as webhook-timeout.
    #[arg(long)]
    pub(crate) code: Option<String>,
    /// Only those that were over longer ago than this, such as 90m or 7d.
    #[arg(long, value_name = "AGE", value_parser = humantime::parse_duration)]
    pub(crate) older_than: Option<Duration>,
    /// Only those that were over since this long ago.
    #[arg(long, value_name = "AGE", value_parser = humantime::parse_duration)]
    pub(crate) newer_than: Option<Duration>,
    /// At most this many.
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
    /// Goes on behind a list that was cut off, with what it said at its end.
    #[arg(long, value_name = "PLACE")]
    pub(crate) after: Option<After<AttemptPlace>>,
    /// Prints JSON, with the beginning of each answer.
    #[arg(long)]
    pub(crate) json: bool,
}
