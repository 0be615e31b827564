//! Conversations made up from a seed.

use serde_json::{Value, json};

use super::{Conversation, Outcome, Said, Tool, ToolCall, Turn};

/// Makes conversations; the same seed makes the same ones.
#[derive(Clone, Debug)]
pub struct Generator {
    state: u64,
    calls: u32,
}

/// What texts are made of: what quoting, framing and cutting trip over.
const WORDS: [&str; 16] = [
    "Grüße",
    "世界",
    "🦀",
    "plain",
    "data: [DONE]",
    "\"quoted\"",
    "back\\slash",
    "two\nlines",
    "{\"a\":1}",
    "<b>",
    "event: error",
    "\u{200d}",
    "\r\n",
    "née",
    "0.1e-7",
    "\u{1f469}\u{200d}\u{1f680}",
];

impl Generator {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15), calls: 0 }
    }

    /// SplitMix64: <https://prng.di.unimi.it/splitmix64.c>.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n.max(1) as u64).unwrap_or_default()
    }

    fn text(&mut self) -> String {
        let words: Vec<&str> = (0..=self.below(6)).map(|_| WORDS[self.below(WORDS.len())]).collect();
        words.join(" ")
    }

    /// A text that no dialect takes for an object, or exactly an object.
    fn result(&mut self) -> String {
        match self.below(4) {
            0 => self.object(2).to_string(),
            _ => format!("It says: {}", self.text()),
        }
    }

    fn value(&mut self, depth: usize) -> Value {
        match self.below(if depth == 0 { 4 } else { 6 }) {
            0 => json!(self.text()),
            1 => json!(self.next() as i32),
            2 => json!(self.below(2) == 0),
            3 => Value::Null,
            4 => (0..self.below(3)).map(|_| self.value(depth - 1)).collect(),
            _ => self.object(depth - 1),
        }
    }

    fn object(&mut self, depth: usize) -> Value {
        let keys = ["city", "größe", "a b", "nested"];
        keys.iter().take(self.below(5)).map(|key| ((*key).to_owned(), self.value(depth))).collect()
    }

    fn tool(&mut self, n: usize) -> Tool {
        let properties = json!({
            "city": {"type": "string", "description": self.text()},
            "days": {"type": "integer"},
            "unit": {"type": "string", "enum": ["C", "F"]},
        });
        let parameters = json!({"type": "object", "properties": properties, "required": ["city"]});
        Tool { name: format!("tool_{n}"), description: self.text(), parameters }
    }

    fn user(&mut self, pictures: bool) -> Turn {
        let mut said = vec![Said::Text(self.text())];
        for _ in 0..self.below(if pictures { 3 } else { 1 }) {
            let kind = ["image/png", "image/jpeg", "image/webp", "image/gif"][self.below(4)];
            let bytes: String = (0..=self.below(8)).map(|_| format!("{:08x}", self.next() as u32)).collect();
            said.push(Said::Image(kind.to_owned(), bytes));
        }
        Turn::User(said)
    }

    fn calls(&mut self, tools: &[Tool]) -> Vec<ToolCall> {
        let many = if tools.is_empty() { 0 } else { self.below(3) };
        let one = |of: &mut Self| {
            of.calls += 1;
            let name = tools[of.below(tools.len())].name.clone();
            ToolCall { id: format!("call_{:04}", of.calls), name, arguments: of.object(2) }
        };
        (0..many).map(|_| one(self)).collect()
    }

    /// The next conversation.
    pub fn conversation(&mut self) -> Conversation {
        let tools: Vec<Tool> = (0..self.below(3)).map(|n| self.tool(n)).collect();
        let mut turns = vec![self.user(true)];
        for _ in 0..self.below(4) {
            let calls = self.calls(&tools);
            let text = if calls.is_empty() || self.below(2) == 0 { self.text() } else { String::new() };
            let results: Vec<Outcome> =
                calls.iter().map(|call| Outcome { id: call.id.clone(), text: self.result() }).collect();
            turns.push(Turn::Assistant(text, calls));
            match results.is_empty() {
                true => turns.push(self.user(true)),
                false => turns.push(Turn::Results(results)),
            }
        }
        let system = (self.below(2) == 0).then(|| self.text());
        Conversation { system, turns, tools, thinks: self.below(2) == 0 }
    }
}
