//! `cdc-relay recover run`.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::admin::Roles;
use crate::command::serving::Serving;
use crate::config::Config;
use crate::failure::Failure;
use crate::role::{CollectState, collect};

/// Collects dead letters until `shutdown` is cancelled.
///
/// # Errors
///
/// What cannot pass by itself; the admin server's address.
pub(super) async fn run(config: &Config, shutdown: CancellationToken) -> Result<(), Failure> {
    let serving = Serving::bind(config).await?;
    let state = Arc::new(CollectState::default());
    let roles = Roles {
        collect: Some(Arc::clone(&state)),
        ..Roles::default()
    };
    let work = collect::run(config, &state, &shutdown);
    serving.run(roles, &shutdown, work).await
}
