//! An HTTP server that does to each path as it is told, and remembers what it got.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

const DEADLINE: Duration = Duration::from_secs(20);

/// What a path does.
#[derive(Debug, Clone)]
pub(crate) enum Behaviour {
    Answer(u16),
    /// With a `Retry-After`.
    Throttle(u16, &'static str),
    AnswerAfter(Duration, u16),
    /// 200 once this is true.
    Hold(watch::Receiver<bool>),
    Hang,
}

/// A request that it got.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) at: Instant,
}

#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    _server: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    behaviours: Mutex<HashMap<String, Behaviour>>,
    posts: watch::Sender<Vec<Post>>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let shared = Arc::new(Shared {
            behaviours: Mutex::default(),
            posts: watch::Sender::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .fallback(receive)
            .with_state(Arc::clone(&shared));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            shared,
            _server: server,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// From now on `path` does this; by default it answers 200.
    pub(crate) fn set(&self, path: &str, behaviour: Behaviour) {
        self.shared
            .behaviours
            .lock()
            .unwrap()
            .insert(format!("/{path}"), behaviour);
    }

    pub(crate) fn posts(&self) -> Vec<Post> {
        self.shared.posts.borrow().clone()
    }

    /// The ids that `path` got, in order.
    pub(crate) fn ids(&self, path: &str) -> Vec<String> {
        let path = format!("/{path}");
        self.shared
            .posts
            .borrow()
            .iter()
            .filter(|post| post.path == path)
            .map(Post::id)
            .collect()
    }

    /// Waits until it got so many requests.
    pub(crate) async fn wait_for(&self, posts: usize) {
        let mut news = self.shared.posts.subscribe();
        let enough = timeout(DEADLINE, news.wait_for(|all| all.len() >= posts)).await;
        assert!(
            enough.is_ok(),
            "got {} of {posts}",
            self.shared.posts.borrow().len()
        );
    }
}

impl Post {
    pub(crate) fn id(&self) -> String {
        self.header("webhook-id").to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

async fn receive(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path().to_owned();
    let behaviour = shared.behaviours.lock().unwrap().get(&path).cloned();
    let post = Post {
        path,
        headers,
        body,
        at: Instant::now(),
    };
    shared.posts.send_modify(|posts| posts.push(post));
    let status = |status| StatusCode::from_u16(status).unwrap();
    match behaviour {
        None => StatusCode::OK.into_response(),
        Some(Behaviour::Answer(code)) => (status(code), "what the endpoint says").into_response(),
        Some(Behaviour::Throttle(code, after)) => {
            (status(code), [("retry-after", after)]).into_response()
        }
        Some(Behaviour::AnswerAfter(time, code)) => {
            sleep(time).await;
            status(code).into_response()
        }
        Some(Behaviour::Hold(mut released)) => {
            released.wait_for(|released| *released).await.unwrap();
            StatusCode::OK.into_response()
        }
        Some(Behaviour::Hang) => std::future::pending().await,
    }
}
