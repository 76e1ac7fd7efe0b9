//! The stable error codes, each with the page that explains it.

use std::fmt;
use std::str::FromStr;

use crate::exit::Exit;

/// One row per code: the variant, its text, how the process ends, and the meaning. The page is compiled in
/// from `docs/errors/`, so that a code without a page does not compile.
macro_rules! error_codes {
    ($($(#[doc = $meaning:literal])+ $variant:ident = $code:literal => $exit:ident,)+) => {
        /// A stable name for one way to fail. A code is never given another meaning; `cdc-relay explain CODE`
        /// prints its page.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub(crate) enum ErrorCode {
            $($(#[doc = $meaning])+ $variant,)+
        }

        impl ErrorCode {
            /// Every code, in ascending order.
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The code as users see it, such as `CDC0001`.
            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// How the process ends when it fails in this way.
            pub(crate) const fn exit(self) -> Exit {
                match self { $(Self::$variant => Exit::$exit,)+ }
            }

            /// The page of this code, in Markdown. Its first line is `# CODE: title`.
            pub(crate) const fn page(self) -> &'static str {
                match self {
                    $(Self::$variant => include_str!(concat!("../../../docs/errors/", $code, ".md")),)+
                }
            }
        }
    };
}

error_codes! {
    /// A configuration key that does not exist.
    UnknownKey = "CDC0001" => Usage,
    /// A configuration value that is not allowed.
    InvalidValue = "CDC0002" => Usage,
    /// The configuration file cannot be read or is not TOML.
    ConfigFile = "CDC0003" => Usage,
    /// A setting without a default was not given.
    MissingSetting = "CDC0004" => Usage,
    /// A command-line argument that means nothing here.
    Argument = "CDC0005" => Usage,
    /// A Kafka property that librdkafka refuses, or that would break a guarantee.
    KafkaProperty = "CDC0006" => Usage,
    /// PostgreSQL cannot be reached.
    PostgresUnreachable = "CDC0010" => Refused,
    /// PostgreSQL refuses the role or its password.
    PostgresAuthentication = "CDC0011" => Refused,
    /// The database does not exist.
    DatabaseMissing = "CDC0012" => Refused,
    /// The server does not write what logical decoding needs.
    WalLevel = "CDC0013" => Refused,
    /// A connection pooler answers instead of PostgreSQL.
    Pooler = "CDC0014" => Refused,
    /// The role lacks a privilege.
    Privilege = "CDC0015" => Refused,
    /// The server is too old.
    ServerVersion = "CDC0016" => Refused,
    /// No replication slot or walsender is free.
    NoFreeSlot = "CDC0017" => Refused,
    /// PostgreSQL refuses a statement for another reason.
    PostgresRefused = "CDC0018" => Refused,
    /// An encrypted connection cannot be made as `sslmode` asks.
    PostgresTls = "CDC0019" => Refused,
    /// The publication does not exist.
    PublicationMissing = "CDC0020" => Refused,
    /// The publication is younger than the slot's position.
    PublicationAfterSlot = "CDC0021" => Refused,
    /// The publication does not carry the outbox's inserts.
    PublicationIncomplete = "CDC0022" => Refused,
    /// The replication slot does not exist.
    SlotMissing = "CDC0023" => Refused,
    /// Another process streams from the slot.
    SlotInUse = "CDC0024" => Refused,
    /// The slot is of another plugin, kind or database.
    SlotForeign = "CDC0025" => Refused,
    /// PostgreSQL has removed WAL that the slot needed.
    SlotLost = "CDC0026" => Refused,
    /// A transaction holds back the slot.
    OldTransaction = "CDC0027" => Refused,
    /// The slot does not continue where the relay stopped.
    Gap = "CDC0028" => Refused,
    /// The slots are those of another number of shards.
    OtherShards = "CDC0029" => Refused,
    /// The outbox table does not exist.
    OutboxTableMissing = "CDC0030" => Refused,
    /// A column of the outbox contract does not exist.
    OutboxColumnMissing = "CDC0031" => Refused,
    /// A row or message that does not fit the outbox contract.
    OutboxRowInvalid = "CDC0032" => Refused,
    /// A migration of schema `cdc` failed.
    Migration = "CDC0033" => Refused,
    /// The rows of the outbox tables cannot be read or compared.
    Backfill = "CDC0034" => Refused,
    /// Kafka cannot be reached.
    KafkaUnreachable = "CDC0040" => Refused,
    /// Kafka refuses the credentials.
    KafkaAuthentication = "CDC0041" => Refused,
    /// A topic does not exist and is not created.
    TopicMissing = "CDC0042" => Refused,
    /// A record is larger than Kafka takes.
    RecordTooLarge = "CDC0043" => Refused,
    /// Kafka does not let this client write to a topic.
    TopicNotAuthorised = "CDC0044" => Refused,
    /// Kafka refuses a request for another reason.
    KafkaRefused = "CDC0045" => Refused,
    /// The checkpoint is not what this version writes.
    CheckpointUnreadable = "CDC0046" => Refused,
    /// The address of the admin server cannot be used.
    AdminAddress = "CDC0050" => Refused,
    /// The relay is not running, or says that it is unhealthy.
    RelayUnhealthy = "CDC0051" => Refused,
    /// `doctor` found at least one failure.
    DoctorFailed = "CDC0052" => Refused,
    /// The tables of the stores do not exist.
    StoreMissing = "CDC0060" => Refused,
    /// Some of the chosen events were not replayed or discarded.
    RecoveryIncomplete = "CDC0061" => Refused,
    /// A consumer cannot go on.
    ConsumerStopped = "CDC0062" => Refused,
    /// An endpoint cannot be added, changed, removed or asked.
    Endpoint = "CDC0070" => Refused,
    /// A bug in cdc-relay.
    Internal = "CDC0090" => Bug,
}

impl ErrorCode {
    /// What the page's heading says after the code.
    pub(crate) fn title(self) -> &'static str {
        let heading = self.page().lines().next().unwrap_or_default();
        heading.split_once(": ").map_or(heading, |(_, title)| title)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is no error code of this version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoSuchCode;

impl FromStr for ErrorCode {
    type Err = NoSuchCode;

    /// Takes a code in either case, with or without `CDC` and leading zeros.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let upper = text.trim().to_ascii_uppercase();
        let digits = upper.strip_prefix("CDC").unwrap_or(&upper);
        let number: u16 = digits.parse().map_err(|_| NoSuchCode)?;
        let code = format!("CDC{number:04}");
        Self::ALL
            .iter()
            .copied()
            .find(|known| known.as_str() == code)
            .ok_or(NoSuchCode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_starts_with_its_code_and_says_what_to_do() {
        for code in ErrorCode::ALL {
            let page = code.page();
            assert!(page.starts_with(&format!("# {code}: ")), "{code}: heading");
            assert!(page.contains("## What to do"), "{code}: remedy");
            assert!(!code.title().is_empty(), "{code}: title");
        }
    }

    #[test]
    fn codes_are_unique_and_ascending() {
        assert!(
            ErrorCode::ALL
                .windows(2)
                .all(|pair| pair[0].as_str() < pair[1].as_str())
        );
    }

    #[test]
    fn finds_a_code_however_it_is_written() {
        for text in ["CDC0001", "cdc0001", "CDC1", "1", " 0001 "] {
            assert_eq!(text.parse(), Ok(ErrorCode::UnknownKey), "{text}");
        }
        for text in ["", "CDC", "CDC9999", "-1", "x"] {
            assert_eq!(text.parse::<ErrorCode>(), Err(NoSuchCode), "{text}");
        }
    }
}
