//! The stories that `make demo` plays on real servers. Each ends with a table of what was promised and what was seen.

pub mod coupon;
pub mod relay;
pub mod sns;
