//! What can be told of a prompt at a glance: how long it is, what it asks, and how difficult that may be.

use maof_core::{Body, ChatRequest, OutputFormat, Part, Speaker};

/// How much of a question is read, in bytes: ten megabytes are decided upon as quickly as this.
const READ_BYTES: usize = 32 * 1024;
/// Bytes in a token, about; counting them would cost more than deciding.
const BYTES_PER_TOKEN: f32 = 4.0;

/// Words that ask for thinking rather than for knowing; one bit each. Lower case, at most 15 letters.
const THINKING: [&str; 22] = [
    "prove",
    "derive",
    "why",
    "explain",
    "analyse",
    "analyze",
    "compare",
    "evaluate",
    "design",
    "plan",
    "optimize",
    "optimise",
    "refactor",
    "debug",
    "implement",
    "algorithm",
    "theorem",
    "calculate",
    "solve",
    "reason",
    "strategy",
    "architecture",
];

/// For each letter, a bit for each length of those of them that begin with it: most words are none of them, and need not be
/// compared with any.
const MAY_BE: [u16; 26] = {
    let mut lengths = [0; 26];
    let mut at = 0;
    while at < THINKING.len() {
        let word = THINKING[at].as_bytes();
        lengths[(word[0] - b'a') as usize] |= 1 << word.len();
        at += 1;
    }
    lengths
};

/// How many tokens go in, about; everything counts, as it came.
pub(crate) fn tokens(body: &Body) -> f32 {
    let bytes = match body {
        Body::Wire(wire) => wire.bytes.len() as u64,
        Body::Chat(chat) | Body::CountTokens(chat) => {
            chat.messages.iter().flat_map(|message| &message.parts).map(Part::bytes).sum()
        }
        Body::Embed(embed) => embed.input.iter().map(|text| text.len() as u64).sum(),
        Body::Image(image) => image.prompt.len() as u64,
        Body::Speech(speech) => speech.input.len() as u64,
        Body::Transcribe(_) => 0,
    };
    bytes as f32 / BYTES_PER_TOKEN
}

/// How many tokens of text go in, about: no pictures, and nothing that only its dialect knows.
pub(crate) fn text_tokens(body: &Body) -> f32 {
    let Ok(chat) = body.chat() else { return 0.0 };
    let parts = chat.messages.iter().flat_map(|message| &message.parts);
    let texts = parts.map(|part| if let Part::Text { text } = part { text.len() } else { 0 });
    texts.sum::<usize>() as f32 / BYTES_PER_TOKEN
}

/// The question: what the user said last, or the texts, as far as they are read.
pub(crate) fn question(body: &Body) -> String {
    let mut question = String::new();
    let mut add = |text: &str| {
        let left = READ_BYTES.saturating_sub(question.len());
        question.push_str(text.get(..text.floor_char_boundary(left)).unwrap_or_default());
    };
    match body.typed() {
        Ok(Body::Chat(chat) | Body::CountTokens(chat)) => {
            let last = chat.messages.iter().rev().find(|message| message.speaker == Speaker::User);
            for part in last.into_iter().flat_map(|message| &message.parts) {
                if let Part::Text { text } = part {
                    add(text);
                }
            }
        }
        Ok(Body::Embed(embed)) => embed.input.iter().for_each(|text| add(text)),
        Ok(Body::Image(image)) => add(&image.prompt),
        _ => {}
    }
    question
}

/// How difficult a prompt may be, 0 to 1: half for its size (10,000 tokens are all of it), half for its shape. A guess
/// from the outside, for where no outcomes are known to learn from.
pub fn difficulty(body: &Body) -> f32 {
    let size = (1.0 + tokens(body)).log10() / 4.0;
    let Ok(chat) = body.chat() else { return (size / 2.0).min(0.5) };
    0.5 * size.min(1.0) + 0.5 * shape(&chat, &question(body))
}

/// What a conversation's shape says: words that ask for thinking, code, several questions, sums, tools, a schema, turns.
fn shape(chat: &ChatRequest, question: &str) -> f32 {
    let seen = Seen::read(question);
    let items = question.lines().filter(|line| is_item(line)).count() as f32;
    let schema = matches!(chat.output, Some(OutputFormat::JsonSchema { .. }));
    let share = |count: f32, all: f32| (count / all).min(1.0);
    let parts = [
        0.3 * share(seen.thinking.count_ones() as f32, 3.0),
        0.2 * share(seen.backticks as f32, 6.0),
        0.15 * share(items + seen.questions as f32, 5.0),
        0.1 * share(seen.digits as f32, 20.0),
        0.15 * share(chat.tools.len() as f32, 5.0),
        0.05 * f32::from(u8::from(schema)),
        0.05 * share(chat.messages.len() as f32, 10.0),
    ];
    parts.into_iter().sum()
}

/// What is counted on one way through a question.
#[derive(Default)]
struct Seen {
    /// Which of [`THINKING`] there are.
    thinking: u32,
    backticks: u32,
    questions: u32,
    digits: u32,
}

/// Of each byte, which of three counts of 16 bits it adds to, or whether it is a letter: so that a byte is counted without a
/// branch, since what comes next in a text cannot be foreseen.
const COUNTS: [u64; 256] = {
    let mut counts = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        counts[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' => LETTER,
            b'`' => 1,
            b'?' => 1 << 16,
            b'0'..=b'9' => 1 << 32,
            _ => 0,
        };
        byte += 1;
    }
    counts
};
const LETTER: u64 = 1 << 63;
// No count runs over into the next one.
const _: () = assert!(READ_BYTES <= u16::MAX as usize);

impl Seen {
    fn read(question: &str) -> Seen {
        let mut seen = Seen::default();
        let bytes = question.as_bytes();
        let (mut counts, mut begin, mut inside) = (0, 0, false);
        for (at, byte) in bytes.iter().enumerate() {
            let one = COUNTS[usize::from(*byte)];
            counts += one & !LETTER;
            let letter = one == LETTER;
            if letter != inside {
                if inside {
                    seen.word(&bytes[begin..at]);
                }
                (begin, inside) = (at, letter);
            }
        }
        if inside {
            seen.word(&bytes[begin..]);
        }
        let count = |shift: u32| u32::from((counts >> shift) as u16);
        Seen { backticks: count(0), questions: count(16), digits: count(32), ..seen }
    }

    #[inline]
    fn word(&mut self, word: &[u8]) {
        let first =
            word.first().map_or(0, |first| usize::from(first.to_ascii_lowercase().saturating_sub(b'a')));
        let lengths = MAY_BE.get(first).copied().unwrap_or_default();
        if word.len() > 15 || lengths >> word.len() & 1 == 0 {
            return;
        }
        if let Some(at) = THINKING.iter().position(|known| word.eq_ignore_ascii_case(known.as_bytes())) {
            self.thinking |= 1 << at;
        }
    }
}

/// Whether a line is one of a list.
fn is_item(line: &str) -> bool {
    let line = line.trim_start();
    let numbered = line.trim_start_matches(|c: char| c.is_ascii_digit());
    line.starts_with("- ")
        || line.starts_with("* ")
        || (numbered.len() < line.len() && numbered.starts_with(['.', ')']))
}

#[cfg(test)]
mod tests {
    use maof_core::Message;

    use super::*;

    fn difficulty_of(text: &str) -> f32 {
        difficulty(&Body::from(ChatRequest::user(text)))
    }

    #[test]
    fn what_asks_for_thinking_is_more_difficult_than_what_asks_for_knowing() {
        let rising = [
            "Hi",
            "What is the capital of France?",
            "Explain why the sky is blue.",
            "Compare these designs:\n1. a queue\n2. a log\nWhich trade-off would you make, and why? Plan the steps.",
            "Prove it step by step, then implement and optimize the algorithm:\n```rust\nfn f() {}\n```\n- 12345\n- 67890\nWhy?",
        ];
        let found = rising.map(difficulty_of);
        assert!(found.is_sorted() && found[0] < 0.2 && found[4] > 0.45, "{found:?}");
    }

    #[test]
    fn a_prompt_of_ten_megabytes_is_the_most_difficult_by_size_and_read_to_a_bound() {
        let body = Body::from(ChatRequest::user("ä ".repeat(4 << 20)));
        assert!((0.5..0.6).contains(&difficulty(&body)));
        assert!(question(&body).len() <= READ_BYTES);
        assert!(tokens(&body) > 3e6 && text_tokens(&body) == tokens(&body));
    }

    #[test]
    fn marks_digits_and_words_that_ask_for_thinking_are_counted_wherever_they_stand() {
        for (text, thinking, backticks, questions, digits) in [
            ("", 0, 0, 0, 0),
            ("why", 1, 0, 0, 0),
            ("Why?WHY? why", 1, 0, 2, 0),
            ("```rust\nprove(12, 3)```", 1, 6, 0, 3),
            ("a reasonable plan2 explainé", 2, 0, 0, 1),
            ("?é?12é", 0, 0, 2, 2),
        ] {
            let Seen { thinking: words, backticks: b, questions: q, digits: d } = Seen::read(text);
            assert_eq!((words.count_ones(), b, q, d), (thinking, backticks, questions, digits), "{text}");
        }
        let most = "`".repeat(READ_BYTES);
        assert_eq!(Seen::read(&most).backticks, READ_BYTES as u32);
    }

    #[test]
    fn the_question_is_what_the_user_said_last() {
        let messages = vec![
            Message::text(Speaker::User, "first"),
            Message::text(Speaker::Assistant, "answer"),
            Message::text(Speaker::User, "second"),
            Message::text(Speaker::Assistant, "…"),
        ];
        let body = Body::from(ChatRequest { messages, ..ChatRequest::default() });
        assert_eq!(question(&body), "second");
    }
}
