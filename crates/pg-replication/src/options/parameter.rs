//! The parameters of a connection string: which there are, and what each may be.

/// A parameter that libpq knows too, and what it may be.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) allowed: &'static str,
    /// Whether `tokio_postgres` doesn't know it, or gives it another meaning than libpq.
    pub(super) ours: bool,
}

const fn ours(name: &'static str, allowed: &'static str) -> Parameter {
    Parameter {
        name,
        allowed,
        ours: true,
    }
}

const fn plain(name: &'static str, allowed: &'static str) -> Parameter {
    Parameter {
        name,
        allowed,
        ours: false,
    }
}

static PARAMETERS: &[Parameter] = &[
    plain(
        "host",
        "names, or directories of Unix sockets, separated by commas",
    ),
    plain(
        "hostaddr",
        "IP addresses separated by commas, as many as hosts",
    ),
    plain(
        "port",
        "one port from 1 to 65535 for all hosts, or as many as hosts, separated by commas",
    ),
    plain("user", "a role"),
    plain("password", "a password"),
    plain("dbname", "a database"),
    plain("application_name", "any text"),
    plain(
        "options",
        "settings for the server, such as -c work_mem=4MB",
    ),
    plain("connect_timeout", "whole seconds, 0 for the default of 10"),
    plain("keepalives", "0 or 1"),
    plain("keepalives_idle", "whole seconds"),
    plain("keepalives_interval", "whole seconds"),
    ours("keepalives_count", "a whole number"),
    ours(
        "tcp_user_timeout",
        "whole milliseconds, 0 for the default of 30000",
    ),
    plain("target_session_attrs", "any, read-write or read-only"),
    plain("channel_binding", "disable, prefer or require"),
    ours(
        "sslmode",
        "disable, allow, prefer, require, verify-ca or verify-full",
    ),
    ours("sslrootcert", "a file of PEM certificates, or system"),
    ours("sslcert", "a file of PEM certificates"),
    ours(
        "sslkey",
        "a file with a PEM private key without a passphrase",
    ),
];

pub(super) fn find(name: &str) -> Option<&'static Parameter> {
    PARAMETERS.iter().find(|parameter| parameter.name == name)
}

/// All names, for an error message.
pub(super) fn known() -> String {
    PARAMETERS
        .iter()
        .map(|parameter| parameter.name)
        .collect::<Vec<_>>()
        .join(", ")
}
