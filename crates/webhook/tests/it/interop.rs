//! The published Standard Webhooks library takes what we send.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::SystemTime;

use webhook::{Class, ExtraHeaders, Format, Message, Request, Secret, Secrets, WebhookId};

use crate::receiver::{Receiver, Seen, status};
use crate::setup::client;

const LIBRARY: &str = "standardwebhooks==1.1.0";

/// The folder of the library, installed once; `None` if it is not to be had.
fn library() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(LIBRARY.replace("==", "-"));
    let done = folder.join("installed");
    if !done.exists() {
        let install = [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--target",
        ];
        let output = Command::new("python3")
            .args(install)
            .arg(&folder)
            .arg(LIBRARY)
            .output();
        if !output.is_ok_and(|output| output.status.success()) {
            return None;
        }
        std::fs::write(done, "").unwrap();
    }
    Some(folder)
}

fn verify(library: &Path, secret: &str, seen: &Seen, body: &str) -> Output {
    let headers: serde_json::Map<_, _> = seen
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().into()))
        .collect();
    let script =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop/webhook_verify.py");
    let mut child = Command::new("python3")
        .arg(script)
        .env("PYTHONPATH", library)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let request = serde_json::json!({ "secret": secret, "headers": headers, "body": body });
    child
        .stdin
        .take()
        .unwrap()
        .write_all(request.to_string().as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

#[tokio::test]
async fn the_published_library_verifies_our_requests() {
    let Some(library) = library() else {
        eprintln!("skipped: {LIBRARY} cannot be installed with python3 and pip");
        return;
    };
    let receiver = Receiver::answering(|_| status(200)).await;
    let client = client();
    let (old, new) = (Secret::generate().unwrap(), Secret::generate().unwrap());
    let texts = [old.expose().to_owned(), new.expose().to_owned()];
    let message = Message {
        id: "orders.7",
        kind: "order.paid",
        timestamp: SystemTime::now(),
        source: "/",
        subject: None,
        data: "{\"text\": \"안녕하세요\"}".as_bytes(),
    };
    let attempt = client
        .send(&Request {
            target: &client.guard().check_url(&receiver.url()).unwrap(),
            id: &WebhookId::new(message.id).unwrap(),
            at: SystemTime::now(),
            secrets: Some(&Secrets::rotating(new, old)),
            body: &Format::Json.body(&message).unwrap(),
            headers: &ExtraHeaders::default(),
        })
        .await;
    assert_eq!(attempt.class(), Class::Delivered);
    let seen = &receiver.seen()[0];
    let body = std::str::from_utf8(&seen.body).unwrap();
    for secret in &texts {
        let output = verify(&library, secret, seen, body);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let foreign = Secret::generate().unwrap();
    assert_eq!(
        verify(&library, foreign.expose(), seen, body).status.code(),
        Some(1)
    );
    let changed = body.replace("안녕", "안 녕");
    assert_eq!(
        verify(&library, &texts[0], seen, &changed).status.code(),
        Some(1)
    );
}
