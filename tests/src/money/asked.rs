//! What callers ask, and how the upstream meets it.

use maof_core::Random;
use maof_testkit::{Act, Script, SeededRandom};
use serde_json::{Value, json};

/// What every endpoint charges for a token, in nano-dollars: input, output.
pub const PRICE: (i64, i64) = (1_013, 2_039);
/// The most tokens of an answer.
const MAX_TOKENS: u64 = 48;
/// The most words of a question, and the fewest.
const WORDS: (u64, u64) = (36, 12);
/// A word is a token to the upstream; with twelve letters also an estimate of a quarter of the bytes is no less.
const WORD: &str = "settlements ";

/// Agents and their endpoints, which are models of the upstream.
pub const AGENTS: [(&str, &[&str]); 6] = [
    ("plain", &["plain"]),
    ("slow", &["slow"]),
    ("failing", &["failing", "instead"]),
    ("reset", &["reset", "after-reset"]),
    ("cut", &["cut"]),
    ("hang", &["hang"]),
];

/// Endpoints whose answers all come whole: their bill is exact.
pub const EXACT: [&str; 4] = ["plain", "slow", "instead", "after-reset"];

/// The endpoint that never answers.
pub const HUNG_UP: &str = "hang";

/// All endpoints.
pub fn endpoints() -> impl Iterator<Item = &'static str> {
    AGENTS.into_iter().flat_map(|(_, endpoints)| endpoints.iter().copied())
}

/// How the upstream meets them.
pub fn script() -> Script {
    Script::default()
        .model("plain", [Act::Ok])
        .model("slow", [Act::Delay(40)])
        .model("failing", [Act::status(500)])
        .model("reset", [Act::Reset])
        .model("cut", [Act::Cut(9)])
        .model("hang", [Act::Hang])
}

/// A question, and how its caller behaves.
#[derive(Debug)]
pub struct Asked {
    /// What is sent.
    pub body: Value,
    /// After how many milliseconds the caller hangs up.
    pub patience_ms: u64,
}

impl Asked {
    /// Mostly plain questions, whole and streamed; in some the upstream or the caller gives up.
    pub fn any(random: &SeededRandom) -> Asked {
        let (agent, stream, patience_ms) = match random.below(20) {
            0..6 => ("plain", false, 20_000),
            6..9 => ("plain", true, 20_000),
            9..12 => ("slow", false, 20_000),
            12..14 => ("slow", true, 20_000),
            14 | 15 => ("failing", false, 20_000),
            16 => ("reset", true, 20_000),
            17 | 18 => ("cut", true, 20_000),
            _ => ("hang", random.below(2) == 0, 20 + random.below(200)),
        };
        let words = WORDS.1 + random.below(WORDS.0 - WORDS.1);
        let text = WORD.repeat(usize::try_from(words).unwrap_or_default());
        let messages = json!([{"role": "user", "content": text.trim_end()}]);
        let body = json!({"model": agent, "messages": messages, "max_tokens": MAX_TOKENS, "stream": stream});
        Asked { body, patience_ms }
    }
}
