//! Which schemas OpenAI takes as strict: every object closed, every property required, at every level
//! (<https://platform.openai.com/docs/guides/structured-outputs>, "Supported schemas"; from memory, November 2026).

use serde_json::Value;

/// Whether to ask for a schema strictly, where another dialect's caller is known to want it so. One that is not of the
/// strict kind would be refused; it is asked for as well as the model can, and judged afterwards.
pub(crate) fn fits(foreign: bool, strict: Option<bool>, schema: &Value) -> Option<bool> {
    match strict {
        Some(true) if foreign => Some(is_strict(schema)),
        said => said,
    }
}

fn is_strict(schema: &Value) -> bool {
    let Value::Object(object) = schema else { return true };
    let is_object = schema["type"] == "object" || object.contains_key("properties");
    if is_object {
        let Some(properties) = schema["properties"].as_object() else { return false };
        let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
        let all = properties.keys().all(|name| required.iter().any(|known| known == name));
        if !all || schema["additionalProperties"] != false {
            return false;
        }
    }
    let inside = ["properties", "$defs", "definitions"].iter().filter_map(|name| schema[*name].as_object());
    let listed = ["anyOf", "allOf", "oneOf"].iter().filter_map(|name| schema[*name].as_array());
    inside.flat_map(|map| map.values()).all(is_strict)
        && listed.flatten().all(is_strict)
        && schema.get("items").is_none_or(is_strict)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_closed_objects_with_every_property_required_are_strict() {
        let check = |schema: Value, expect: bool| assert_eq!(is_strict(&schema), expect, "{schema}");
        let closed = |required: Value, inner: Value| json!({"type": "object", "properties": {"a": inner}, "required": required, "additionalProperties": false});
        let text = || json!({"type": "string"});
        check(text(), true);
        check(closed(json!(["a"]), text()), true);
        check(closed(json!([]), text()), false);
        check(json!({"type": "object", "properties": {"a": text()}, "required": ["a"]}), false);
        check(json!({"type": "object"}), false);
        check(closed(json!(["a"]), json!({"type": "array", "items": {"type": "object"}})), false);
        check(closed(json!(["a"]), json!({"anyOf": [closed(json!([]), text()), {"type": "null"}]})), false);
        check(json!({"$ref": "#/$defs/x", "$defs": {"x": closed(json!([]), text())}}), false);
    }

    #[test]
    fn who_speaks_the_dialect_is_taken_at_the_word() {
        assert_eq!(fits(false, Some(true), &json!({"type": "object"})), Some(true));
        assert_eq!(fits(true, Some(true), &json!({"type": "object"})), Some(false));
        assert_eq!(fits(true, None, &json!({"type": "object"})), None);
    }
}
