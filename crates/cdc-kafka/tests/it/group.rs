//! Members of consumer groups.

mod handover;
mod lag;
mod membership;
mod outage;
mod pace;
mod reading;
mod setup;
mod throughput;
mod topics;
mod transactions;
