//! Writes down which endpoints are closed, for processes that are started later.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_postgres::types::Type;

use crate::batch::Work;
use crate::endpoint::EndpointId;
use crate::error::Error;
use crate::gate::Gate;
use crate::session::Session;

/// An endpoint that was closed or opened. How it is now is read when that is written down: two changes may be told of
/// in another order than they happened in, and the last to be told of has the truth all the same.
#[derive(Debug)]
pub(crate) struct Changed {
    pub(crate) endpoint: EndpointId,
    pub(crate) gate: Arc<Gate>,
}

/// Writes changes down.
#[derive(Debug)]
pub(crate) struct Closings {
    pub(crate) session: Session,
}

/// Rows are locked in the order of their ids, as they are by others who write more than one.
const SQL: &str = "
    WITH locked AS MATERIALIZED (SELECT id FROM cdc.endpoint WHERE id = ANY ($1) ORDER BY id FOR UPDATE)
    UPDATE cdc.endpoint AS endpoint
       SET failures_in_a_row = given.failures, closed_until = now() + make_interval(secs => given.seconds)
      FROM locked, unnest($1, $2, $3) AS given (id, failures, seconds)
     WHERE endpoint.id = locked.id AND endpoint.id = given.id";

impl Work for Closings {
    type Item = Changed;
    type Answer = ();

    async fn run(&mut self, items: &[Changed]) -> Result<Vec<()>, Error> {
        let changed: BTreeMap<&str, &Gate> = items
            .iter()
            .map(|item| (item.endpoint.as_str(), &*item.gate))
            .collect();
        let (ids, now): (Vec<&str>, Vec<_>) = changed
            .into_iter()
            .map(|(id, gate)| (id, gate.closing()))
            .unzip();
        let failures: Vec<Option<i32>> = now
            .iter()
            .map(|closing| {
                closing.map(|closing| i32::try_from(closing.failures).unwrap_or(i32::MAX))
            })
            .collect();
        let seconds: Vec<Option<f64>> = now
            .iter()
            .map(|closing| closing.map(|closing| closing.left.as_secs_f64()))
            .collect();
        self.session
            .execute(
                "write down which endpoints are closed",
                SQL,
                &[
                    (&ids, Type::TEXT_ARRAY),
                    (&failures, Type::INT4_ARRAY),
                    (&seconds, Type::FLOAT8_ARRAY),
                ],
            )
            .await?;
        Ok(vec![(); items.len()])
    }
}
