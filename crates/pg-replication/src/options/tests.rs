use super::*;

fn nothing(_: &str) -> Option<String> {
    None
}

fn options(text: &str) -> ConnectOptions {
    ConnectOptions::parse_in(text, nothing).unwrap()
}

#[test]
fn never_shows_the_password() {
    let given = options("postgres://relay:hunter2@db/app");
    let taken = ConnectOptions::parse_in("host=db user=u", |name| {
        (name == "PGPASSWORD").then(|| "hunter2".to_owned())
    })
    .unwrap();
    for options in [given, taken] {
        assert_eq!(options.password(), Some(&b"hunter2"[..]));
        assert!(!format!("{options:?} {options:#?} {options}").contains("hunter2"));
    }
}

#[test]
fn prefers_the_string_to_the_environment() {
    let environment = |name: &str| Some(format!("from {name}"));
    let string = ConnectOptions::parse_in("host=db user=u password=p", environment).unwrap();
    assert_eq!((string.user(), string.password()), ("u", Some(&b"p"[..])));
    let none = ConnectOptions::parse_in("host=db", environment).unwrap();
    assert_eq!(
        (none.user(), none.password()),
        ("from PGUSER", Some(&b"from PGPASSWORD"[..]))
    );
    assert_eq!(none.database(), "from PGUSER");
    assert_eq!(
        ConnectOptions::parse_in("host=db", nothing).unwrap_err(),
        InvalidOptions::NoUser
    );
}

#[test]
fn takes_libpq_units_and_defaults() {
    let default = options("host=db user=u");
    assert_eq!(default.connect_timeout(), Duration::from_secs(10));
    assert_eq!(default.socket().user_timeout, Duration::from_secs(30));
    let keepalive = default.socket().keepalive.unwrap();
    assert_eq!(
        (
            keepalive.idle.as_secs(),
            keepalive.interval.as_secs(),
            keepalive.count
        ),
        (30, 10, 3)
    );

    let set = options(
        "host=db user=u connect_timeout=3 tcp_user_timeout=1500 keepalives_idle=5 keepalives_count=7",
    );
    assert_eq!(set.connect_timeout(), Duration::from_secs(3));
    assert_eq!(set.socket().user_timeout, Duration::from_millis(1500));
    let keepalive = set.socket().keepalive.unwrap();
    assert_eq!((keepalive.idle.as_secs(), keepalive.count), (5, 7));
    assert_eq!(
        options("host=db user=u keepalives=0").socket().keepalive,
        None
    );
}

#[test]
fn the_last_of_two_settings_counts() {
    assert_eq!(
        options("host=db user=u sslmode=disable sslmode=require")
            .tls()
            .mode,
        SslMode::Require
    );
}

#[test]
fn describes_its_target() {
    assert_eq!(
        options("postgres://relay@db.example/app").target(),
        "db.example:5432/app as relay"
    );
    assert_eq!(
        options("host=/run/pg port=6 user=u").target(),
        "/run/pg/.s.PGSQL.6/u as u"
    );
    let other = options("postgres://u@db/app")
        .with_database("other")
        .with_application_name("cdc");
    assert_eq!(
        (other.database(), other.application_name()),
        ("other", Some("cdc"))
    );
}
