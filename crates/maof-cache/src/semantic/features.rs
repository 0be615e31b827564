//! What a question is compared by, and what tells two apart whatever they have in common.

use std::collections::{BTreeMap, BTreeSet};

/// Bytes that a question may have: in longer ones a word that decides weighs too little.
const LONGEST: usize = 1_024;
/// Words that it has at least: fewer say too little.
const LEAST_WORDS: usize = 4;

/// What a pair of neighbouring words, and a piece of a word, weigh beside a word.
const PART: f32 = 0.5;

const NEGATIONS: [&str; 10] =
    ["not", "no", "never", "none", "nobody", "nothing", "without", "cannot", "except", "unless"];

/// Words that turn a question into its opposite, or into one that is as near.
const OPPOSITES: [(&str, &str); 30] = [
    ("enable", "disable"),
    ("increase", "decrease"),
    ("before", "after"),
    ("minimum", "maximum"),
    ("min", "max"),
    ("first", "last"),
    ("import", "export"),
    ("encrypt", "decrypt"),
    ("start", "stop"),
    ("open", "close"),
    ("add", "remove"),
    ("buy", "sell"),
    ("more", "less"),
    ("odd", "even"),
    ("true", "false"),
    ("left", "right"),
    ("up", "down"),
    ("best", "worst"),
    ("highest", "lowest"),
    ("largest", "smallest"),
    ("upload", "download"),
    ("install", "uninstall"),
    ("push", "pull"),
    ("input", "output"),
    ("read", "write"),
    ("encode", "decode"),
    ("sum", "product"),
    ("mean", "median"),
    ("advantages", "disadvantages"),
    ("buyer", "seller"),
];

/// One question, taken apart.
#[derive(Clone, Debug)]
pub(super) struct Features {
    /// Words, pairs and pieces as hashes, each once, sorted, with what they weigh in this question.
    pub(super) terms: Vec<(u64, f32)>,
    words: BTreeSet<String>,
    numbers: Vec<String>,
    /// Words of names: capitals inside a sentence, underscores, capitals inside a word.
    names: BTreeSet<String>,
    negated: bool,
}

impl Features {
    /// None of a text that is too long or too short to be compared.
    pub(super) fn of(text: &str) -> Option<Features> {
        let all: Vec<&str> = raw_words(text).collect();
        if text.len() > LONGEST || all.len() < LEAST_WORDS {
            return None;
        }
        let lower: Vec<String> = all.iter().map(|word| word.to_lowercase()).collect();
        let words: BTreeSet<String> = lower.iter().cloned().collect();
        let mut counts: BTreeMap<u64, f32> = BTreeMap::new();
        let mut count = |kind: u8, parts: [&str; 2], weight: f32| {
            *counts.entry(hash(kind, parts)).or_default() += weight;
        };
        lower.iter().for_each(|word| count(b'w', [word, ""], 1.0));
        lower.iter().zip(lower.iter().skip(1)).for_each(|(a, b)| count(b'p', [a, b], PART));
        for word in &words {
            let marked: Vec<char> = "^".chars().chain(word.chars()).chain("$".chars()).collect();
            for size in [3, 4] {
                for piece in marked.windows(size) {
                    count(b'c', [&piece.iter().collect::<String>(), ""], PART);
                }
            }
        }
        let damped = |count: f32| if count > 1.0 { 1.0 + count.ln() } else { count };
        let inside = all.iter().enumerate().filter(|(at, word)| is_name(*at, word)).map(|(_, word)| word);
        let names = inside.flat_map(|word| word.split('_')).filter(|part| !part.is_empty());
        Some(Features {
            terms: counts.into_iter().map(|(term, count)| (term, damped(count))).collect(),
            names: names.map(str::to_lowercase).collect(),
            numbers: numbers(text),
            negated: lower.iter().filter(|word| is_negation(word)).count() % 2 == 1 || text.contains("n't"),
            words,
        })
    }

    /// Whether something tells them apart that decides.
    pub(super) fn differ(&self, other: &Features) -> bool {
        let unknown = |names: &BTreeSet<String>, there: &Features| {
            names.iter().any(|name| !there.words.iter().any(|word| word.split('_').any(|part| part == name)))
        };
        let opposed = OPPOSITES.iter().any(|(one, another)| {
            let says = |it: &Features| (it.words.contains(*one), it.words.contains(*another));
            says(self) != says(other)
                && (says(self) == (true, false) || says(self) == (false, true))
                && (says(other) == (true, false) || says(other) == (false, true))
        });
        self.numbers != other.numbers
            || self.negated != other.negated
            || unknown(&self.names, other)
            || unknown(&other.names, self)
            || opposed
    }
}

fn raw_words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

fn is_name(at: usize, word: &str) -> bool {
    let mut letters = word.chars();
    let first = letters.next().is_some_and(char::is_uppercase);
    (at > 0 && first && word != "I") || word.contains('_') || letters.any(char::is_uppercase)
}

fn is_negation(word: &str) -> bool {
    NEGATIONS.contains(&word)
}

/// The numbers, sorted; with their points and commas, as they are written.
fn numbers(text: &str) -> Vec<String> {
    let parts = text.split(|c: char| !(c.is_ascii_digit() || c == '.' || c == ','));
    let parts = parts.map(|part| part.trim_matches(['.', ','])).filter(|part| !part.is_empty());
    let mut numbers: Vec<String> = parts.map(str::to_owned).collect();
    numbers.sort();
    numbers
}

/// FNV-1a in 64 bits (<http://www.isthe.com/chongo/tech/comp/fnv/>).
fn hash(kind: u8, parts: [&str; 2]) -> u64 {
    let bytes = std::iter::once(kind).chain(parts[0].bytes()).chain([0xff]).chain(parts[1].bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
