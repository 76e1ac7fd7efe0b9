//! Where a list goes on.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use cdc_store::ListPlace;
use notifier::{AttemptPlace, DeliveryPlace, EndpointId};

/// The row of a list that the next one comes after, as one word: its time and what tells it from others of that time.
///
/// It need not be there any more, so that a list can go on behind a row that was forgotten or dealt with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct After<Place>(pub(crate) Place);

/// A text that no list said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected what a list says at its end, when there is more than it shows")]
pub(crate) struct InvalidPlace;

impl fmt::Display for After<AttemptPlace> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AttemptPlace {
            at,
            epoch,
            event_id,
            endpoint,
        } = &self.0;
        write!(f, "{},{epoch},{event_id},{endpoint}", written(*at))
    }
}

impl FromStr for After<AttemptPlace> {
    type Err = InvalidPlace;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let [at, epoch, event, endpoint] = parts(text)?;
        Ok(Self(AttemptPlace {
            at: time(at)?,
            epoch: number(epoch)?,
            event_id: event.to_owned(),
            endpoint: EndpointId::new(endpoint).map_err(|_| InvalidPlace)?,
        }))
    }
}

impl fmt::Display for After<DeliveryPlace> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DeliveryPlace {
            created_at,
            event_id,
            endpoint,
        } = &self.0;
        write!(f, "{},{event_id},{endpoint}", written(*created_at))
    }
}

impl FromStr for After<DeliveryPlace> {
    type Err = InvalidPlace;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let [at, event, endpoint] = parts(text)?;
        Ok(Self(DeliveryPlace {
            created_at: time(at)?,
            event_id: event.to_owned(),
            endpoint: EndpointId::new(endpoint).map_err(|_| InvalidPlace)?,
        }))
    }
}

impl fmt::Display for After<ListPlace> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", written(self.0.last_failed_at), self.0.id)
    }
}

impl FromStr for After<ListPlace> {
    type Err = InvalidPlace;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let [at, id] = parts(text)?;
        Ok(Self(ListPlace {
            last_failed_at: time(at)?,
            id: number(id)?,
        }))
    }
}

/// The name of an endpoint may have commas in it, and is the last; an event's id has none.
fn parts<const N: usize>(text: &str) -> Result<[&str; N], InvalidPlace> {
    let parts: Vec<_> = text.splitn(N, ',').collect();
    parts.try_into().map_err(|_| InvalidPlace)
}

/// All that PostgreSQL has of a time.
fn written(time: SystemTime) -> impl fmt::Display {
    humantime::format_rfc3339_micros(time)
}

fn time(text: &str) -> Result<SystemTime, InvalidPlace> {
    humantime::parse_rfc3339(text).map_err(|_| InvalidPlace)
}

fn number<T: FromStr>(text: &str) -> Result<T, InvalidPlace> {
    text.parse().map_err(|_| InvalidPlace)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn what_a_list_says_is_understood() {
        let at = UNIX_EPOCH + Duration::from_micros(1_700_000_000_000_001);
        let endpoint = EndpointId::new("a, b").unwrap();
        let attempt = After(AttemptPlace {
            at,
            epoch: 3,
            event_id: "e-1".into(),
            endpoint: endpoint.clone(),
        });
        assert_eq!(attempt.to_string().parse(), Ok(attempt));
        let delivery = After(DeliveryPlace {
            created_at: at,
            event_id: "e-1".into(),
            endpoint,
        });
        assert_eq!(delivery.to_string().parse(), Ok(delivery));
        let failed = After(ListPlace {
            last_failed_at: at,
            id: "17".parse().unwrap(),
        });
        assert_eq!(failed.to_string(), "2023-11-14T22:13:20.000001Z,17");
        assert_eq!(failed.to_string().parse(), Ok(failed));
    }

    #[test]
    fn refuses_what_no_list_said() {
        for text in [
            "",
            "17",
            "2023-11-14T22:13:20Z",
            "now,17",
            "2023-11-14T22:13:20Z,x",
        ] {
            assert_eq!(
                text.parse::<After<ListPlace>>(),
                Err(InvalidPlace),
                "{text:?}"
            );
        }
        let no_endpoint = "2023-11-14T22:13:20Z,e-1,";
        assert!(no_endpoint.parse::<After<DeliveryPlace>>().is_err());
    }
}
