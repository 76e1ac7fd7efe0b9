//! How fast it is. To be run by hand, in release: `cargo test --release -p webhook throughput -- --ignored --nocapture`.

use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use webhook::{Body, Class, ExtraHeaders, Request, Secret, Secrets, WebhookId};

use crate::receiver::Receiver;
use crate::setup::client;

const REQUESTS: usize = 100_000;
const AT_ONCE: usize = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn throughput_to_a_receiver_in_this_process() {
    // As little as a receiver can do: it shares the cores.
    let receiver = Receiver::raw(|mut socket| async move {
        let mut bytes = Vec::with_capacity(4096);
        while socket.read_buf(&mut bytes).await.is_ok_and(|read| read > 0) {
            if bytes.ends_with(b"}") {
                bytes.clear();
                drop(socket.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await);
            }
        }
    })
    .await;
    let client = client();
    let target = client.guard().check_url(&receiver.url()).unwrap();
    let begun = Instant::now();
    let mut senders = JoinSet::new();
    for sender in 0..AT_ONCE {
        let (client, target) = (client.clone(), target.clone());
        senders.spawn(async move {
            let secrets = Secrets::new(Secret::generate().unwrap());
            let body = Body::new(
                "application/json",
                format!(r#"{{"text":"{}"}}"#, "x".repeat(480)),
            );
            for number in 0..REQUESTS / AT_ONCE {
                let attempt = client
                    .send(&Request {
                        target: &target,
                        id: &WebhookId::new(&format!("{sender}-{number}")).unwrap(),
                        at: std::time::SystemTime::now(),
                        secrets: Some(&secrets),
                        body: &body,
                        headers: &ExtraHeaders::default(),
                    })
                    .await;
                assert_eq!(attempt.class(), Class::Delivered, "{attempt:?}");
            }
        });
    }
    senders.join_all().await;
    let rate = REQUESTS as f64 / begun.elapsed().as_secs_f64();
    println!(
        "{rate:.0} requests a second over {} connections",
        receiver.connections()
    );
}
