//! Results: as files for programs, and as tables for people.

mod files;
mod machine;
mod table;
mod target;

use serde::{Deserialize, Serialize};

use crate::drain::{ComparisonFigures, DrainFigures};
use crate::idle::IdleFigures;
use crate::latency::LatencyFigures;
use crate::latency::webhooks::WebhookFigures;

pub(crate) use files::keep;
pub(crate) use machine::Machine;
pub(crate) use table::table;
pub(crate) use target::Target;

/// One case.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Report {
    case: String,
    machine: Machine,
    targets: Vec<Target>,
    figures: Figures,
}

/// What was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Figures {
    /// A backlog was sent to Kafka, in turns with a reference.
    Drain(DrainFigures),
    /// A backlog was sent to Kafka in two ways.
    Comparison(ComparisonFigures),
    /// Events came at a steady pace.
    Latency(LatencyFigures),
    /// Events came at a steady pace, and went on to webhooks.
    Webhooks(WebhookFigures),
    /// Nothing happened.
    Idle(IdleFigures),
}

impl Report {
    /// Judges `figures` by their targets.
    pub(crate) fn new(case: impl Into<String>, machine: &Machine, figures: Figures) -> Self {
        let targets = match &figures {
            Figures::Drain(figures) => figures.targets(),
            Figures::Comparison(figures) => figures.targets(),
            Figures::Latency(figures) => figures.targets(),
            Figures::Webhooks(figures) => figures.targets(),
            Figures::Idle(figures) => figures.targets(),
        };
        Self {
            case: case.into(),
            machine: machine.clone(),
            targets,
            figures,
        }
    }
}

impl From<DrainFigures> for Figures {
    fn from(figures: DrainFigures) -> Self {
        Self::Drain(figures)
    }
}

impl From<ComparisonFigures> for Figures {
    fn from(figures: ComparisonFigures) -> Self {
        Self::Comparison(figures)
    }
}

impl From<LatencyFigures> for Figures {
    fn from(figures: LatencyFigures) -> Self {
        Self::Latency(figures)
    }
}

impl From<WebhookFigures> for Figures {
    fn from(figures: WebhookFigures) -> Self {
        Self::Webhooks(figures)
    }
}

impl From<IdleFigures> for Figures {
    fn from(figures: IdleFigures) -> Self {
        Self::Idle(figures)
    }
}
