//! Key phrases: runs of words between stop words, scored by how much company their words keep.
//!
//! RAKE: S. Rose, D. Engel, N. Cramer and W. Cowley, "Automatic Keyword Extraction from Individual
//! Documents", 2010: a word's score is its degree over its frequency, a phrase's the sum of its words'.

use std::collections::BTreeMap;

use maof_core::Result;
use serde_json::{Value, json};

use crate::text::{is_stop_word, words};

const KEEP: usize = 8;
/// Words that a phrase may have.
const LONGEST: usize = 4;

/// The eight phrases that stand out most.
pub(crate) fn answer(text: &str) -> Result<Value> {
    let phrases = candidates(text);
    let mut frequency: BTreeMap<&str, f64> = BTreeMap::new();
    let mut degree: BTreeMap<&str, f64> = BTreeMap::new();
    for phrase in &phrases {
        for word in phrase {
            *frequency.entry(word).or_default() += 1.0;
            *degree.entry(word).or_default() += phrase.len() as f64;
        }
    }
    let mut scored: BTreeMap<String, f64> = BTreeMap::new();
    for phrase in &phrases {
        let score = phrase.iter().map(|w| degree[w.as_str()] / frequency[w.as_str()]).sum();
        scored.insert(phrase.join(" "), score);
    }
    let mut ranked: Vec<(String, f64)> = scored.into_iter().collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let phrases = ranked
        .into_iter()
        .take(KEEP)
        .map(|(phrase, score)| json!({"phrase": phrase, "score": (score * 100.0).round() / 100.0}));
    Ok(json!({"phrases": phrases.collect::<Vec<_>>()}))
}

fn candidates(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for piece in text.split(['.', ',', ';', ':', '!', '?', '(', ')', '"', '\n', '-']) {
        let mut phrase: Vec<String> = Vec::new();
        for word in words(piece) {
            let breaks = is_stop_word(&word) || word.chars().all(|c| c.is_ascii_digit()) || word.len() < 3;
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
#[allow(clippy::unwrap_used)]
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
}
