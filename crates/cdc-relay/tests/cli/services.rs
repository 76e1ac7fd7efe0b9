//! Where the servers are: the environment, or what `make services-up` wrote.

use std::path::Path;
use std::sync::OnceLock;

/// The value of `DATABASE_URL`, a superuser's.
pub(crate) fn database_url() -> &'static str {
    static URL: OnceLock<String> = OnceLock::new();
    URL.get_or_init(|| setting("DATABASE_URL"))
}

/// The value of `KAFKA_BROKERS`.
pub(crate) fn kafka_brokers() -> &'static str {
    static BROKERS: OnceLock<String> = OnceLock::new();
    BROKERS.get_or_init(|| setting("KAFKA_BROKERS"))
}

/// The value of `JAVA`.
pub(crate) fn java() -> &'static str {
    static JAVA: OnceLock<String> = OnceLock::new();
    JAVA.get_or_init(|| setting("JAVA"))
}

/// The value of `KAFKA_CLASSPATH`.
pub(crate) fn kafka_classpath() -> &'static str {
    static CLASSPATH: OnceLock<String> = OnceLock::new();
    CLASSPATH.get_or_init(|| setting("KAFKA_CLASSPATH"))
}

fn setting(name: &str) -> String {
    if let Ok(value) = std::env::var(name) {
        return value;
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.services/env");
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
        .unwrap_or_else(|| panic!("{name} is not set: run `make services-up`"))
        .to_owned()
}
