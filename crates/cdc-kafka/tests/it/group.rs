//! Members of consumer groups.

mod closing;
mod handover;
mod lag;
mod membership;
mod outage;
mod pace;
mod reading;
mod renewal;
mod setup;
mod throughput;
mod topics;
mod transactions;
