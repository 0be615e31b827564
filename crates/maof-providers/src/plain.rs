//! A conversation as plain text, for upstreams that know no messages.

use maof_core::{Call, ChatRequest, Error, Message, Part, Result, Speaker};
use serde_json::{Value, json};

use crate::dialect::gate::{Gate, kind_of};

/// A conversation that has been found to be text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plain<'a> {
    chat: &'a ChatRequest,
    /// The agent's standing instructions.
    standing: Option<&'a str>,
}

impl<'a> Plain<'a> {
    /// Looks through a conversation for what is no text.
    ///
    /// # Errors
    /// `invalid_request` naming a part that is no text, unless the gate's policy is to leave it out, or when no
    /// message is of the user.
    pub(crate) fn of(call: &'a Call, chat: &'a ChatRequest, gate: &mut Gate) -> Result<Self> {
        for (at, message) in chat.messages.iter().enumerate() {
            for (place, part) in message.parts.iter().enumerate() {
                let name = || format!("messages[{at}].parts[{place}] ({})", kind_of(part));
                match part {
                    Part::Text { .. } | Part::Refusal { .. } => {}
                    // What a model thought earlier is for itself.
                    Part::Reasoning { .. } | Part::Redacted { .. } => gate.without(name()),
                    _ => gate.cannot(name())?,
                }
            }
            if message.speaker == Speaker::Tool {
                gate.cannot(format!("messages[{at}] (tool result)"))?;
            }
        }
        if !chat.messages.iter().any(|message| message.speaker == Speaker::User) {
            let why = "this endpoint answers a message of the user; there is none";
            return Err(Error::invalid_request(why).param("messages"));
        }
        let standing = call.chosen.as_ref().and_then(|chosen| chosen.instructions.as_deref());
        Ok(Plain { chat, standing })
    }

    /// The last message of the user.
    pub(crate) fn text(self) -> String {
        self.chat.last_user_text().unwrap_or_default()
    }

    /// The same as JSON, if it is some; else as a string.
    pub(crate) fn input(self) -> Value {
        let text = self.text();
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    }

    /// All standing instructions, the agent's first, one a paragraph.
    pub(crate) fn system(self) -> String {
        let own = self.chat.messages.iter().filter(|message| is_system(message)).map(said);
        self.standing.map(str::to_owned).into_iter().chain(own).collect::<Vec<_>>().join("\n\n")
    }

    /// Messages of the user and of the model, in order.
    pub(crate) fn turns(self) -> impl Iterator<Item = &'a Message> {
        self.chat.messages.iter().filter(|message| !is_system(message) && message.speaker != Speaker::Tool)
    }

    /// The whole conversation: instructions, then who said what. A single question stands for itself.
    pub(crate) fn prompt(self) -> String {
        let turns: Vec<&Message> = self.turns().collect();
        let lines = turns.iter().map(|turn| match (turns.len(), turn.speaker) {
            (1, _) => said(turn),
            (_, Speaker::Assistant) => format!("Assistant: {}", said(turn)),
            _ => format!("User: {}", said(turn)),
        });
        let system = Some(self.system()).filter(|system| !system.is_empty());
        system.into_iter().chain(lines).collect::<Vec<_>>().join("\n\n")
    }

    /// The conversation as an array of `{"role", "content"}`.
    pub(crate) fn messages(self) -> Value {
        let system = Some(self.system()).filter(|system| !system.is_empty());
        let system = system.map(|system| json!({"role": "system", "content": system}));
        let turns = self.turns().map(|turn| {
            let role = if turn.speaker == Speaker::Assistant { "assistant" } else { "user" };
            json!({"role": role, "content": said(turn)})
        });
        system.into_iter().chain(turns).collect()
    }
}

fn is_system(message: &Message) -> bool {
    matches!(message.speaker, Speaker::System | Speaker::Developer)
}

fn said(message: &Message) -> String {
    let texts = message.parts.iter().filter_map(|part| match part {
        Part::Text { text } | Part::Refusal { text } => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}
