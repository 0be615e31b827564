//! What follows a schema, what is told of what does not, and that neither can be made to cost too much.

use maof_core::ErrorKind;
use serde_json::{Value, json};

use super::*;

fn schema(schema: Value) -> Schema {
    Schema::compile(&schema, 1 << 20).unwrap()
}

/// The shape of the guide that MAOF was asked for with.
fn answer() -> Value {
    json!({
        "type": "object",
        "required": ["answer", "confidence"],
        "properties": {
            "answer": {"type": "string"},
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
        },
    })
}

#[test]
fn an_answer_follows_its_schema_or_is_told_what_it_breaks() {
    let judge = schema(answer());
    let check = |text: &str, expect: Result<(), &str>| {
        let found = judge.judge(text).map(drop).map_err(|broken| broken.why);
        assert_eq!(found, expect.map_err(str::to_owned), "{text}");
    };
    check(r#"{"answer": "up", "confidence": 0.5}"#, Ok(()));
    check(" \n{\"answer\": \"up\", \"confidence\": 1, \"why\": 7}\n", Ok(()));
    check(r#"{"answer": "up"}"#, Err("it breaks `/required`"));
    check(r#"{"answer": 3, "confidence": 1}"#, Err("it breaks `/properties/answer/type`"));
    check(r#"{"answer": "", "confidence": 1.1}"#, Err("it breaks `/properties/confidence/maximum`"));
    check(r#"["answer"]"#, Err("it breaks `/type`"));
    check("```json\n{\"answer\": \"up\", \"confidence\": 1}\n```", Err("it is no JSON"));
    check(r#"{"answer": "up", "confidence": 1} done"#, Err("it is no JSON"));
    check(r#"{"answer": "up""#, Err("it is no JSON"));
    check("  ", Err("it is empty"));
    check(&format!("{}1{}", "[".repeat(65), "]".repeat(65)), Err("it is nested deeper than 64 levels"));
    check(&"[".repeat(10_000), Err("it is no JSON"));
}

#[test]
fn the_caller_is_told_nothing_of_the_answer_and_its_author_is() {
    let closed = json!({"type": "object", "additionalProperties": false,
                        "properties": {"a": {"enum": ["x"]}, "b": {"type": "integer"}}});
    let broken = schema(closed).judge(r#"{"a": "secret1", "b": "secret2", "secret3": 1}"#).unwrap_err();
    assert!(!broken.why.contains("secret"), "{broken:?}");
    let refusal = broken.refusal();
    assert_eq!((refusal.kind(), refusal.retry()), (ErrorKind::Protocol, Retry::Elsewhere));
    assert!(!refusal.to_string().contains("secret"), "{refusal}");
    let told = broken.complaints.join("\n");
    for secret in ["secret1", "secret2", "secret3"] {
        assert!(told.contains(secret), "{told}");
    }
}

#[test]
fn a_bad_schema_is_refused_and_says_where() {
    let check = |schema: Value, expect: &str| {
        let error = Schema::compile(&schema, 200).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        assert!(error.message().contains(expect), "{error}");
    };
    check(json!({"type": "objekt"}), "`/type`");
    check(json!({"properties": {"a": {"required": "x"}}}), "`/properties/a/required`");
    check(json!({"$schema": "https://example.com/mine"}), "https://example.com/mine");
    check(json!({"$ref": "https://example.com/x"}), "https://example.com/x");
    check(json!({"properties": {"a": {"pattern": "(?=a)b"}}}), "`/properties/a/pattern`");
    check(json!({"pattern": "(a{1000}){1000}"}), "linear");
    check(json!({"pattern": "(a"}), "`/pattern`");
    check(json!({"description": "x".repeat(200)}), "and may have 200");
    check(json!(7), "it");
}

#[test]
fn a_slow_regular_expression_is_not() {
    // Would take 2^40 steps with backtracking.
    let judge = schema(json!({"pattern": "^(a+)+$"}));
    assert!(judge.judge(&format!("\"{}!\"", "a".repeat(40_000))).is_err());
}

#[test]
fn a_schema_that_doubles_with_each_level_is_judged_all_the_same() {
    let branch = |name: &str| json!({"properties": {"a": {"$ref": "#"}}, "required": [name]});
    let judge = schema(
        json!({"type": ["object", "integer"], "anyOf": [branch("x"), branch("y"), {"type": "integer"}]}),
    );
    let nested = |levels: usize| (0..levels).fold("1".to_owned(), |inner, _| format!("{{\"a\":{inner}}}"));
    // Of a shallow one it is told what is wrong, of a deep one only that something is.
    assert_eq!(judge.judge(&nested(1)).unwrap_err().why, "it breaks `/anyOf`");
    assert_eq!(judge.judge(&nested(60)).unwrap_err().why, "it breaks it");
    let valid =
        |levels: usize| (0..levels).fold("1".to_owned(), |inner, _| format!("{{\"y\":0,\"a\":{inner}}}"));
    assert!(judge.judge(&valid(60)).is_ok());
}

#[test]
fn a_long_answer_is_bounded_by_the_size_of_its_schema() {
    let judge = schema(
        json!({"enum": vec!["x".repeat(1000); 500].iter().enumerate().map(|(i, x)| format!("{x}{i}")).collect::<Vec<_>>()}),
    );
    assert_eq!(judge.most_answer(), (1 << 30) / judge.bytes);
    let long = format!("\"{}\"", "y".repeat(judge.most_answer() as usize));
    assert_eq!(judge.judge(&long).unwrap_err(), judge.too_long());
    assert_eq!(schema(json!({})).most_answer(), 4 << 20);
}

#[test]
fn the_deepest_schema_and_answer_that_are_taken_fit_on_a_small_stack() {
    // Fifteen levels of `$ref` and `anyOf`, thirty schemas each inside the last, around an answer of 64 levels.
    let link = |at: usize| (at.to_string(), json!({"anyOf": [{"$ref": format!("#/$defs/{}", at + 1)}]}));
    let mut defs: serde_json::Map<String, Value> = (0..14).map(link).collect();
    defs.insert("14".into(), json!({"items": {"$ref": "#"}, "properties": {"a": {"$ref": "#"}}}));
    let deep = json!({"$ref": "#/$defs/0", "$defs": defs});
    let judged = std::thread::Builder::new().stack_size(2 << 20).spawn(move || {
        let nested = |open: &str, close: &str| format!("{}1{}", open.repeat(64), close.repeat(64));
        let judge = schema(deep);
        (judge.judge(&nested("[", "]")).is_ok(), judge.judge(&nested("{\"a\":", "}")).is_ok())
    });
    assert_eq!(judged.unwrap().join().unwrap(), (true, true));
}
