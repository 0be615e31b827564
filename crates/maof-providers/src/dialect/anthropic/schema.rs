//! A JSON schema as Anthropic takes it: no bounds of numbers and texts, and nothing beside an object's properties
//! (<https://platform.claude.com/docs/en/build-with-claude/structured-outputs>, "JSON Schema limitations"; read in
//! copies of it, November 2026). What it does not take is told to the model in the description, as Anthropic's own SDKs
//! do; the answer is held against the whole schema afterwards.

use serde_json::{Map, Value};

/// Keywords that bound a value.
const BOUNDS: [&str; 12] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
];

/// The same schema, or a narrower one, in the words that are taken.
pub(super) fn fitted(schema: &Value) -> Value {
    let Value::Object(schema) = schema else { return schema.clone() };
    let mut fitted = Map::new();
    let mut told = Vec::new();
    for (keyword, value) in schema {
        match (keyword.as_str(), value) {
            ("minItems", value) if value.as_u64().is_some_and(|least| least < 2) => {
                fitted.insert(keyword.clone(), value.clone());
            }
            (bound, value) if BOUNDS.contains(&bound) => told.push(format!("{bound}: {value}")),
            ("items" | "not", value) => drop(fitted.insert(keyword.clone(), self::fitted(value))),
            // Which of them fits is judged afterwards.
            ("anyOf" | "oneOf", Value::Array(several)) => {
                fitted.insert("anyOf".to_owned(), several.iter().map(self::fitted).collect());
            }
            ("allOf", Value::Array(several)) => {
                fitted.insert(keyword.clone(), several.iter().map(self::fitted).collect());
            }
            ("properties" | "$defs" | "definitions", Value::Object(named)) => {
                let named = named.iter().map(|(name, schema)| (name.clone(), self::fitted(schema)));
                fitted.insert(keyword.clone(), Value::Object(named.collect()));
            }
            _ => drop(fitted.insert(keyword.clone(), value.clone())),
        }
    }
    if fitted.contains_key("properties") && fitted.get("additionalProperties") != Some(&Value::Bool(false)) {
        fitted.insert("additionalProperties".to_owned(), false.into());
    }
    if !told.is_empty() {
        let bounds = format!("({})", told.join(", "));
        let said = fitted.get("description").and_then(Value::as_str);
        let description = said.map_or_else(|| bounds.clone(), |said| format!("{said} {bounds}"));
        fitted.insert("description".to_owned(), description.into());
    }
    Value::Object(fitted)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_taken_is_told_in_the_description() {
        let check = |schema: Value, expect: Value| assert_eq!(fitted(&schema), expect, "{schema}");
        check(json!({"type": "string", "pattern": "a"}), json!({"type": "string", "pattern": "a"}));
        check(
            json!({"type": "number", "minimum": 0, "maximum": 1, "description": "How sure."}),
            json!({"type": "number", "description": "How sure. (maximum: 1, minimum: 0)"}),
        );
        check(
            json!({"type": "array", "minItems": 1, "maxItems": 3, "items": {"type": "string", "minLength": 2}}),
            json!({"type": "array", "minItems": 1, "description": "(maxItems: 3)",
                   "items": {"type": "string", "description": "(minLength: 2)"}}),
        );
        // A property may be called as a keyword is.
        check(
            json!({"type": "object", "properties": {"minimum": {"oneOf": [{"type": "integer", "minimum": 1}]}}}),
            json!({"type": "object", "additionalProperties": false, "properties":
                   {"minimum": {"anyOf": [{"type": "integer", "description": "(minimum: 1)"}]}}}),
        );
        check(
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"properties": {}, "additionalProperties": true}}}),
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"properties": {}, "additionalProperties": false}}}),
        );
        check(json!({"type": "object"}), json!({"type": "object"}));
    }
}
