//! Puts an answer of an agent's own shape into the declared one.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The declared fields, each as its pointer finds it in the answer. An answer that is no JSON is a text.
pub(crate) fn collect(fields: &BTreeMap<String, String>, text: &str) -> Value {
    let answer: Value = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
    let found =
        fields.iter().filter_map(|(name, pointer)| Some((name.clone(), answer.pointer(pointer)?.clone())));
    Value::Object(found.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_found_by_their_pointers() {
        let check = |fields: Value, text: &str, expect: Value| {
            let fields = serde_json::from_value(fields).unwrap();
            assert_eq!(collect(&fields, text), expect, "{text}");
        };
        let shape = || json!({"answer": "/label", "confidence": "/scores/0"});
        check(shape(), r#"{"label": "up", "scores": [0.5]}"#, json!({"answer": "up", "confidence": 0.5}));
        check(shape(), r#"{"label": null}"#, json!({"answer": null}));
        check(shape(), "up", json!({}));
        check(json!({"answer": ""}), "up, I think", json!({"answer": "up, I think"}));
        check(json!({"answer": ""}), "[1]", json!({"answer": [1]}));
        check(json!({"a": "/x~1y"}), r#"{"x/y": 1}"#, json!({"a": 1}));
    }
}
