//! Webhooks to real receivers on loopback: well-behaved, broken and hostile ones.
#![expect(clippy::unwrap_used, reason = "a test stops at what is unexpected")]
#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]

mod addresses;
mod answers;
mod certificates;
mod connections;
mod deadlines;
mod failures;
mod http2;
mod interop;
mod limits;
mod receiver;
mod requests;
mod setup;
mod snippets;
mod throughput;
