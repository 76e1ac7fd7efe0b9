//! Every way to authenticate and to encrypt, for replication sessions and for ordinary ones.

use std::fmt::Write;

use pg_replication::{ConnectOptions, Disposition, Error, Session, TlsError, connect_client};

use crate::cluster::Cluster;

const HBA: &str = "\
local   all  all           trust
host    all  postgres      127.0.0.1/32  trust
host    all  trusted       127.0.0.1/32  trust
host    all  scram         127.0.0.1/32  scram-sha-256
host    all  md5           127.0.0.1/32  md5
host    all  password      127.0.0.1/32  password
hostssl all  only_tls      127.0.0.1/32  trust
hostnossl all only_plain   127.0.0.1/32  trust
hostssl all  certified     127.0.0.1/32  cert
host    all  rejected      127.0.0.1/32  reject
";

const ROLES: &str = "\
CREATE ROLE trusted LOGIN REPLICATION;
CREATE ROLE only_tls LOGIN REPLICATION;
CREATE ROLE only_plain LOGIN REPLICATION;
CREATE ROLE certified LOGIN REPLICATION;
CREATE ROLE rejected LOGIN REPLICATION;
SET password_encryption = 'scram-sha-256';
CREATE ROLE scram LOGIN REPLICATION PASSWORD 'right';
CREATE ROLE password LOGIN REPLICATION PASSWORD 'right';
SET password_encryption = 'md5';
CREATE ROLE md5 LOGIN REPLICATION PASSWORD 'right';
";

const IS_ENCRYPTED: &str = "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

/// Parameters besides host and port, and what comes of them. `{…}` is a file of the cluster.
const CASES: &[(&str, &str)] = &[
    ("user=trusted", "tls"),
    ("user=scram password=right", "tls"),
    ("user=scram password=wrong", "28P01 permanent"),
    ("user=scram", "authentication permanent"),
    ("user=scram password=right sslmode=disable", "plain"),
    ("user=md5 password=right", "tls"),
    ("user=md5 password=wrong", "28P01 permanent"),
    ("user=md5 password=right sslmode=disable", "plain"),
    ("user=password password=right", "tls"),
    ("user=password password=wrong", "28P01 permanent"),
    ("user=password", "authentication permanent"),
    ("user=nobody", "28000 permanent"),
    ("user=rejected", "28000 permanent"),
    ("user=trusted dbname=missing", "3D000 permanent"),
    // Channel binding.
    ("user=scram password=right channel_binding=require", "tls"),
    ("user=scram password=right channel_binding=disable", "tls"),
    (
        "user=scram password=wrong channel_binding=require",
        "28P01 permanent",
    ),
    (
        "user=scram password=right channel_binding=require sslmode=disable",
        "authentication permanent",
    ),
    (
        "user=md5 password=right channel_binding=require",
        "authentication permanent",
    ),
    (
        "user=trusted channel_binding=require",
        "authentication permanent",
    ),
    // Encryption.
    ("user=trusted sslmode=disable", "plain"),
    ("user=trusted sslmode=allow", "plain"),
    ("user=trusted sslmode=prefer", "tls"),
    ("user=trusted sslmode=require", "tls"),
    ("user=only_tls sslmode=disable", "28000 permanent"),
    ("user=only_tls sslmode=allow", "tls"),
    ("user=only_tls sslmode=prefer", "tls"),
    ("user=only_plain sslmode=prefer", "plain"),
    ("user=only_plain sslmode=require", "28000 permanent"),
    // Verification.
    (
        "user=trusted sslmode=require sslrootcert={authority.pem}",
        "tls",
    ),
    (
        "user=trusted sslmode=require sslrootcert={authority.pem} host=other.example",
        "tls",
    ),
    (
        "user=trusted sslmode=require sslrootcert={other.pem}",
        "certificate permanent",
    ),
    (
        "user=trusted sslmode=verify-ca sslrootcert={authority.pem}",
        "tls",
    ),
    (
        "user=trusted sslmode=verify-ca sslrootcert={authority.pem} host=other.example",
        "tls",
    ),
    (
        "user=trusted sslmode=verify-ca sslrootcert={other.pem}",
        "certificate permanent",
    ),
    (
        "user=trusted sslmode=verify-full sslrootcert={authority.pem}",
        "tls",
    ),
    (
        "user=trusted sslmode=verify-full sslrootcert={authority.pem} host=127.0.0.1",
        "tls",
    ),
    (
        "user=trusted sslmode=verify-full sslrootcert={authority.pem} host=other.example",
        "certificate permanent",
    ),
    (
        "user=trusted sslmode=verify-full sslrootcert={other.pem}",
        "certificate permanent",
    ),
    (
        "user=trusted sslmode=verify-full sslrootcert={missing.pem}",
        "file permanent",
    ),
    (
        "user=trusted sslmode=prefer sslrootcert={missing.pem}",
        "file permanent",
    ),
    // The client's own certificate.
    (
        "user=certified sslmode=require sslcert={client.pem} sslkey={client.key}",
        "tls",
    ),
    ("user=certified sslmode=require", "28000 permanent"),
    (
        "user=trusted sslmode=require sslcert={client.pem} sslkey={missing.key}",
        "file permanent",
    ),
    // Unix sockets are never encrypted.
    ("user=trusted socket", "plain"),
    ("user=trusted socket sslmode=require", "plain"),
];

#[tokio::test]
async fn authenticates_and_encrypts_as_libpq_does() {
    let cluster = Cluster::start(HBA);
    let admin = options(&cluster, "user=postgres");
    connect_client(&admin)
        .await
        .unwrap()
        .batch_execute(ROLES)
        .await
        .unwrap();

    let mut failures = String::new();
    for (case, expected) in CASES {
        let options = options(&cluster, case);
        for (kind, outcome) in [
            ("replication", replication(&options).await),
            ("SQL", sql(&options).await),
        ] {
            let (outcome, details) = outcome.map_or_else(
                |error| (name(&error), format!("{error:?}")),
                |ok| (ok, String::new()),
            );
            if outcome != *expected {
                writeln!(
                    failures,
                    "{kind}, {case}: expected {expected}, got {outcome} {details}"
                )
                .unwrap();
            }
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

fn options(cluster: &Cluster, case: &str) -> ConnectOptions {
    let directory = cluster.path().display();
    let place = if case.contains("socket") {
        format!("host={directory}")
    } else if case.contains("host=") {
        "hostaddr=127.0.0.1".to_owned()
    } else {
        "host=localhost hostaddr=127.0.0.1".to_owned()
    };
    let database = if case.contains("dbname=") {
        ""
    } else {
        "dbname=postgres"
    };
    let case = case
        .replace("socket", "")
        .replace('{', &format!("{directory}/"))
        .replace('}', "");
    format!("{place} port={} {database} {case}", cluster.port)
        .parse()
        .unwrap()
}

async fn replication(options: &ConnectOptions) -> Result<String, Error> {
    let mut session = Session::connect(options).await?;
    session.identify_system().await?;
    let rows = session.simple_query(IS_ENCRYPTED).await?;
    Ok(encryption(rows[0].get(0)))
}

async fn sql(options: &ConnectOptions) -> Result<String, Error> {
    let row = connect_client(options)
        .await?
        .query_one(IS_ENCRYPTED, &[])
        .await?;
    Ok(encryption(row.get(0)))
}

fn encryption(answer: Option<&str>) -> String {
    if answer == Some("true") {
        "tls".to_owned()
    } else {
        "plain".to_owned()
    }
}

/// What kind of error it is, and whether it is for good.
fn name(error: &Error) -> String {
    let cause = match error {
        Error::Connect { attempts, .. } => &attempts[0].error,
        other => other,
    };
    let kind = match cause {
        Error::Server(report) => report.code.to_string(),
        Error::Authentication { .. } => "authentication".to_owned(),
        Error::Tls(TlsError::Certificate(_)) => "certificate".to_owned(),
        Error::Tls(TlsError::File { .. }) => "file".to_owned(),
        other => format!("{other:?}"),
    };
    let permanent = error.disposition() == Disposition::Permanent;
    format!("{kind}{}", if permanent { " permanent" } else { "" })
}
