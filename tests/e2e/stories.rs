//! Stories of what goes wrong with consumers, told with the coupon service. `docs/scenarios.md` has them all, with where
//! each is played and proven.

mod blocking;
mod dead_letter_handler;
mod dlq;
mod missing_value;
mod narrow_dead_letters;
mod tiers;
mod unacknowledged;
