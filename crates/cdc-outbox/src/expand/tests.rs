use proptest::prelude::*;

use super::*;

const DEFAULT: Rules = Rules {
    null_members: NullMembers::Ignore,
    empty_arrays: EmptyArrays::Ignore,
};

/// What Debezium 3.7 makes of each document, without schemas; `None` where it sends the text or fails.
const DOCUMENTS: &[(&str, Option<&str>)] = &[
    (
        r#"{"a":null,"b":{"c":null,"d":1},"e":2}"#,
        Some(r#"{"b":{"d":1},"e":2}"#),
    ),
    (r#"{"a":[],"n":{"a":[]},"z":1}"#, Some(r#"{"n":{},"z":1}"#)),
    (r#"{"a":[{"x":1},null]}"#, Some(r#"{"a":[{"x":1},null]}"#)),
    (
        r#"{"a":[{"x":null},{"x":1}]}"#,
        Some(r#"{"a":[{"x":null},{"x":1}]}"#),
    ),
    (
        r#"{"a":[{"x":1,"y":[]},{"x":2}]}"#,
        Some(r#"{"a":[{"x":1},{"x":2}]}"#),
    ),
    (
        r#"{"a":[{},{"x":1}]}"#,
        Some(r#"{"a":[{"x":null},{"x":1}]}"#),
    ),
    (
        r#"{"a":[{"x":[]},{"x":[1]}]}"#,
        Some(r#"{"a":[{"x":[]},{"x":[1]}]}"#),
    ),
    (r#"{"a":[[1],[]]}"#, Some(r#"{"a":[[1],[]]}"#)),
    (
        r#"{"a":[[{"x":1}],[{"y":2}]]}"#,
        Some(r#"{"a":[[{"x":1}],[{"x":null}]]}"#),
    ),
    (r#"{"a":[null,1,null]}"#, Some(r#"{"a":[null,1,null]}"#)),
    (
        r#"{"a":1e5,"b":1e400,"c":-0,"d":-0.0}"#,
        Some(r#"{"a":100000.0,"b":"Infinity","c":0,"d":-0.0}"#),
    ),
    (
        r#"{"a":{"x":1},"b":1,"a":{"y":2}}"#,
        Some(r#"{"a":{"y":2},"b":1}"#),
    ),
    (
        r#"{"a":"\ud83d\u0000"} and more"#,
        Some(r#"{"a":"\uD83D\u0000"}"#),
    ),
    ("{}", Some("{}")),
    // The text is sent, with a warning.
    (r#"{"a":[[],[1]]}"#, None),
    (r#"{"a":[1,2.5]}"#, None),
    (r#"{"a":[1,3000000000]}"#, None),
    (r#"{"a":[null]}"#, None),
    (r#"{"a":[{"x":1},2]}"#, None),
    (r#"{"":1}"#, None),
    (r#" {"a":1}"#, None),
    ("42", None),
    ("not JSON", None),
    ("", None),
    // The task fails.
    (r#"{"a":12345678901234567890}"#, None),
    (r#"{"a":[{"x":1},{"x":"s"}]}"#, None),
    (r#"{"a":[{"x":1},{"y":2},null]}"#, None),
    (r#"{"a":[[1],["x"]]}"#, None),
    (r#"{"a":[{"x":[1]},{"x":["s"]}]}"#, None),
    (r#"{"a":[{"x":1},{"x":1.5}]}"#, None),
    ("[1,2]", None),
    (r#"[{"a":1}]"#, None),
];

fn json(text: &str, rules: Rules) -> Option<String> {
    match expand(text.as_bytes(), "payload", rules) {
        Ok(Expanded::Document { json, .. }) => Some(String::from_utf8(json).unwrap()),
        Ok(Expanded::WithoutSchema) | Err(NotExpandable) => None,
    }
}

fn schema(text: &str) -> String {
    match expand(text.as_bytes(), "payload", DEFAULT) {
        Ok(Expanded::Document { schema, .. }) => String::from_utf8(schema).unwrap() + "}",
        other => panic!("{other:?}"),
    }
}

#[test]
fn expands_and_drops_what_debezium_does() {
    for (document, expected) in DOCUMENTS {
        assert_eq!(json(document, DEFAULT).as_deref(), *expected, "{document}");
    }
}

#[test]
fn nulls_and_empty_arrays_can_be_kept() {
    let nulls = Rules {
        null_members: NullMembers::OptionalBytes,
        ..DEFAULT
    };
    for document in [r#"{"a":null,"b":{"c":null}}"#, r#"{"f":[null],"g":1}"#] {
        assert_eq!(json(document, nulls).as_deref(), Some(document));
    }
    let arrays = Rules {
        empty_arrays: EmptyArrays::OptionalString,
        ..DEFAULT
    };
    let document = r#"{"a":[],"n":{"a":[]},"z":1}"#;
    assert_eq!(json(document, arrays).as_deref(), Some(document));
    assert_eq!(json(r#"{"a":[[],[1]]}"#, arrays), None);
    assert_eq!(expand(b"[]", "payload", arrays), Err(NotExpandable));
    assert_eq!(
        expand(b"[]", "payload", DEFAULT),
        Ok(Expanded::WithoutSchema)
    );
}

#[test]
fn schemas_are_named_by_their_path() {
    assert_eq!(
        schema(r#"{"l":[{"p":1.5}],"d":{"e":true}}"#),
        r#"{"type":"struct","fields":[{"type":"array","items":{"type":"struct","fields":[{"type":"double","optional":true,"field":"p"}],"optional":true,"name":"payload.l"},"optional":true,"field":"l"},{"type":"struct","fields":[{"type":"boolean","optional":true,"field":"e"}],"optional":true,"name":"payload.d","field":"d"}],"optional":true,"name":"payload"}"#
    );
    assert_eq!(
        schema(r#"{"a":[[{"x":1}]]}"#),
        r#"{"type":"struct","fields":[{"type":"array","items":{"type":"array","items":{"type":"struct","fields":[{"type":"int32","optional":true,"field":"x"}],"optional":true},"optional":true},"optional":true,"field":"a"}],"optional":true,"name":"payload"}"#
    );
}

#[test]
fn the_schema_of_different_objects_is_not_optional() {
    assert_eq!(
        schema(r#"{"a":[{"x":1},{"y":"s"}]}"#),
        r#"{"type":"struct","fields":[{"type":"array","items":{"type":"struct","fields":[{"type":"int32","optional":true,"field":"x"},{"type":"string","optional":true,"field":"y"}],"optional":false,"name":"payload.a"},"optional":true,"field":"a"}],"optional":true,"name":"payload"}"#
    );
}

#[test]
fn an_array_of_many_different_objects_costs_no_more_than_its_length() {
    let objects: Vec<String> = (0..50_000).map(|n| format!("{{\"n{n}\":{n}}}")).collect();
    let document = format!("{{\"a\":[{}]}}", objects.join(","));
    let node = json::parse(document.as_bytes()).unwrap();
    let Ok(Some(schema::Schema::Struct(schema))) = infer(Some(b"payload"), &node, DEFAULT) else {
        panic!("no object")
    };
    let schema::Schema::Array(items) = &schema.fields[0].1 else {
        panic!("no array")
    };
    assert!(matches!(&**items, schema::Schema::Struct(union) if union.fields.len() == 50_000));
}

proptest! {
    #[test]
    fn what_is_expanded_is_json(text in "\\{\"a\":[\\[\\]{}\",:0-9a-c.e-]{0,40}\\}") {
        if let Ok(Expanded::Document { schema, json }) = expand(text.as_bytes(), "payload", DEFAULT) {
            serde_json::from_slice::<serde_json::Value>(&json).unwrap();
            let whole = [schema, b"}".to_vec()].concat();
            serde_json::from_slice::<serde_json::Value>(&whole).unwrap();
        }
    }
}
