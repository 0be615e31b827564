//! Light checks of a caller's request: enough that bad input is refused here, naming the field, and little
//! enough that a good request costs next to nothing. What is not checked here, the upstream judges.

use std::borrow::Cow;

use maof_core::Result;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::dialect::field::{between, field, positive, wrong};
use crate::dialect::object::{Object, elements_at, members_at, plain};
use crate::dialect::scan;

use super::wire::speaker_of;

/// The most answers that may be asked for.
const MOST_CHOICES: u64 = 128;

/// What is routed on, of a chat.
pub(super) struct Chat {
    pub(super) stream: bool,
    pub(super) include_usage: bool,
    pub(super) max_output: Option<u64>,
    pub(super) choices: u32,
}

/// Checks a chat.
pub(super) fn chat(object: &Object<'_>) -> Result<Chat> {
    messages(object)?;
    between(object, "temperature", 2.0)?;
    between(object, "top_p", 1.0)?;
    tool_choice(object)?;
    let old = positive(object, "max_tokens")?;
    let new = positive(object, "max_completion_tokens")?;
    let choices = positive(object, "n")?;
    if choices.is_some_and(|n| n > MOST_CHOICES) {
        return Err(wrong("n", format!("`n` must be at most {MOST_CHOICES}")));
    }
    #[derive(Deserialize)]
    struct Options {
        #[serde(default)]
        include_usage: Option<bool>,
    }
    let options: Option<Options> =
        field(object, "stream_options", "an object whose `include_usage` is true or false")?;
    Ok(Chat {
        stream: field(object, "stream", "true or false")?.unwrap_or(false),
        include_usage: options.and_then(|o| o.include_usage).unwrap_or(false),
        max_output: new.or(old).map(|n| n.saturating_mul(choices.unwrap_or(1))),
        choices: choices.and_then(|n| u32::try_from(n).ok()).unwrap_or(1),
    })
}

fn messages(object: &Object<'_>) -> Result<()> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(borrow)]
        role: Cow<'a, str>,
    }
    let empty = || wrong("messages", "`messages` must be an array with at least one message".to_owned());
    let raw = object.get("messages").ok_or_else(empty)?;
    // Two ways to read: quickly, and one by one to say which one is wrong.
    match number_of_messages(raw) {
        Some(0) => return Err(empty()),
        Some(_) => return Ok(()),
        None => {}
    }
    let each: Vec<&RawValue> = serde_json::from_str(raw).map_err(|_| empty())?;
    for (at, message) in each.iter().enumerate() {
        match serde_json::from_str::<Head<'_>>(message.get()) {
            Ok(head) if is_role(&head.role) => {}
            Ok(head) => {
                let role: String = head.role.chars().take(64).collect();
                let known = "system, developer, user, assistant or tool";
                let why = format!("the role `{role}` is not known; it is {known}");
                return Err(wrong(format!("messages[{at}].role"), why));
            }
            Err(_) => {
                let why = "a message must be an object with a `role`".to_owned();
                return Err(wrong(format!("messages[{at}]"), why));
            }
        }
    }
    Err(empty())
}

/// How many messages there are, if each is an object with one role, which is known.
fn number_of_messages(raw: &str) -> Option<usize> {
    let mut number = 0;
    let end = elements_at(raw, 0, |at| {
        let mut role = None;
        let end = members_at(raw, at, |name, at| {
            let end = scan::value(raw.as_bytes(), at)?;
            let again = name == r#""role""# && role.replace(raw.get(at..end)?).is_some();
            (!again && !name.contains('\\')).then_some(end)
        })?;
        number += 1;
        is_role(&plain(role?)?).then_some(end)
    })?;
    (end == raw.len()).then_some(number)
}

/// `function` is OpenAI's former word for `tool`, and still travels.
fn is_role(role: &str) -> bool {
    role == "function" || speaker_of(role).is_some()
}

/// A function that must be used is on offer. Other words for a choice are for the upstream to judge.
fn tool_choice(object: &Object<'_>) -> Result<()> {
    let Some(choice) = field::<Value>(object, "tool_choice", "a string or an object")? else { return Ok(()) };
    let Some(name) = choice["function"]["name"].as_str() else { return Ok(()) };
    #[derive(Deserialize)]
    struct Tool<'a> {
        #[serde(borrow, default)]
        function: Option<Function<'a>>,
    }
    #[derive(Deserialize)]
    struct Function<'a> {
        #[serde(borrow)]
        name: Cow<'a, str>,
    }
    let tools: Vec<Tool<'_>> = field(object, "tools", "an array of tools")?.unwrap_or_default();
    if tools.iter().any(|tool| tool.function.as_ref().is_some_and(|f| f.name == name)) {
        return Ok(());
    }
    let shown: String = name.chars().take(64).collect();
    let why = format!("`tool_choice` names the function `{shown}`, which is not among `tools`");
    Err(wrong("tool_choice", why))
}

/// Checks a request for vectors.
pub(super) fn embed(object: &Object<'_>) -> Result<()> {
    let expected = "a text, or an array of at least one text";
    let wrong_input = || wrong("input", format!("`input` must be {expected}"));
    let raw = object.get("input").ok_or_else(wrong_input)?;
    if !raw.starts_with('"') {
        let items: Vec<IgnoredAny> = serde_json::from_str(raw).map_err(|_| wrong_input())?;
        if items.is_empty() {
            return Err(wrong_input());
        }
    }
    positive(object, "dimensions")?;
    match field::<Cow<'_, str>>(object, "encoding_format", "float or base64")?.as_deref() {
        None | Some("float" | "base64") => Ok(()),
        Some(_) => Err(wrong("encoding_format", "`encoding_format` must be float or base64".to_owned())),
    }
}
