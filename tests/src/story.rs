//! Stories that the demo plays.

pub mod coupon;
