//! Arguments that a tool's JSON schema allows, made of the prompt.

use serde_json::{Map, Value, json};

/// How deep a schema is followed: schemas may hold themselves.
const DEPTH: usize = 16;

/// Arguments for a tool: every property that the schema names, texts being the prompt; `{"text": prompt}`
/// where it names none.
pub(super) fn arguments(schema: &Value, prompt: &str) -> Value {
    match schema["properties"].is_object() {
        true => sample(schema, schema, prompt, DEPTH),
        false => json!({"text": prompt}),
    }
}

fn sample(schema: &Value, root: &Value, prompt: &str, depth: usize) -> Value {
    let Some(depth) = depth.checked_sub(1) else { return Value::Null };
    if let Some(place) = schema["$ref"].as_str().and_then(|place| place.strip_prefix('#')) {
        return sample(root.pointer(place).unwrap_or(&Value::Null), root, prompt, depth);
    }
    let fixed = [&schema["const"], &schema["enum"][0]].into_iter().find(|value| !value.is_null());
    if let Some(fixed) = fixed {
        return fixed.clone();
    }
    for several in ["anyOf", "oneOf", "allOf"] {
        if schema[several][0].is_object() {
            return sample(&schema[several][0], root, prompt, depth);
        }
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str()).unwrap_or_default();
    // Gemini writes the names of the types in capitals.
    match kind.to_ascii_lowercase().as_str() {
        "null" => Value::Null,
        "boolean" => json!(true),
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        "array" => json!([sample(&schema["items"], root, prompt, depth)]),
        "object" => {
            let properties = schema["properties"].as_object();
            let entries = properties.into_iter().flatten();
            let filled = entries.map(|(name, schema)| (name.clone(), sample(schema, root, prompt, depth)));
            Value::Object(filled.collect::<Map<_, _>>())
        }
        _ => json!(prompt),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_what_the_schema_allows() {
        let check = |schema: Value, expect: Value| assert_eq!(arguments(&schema, "hi"), expect, "{schema}");
        check(Value::Null, json!({"text": "hi"}));
        check(json!({"type": "object"}), json!({"text": "hi"}));
        check(json!({"type": "object", "properties": {}}), json!({}));
        check(
            json!({"type": "OBJECT", "properties": {
                "s": {"type": "STRING"}, "n": {"type": "integer"}, "m": {"type": "number", "minimum": 2.5},
                "b": {"type": ["boolean", "null"]}, "e": {"type": "string", "enum": ["x", "y"]},
                "l": {"type": "array", "items": {"type": "string"}}, "u": {"anyOf": [{"type": "null"}]},
            }}),
            json!({"s": "hi", "n": 1, "m": 2.5, "b": true, "e": "x", "l": ["hi"], "u": null}),
        );
        let defined = json!({"a": {"type": "object", "properties": {"t": {"const": 7}}}});
        check(
            json!({"type": "object", "properties": {"p": {"$ref": "#/$defs/a"}}, "$defs": defined}),
            json!({"p": {"t": 7}}),
        );
    }

    #[test]
    fn a_schema_that_holds_itself_ends() {
        let endless = json!({"type": "object", "properties": {"p": {"$ref": "#"}}});
        assert!(arguments(&endless, "hi").is_object());
    }
}
