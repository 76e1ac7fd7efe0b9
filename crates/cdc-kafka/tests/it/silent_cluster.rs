//! A cluster that can be told to have no broker: just enough of Kafka's protocol for a client to look at it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use cdc_kafka::KafkaOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const PRODUCE: i16 = 0;
const FETCH: i16 = 1;
const METADATA: i16 = 3;
const API_VERSIONS: i16 = 18;
const INIT_PRODUCER_ID: i16 = 22;
const UNSUPPORTED_VERSION: i16 = 35;
const LEADER_NOT_AVAILABLE: i16 = 5;

/// One broker, one topic `t` with one partition, and no groups. Dropping it closes everything.
pub(crate) struct SilentCluster {
    pub(crate) options: KafkaOptions,
    state: Arc<State>,
    _serving: JoinSet<()>,
}

#[derive(Default)]
struct State {
    port: i32,
    has_no_broker: AtomicBool,
    looks: AtomicU32,
}

impl SilentCluster {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            port: address.port().into(),
            ..State::default()
        });
        let mut serving = JoinSet::new();
        let served = Arc::clone(&state);
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                let state = Arc::clone(&served);
                // It ends when the client goes.
                connections.spawn(async move { serve(connection, &state).await.ok() });
            }
        });
        Self {
            options: KafkaOptions::new(address.to_string()),
            state,
            _serving: serving,
        }
    }

    /// From now on it says that there is no broker, or that there is one.
    pub(crate) fn has_no_broker(&self, none: bool) {
        self.state.has_no_broker.store(none, Ordering::SeqCst);
    }

    /// Waits until clients have asked for its brokers and topics this many times from now on.
    pub(crate) async fn looked_at(&self, times: u32) {
        let looks = || self.state.looks.load(Ordering::SeqCst);
        let enough = looks() + times;
        while looks() < enough {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Answers requests until the client goes.
#[expect(
    clippy::disallowed_methods,
    reason = "nothing cancels it but the end of the test"
)]
async fn serve(mut connection: TcpStream, state: &State) -> std::io::Result<()> {
    loop {
        let length = connection.read_u32().await?;
        let mut request = vec![0; length as usize];
        connection.read_exact(&mut request).await?;
        let number = |at: usize| i16::from_be_bytes([request[at], request[at + 1]]);
        let body = match (number(0), number(2)) {
            (API_VERSIONS, 0) => api_versions(0),
            (API_VERSIONS, _) => api_versions(UNSUPPORTED_VERSION),
            (METADATA, _) => {
                state.looks.fetch_add(1, Ordering::SeqCst);
                metadata(state)
            }
            (INIT_PRODUCER_ID, _) => producer_id(),
            // What it says that it can do, it does not.
            _ => return Ok(()),
        };
        let correlation = &request[4..8];
        let length = u32::try_from(correlation.len() + body.len()).unwrap();
        connection
            .write_all(&[&length.to_be_bytes()[..], correlation, &body].concat())
            .await?;
    }
}

/// Version 0.
fn api_versions(error: i16) -> Vec<u8> {
    let mut body = error.to_be_bytes().to_vec();
    let apis = [
        (PRODUCE, 3_i16),
        (FETCH, 4),
        (METADATA, 1),
        (API_VERSIONS, 0),
        (INIT_PRODUCER_ID, 0),
    ];
    body.extend(i32::try_from(apis.len()).unwrap().to_be_bytes());
    for (api, newest) in apis {
        body.extend(api.to_be_bytes());
        body.extend(0_i16.to_be_bytes());
        body.extend(newest.to_be_bytes());
    }
    body
}

/// Version 0: no throttling, no error, the producer 1 in its epoch 0.
fn producer_id() -> Vec<u8> {
    let mut body = vec![0; 4 + 2];
    body.extend(1_i64.to_be_bytes());
    body.extend(0_i16.to_be_bytes());
    body
}

/// Version 1.
fn metadata(state: &State) -> Vec<u8> {
    let text = |text: &str| {
        let length = i16::try_from(text.len()).unwrap().to_be_bytes();
        [&length[..], text.as_bytes()].concat()
    };
    let none = state.has_no_broker.load(Ordering::SeqCst);
    let (node, error) = if none {
        (-1_i32, LEADER_NOT_AVAILABLE)
    } else {
        (1, 0)
    };
    let mut body = i32::from(!none).to_be_bytes().to_vec();
    if !none {
        body.extend(node.to_be_bytes());
        body.extend(text("127.0.0.1"));
        body.extend(state.port.to_be_bytes());
        body.extend((-1_i16).to_be_bytes());
    }
    // The controller, and one topic that is not internal.
    body.extend(node.to_be_bytes());
    body.extend(1_i32.to_be_bytes());
    body.extend(0_i16.to_be_bytes());
    body.extend(text("t"));
    body.push(0);
    // Its partition with a leader, one replica, and one in sync.
    body.extend(1_i32.to_be_bytes());
    body.extend(error.to_be_bytes());
    body.extend(0_i32.to_be_bytes());
    body.extend(node.to_be_bytes());
    for number in [1, 1, 1, 1_i32] {
        body.extend(number.to_be_bytes());
    }
    body
}
