//! What templates make of events.

use std::time::SystemTime;

use proptest::prelude::*;

use super::*;

fn rendered(template: &str, data: &str) -> Result<String, FormatError> {
    let message = Message {
        id: "e-1",
        kind: "post.created",
        timestamp: SystemTime::UNIX_EPOCH,
        source: "/",
        subject: None,
        data: data.as_bytes(),
    };
    let bytes = Template::parse(template).unwrap().render(&message)?;
    Ok(String::from_utf8(bytes).unwrap())
}

#[test]
fn fills_in_every_kind_of_field() {
    assert_eq!(
        rendered(
            r#"{"a":"{{id}} {{ type }} at {{timestamp}}","b":["{{data.tags.1}}",1.5,null,true,"x"],"c":"{{data}}"}"#,
            r#"{"tags":["x","y"]}"#
        )
        .unwrap(),
        r#"{"a":"e-1 post.created at 1970-01-01T00:00:00.000Z","b":["y",1.5,null,true,"x"],"c":{"tags":["x","y"]}}"#
    );
}

#[test]
fn a_lone_placeholder_keeps_the_value_and_an_inner_one_writes_text() {
    let data = r#"{"n":12345678901234567890.50,"o":{"k":[1, 2]},"s":"a\"b","t":true}"#;
    for (template, expected) in [
        (r#""{{data.n}}""#, "12345678901234567890.50"),
        (r#""{{data.o.k}}""#, "[1, 2]"),
        (r#""{{data.s}}""#, r#""a\"b""#),
        (
            r#""<{{data.s}}|{{data.n}}|{{data.t}}|{{data.o}}>""#,
            r#""<a\"b|12345678901234567890.50|true|{\"k\":[1, 2]}>""#,
        ),
    ] {
        assert_eq!(rendered(template, data).unwrap(), expected);
    }
}

#[test]
fn refuses_an_event_without_a_field_that_is_needed() {
    for (template, data, field) in [
        (r#"{"text":"{{data.title}}"}"#, "{}", "data.title"),
        (r#"{"text":"x {{data.a.b}}"}"#, r#"{"a":1}"#, "data.a.b"),
        (r#""{{data.a}}""#, r#"{"a":null}"#, "data.a"),
        (r#""{{subject}}""#, "{}", "subject"),
        (r#""{{data}}""#, "", "data"),
    ] {
        assert_eq!(
            rendered(template, data),
            Err(FormatError::Missing {
                field: field.to_owned()
            }),
            "{template}"
        );
    }
    assert_eq!(rendered(r#""{{data.a}}""#, "{"), Err(FormatError::NotJson));
}

#[test]
fn a_question_mark_lets_a_field_be_missing() {
    assert_eq!(
        rendered(r#"["{{data.a?}}","x{{data.a?}}y","{{subject?}}"]"#, "{}").unwrap(),
        r#"[null,"xy",null]"#
    );
    assert_eq!(
        rendered(r#""{{data.a?}}""#, r#"{"a":"b"}"#).unwrap(),
        r#""b""#
    );
}

#[test]
fn needs_no_json_if_no_field_of_the_data_is_asked_for() {
    assert_eq!(
        rendered(r#"{"text":"{{type}} happened"}"#, "not json").unwrap(),
        r#"{"text":"post.created happened"}"#
    );
}

#[test]
fn refuses_templates_that_cannot_be_used() {
    assert!(matches!(
        Template::parse("{"),
        Err(InvalidTemplate::NotJson { .. })
    ));
    for name in [
        "",
        "title",
        "data.",
        "data..a",
        "Data",
        "data.a b?c.",
        "subject.x",
    ] {
        let text = format!(r#""{{{{{name}}}}}""#);
        assert!(
            matches!(
                Template::parse(&text),
                Err(InvalidTemplate::Placeholder(
                    InvalidPlaceholder::Unknown { .. }
                ))
            ),
            "{text}"
        );
    }
    for text in [r#""{{id""#, r#""{{id}""#, r#""{{id}} {{""#] {
        assert!(
            matches!(
                Template::parse(text),
                Err(InvalidTemplate::Placeholder(
                    InvalidPlaceholder::Open { .. }
                ))
            ),
            "{text}"
        );
    }
}

#[test]
fn is_bounded_in_size_and_in_what_it_makes() {
    let many = format!("[{}]", vec![r#""{{id}}""#; MAX_PLACEHOLDERS + 1].join(","));
    assert_eq!(Template::parse(&many), Err(InvalidTemplate::TooLarge));
    assert_eq!(
        Template::parse(&format!("{:?}", "x".repeat(MAX_TEMPLATE_BYTES))),
        Err(InvalidTemplate::TooLarge)
    );
    let data = format!(r#"{{"a":"{}"}}"#, "x".repeat(200_000));
    for template in [
        format!("[{}]", vec![r#""{{data}}""#; 200].join(",")),
        format!(r#""{}""#, "{{data.a}}".repeat(200)),
    ] {
        assert_eq!(
            rendered(&template, &data),
            Err(FormatError::TooLarge {
                limit: MAX_RENDERED_BYTES
            })
        );
    }
}

proptest! {
    #[test]
    fn an_event_cannot_break_out_of_its_place(value in "\\PC{0,30}") {
        let data = serde_json::json!({ "a": value }).to_string();
        let text = rendered(r#"{"x":"{{data.a}}","y":"<{{data.a}}>"}"#, &data).unwrap();
        let read: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(read, serde_json::json!({ "x": value, "y": format!("<{value}>") }));
    }

    #[test]
    fn never_panics_on_a_template(text in "[\"{}\\[\\]a.?:, ]{0,40}") {
        if let Ok(template) = Template::parse(&text) {
            prop_assert_eq!(Template::parse(&text), Ok(template));
        }
    }
}
