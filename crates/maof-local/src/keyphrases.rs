//! Key phrases: runs of words between stop words, scored by how much company their words keep.
//!
//! RAKE: S. Rose, D. Engel, N. Cramer and W. Cowley, "Automatic Keyword Extraction from Individual
//! Documents", 2010: a word's score is its degree over its frequency, a phrase's the sum of its words'.

use std::collections::BTreeMap;

use maof_core::Result;
use serde_json::{Value, json};

use crate::text::{is_stop_word, paragraphs, words};

const KEEP: usize = 8;
/// Words that a phrase may have.
const LONGEST: usize = 4;

/// The eight phrases that stand out most; of equals, the first by the alphabet.
pub(crate) fn answer(text: &str) -> Result<Value> {
    let phrases = candidates(text);
    // Of each word: how often it is there, and how many words its phrases have together.
    let mut known: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for phrase in &phrases {
        for word in phrase {
            let (frequency, degree) = known.entry(word).or_default();
            *frequency += 1.0;
            *degree += phrase.len() as f64;
        }
    }
    let score =
        |word: &String| known.get(word.as_str()).map_or(0.0, |(frequency, degree)| degree / frequency);
    let scored: BTreeMap<String, f64> =
        phrases.iter().map(|phrase| (phrase.join(" "), phrase.iter().map(score).sum())).collect();
    let mut ranked: Vec<(String, f64)> = scored.into_iter().collect();
    // The sort is stable, and the phrases come by the alphabet.
    ranked.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    ranked.truncate(KEEP);
    let told = ranked
        .into_iter()
        .map(|(phrase, score)| json!({"phrase": phrase, "score": (score * 100.0).round() / 100.0}));
    Ok(json!({"phrases": told.collect::<Vec<_>>()}))
}

/// Runs of at most four words without a stop word, a number or punctuation between them.
fn candidates(text: &str) -> Vec<Vec<String>> {
    const PUNCTUATION: [char; 16] =
        ['.', ',', ';', ':', '!', '?', '(', ')', '[', ']', '"', '“', '”', '-', '–', '—'];
    let paragraphs = paragraphs(text);
    let mut found = Vec::new();
    for piece in paragraphs.iter().flat_map(|paragraph| paragraph.split(PUNCTUATION)) {
        let mut phrase: Vec<String> = Vec::new();
        for word in words(piece) {
            let breaks = is_stop_word(&word) || word.chars().all(char::is_numeric) || word.len() < 3;
            if breaks {
                found.push(std::mem::take(&mut phrase));
            } else {
                phrase.push(word);
            }
        }
        found.push(phrase);
    }
    found.retain(|phrase| (1..=LONGEST).contains(&phrase.len()));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_phrases_of_busy_words_come_first() {
        let answer =
            answer("Linear systems and linear equations: systems of linear equations over numbers.").unwrap();
        let phrases: Vec<&str> =
            answer["phrases"].as_array().unwrap().iter().map(|p| p["phrase"].as_str().unwrap()).collect();
        assert_eq!(phrases, ["linear equations", "linear systems", "systems", "numbers"]);
    }

    #[test]
    fn a_line_break_does_not_break_a_phrase_and_an_empty_line_does() {
        let check = |text: &str, expect: &[&str]| {
            let answer = answer(text).unwrap();
            let found: Vec<&str> =
                answer["phrases"].as_array().unwrap().iter().map(|p| p["phrase"].as_str().unwrap()).collect();
            assert_eq!(found, expect);
        };
        check("the federal\nfunds rate", &["federal funds rate"]);
        check("federal\n\nfunds", &["federal", "funds"]);
        check("to be or not to be", &[]);
    }
}
