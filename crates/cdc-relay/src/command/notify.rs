//! `cdc-relay notify`.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::serving::Serving;
use crate::admin::Roles;
use crate::config::Config;
use crate::failure::Failure;
use crate::role::{NotifyState, notify};

/// Sends webhooks until `shutdown` is cancelled.
///
/// # Errors
///
/// What cannot pass by itself; the admin server's address.
pub(super) async fn run(config: &Config, shutdown: CancellationToken) -> Result<(), Failure> {
    let serving = Serving::bind(config).await?;
    let state = Arc::new(NotifyState::default());
    let roles = Roles {
        notify: Some(Arc::clone(&state)),
        ..Roles::default()
    };
    let work = Box::pin(notify::run(config, &state, &shutdown));
    serving.run(roles, &shutdown, work).await
}
