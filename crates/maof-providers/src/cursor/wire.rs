//! What Cursor's API says (<https://docs.cursor.com/en/background-agent/api>, read 2026-11-21).

use maof_core::{Call, ChatRequest, Error, OutputFormat, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::config::CursorConfig;
use crate::dialect::gate::Gate;
use crate::plain::Plain;

/// The model that Cursor chooses itself.
pub(super) const AUTO: &str = "auto";

/// Whether an agent is at work. What is not known yet is taken for work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub(super) enum Status {
    Working,
    Finished,
    Error,
    Expired,
}

impl From<String> for Status {
    fn from(word: String) -> Self {
        match word.as_str() {
            "FINISHED" => Status::Finished,
            "ERROR" => Status::Error,
            "EXPIRED" => Status::Expired,
            _ => Status::Working,
        }
    }
}

/// An agent as it is told after its launch and at each look.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Agent {
    pub(super) id: String,
    pub(super) status: Status,
    #[serde(default)]
    pub(super) summary: Option<String>,
    #[serde(default)]
    pub(super) target: Target,
}

/// Where its work is to be found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Target {
    pub(super) url: Option<String>,
    pub(super) branch_name: Option<String>,
    pub(super) pr_url: Option<String>,
}

#[derive(Deserialize)]
struct Conversation {
    #[serde(default)]
    messages: Vec<Said>,
}

#[derive(Deserialize)]
struct Said {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: String,
}

/// What an agent has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) agent: Agent,
    /// The last thing that it said.
    pub(super) message: Option<String>,
}

impl Outcome {
    /// For people: what it said last, else its summary; and where its work is.
    pub(super) fn text(&self) -> String {
        let Agent { summary, target, .. } = &self.agent;
        let said = self.message.clone().or_else(|| summary.clone());
        let places =
            [("Branch", &target.branch_name), ("Pull request", &target.pr_url), ("Agent", &target.url)];
        let lines =
            places.into_iter().filter_map(|(name, place)| Some(format!("{name}: {}", place.as_ref()?)));
        let places = lines.collect::<Vec<_>>().join("\n");
        said.into_iter().chain([places]).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n")
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let Agent { id, summary, target, .. } = &self.agent;
        json!({
            "agent": id, "summary": summary, "message": self.message, "branch": target.branch_name,
            "pull_request": target.pr_url, "url": target.url,
        })
    }
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let malformed = |e| Error::protocol("Cursor's answer is not what its API promises").because(e);
    serde_json::from_slice(bytes).map_err(malformed)
}

/// An agent, whose id can stand in a path.
///
/// # Errors
/// `protocol` when it is none.
pub(super) fn agent(bytes: &[u8]) -> Result<Agent> {
    let agent: Agent = read(bytes)?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    match !agent.id.is_empty() && agent.id.bytes().all(plain) {
        true => Ok(agent),
        false => Err(Error::protocol("Cursor gave an agent no usable id")),
    }
}

/// The last message of the model in a conversation.
///
/// # Errors
/// `protocol` when it is no conversation.
pub(super) fn last_message(bytes: &[u8]) -> Result<Option<String>> {
    let conversation: Conversation = read(bytes)?;
    let last = conversation.messages.into_iter().rev().find(|said| said.kind == "assistant_message");
    Ok(last.map(|said| said.text).filter(|text| !text.is_empty()))
}

/// The body that launches an agent.
///
/// # Errors
/// `invalid_request` naming what agents cannot be told, or the repository where nobody names one.
pub(super) fn launch(
    call: &Call,
    chat: &ChatRequest,
    (config, model): (&CursorConfig, &str),
    gate: &mut Gate,
) -> Result<Value> {
    gate.conversation_but(chat, &["repository", "ref"])?;
    let json = matches!(chat.output, Some(OutputFormat::Json));
    gate.settings(chat, if json { &["response_format"] } else { &[] })?;
    let plain = Plain::of(call, chat, gate)?;
    let repository = named(chat, "repository", config.repository.as_ref())?.ok_or_else(|| {
        let why = "`repository` is missing: name the one to work on, here or at the endpoint";
        Error::invalid_request(why).param("repository")
    })?;
    let mut source = Map::from_iter([("repository".to_owned(), repository.into())]);
    if let Some(reference) = named(chat, "ref", config.reference.as_ref())? {
        source.insert("ref".to_owned(), reference.into());
    }
    let mut body = json!({
        "prompt": {"text": plain.prompt()}, "source": source, "target": {"autoCreatePr": config.auto_create_pr},
    });
    if model != AUTO {
        body["model"] = model.into();
    }
    Ok(body)
}

/// What the call says, else what is configured.
fn named(chat: &ChatRequest, field: &'static str, configured: Option<&String>) -> Result<Option<String>> {
    match chat.rest.get(field) {
        None | Some(Value::Null) => Ok(configured.cloned()),
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(Some(text.clone())),
        Some(_) => {
            Err(Error::invalid_request(format!("`{field}` must be a string that is not empty")).param(field))
        }
    }
}
