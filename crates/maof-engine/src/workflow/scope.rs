//! What templates and expressions see: `input`, `steps`, and within a map `item` and `index`.

use std::collections::BTreeMap;
use std::sync::Arc;

use maof_core::{Error, Result};
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value as Val};
use serde_json::Value;

/// Instructions that one template or expression may take; far beyond any sensible one.
const FUEL: u64 = 1_000_000;

/// Bytes that one question may have.
const MAX_QUESTION: usize = 32 << 20;

/// Pure by construction: no clock, no randomness, no I/O, an unknown name is an error.
pub(super) fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    environment.set_formatter(|out, _, value| {
        if value.as_str().is_some() || value.is_undefined() {
            return write!(out, "{value}").map_err(minijinja::Error::from);
        }
        let json = serde_json::to_string(value)
            .map_err(|e| minijinja::Error::new(minijinja::ErrorKind::BadSerialization, e.to_string()))?;
        write!(out, "{json}").map_err(minijinja::Error::from)
    });
    environment
}

pub(super) fn syntax_error(error: &minijinja::Error) -> Error {
    let line = error.line().map(|l| format!(" (line {l})")).unwrap_or_default();
    Error::invalid_request(format!("{error}{line}"))
}

/// The values of one run, converted once and shared.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    input: Val,
    steps: BTreeMap<Arc<str>, Val>,
}

/// One item of a map and its place.
pub(crate) type Item = (Val, u32);

impl Scope {
    pub(crate) fn new(input: &Value) -> Self {
        Scope { input: Val::from(Serde(input)), steps: BTreeMap::new() }
    }

    pub(crate) fn set(&mut self, step: Arc<str>, output: &Value) {
        self.steps.insert(step, Val::from(Serde(output)));
    }

    fn context(&self, item: Option<&Item>) -> Val {
        let steps = Val::from_pairs(self.steps.iter().map(|(k, v)| (Val::from(k.clone()), v.clone())));
        let mut pairs = vec![("input", self.input.clone()), ("steps", steps)];
        if let Some((item, index)) = item {
            pairs.push(("item", item.clone()));
            pairs.push(("index", Val::from(*index)));
        }
        Val::from_pairs(pairs)
    }

    /// The value of an expression.
    pub(crate) fn eval(&self, env: &Environment<'_>, text: &str, item: Option<&Item>) -> Result<Val> {
        let expression = env.compile_expression(text).map_err(|e| syntax_error(&e))?;
        expression.eval(self.context(item)).map_err(|e| syntax_error(&e))
    }

    /// The value of an expression as JSON.
    pub(crate) fn json(&self, env: &Environment<'_>, text: &str, item: Option<&Item>) -> Result<Value> {
        let value = self.eval(env, text, item)?;
        serde_json::to_value(&value)
            .map_err(|e| Error::invalid_request(format!("`{text}` has no JSON value")).because(e))
    }

    /// The output of a step that has ended.
    pub(crate) fn output(&self, step: &str) -> Result<Value> {
        serde_json::to_value(self.steps.get(step))
            .map_err(|e| Error::internal(format!("the output of step {step} has no JSON value")).because(e))
    }

    /// The items of a map.
    pub(crate) fn items(&self, env: &Environment<'_>, text: &str) -> Result<Vec<Val>> {
        let list = self.eval(env, text, None)?;
        let not_a_list = || Error::invalid_request(format!("`{text}` is no list"));
        if list.kind() != minijinja::value::ValueKind::Seq {
            return Err(not_a_list());
        }
        Ok(list.try_iter().map_err(|_| not_a_list())?.collect())
    }

    /// The question of a step: its template, else the item, else the input.
    pub(crate) fn question(
        &self,
        env: &Environment<'_>,
        template: Option<&str>,
        item: Option<&Item>,
    ) -> Result<String> {
        let text = match template {
            Some(name) => env
                .get_template(name)
                .and_then(|t| t.render(self.context(item)))
                .map_err(|e| syntax_error(&e))?,
            None => plain(item.map_or(&self.input, |(item, _)| item))?,
        };
        if text.len() > MAX_QUESTION {
            return Err(Error::too_large("the question has more than 32 MiB"));
        }
        Ok(text)
    }
}

/// Text as it is, everything else as JSON.
fn plain(value: &Val) -> Result<String> {
    if let Some(text) = value.as_str() {
        return Ok(text.to_owned());
    }
    serde_json::to_string(value)
        .map_err(|e| Error::invalid_request("the question has no JSON value").because(e))
}

/// Levels that JSON may be nested for it to be kept: what is stored around it must still be readable.
const DEEPEST: usize = 64;

/// Whether JSON text is nested no deeper than can be kept. Counts brackets outside texts.
pub fn is_shallow(json: &str) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth += 1;
                if depth > DEEPEST {
                    return false;
                }
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

/// Whether a JSON value is nested no deeper than can be kept.
pub fn is_shallow_value(value: &Value) -> bool {
    // Goes no deeper itself than what it lets pass.
    fn fits(value: &Value, levels: usize) -> bool {
        match value {
            Value::Array(items) => levels > 0 && items.iter().all(|item| fits(item, levels - 1)),
            Value::Object(fields) => levels > 0 && fields.values().all(|field| fits(field, levels - 1)),
            _ => true,
        }
    }
    fits(value, DEEPEST)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{is_shallow, is_shallow_value};

    #[test]
    fn text_and_value_are_judged_alike() {
        let nested = |levels| (0..levels).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
        for (levels, expect) in [(0, true), (63, true), (64, true), (65, false), (100, false)] {
            let value = nested(levels);
            assert_eq!(is_shallow_value(&value), expect, "{levels}");
            assert_eq!(is_shallow(&value.to_string()), expect, "{levels}");
        }
    }

    #[test]
    fn depth_is_counted_outside_of_texts() {
        let check = |text: &str, expect: bool| assert_eq!(is_shallow(text), expect, "{text:.80}");
        check(&format!("{}{}", "[".repeat(64), "]".repeat(64)), true);
        check(&"[".repeat(65), false);
        check(&format!("\"{}\"", "[".repeat(100)), true);
        check(&format!("\"\\\"{}", "[".repeat(100)), true);
        check(&"[]".repeat(100), true);
    }
}
