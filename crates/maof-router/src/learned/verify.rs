//! Verifiers: what a look at the cheap arm's answer says of whether it is right.
//!
//! Each gives a number between -1 (speaks against) and 1 (speaks for); 0 says nothing. None calls a model; what
//! only the caller can check (a schema, its own tests, a judge) it hands in with the [`Answer`].

use serde_json::Value;

use super::arithmetic::{number_at, work_out};

/// How many verifiers there are.
pub const VERIFIERS: usize = 15;

/// The verifiers' names, in the order of [`Evidence`].
pub const NAMES: [&str; VERIFIERS] = [
    "refusal",
    "hedging",
    "truncated",
    "final_answer",
    "wrong_arithmetic",
    "right_arithmetic",
    "answer_follows",
    "whole_number",
    "numbers_used",
    "long",
    "many_steps",
    "schema",
    "tests",
    "judge",
    "agreement",
];

/// What each verifier said.
pub type Evidence = [f32; VERIFIERS];

/// How much of an answer is looked at, in bytes.
const READ_BYTES: usize = 32 * 1024;

/// Beginnings of refusals; looked for in the first 200 bytes.
const REFUSALS: [&str; 12] = [
    "i cannot",
    "i can't",
    "i can not",
    "i'm unable",
    "i am unable",
    "i'm sorry",
    "i am sorry",
    "i apologize",
    "as an ai",
    "i won't be able",
    "cannot assist",
    "can't help with",
];

const HEDGES: [&str; 14] = [
    "i'm not sure",
    "i am not sure",
    "not certain",
    "i don't know",
    "it is unclear",
    "it's unclear",
    "cannot be determined",
    "not enough information",
    "does not provide",
    "doesn't provide",
    "not possible to",
    "i think",
    "perhaps",
    "we need more information",
];

/// What a final answer is announced with.
const MARKERS: [&str; 6] =
    ["####", "\\boxed{", "the answer is", "final answer", "answer:", "therefore, the answer"];

/// A cheap arm's answer, with what is known of it besides its text. Everything unknown says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Answer<'a> {
    /// The text.
    pub text: &'a str,
    /// Whether the provider said that it ran into a limit. Default: guessed from how the text ends.
    pub truncated: Option<bool>,
    /// Whether it is valid under the schema that was asked for.
    pub schema: Option<bool>,
    /// Whether it passed the caller's own tests.
    pub tests: Option<bool>,
    /// A judge agent's probability that it is right, 0 to 1.
    pub judge: Option<f32>,
    /// A second cheap agent's answer to the same question.
    pub second: Option<&'a str>,
}

impl<'a> Answer<'a> {
    /// An answer of which only the text is known.
    pub fn new(text: &'a str) -> Answer<'a> {
        Answer { text, ..Answer::default() }
    }
}

/// Asks every verifier.
pub fn verify(question: &str, answer: &Answer<'_>) -> Evidence {
    let text = answer.text.get(..answer.text.floor_char_boundary(READ_BYTES)).unwrap_or(answer.text).trim();
    let question = question.get(..question.floor_char_boundary(READ_BYTES)).unwrap_or(question);
    let lower = text.to_ascii_lowercase();
    let head = lower.get(..lower.floor_char_boundary(200)).unwrap_or(&lower);
    let refused = REFUSALS.iter().any(|refusal| head.contains(refusal)) || text.is_empty();
    let hedges = HEDGES.iter().filter(|hedge| lower.contains(*hedge)).count();
    let stated = after_marker(&lower);
    let worked = work_out(text);
    let follows = match (stated.and_then(number_at), worked.last) {
        (Some((stated, _)), Some(last)) if same_number(stated, last) => 1.0,
        (Some(_), Some(_)) => -1.0,
        _ => 0.0,
    };
    let said = |verdict: Option<bool>| verdict.map_or(0.0, |good| if good { 1.0 } else { -1.0 });
    [
        if refused { -1.0 } else { 0.0 },
        -(hedges.min(3) as f32) / 3.0,
        if answer.truncated.unwrap_or_else(|| looks_truncated(text, stated)) { -1.0 } else { 0.0 },
        if stated.is_some() { 1.0 } else { -1.0 },
        -(worked.wrong.min(2) as f32) / 2.0,
        if worked.equations > 0 && worked.wrong == 0 { 1.0 } else { 0.0 },
        follows,
        stated.and_then(number_at).map_or(0.0, |(number, _)| if number.fract() == 0.0 { 1.0 } else { -1.0 }),
        numbers_used(question, text),
        ((1.0 + text.len() as f32).ln() - 6.0).clamp(-2.0, 2.0) / 2.0,
        (worked.equations.min(12) as f32 - 4.0) / 8.0,
        said(answer.schema),
        said(answer.tests),
        answer.judge.map_or(0.0, |p| (2.0 * p - 1.0).clamp(-1.0, 1.0)),
        said(answer.second.map(|second| agree(text, second.trim()))),
    ]
}

/// What follows the last marker, if there is one.
fn after_marker(lower: &str) -> Option<&str> {
    let last = MARKERS.iter().filter_map(|marker| Some(lower.rfind(marker)? + marker.len())).max()?;
    lower.get(last..).map(|rest| rest.trim_start_matches([':', ' ', '*', '$']))
}

/// Whether a text breaks off: no final answer in its last line, and no end of a sentence.
fn looks_truncated(text: &str, stated: Option<&str>) -> bool {
    let finished = stated.is_some_and(|rest| !rest.is_empty() && rest.trim().lines().count() <= 1);
    !finished && !text.ends_with(['.', '!', '?', '"', '\'', ')', ']', '}', '*', '`', '…', '。'])
}

/// The share of the question's numbers that the answer uses, from -1 (none) to 1 (all); 0 for a question without.
fn numbers_used(question: &str, answer: &str) -> f32 {
    let mut asked = numbers(question);
    asked.sort_by(f64::total_cmp);
    asked.dedup();
    if asked.is_empty() {
        return 0.0;
    }
    let used = numbers(answer);
    let found = asked.iter().filter(|number| used.iter().any(|u| same_number(*u, **number))).count();
    2.0 * found as f32 / asked.len() as f32 - 1.0
}

/// The first 64 numbers of a text.
fn numbers(text: &str) -> Vec<f64> {
    let starts = text.char_indices().scan(' ', |before, (at, c)| {
        let inside = before.is_ascii_digit() || matches!(before, '.' | ',');
        *before = c;
        Some((c.is_ascii_digit() && !inside).then_some(at))
    });
    let number = |at: usize| Some(number_at(text.get(at..text.floor_char_boundary(at + 32))?)?.0);
    starts.flatten().filter_map(number).take(64).collect()
}

fn same_number(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-6 * a.abs().max(b.abs()).max(1.0)
}

/// Whether two answers say the same: the same final number, or the same JSON, or the same words.
pub fn agree(a: &str, b: &str) -> bool {
    let (lower_a, lower_b) = (a.to_ascii_lowercase(), b.to_ascii_lowercase());
    if let (Some(a), Some(b)) = (after_marker(&lower_a), after_marker(&lower_b)) {
        return match (number_at(a), number_at(b)) {
            (Some((a, _)), Some((b, _))) => same_number(a, b),
            _ => plain(a) == plain(b),
        };
    }
    match (serde_json::from_str::<Value>(a), serde_json::from_str::<Value>(b)) {
        (Ok(a), Ok(b)) => same_json(&a, &b),
        _ => plain(a) == plain(b),
    }
}

/// Equal up to the order of keys, the writing of numbers, and case and punctuation of texts.
fn same_json(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, v)| b.get(key).is_some_and(|w| same_json(v, w)))
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_json(a, b))
        }
        (Value::Number(a), Value::Number(b)) => {
            a.as_f64().zip(b.as_f64()).is_some_and(|(a, b)| same_number(a, b))
        }
        (Value::String(a), Value::String(b)) => plain(a) == plain(b),
        _ => a == b,
    }
}

fn plain(text: &str) -> String {
    let kept = text.chars().filter(|c| c.is_alphanumeric());
    kept.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(question: &str, answer: Answer<'_>, expect: &[(&str, f32)]) {
        let evidence = verify(question, &answer);
        for (name, value) in expect {
            let at = NAMES.iter().position(|known| known == name).unwrap();
            assert_eq!(evidence[at], *value, "{name} of {answer:?}");
        }
    }

    fn text(text: &str) -> Answer<'_> {
        Answer::new(text)
    }

    #[test]
    fn a_good_answer_has_everything_for_it() {
        let question = "3 boxes of 4 eggs. How many?";
        let good =
            [("final_answer", 1.0), ("right_arithmetic", 1.0), ("wrong_arithmetic", 0.0), ("refusal", 0.0)];
        check(question, text("3 * 4 = <<3*4=12>>12 eggs.\n#### 12"), &good);
        let more = [("answer_follows", 1.0), ("numbers_used", 1.0), ("truncated", 0.0), ("schema", 0.0)];
        check(question, text("3 * 4 = <<3*4=12>>12 eggs.\n#### 12"), &more);
    }

    #[test]
    fn each_verifier_sees_what_it_is_for() {
        check("", text("I'm sorry, but as an AI I cannot."), &[("refusal", -1.0), ("final_answer", -1.0)]);
        check("", text(""), &[("refusal", -1.0)]);
        check("", text("Perhaps 4. I think."), &[("hedging", -2.0 / 3.0)]);
        check("", text("He has 36 * 68/12 = $<<36*68/1"), &[("truncated", -1.0), ("final_answer", -1.0)]);
        check("", Answer { truncated: Some(true), ..text("Done.") }, &[("truncated", -1.0)]);
        check(
            "",
            text("5 + 5 = 11. The answer is 11."),
            &[("wrong_arithmetic", -0.5), ("answer_follows", 1.0)],
        );
        check("", text("5 + 5 = 10.\n#### 12"), &[("answer_follows", -1.0)]);
        check("2 and 3", text("2 + 2 = 4."), &[("numbers_used", 0.0)]);
        let told = Answer { schema: Some(false), tests: Some(true), judge: Some(0.75), ..text("x") };
        check("", told, &[("schema", -1.0), ("tests", 1.0), ("judge", 0.5)]);
    }

    #[test]
    fn answers_agree_by_number_by_json_or_by_words() {
        let cases = [
            ("so\n#### 1,200", "The answer is $1200.00.", true),
            ("#### 12", "#### 13", false),
            (r#"{"a": 1, "b": ["X y"]}"#, r#"{"b":["x-y"],"a":1.0}"#, true),
            (r#"{"a": 1}"#, r#"{"a": true}"#, false),
            ("Paris.", " paris", true),
            ("Paris", "Rome", false),
        ];
        for (a, b, expect) in cases {
            assert_eq!(agree(a, b), expect, "{a} / {b}");
            let expect = if expect { 1.0 } else { -1.0 };
            check("", Answer { second: Some(b), ..text(a) }, &[("agreement", expect)]);
        }
    }
}
