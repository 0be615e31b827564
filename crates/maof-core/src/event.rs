//! The events of a streamed reply: the frame as it came, and what it adds to the answer.
//!
//! ```
//! use maof_core::{Delta, Event};
//! let said = Delta::Text { choice: 0, text: "four".to_owned() };
//! assert_eq!(said.bytes(), 4);
//! // Made by MAOF itself: no frame came.
//! let event = Event { frame: None, deltas: vec![said] };
//! assert_eq!(event.deltas.len(), 1);
//! ```

use bytes::Bytes;

use crate::chat::{Finish, Part};
use crate::usage::Usage;

/// A frame of a dialect, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The dialect's name.
    pub dialect: &'static str,
    /// The bytes.
    pub bytes: Bytes,
}

/// What one event adds to an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// The answer begins.
    Start {
        /// The upstream's id of it; empty where it says none.
        id: String,
        /// The model that answers; empty where the upstream does not say.
        model: String,
    },
    /// More text of a choice.
    Text {
        /// Which choice.
        choice: u32,
        /// The text.
        text: String,
    },
    /// More reasoning of a choice.
    Reasoning {
        /// Which choice.
        choice: u32,
        /// The text.
        text: String,
    },
    /// More of the signature over a choice's reasoning.
    Signature {
        /// Which choice.
        choice: u32,
        /// More of it.
        signature: String,
    },
    /// More of a refusal.
    Refusal {
        /// Which choice.
        choice: u32,
        /// The text.
        text: String,
    },
    /// A part that comes as a whole.
    Part {
        /// Which choice.
        choice: u32,
        /// The part.
        part: Box<Part>,
    },
    /// What comes next begins a part of its own, though it be of the same kind as the last.
    Next {
        /// Which choice.
        choice: u32,
    },
    /// More of a tool call.
    ToolCall {
        /// Which choice.
        choice: u32,
        /// Which call of the choice.
        index: u32,
        /// The call's id, when it begins.
        id: Option<String>,
        /// The tool's name, when it begins.
        name: Option<String>,
        /// More of the arguments' JSON text.
        arguments: String,
        /// The provider's signature over the call.
        signature: Option<String>,
    },
    /// A choice ends.
    Finish {
        /// Which choice.
        choice: u32,
        /// Why.
        reason: Finish,
    },
    /// What was used, in all.
    Usage(Usage),
}

impl Delta {
    /// Whether a call of a tool begins with it.
    pub fn begins_tool_call(&self) -> bool {
        match self {
            Delta::ToolCall { name, .. } => name.is_some(),
            Delta::Part { part, .. } => matches!(**part, Part::ToolCall(_)),
            _ => false,
        }
    }

    /// Bytes of text and arguments that it adds, for estimates where usage is missing.
    pub fn bytes(&self) -> u64 {
        match self {
            Delta::Text { text, .. } | Delta::Reasoning { text, .. } | Delta::Refusal { text, .. } => {
                text.len() as u64
            }
            Delta::Part { part, .. } => part.bytes(),
            Delta::ToolCall { arguments, .. } => arguments.len() as u64,
            Delta::Start { .. }
            | Delta::Signature { .. }
            | Delta::Next { .. }
            | Delta::Finish { .. }
            | Delta::Usage(_) => 0,
        }
    }
}

/// One event of a stream: the frame as it came, where one came, and what it adds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    /// The bytes; none where MAOF made the event itself.
    pub frame: Option<Frame>,
    /// What it adds; several where one frame says several things.
    pub deltas: Vec<Delta>,
}
