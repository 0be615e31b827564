//! What of an answer is there to judge: the text of each choice, if it is an attempt at what was asked for. The same
//! for an answer that came whole and for one that comes in pieces.

use maof_core::{Choice, Delta, Finish, Part};

/// Choices that are gathered at most; more than any provider gives.
const MOST: usize = 128;

/// The text of one choice, gathered piece by piece.
#[derive(Debug, Default)]
pub(crate) struct Said {
    text: String,
    /// Whether it calls a tool, refuses, or was cut off: then there is nothing to judge.
    other: bool,
    /// Whether something else than text came last: what was said before it was on the way to the answer.
    aside: bool,
    /// Whether there is more text than is judged; it is not kept.
    pub(crate) too_long: bool,
    /// Whether it was judged.
    ended: bool,
}

impl Said {
    /// All of a choice that came whole.
    pub(crate) fn of(choice: &Choice, most: u64) -> Said {
        let mut said = Said::default();
        for part in &choice.message.parts {
            said.part(part, most);
        }
        said.finish(choice.finish.as_ref());
        said
    }

    /// The text, if there is something to judge.
    pub(crate) fn attempt(&self) -> Option<&str> {
        (!self.other).then_some(self.text.as_str())
    }

    fn part(&mut self, part: &Part, most: u64) {
        match part {
            Part::Text { text } => self.text(text, most),
            Part::ToolCall(_) | Part::Refusal { .. } => self.other = true,
            // What a provider's own tool did, for one.
            Part::Other { .. } => self.aside = true,
            // Thoughts are beside the answer, wherever they stand.
            _ => {}
        }
    }

    fn text(&mut self, text: &str, most: u64) {
        if std::mem::take(&mut self.aside) {
            self.text.clear();
        }
        if self.too_long || self.text.len() as u64 + text.len() as u64 > most {
            (self.too_long, self.text) = (true, String::new());
        } else {
            self.text.push_str(text);
        }
    }

    fn finish(&mut self, reason: Option<&Finish>) {
        self.other |= !matches!(reason, None | Some(Finish::Stop));
    }
}

/// All that a stream has said so far.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    choices: Vec<Said>,
    /// Bytes that may still be kept.
    left: u64,
}

impl Gathered {
    /// Keeps `most` bytes of all choices.
    pub(crate) fn new(most: u64) -> Self {
        Gathered { choices: Vec::new(), left: most }
    }

    /// Adds a delta; a choice that ends with it.
    pub(crate) fn push(&mut self, delta: &Delta) -> Option<&Said> {
        match delta {
            Delta::Text { choice, text } => self.keep(*choice, |said, most| said.text(text, most)),
            Delta::Refusal { choice, .. } | Delta::ToolCall { choice, .. } => {
                self.choice(*choice)?.other = true
            }
            Delta::Part { choice, part } => self.keep(*choice, |said, most| said.part(part, most)),
            Delta::Finish { choice, reason } => {
                let said = self.choice(*choice)?;
                said.finish(Some(reason));
                said.ended = true;
                return Some(said);
            }
            _ => {}
        }
        None
    }

    /// The choices that never said that they end.
    pub(crate) fn open(&self) -> impl Iterator<Item = &Said> {
        self.choices.iter().filter(|said| !said.ended)
    }

    /// Adds to a choice, which may then have as many bytes as it has and as are left.
    fn keep(&mut self, choice: u32, add: impl FnOnce(&mut Said, u64)) {
        let left = self.left;
        let Some(said) = self.choice(choice) else { return };
        let most = left + said.text.len() as u64;
        add(said, most);
        self.left = most - said.text.len() as u64;
    }

    fn choice(&mut self, choice: u32) -> Option<&mut Said> {
        let choice = choice as usize;
        if choice >= MOST {
            return None;
        }
        if self.choices.len() <= choice {
            self.choices.resize_with(choice + 1, Said::default);
        }
        self.choices.get_mut(choice)
    }
}

#[cfg(test)]
mod tests {
    use maof_core::{Message, Speaker, ToolCall};
    use serde_json::{Map, Value};

    use super::*;

    fn text(text: &str) -> Part {
        Part::text(text)
    }

    /// The attempt in a choice of these parts, which is the same when it comes in pieces.
    fn check(parts: Vec<Part>, finish: Option<Finish>, expect: Option<&str>) {
        let mut gathered = Gathered::new(100);
        for part in parts.clone() {
            let delta = match part {
                Part::Text { text } => Delta::Text { choice: 0, text },
                Part::ToolCall(_) => Delta::ToolCall {
                    choice: 0,
                    index: 0,
                    id: None,
                    name: None,
                    arguments: String::new(),
                    signature: None,
                },
                part => Delta::Part { choice: 0, part: Box::new(part) },
            };
            assert!(gathered.push(&delta).is_none());
        }
        let streamed = match finish.clone() {
            Some(reason) => gathered.push(&Delta::Finish { choice: 0, reason }),
            None => gathered.open().next(),
        };
        assert_eq!(streamed.unwrap().attempt(), expect, "{parts:?}, streamed");
        let message = Message::of(Speaker::Assistant, parts.clone());
        let whole = Said::of(&Choice { message, finish, rest: Map::new() }, 100);
        assert_eq!(whole.attempt(), expect, "{parts:?}");
    }

    #[test]
    fn only_attempts_at_the_answer_are_judged() {
        let stop = || Some(Finish::Stop);
        let thought = || Part::Reasoning { text: "hm".to_owned(), signature: None };
        let tool = || Part::Other { value: Value::Null };
        check(vec![text("a"), text("b")], stop(), Some("ab"));
        check(vec![text("a")], None, Some("a"));
        check(vec![thought(), text("a"), thought()], stop(), Some("a"));
        check(vec![text("let me see"), tool(), text("a"), text("b")], stop(), Some("ab"));
        check(vec![tool(), text("a"), tool()], stop(), Some("a"));
        check(vec![text("a")], Some(Finish::Length), None);
        check(vec![text("a")], Some(Finish::ContentFilter), None);
        check(vec![text("a")], Some(Finish::Other("pause_turn".to_owned())), None);
        check(vec![text("a"), Part::ToolCall(ToolCall::default())], stop(), None);
        check(vec![Part::ToolCall(ToolCall::default())], Some(Finish::ToolCalls), None);
        check(vec![Part::Refusal { text: "no".to_owned() }], stop(), None);
    }

    #[test]
    fn no_more_is_kept_than_is_judged() {
        let mut gathered = Gathered::new(10);
        for choice in [0, 1].repeat(50) {
            gathered.push(&Delta::Text { choice, text: "1234".to_owned() });
        }
        let said = gathered.open().next().unwrap();
        assert!(said.too_long && said.text.capacity() < 100);
        assert!(gathered.push(&Delta::Finish { choice: u32::MAX, reason: Finish::Stop }).is_none());
        assert_eq!(gathered.choices.len(), 2);
        assert_eq!(gathered.left, 10, "what is not kept is free for others");
    }
}
