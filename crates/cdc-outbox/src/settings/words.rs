//! Settings that are one word out of a few.

use std::fmt;
use std::str::FromStr;

/// A word that is not one of those that are allowed in its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not one of {}", .allowed.join(", "))]
pub struct UnknownWord {
    found: String,
    allowed: &'static [&'static str],
}

/// Defines an enum with its words; the first variant is the default.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $(#[$first_about:meta])* $first:ident = $first_word:literal,
        $($(#[$variant_about:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub enum $name {
            #[doc = concat!("`", $first_word, "`, the default.")]
            $(#[$first_about])*
            #[default]
            $first,
            $(
                #[doc = concat!("`", $word, "`.")]
                $(#[$variant_about])*
                $variant,
            )+
        }

        impl $name {
            const WORDS: &'static [&'static str] = &[$first_word, $($word),+];
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text.trim() {
                    $first_word => Ok(Self::$first),
                    $($word => Ok(Self::$variant),)+
                    other => Err(UnknownWord {
                        found: other.to_owned(),
                        allowed: Self::WORDS,
                    }),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    Self::$first => $first_word,
                    $(Self::$variant => $word,)+
                })
            }
        }
    };
}

words! {
    /// How a key, a value or a header is written.
    Converter {
        /// Text as it is and bytes as they are.
        Plain = "plain",
        /// Kafka Connect's `JsonConverter` without schemas.
        Json = "json",
        /// Kafka Connect's `JsonConverter` with a schema in each record.
        JsonSchema = "json_schema",
    }
}

words! {
    /// Whether a payload of JSON text is sent as JSON.
    ExpandJson {
        /// The text stays a text.
        Off = "false",
        /// The document without its white space: numbers, nulls, empty arrays and the order of members stay.
        Lossless = "true",
        /// As Debezium's `table.expand.json.payload` has it, with all that it changes and drops.
        Debezium = "debezium",
    }
}

words! {
    /// Debezium's `table.json.payload.null.behavior`.
    NullMembers {
        /// Members that are null are dropped.
        Ignore = "ignore",
        /// They stay.
        OptionalBytes = "optional_bytes",
    }
}

words! {
    /// Debezium's `table.json.payload.empty.array.behavior`.
    EmptyArrays {
        /// Members that are empty arrays are dropped.
        Ignore = "ignore",
        /// They stay.
        OptionalString = "optional_string",
    }
}

words! {
    /// What happens if a column of the placement list is not there.
    MissingPlacement {
        /// It is an error.
        Error = "error",
        /// It is left out.
        Ignore = "ignore",
    }
}

words! {
    /// What happens to a topic name that Kafka does not allow.
    OnIllegalTopic {
        /// The event is refused.
        Error = "error",
        /// Each character that is not allowed becomes an underscore.
        Sanitize = "sanitize",
    }
}

words! {
    /// Debezium's `binary.handling.mode`: how a `bytea` column is read.
    BinaryHandling {
        /// As bytes; Base64 where the form of the record has none.
        Bytes = "bytes",
        /// As a text in Base64.
        Base64 = "base64",
        /// As a text in the Base64 of URLs.
        Base64UrlSafe = "base64-url-safe",
        /// As a text of hexadecimal digits.
        Hex = "hex",
    }
}

words! {
    /// Debezium's `decimal.handling.mode`: how a `numeric` column is read.
    DecimalHandling {
        /// Exactly; in JSON as the Base64 of the unscaled number.
        Precise = "precise",
        /// As the text of the number.
        String = "string",
        /// As a floating point number.
        Double = "double",
    }
}

words! {
    /// What the payload of a logical message is if it is a JSON string.
    MessagePayload {
        /// The string as it stands in the message, with its quotation marks: as a `json` column would have it.
        Raw = "raw",
        /// What the string contains: as Debezium's `DecodeLogicalDecodingMessageContent` has it.
        Unquoted = "unquoted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_prints() {
        for word in Converter::WORDS {
            assert_eq!(word.parse::<Converter>().unwrap().to_string(), *word);
        }
        assert_eq!("true".parse(), Ok(ExpandJson::Lossless));
    }

    #[test]
    fn refuses_other_words_and_names_the_right_ones() {
        let error = "avro".parse::<Converter>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"avro\" is not one of plain, json, json_schema"
        );
    }
}
