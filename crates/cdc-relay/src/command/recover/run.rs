//! `cdc-relay recover run`.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::admin::Roles;
use crate::command::serving;
use crate::config::Config;
use crate::failure::Failure;
use crate::role::{CollectState, collect};

/// Collects dead letters until `shutdown` is cancelled.
///
/// # Errors
///
/// What cannot pass by itself; the admin server's address.
pub(super) async fn run(config: &Config, shutdown: CancellationToken) -> Result<(), Failure> {
    let state = Arc::new(CollectState::default());
    let roles = Roles {
        collect: Some(Arc::clone(&state)),
        ..Roles::default()
    };
    serving::run(
        config,
        roles,
        &shutdown,
        collect::run(config, &state, &shutdown),
    )
    .await
}
