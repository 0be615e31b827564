//! Google's own kind of schema, in the words of JSON schema.

use serde_json::{Map, Value};

/// Counts of Google's schemas, which are written as texts: 64 bits are more than JSON's numbers hold.
const COUNTS: [&str; 6] =
    ["minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"];

/// One of Google's schemas in the words of JSON schema: types are in capitals there, counts are texts, and
/// `nullable` lets a value be null (<https://cloud.google.com/vertex-ai/docs/reference/rest/v1/Schema>, read November 2026).
pub(super) fn plain(schema: &Value) -> Value {
    match schema {
        Value::Object(object) => {
            let said = |(key, value): (&String, &Value)| match value {
                Value::String(text) if key == "type" => (key.clone(), Value::from(text.to_lowercase())),
                Value::String(text) if COUNTS.contains(&key.as_str()) => {
                    (key.clone(), text.parse::<u64>().map_or_else(|_| value.clone(), Value::from))
                }
                other => (key.clone(), plain(other)),
            };
            let mut said: Map<String, Value> = object.iter().map(said).collect();
            if said.get("nullable") == Some(&Value::Bool(true)) {
                said.remove("nullable");
                said.entry("type").and_modify(|kind| *kind = serde_json::json!([kind, "null"]));
                let also_null = |known: &mut Value| known.as_array_mut().map(|known| known.push(Value::Null));
                said.get_mut("enum").map(also_null);
            }
            Value::Object(said)
        }
        Value::Array(items) => items.iter().map(plain).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn googles_schemas_say_the_same_in_the_words_of_json_schema() {
        let check = |google: Value, expect: Value| assert_eq!(plain(&google), expect, "{google}");
        check(json!({"type": "STRING"}), json!({"type": "string"}));
        check(
            json!({"type": "ARRAY", "minItems": "2", "items": {"type": "NUMBER"}}),
            json!({"type": "array", "minItems": 2, "items": {"type": "number"}}),
        );
        check(json!({"type": "INTEGER", "nullable": true}), json!({"type": ["integer", "null"]}));
        check(
            json!({"type": "STRING", "nullable": true, "enum": ["a"]}),
            json!({"type": ["string", "null"], "enum": ["a", null]}),
        );
        check(json!({"type": "STRING", "nullable": false}), json!({"type": "string", "nullable": false}));
        // A property may be called as a keyword is.
        check(
            json!({"type": "OBJECT", "properties": {"type": {"type": "STRING"}, "nullable": {"type": "BOOLEAN"}}}),
            json!({"type": "object", "properties": {"type": {"type": "string"}, "nullable": {"type": "boolean"}}}),
        );
    }
}
