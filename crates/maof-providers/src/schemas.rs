//! How an upstream is asked for an answer by a JSON schema: in its own words, in the instructions, or not at all.

use std::borrow::Cow;

use maof_core::{Body, Call, Error, Message, Operation, OutputFormat, Result, Speaker};
use serde_json::Value;

use crate::dialect::gate::Gate;

/// What becomes of the schema of a call's answer on its way to an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Schemas {
    /// The dialect has words for it.
    Native,
    /// It is told in the instructions; `as_json` where the upstream can at least be bound to JSON.
    Told { as_json: bool },
    /// It cannot be told.
    Unsaid,
}

impl Schemas {
    /// The call as an upstream of this dialect understands it.
    ///
    /// # Errors
    /// `invalid_request` naming the field, where the schema cannot be told and the policy is to refuse; or where
    /// the conversation cannot be read.
    pub(crate) fn fit<'a>(self, call: &'a Call, dialect: &str, gate: &mut Gate) -> Result<Cow<'a, Call>> {
        let Some(OutputFormat::JsonSchema { schema, .. }) = call.body.output() else {
            return Ok(Cow::Borrowed(call));
        };
        let as_json = match self {
            Schemas::Native => return Ok(Cow::Borrowed(call)),
            _ if call.operation() != Operation::Chat => return Ok(Cow::Borrowed(call)),
            Schemas::Told { as_json } => as_json,
            Schemas::Unsaid => {
                gate.cannot("response_format").map_err(hint)?;
                false
            }
        };
        let mut chat = (*call.body.chat()?).clone();
        chat.output = None;
        if let Schemas::Told { .. } = self {
            // Behind the caller's own instructions, which a provider may keep in its cache.
            let standing =
                |message: &Message| matches!(message.speaker, Speaker::System | Speaker::Developer);
            let at = chat.messages.iter().take_while(|message| standing(message)).count();
            chat.messages.insert(at, Message::text(Speaker::System, instruction(schema)));
            // To be bound to JSON is to be bound to an object.
            let object = schema["type"] == "object";
            chat.output = Some(OutputFormat::Json).filter(|_| as_json && object);
        }
        let mut fitted = call.clone();
        fitted.body = match &call.body {
            // The caller's headers stay with what was spoken in the upstream's own dialect.
            Body::Wire(wire) if wire.dialect.name() == dialect => call.body.with_chat(chat)?,
            _ => Body::from(chat),
        };
        Ok(Cow::Owned(fitted))
    }
}

fn hint(error: Error) -> Error {
    let why = format!(
        "{}; or set `json_schema: instruct` there, so that the schema is put into the instructions",
        error.message()
    );
    Error::invalid_request(why).param("response_format")
}

fn instruction(schema: &Value) -> String {
    format!(
        "Answer with one JSON value that follows the JSON schema below, and with nothing else: no words around it \
         and no code fence.\n{schema}"
    )
}

#[cfg(test)]
mod tests {
    use maof_core::{CallId, ChatRequest, Principal, Target, Unsupported};
    use serde_json::json;

    use super::*;

    fn call(output: Option<OutputFormat>) -> Call {
        let mut chat = ChatRequest::user("hi");
        chat.messages.insert(0, Message::text(Speaker::System, "be brief"));
        chat.output = output;
        let target = Target::Name("a".parse().unwrap());
        Call::new(CallId::from_uuid(Default::default()), target, Principal::local(), Body::from(chat))
    }

    fn schema() -> OutputFormat {
        OutputFormat::JsonSchema { name: "a".into(), schema: json!({"type": "object"}), strict: None }
    }

    /// The output and the standing instructions that are told; else the field that is refused.
    fn check(schemas: Schemas, policy: Unsupported, expect: Result<(Option<OutputFormat>, usize), &str>) {
        let mut gate = Gate::new("p", policy);
        let call = call(Some(schema()));
        let fitted = schemas.fit(&call, "openai", &mut gate).map(|call| {
            let chat = call.body.chat().unwrap();
            let told = chat.messages.iter().filter(|m| m.speaker == Speaker::System).count();
            (chat.output.clone(), told)
        });
        let found = fitted.as_ref().map(Clone::clone).map_err(|e| e.field().unwrap());
        assert_eq!(found, expect, "{schemas:?}");
    }

    #[test]
    fn a_schema_is_said_natively_told_left_out_or_refused() {
        let (refuse, drop) = (Unsupported::Refuse, Unsupported::DropAndReport);
        check(Schemas::Native, refuse, Ok((Some(schema()), 1)));
        check(Schemas::Told { as_json: true }, refuse, Ok((Some(OutputFormat::Json), 2)));
        check(Schemas::Told { as_json: false }, refuse, Ok((None, 2)));
        check(Schemas::Unsaid, refuse, Err("response_format"));
        check(Schemas::Unsaid, drop, Ok((None, 1)));
    }

    #[test]
    fn the_schema_is_told_after_the_callers_own_instructions() {
        let call = call(Some(schema()));
        let mut gate = Gate::new("p", Unsupported::Refuse);
        let fitted = Schemas::Told { as_json: false }.fit(&call, "openai", &mut gate).unwrap();
        let chat = fitted.body.chat().unwrap();
        assert_eq!(chat.messages[0].plain_text(), "be brief");
        assert!(chat.messages[1].plain_text().ends_with(r#"{"type":"object"}"#));
    }

    #[test]
    fn a_call_without_a_schema_is_left_alone() {
        for output in [None, Some(OutputFormat::Text), Some(OutputFormat::Json)] {
            let call = call(output);
            let mut gate = Gate::new("p", Unsupported::Refuse);
            assert!(matches!(Schemas::Unsaid.fit(&call, "openai", &mut gate), Ok(Cow::Borrowed(_))));
        }
    }
}
