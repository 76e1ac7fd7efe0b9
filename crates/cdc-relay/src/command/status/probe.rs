//! `cdc-relay status --probe`: for a container's health check, which has no other client at hand.

use crate::admin::client;
use crate::config::Config;
use crate::error_code::ErrorCode;
use crate::failure::Failure;

/// Succeeds when `/healthz` answers 200.
pub(super) async fn run(config: &Config) -> Result<(), Failure> {
    let unhealthy =
        |what: String, remedy: &str| Failure::new(ErrorCode::RelayUnhealthy, what, remedy);
    let Some(listen) = &config.admin.listen else {
        return Err(unhealthy(
            "the relay cannot be asked: `admin.listen` is empty".to_owned(),
            "set `admin.listen`, for example to 127.0.0.1:9464",
        ));
    };
    let answer = client::get(listen, "/healthz").await.map_err(|error| {
        unhealthy(
            "the relay does not answer".to_owned(),
            "start it (`cdc-relay relay`); `admin.listen` must be the same for both",
        )
        .caused_by(error)
    })?;
    if answer.status == 200 {
        return Ok(());
    }
    Err(unhealthy(
        format!(
            "the relay says that it is unhealthy ({}): {}",
            answer.status,
            answer.body.trim()
        ),
        "its log says more; a restart makes a new connection",
    ))
}
