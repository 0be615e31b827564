//! What is the same of questions that are: numbers by which the ledger finds what was asked before, and nothing else.
//!
//! They tell a report where answers or prompts could have been kept, and nobody relies on them: two questions of one
//! number are the same but for one case in 2^63, and a number may be another one on another machine.

use ahash::RandomState;
use maof_core::{Attempt, Body, ChatRequest, Part};
use std::hash::{BuildHasher as _, Hash as _, Hasher};

/// The numbers of a question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prints {
    /// Of the whole; none of what is no conversation.
    pub(crate) question: Option<u64>,
    /// Of its first [`Attempt::OPENING`] bytes; none of shorter ones.
    pub(crate) opening: Option<u64>,
}

impl Prints {
    /// Those of a body. Nothing is decoded or copied.
    pub(crate) fn of(body: &Body) -> Prints {
        match body {
            Body::Wire(wire) => {
                let mut whole = Running::new();
                whole.take(&wire.bytes);
                whole.end()
            }
            Body::Chat(chat) => of_chat(chat),
            _ => Prints::default(),
        }
    }
}

fn of_chat(chat: &ChatRequest) -> Prints {
    let mut running = Running::new();
    for tool in &chat.tools {
        running.take(tool.name.as_bytes());
        running.take(tool.description.as_deref().unwrap_or_default().as_bytes());
    }
    for message in &chat.messages {
        message.speaker.hash(&mut running.whole);
        for part in &message.parts {
            match part {
                Part::Text { text } => running.take(text.as_bytes()),
                // What is no text is told apart by its kind and size: a picture is too large to be read for this.
                other => {
                    std::mem::discriminant(other).hash(&mut running.whole);
                    other.bytes().hash(&mut running.whole);
                }
            }
        }
    }
    running.end()
}

/// A question that is read piece by piece.
struct Running {
    whole: ahash::AHasher,
    read: usize,
    opening: Option<u64>,
}

impl Running {
    fn new() -> Running {
        // The same in each process, or nothing would be found again after a restart.
        let seeds = RandomState::with_seeds(0x6d61, 0x6f66, 0x7072, 0x696e);
        Running { whole: seeds.build_hasher(), read: 0, opening: None }
    }

    fn take(&mut self, piece: &[u8]) {
        let missing = Attempt::OPENING.saturating_sub(self.read);
        self.read += piece.len();
        match piece.split_at_checked(missing) {
            Some((opening, rest)) if self.opening.is_none() => {
                self.whole.write(opening);
                self.opening = Some(number(&self.whole));
                self.whole.write(rest);
            }
            _ => self.whole.write(piece),
        }
    }

    fn end(self) -> Prints {
        Prints { question: Some(number(&self.whole)), opening: self.opening }
    }
}

/// One that databases, whose numbers have a sign, can hold.
fn number(hasher: &ahash::AHasher) -> u64 {
    hasher.finish() >> 1
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn asked(texts: &[&str]) -> Prints {
        let mut chat = ChatRequest::default();
        for text in texts {
            chat.messages.extend(ChatRequest::user(*text).messages);
        }
        Prints::of(&Body::from(chat))
    }

    #[test]
    fn the_same_question_has_the_same_numbers_and_another_one_has_others() {
        let long = "x".repeat(Attempt::OPENING);
        assert_eq!(asked(&["a", "b"]), asked(&["a", "b"]));
        assert_ne!(asked(&["a", "b"]), asked(&["a", "c"]));
        assert_eq!(asked(&["short"]).opening, None);
        let (one, other) = (asked(&[&long, "one"]), asked(&[&long, "other"]));
        assert_ne!(one.question, other.question);
        assert_eq!(one.opening.unwrap(), other.opening.unwrap());
        let changed = format!("y{}", &long[1..]);
        assert_ne!(asked(&[&changed, "one"]).opening, one.opening);
        assert!(one.question.unwrap() <= i64::MAX as u64);
    }

    #[test]
    fn what_is_no_conversation_has_no_numbers() {
        let embed = maof_core::EmbedRequest::default();
        assert_eq!(Prints::of(&Body::from(embed)), Prints::default());
    }
}
