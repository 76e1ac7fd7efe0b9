//! A receiver of webhooks: answers as it is told, and remembers who heard what.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A server on loopback. Each path is an endpoint of its own. Dropping it stops it.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    heard: Heard,
    _serving: JoinSet<()>,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The header `webhook-id`.
    pub id: String,
    /// The body.
    pub body: Vec<u8>,
    /// What it was answered.
    pub status: u16,
    /// When it was heard.
    pub at: Instant,
}

#[derive(Debug, Clone, Default)]
struct Heard(Arc<Mutex<Endpoints>>);

#[derive(Debug, Default)]
struct Endpoints {
    requests: BTreeMap<String, Vec<Request>>,
    answers: BTreeMap<String, Rule>,
    /// By endpoint and event.
    answers_to: BTreeMap<(String, String), StatusCode>,
    pause: Duration,
}

/// What is answered to the request with a certain `webhook-id`.
struct Rule(Box<dyn FnMut(&str) -> u16 + Send>);

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rule")
    }
}

impl Receiver {
    /// Starts on a free port; every endpoint answers 200 until told otherwise.
    ///
    /// # Errors
    /// Fails if there is no port.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let heard = Heard::default();
        let router = Router::new()
            .route("/{endpoint}", post(hear))
            .with_state(heard.clone());
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            // Dropping the receiver ends it; it does not end by itself.
            drop(axum::serve(listener, router).await);
        });
        Ok(Self {
            address,
            heard,
            _serving: serving,
        })
    }

    /// The URL of an endpoint.
    pub fn url(&self, endpoint: &str) -> String {
        format!("http://{}/{endpoint}", self.address)
    }

    /// From now on, `endpoint` answers this.
    pub fn answer(&self, endpoint: &str, status: u16) {
        self.answer_by(endpoint, move |_| status);
    }

    /// From now on, `endpoint` answers what `rule` says of the `webhook-id`.
    pub fn answer_by(&self, endpoint: &str, rule: impl FnMut(&str) -> u16 + Send + 'static) {
        let rule = Rule(Box::new(rule));
        self.heard
            .lock(|endpoints| endpoints.answers.insert(endpoint.to_owned(), rule));
    }

    /// How many requests an endpoint has heard, answered or not.
    pub fn count(&self, endpoint: &str) -> usize {
        self.heard
            .lock(|endpoints| endpoints.requests.get(endpoint).map_or(0, Vec::len))
    }

    /// From now on, `endpoint` answers this to the event `id`, whatever it answers to others.
    pub fn answer_to(&self, endpoint: &str, id: &str, status: u16) {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::IM_A_TEAPOT);
        let event = (endpoint.to_owned(), id.to_owned());
        self.heard
            .lock(|endpoints| endpoints.answers_to.insert(event, status));
    }

    /// From now on, every endpoint thinks for this long between hearing and answering.
    pub fn think_for(&self, pause: Duration) {
        self.heard.lock(|endpoints| endpoints.pause = pause);
    }

    /// What an endpoint heard, in order, answered or not.
    pub fn requests(&self, endpoint: &str) -> Vec<Request> {
        self.heard.lock(|endpoints| {
            endpoints
                .requests
                .get(endpoint)
                .cloned()
                .unwrap_or_default()
        })
    }

    /// How often an endpoint said yes to each id.
    pub fn delivered(&self, endpoint: &str) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for request in self.requests(endpoint) {
            if request.status < 300 {
                *counts.entry(request.id).or_default() += 1;
            }
        }
        counts
    }
}

impl Heard {
    fn lock<T>(&self, look: impl FnOnce(&mut Endpoints) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn hear(
    State(heard): State<Heard>,
    Path(endpoint): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok());
    let id = id.unwrap_or_default().to_owned();
    let (status, pause) = heard.lock(|endpoints| {
        let to_event = endpoints.answers_to.get(&(endpoint.clone(), id.clone()));
        let status = to_event.copied().unwrap_or_else(|| {
            let rule = endpoints.answers.get_mut(&endpoint);
            let status = rule.map_or(200, |rule| (rule.0)(&id));
            StatusCode::from_u16(status).unwrap_or(StatusCode::IM_A_TEAPOT)
        });
        let request = Request {
            id,
            body: body.to_vec(),
            status: status.as_u16(),
            at: Instant::now(),
        };
        endpoints
            .requests
            .entry(endpoint)
            .or_default()
            .push(request);
        (status, endpoints.pause)
    });
    tokio::time::sleep(pause).await;
    status
}
