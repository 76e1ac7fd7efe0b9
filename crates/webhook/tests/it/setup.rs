//! Clients, requests and resolvers for tests.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use webhook::{
    Attempt, Body, Client, ExtraHeaders, Guard, GuardSettings, Lookup, Request, Resolve, Secret,
    Secrets, Settings, WebhookId,
};

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Loopback is allowed, the operating system's certificates are not trusted, and everything has a second.
pub(crate) fn settings() -> Settings {
    Settings {
        guard: Guard::new(GuardSettings {
            allow: vec!["127.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()],
            ..GuardSettings::default()
        }),
        timeout: Duration::from_secs(5),
        system_roots: false,
        ..Settings::default()
    }
}

pub(crate) fn client() -> Client {
    Client::new(settings()).unwrap()
}

/// Sends a signed body of JSON.
pub(crate) async fn send(client: &Client, url: &str) -> Attempt {
    send_body(
        client,
        url,
        &Body::new("application/json", &b"{\"test\": 2432232314}"[..]),
    )
    .await
}

pub(crate) async fn send_body(client: &Client, url: &str, body: &Body) -> Attempt {
    let secrets = Secrets::new(Secret::parse(SECRET).unwrap());
    client
        .send(&Request {
            target: &client.guard().check_url(url).unwrap(),
            id: &WebhookId::new("msg_p5jXN8AQM9LWM0D4loKWxJek").unwrap(),
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_614_265_330),
            secrets: Some(&secrets),
            body,
            headers: &ExtraHeaders::default(),
        })
        .await
}

/// Answers as the function does.
pub(crate) struct Scripted<F>(pub(crate) F);

impl<F> Resolve for Scripted<F>
where
    F: Fn(&str) -> Result<Vec<IpAddr>, webhook::LookupError> + Send + Sync + 'static,
{
    fn lookup<'a>(&'a self, host: &'a str) -> Lookup<'a> {
        let answer = (self.0)(host);
        Box::pin(async move { answer })
    }
}
