//! The handlers: a request becomes a coupon, or says why not.

use std::sync::Arc;

use cdc_event::{Attempt, ErrorCode, Failure, Handler, HandlerError, Record};

use crate::coupons::{Coupons, Issued};
use crate::desk::Desk;
use crate::event::CouponRequested;
use crate::switches::{Stage, Switches};

const MALFORMED: ErrorCode = ErrorCode::from_static("malformed-request");
const PRINTER: ErrorCode = ErrorCode::from_static("coupon-printer");
const DATABASE: ErrorCode = ErrorCode::from_static("database");
const NO_DISCOUNT: ErrorCode = ErrorCode::from_static("discount-missing");
const NO_APPLICATION: ErrorCode = ErrorCode::from_static("application-missing");

/// The message of the failure that made a record a dead letter; Spring Kafka calls it so too.
const REASON: &str = "kafka_dlt-exception-message";

/// Issues coupons. The same for requests and for those of them that are dead letters: what has failed in the one may
/// succeed in the other.
#[derive(Debug)]
pub(crate) struct Issuer {
    pub(crate) stage: Stage,
    pub(crate) desk: Arc<Desk>,
    pub(crate) switches: Arc<Switches>,
}

impl Handler for Issuer {
    async fn handle(&self, record: &Record, _: Attempt) -> Result<(), Failure> {
        let request = CouponRequested::read(record).map_err(|error| {
            let what = HandlerError::new(MALFORMED, "the record is no request for a coupon");
            Failure::poison(what.caused_by(error))
        })?;
        let CouponRequested { user_id, sequence } = request;
        self.switches.check(self.stage, user_id).map_err(|error| {
            let what = HandlerError::new(PRINTER, "the coupon cannot be printed");
            Failure::transient(what.caused_by(error))
        })?;
        let rescued_from = match self.stage {
            Stage::Requests => None,
            Stage::DeadLetters => Some(reason(record)),
        };
        let issued = Coupons(self.desk.database())
            .issue(user_id, sequence, rescued_from.as_deref())
            .await;
        let (failed, what) = match issued {
            Ok(Issued::Done) => return Ok(()),
            // Each may pass: by a decision, or by itself.
            Ok(Issued::NoDiscount) => {
                let what = "what the coupon is worth has not been decided";
                (
                    Failure::transient as fn(_) -> _,
                    HandlerError::new(NO_DISCOUNT, what),
                )
            }
            Err(error) => {
                let what = HandlerError::new(DATABASE, "the coupon cannot be written down");
                (Failure::transient as _, what.caused_by(error))
            }
            // Its event came with it: this one was made up, or is of another database.
            Ok(Issued::NoApplication) => {
                let what = "nobody applied for this coupon";
                (
                    Failure::poison as _,
                    HandlerError::new(NO_APPLICATION, what),
                )
            }
        };
        Err(failed(what))
    }
}

fn reason(record: &Record) -> String {
    let header = record.headers.last(REASON);
    let text = header.and_then(|header| header.value.as_deref());
    text.map_or("unknown".into(), |text| {
        String::from_utf8_lossy(text).into_owned()
    })
}
