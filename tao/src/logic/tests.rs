//! Recorded texts and bytes of the original, and our decisions where it had defects.

use serde::Deserialize;

use super::{Form, LogicError, Pred, Prin, PrinTail, Printed, Style, SubPrin, Term, Text};

#[derive(Deserialize)]
struct Vector {
    kind: String,
    input: String,
    ok: bool,
    canonical: Option<String>,
    short: Option<String>,
    base64w_print: Option<String>,
    marshal_hex: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Malformed {
    kind: String,
    hex: String,
    result: String,
    note: String,
}

/// Any value of the logic, so that one test can treat all kinds alike.
struct Value {
    text: String,
    short: String,
    base64: String,
    bytes: Vec<u8>,
    rest: String,
}

fn value<T: Printed>(value: &T, bytes: Vec<u8>, rest: &str) -> Value {
    Value {
        text: value.printed(Style::Canonical),
        short: value.printed(Style::Short),
        base64: value.printed(Style::Base64),
        bytes,
        rest: rest.trim_start().to_owned(),
    }
}

macro_rules! by_kind {
    ($kind:expr, $name:ident => $body:expr) => {
        match $kind {
            "term" => {
                type $name = Term;
                $body
            }
            "form" | "form_bare" => {
                type $name = Form;
                $body
            }
            "prin" => {
                type $name = Prin;
                $body
            }
            "printail" => {
                type $name = PrinTail;
                $body
            }
            "subprin" => {
                type $name = SubPrin;
                $body
            }
            "pred" => {
                type $name = Pred;
                $body
            }
            other => panic!("unknown kind {other}"),
        }
    };
}

fn parse(kind: &str, text: &str) -> Result<Value, LogicError> {
    by_kind!(kind, T => {
        let (parsed, rest) = T::parse_prefix(text)?;
        Ok(value(&parsed, parsed.encode(), rest))
    })
}

fn decode(kind: &str, bytes: &[u8]) -> Result<Value, LogicError> {
    by_kind!(kind, T => {
        let decoded = T::decode(bytes)?;
        Ok(value(&decoded, decoded.encode(), ""))
    })
}

/// The original printed empty bytes as `[00]`.
fn printed_as_recorded(ours: &str, recorded: &str) -> bool {
    ours == recorded || ours.replace("[]", "[00]") == recorded
}

#[test]
fn recorded_texts_parse_print_and_encode_as_in_the_original() {
    let vectors: Vec<Vector> =
        serde_json::from_str(include_str!("../../tests/vectors/auth_text_vectors.json")).unwrap();
    for vector in &vectors {
        let (kind, input) = (vector.kind.as_str(), vector.input.as_str());
        let parsed = parse(kind, input);
        // Decided otherwise: tpm2 is a kind, bytes can start a statement, white space in
        // bytes is nothing, and a form is never cut off in the middle.
        match input {
            "tpm2([00]).PCRs(\"17,18\", \"aa,bb\")"
            | "P(1) and [00] says true"
            | "[00] speaksfor [01]" => {
                assert!(parsed.unwrap().rest.is_empty(), "{input}");
                continue;
            }
            "[01 ]" => {
                assert_eq!(parsed.unwrap().text, "[01]");
                continue;
            }
            "not P(1) and P(2)" | "forall X: P(X) and Q(X)" if kind == "form_bare" => {
                assert_eq!(parsed.unwrap().text, input);
                continue;
            }
            _ => {}
        }
        // A form stands in parentheses there, so that only `)` may follow it.
        let followed = |value: &Value| {
            kind == "form" && !value.rest.is_empty() && !value.rest.starts_with(')')
        };
        match parsed {
            Ok(value) if vector.ok => {
                assert!(!followed(&value), "{kind} {input}");
                let canonical = vector.canonical.as_deref().unwrap();
                assert!(
                    printed_as_recorded(&value.text, canonical),
                    "{input}: {}",
                    value.text
                );
                assert_eq!(
                    hex::encode(&value.bytes),
                    vector.marshal_hex.clone().unwrap()
                );
                let base64 = vector.base64w_print.as_deref().unwrap_or(canonical);
                assert_eq!(value.base64, base64, "{input}");
                let short = vector.short.as_deref().unwrap_or(canonical);
                assert!(
                    printed_as_recorded(&value.short, short),
                    "{input}: {}",
                    value.short
                );
                let again = decode(kind, &value.bytes).unwrap();
                assert_eq!(again.text, value.text);
            }
            Ok(value) => assert!(followed(&value), "{kind} {input} was to be refused"),
            Err(error) => assert!(!vector.ok, "{kind} {input}: {error}"),
        }
    }
}

#[test]
fn recorded_random_values_decode_print_and_encode_as_in_the_original() {
    let vectors: Vec<Vector> =
        serde_json::from_str(include_str!("../../tests/vectors/auth_random_vectors.json")).unwrap();
    for vector in &vectors {
        let bytes = hex::decode(vector.marshal_hex.as_deref().unwrap()).unwrap();
        let value = decode(&vector.kind, &bytes).unwrap();
        assert_eq!(value.bytes, bytes);
        let canonical = vector.canonical.as_deref().unwrap();
        // The original left out these parentheses, and its text said something else.
        let repaired = canonical.replace("not forall X: true and", "not (forall X: true) and");
        assert!(
            printed_as_recorded(&value.text, &repaired),
            "{}\n{canonical}",
            value.text
        );
        let base64 = vector.base64w_print.as_deref().unwrap_or(canonical);
        assert!(value.base64 == base64 || repaired != canonical);
        let again = parse(&vector.kind, &value.text).unwrap();
        assert!(again.rest.is_empty());
        assert_eq!(again.text, value.text);
    }
}

#[test]
fn malformed_bytes_are_refused_without_panic() {
    let vectors: Vec<Malformed> = serde_json::from_str(include_str!(
        "../../tests/vectors/auth_binary_malformed.json"
    ))
    .unwrap();
    for vector in &vectors {
        let decoded = decode(&vector.kind, &hex::decode(&vector.hex).unwrap());
        match (vector.result.strip_prefix("ok: "), decoded) {
            (Some(text), Ok(value)) => assert!(printed_as_recorded(&value.text, text)),
            (None, Err(_)) => {}
            (expected, got) => panic!(
                "{} {}: expected {expected:?}, got {:?}",
                vector.note,
                vector.hex,
                got.map(|value| value.text)
            ),
        }
    }
}

#[test]
fn names_of_keys_are_the_recorded_ones() {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Name {
        what: String,
        value: String,
    }
    let names: Vec<Name> =
        serde_json::from_str(include_str!("../../tests/vectors/auth_names.json")).unwrap();
    for name in names
        .iter()
        .filter(|name| name.what.starts_with("NewKeyPrin"))
    {
        let key = name
            .what
            .trim_start_matches("NewKeyPrin(")
            .trim_end_matches(')');
        assert_eq!(
            Prin::of_public_key("key", key.as_bytes())
                .unwrap()
                .to_string(),
            name.value
        );
    }
    for name in &names {
        assert_eq!(name.value.parse::<Prin>().unwrap().to_string(), name.value);
    }
}

#[test]
fn overlong_numbers_and_odd_booleans_are_refused() {
    for bad in [
        "088100",
        "0802",
        "8800 01",
        "0580 00",
        "05ffffffffffffffffff02",
    ] {
        assert!(
            decode("form", &hex::decode(bad.replace(' ', "")).unwrap()).is_err(),
            "{bad}"
        );
    }
}

#[test]
fn empty_bytes_and_a_zero_byte_are_different_names() {
    let (empty, zero): (Prin, Prin) = ("key([])".parse().unwrap(), "key([00])".parse().unwrap());
    assert_ne!(empty, zero);
    assert_ne!(empty.to_string(), zero.to_string());
    assert!(!zero.is_within(&empty));
}

#[test]
fn nesting_is_bounded_in_text_and_bytes() {
    let deep_text = format!("{}true{}", "(".repeat(100_000), ")".repeat(100_000));
    assert_eq!(deep_text.parse::<Form>(), Err(LogicError::TooComplex));
    assert_eq!(
        "not ".repeat(100_000).parse::<Form>(),
        Err(LogicError::TooComplex)
    );
    assert_eq!(
        "key(".repeat(100_000).parse::<Term>(),
        Err(LogicError::TooComplex)
    );
    assert_eq!(
        "P() implies ".repeat(9_000).parse::<Form>(),
        Err(LogicError::TooComplex)
    );
    assert_eq!(Form::decode(&[9; 100_000]), Err(LogicError::TooComplex));
    let huge_count = hex::decode("0aff ffff ff0f 0801".replace(' ', "")).unwrap();
    assert!(matches!(
        Form::decode(&huge_count),
        Err(LogicError::Binary { .. })
    ));
}

#[test]
fn what_follows_a_value_is_refused_by_parse_and_given_back_by_parse_prefix() {
    assert!("P(1))".parse::<Form>().is_err());
    assert!("0x10".parse::<Term>().is_err());
    assert_eq!(Term::parse_prefix("0x10").unwrap().1, "x10");
}

#[test]
fn several_variables_of_one_quantifier_are_so_many_quantifiers() {
    let short: Form = "forall P, E: P(P, E) implies Q(P)".parse().unwrap();
    let long: Form = "forall P: forall E: P(P, E) implies Q(P)".parse().unwrap();
    assert_eq!(short, long);
    let short: Form = "exists X , Y:true".parse().unwrap();
    assert_eq!(short.to_string(), "exists X: exists Y: true");
    for wrong in ["forall P,: true", "forall , P: true", "forall P, E true"] {
        assert!(wrong.parse::<Form>().is_err(), "{wrong}");
    }
    // As deep as quantifiers may be, and no deeper.
    let many = vec!["X"; 100_000].join(", ");
    assert!(format!("forall {many}: true").parse::<Form>().is_err());
}

#[test]
fn a_name_within_another_gives_back_what_was_appended() {
    let host: Prin = "tpm2([01]).PCRs(\"17\", \"00\")".parse().unwrap();
    let tail: SubPrin = ".Program([02]).Ext(1)".parse().unwrap();
    let name = host.extended(&tail);
    assert_eq!(name.relative_to(&host), Some(tail));
    assert!(!host.is_within(&name));
    assert_eq!(host.relative_to(&name), None);
}
