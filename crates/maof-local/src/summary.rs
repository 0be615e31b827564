//! Extractive summary: the sentences that are most like all the others.
//!
//! TextRank: R. Mihalcea and P. Tarau, "TextRank: Bringing Order into Texts", EMNLP 2004, with their measure
//! of overlap (shared words over the logarithms of the lengths) and damping 0.85.

use std::collections::BTreeMap;

use maof_core::Result;
use serde_json::{Value, json};

use crate::text::{is_stop_word, sentences, words};

const DAMPING: f64 = 0.85;
const ROUNDS: usize = 30;
/// Sentences that are compared; time and memory grow with the square.
const MOST: usize = 500;
const KEEP: usize = 3;

/// The three most central sentences, in the order of the text. `of` counts the sentences of the text,
/// `considered` those that were compared: the first 500.
pub(crate) fn answer(text: &str) -> Result<Value> {
    let all = sentences(text);
    let considered = all.get(..MOST).unwrap_or(&all);
    let ranks = rank(considered);
    let mut order: Vec<(usize, f64)> = ranks.into_iter().enumerate().collect();
    // Earlier first among equals, so that the same text always has the same summary.
    order.sort_by(|(a, rank_a), (b, rank_b)| rank_b.total_cmp(rank_a).then(a.cmp(b)));
    order.truncate(KEEP);
    order.sort_by_key(|(at, _)| *at);
    let kept: Vec<&str> =
        order.iter().filter_map(|(at, _)| considered.get(*at)).map(String::as_str).collect();
    Ok(json!({
        "summary": kept.join(" "),
        "sentences": kept,
        "considered": considered.len(),
        "of": all.len(),
    }))
}

/// How central each sentence is.
fn rank(sentences: &[String]) -> Vec<f64> {
    let likeness = likeness(&bags(sentences));
    let sums: Vec<f64> = likeness.iter().map(|row| row.iter().sum()).collect();
    let mut ranks = vec![1.0; sentences.len()];
    for _ in 0..ROUNDS {
        let votes: Vec<f64> =
            ranks.iter().zip(&sums).map(|(rank, sum)| if *sum > 0.0 { rank / sum } else { 0.0 }).collect();
        // Likeness is symmetric: a row is also what the others have for its sentence.
        let received = |row: &Vec<f64>| row.iter().zip(&votes).map(|(like, vote)| like * vote).sum::<f64>();
        ranks = likeness.iter().map(|row| 1.0 - DAMPING + DAMPING * received(row)).collect();
    }
    ranks
}

/// The words that count of each sentence, as sorted numbers.
fn bags(sentences: &[String]) -> Vec<Vec<usize>> {
    let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
    let bag = |sentence: &String| {
        let telling = words(sentence).into_iter().filter(|word| !is_stop_word(word));
        let mut bag: Vec<usize> = telling
            .map(|word| {
                let next = numbers.len();
                *numbers.entry(word).or_insert(next)
            })
            .collect();
        bag.sort_unstable();
        bag.dedup();
        bag
    };
    sentences.iter().map(bag).collect()
}

fn likeness(bags: &[Vec<usize>]) -> Vec<Vec<f64>> {
    // A sentence of one word counts as of two, since the logarithm of one is nothing to divide by.
    let length = |bag: &Vec<usize>| libm::log(bag.len().max(2) as f64);
    let pair = |i: usize, a: &Vec<usize>, j: usize, b: &Vec<usize>| match i == j {
        true => 0.0,
        false => shared(a, b) as f64 / (length(a) + length(b)),
    };
    let row = |(i, a): (usize, &Vec<usize>)| bags.iter().enumerate().map(|(j, b)| pair(i, a, j, b)).collect();
    bags.iter().enumerate().map(row).collect()
}

/// How many numbers two sorted bags share.
fn shared(a: &[usize], b: &[usize]) -> usize {
    let mut rest = b;
    let mut count = 0;
    for number in a {
        rest = rest.get(rest.partition_point(|other| other < number)..).unwrap_or_default();
        count += usize::from(rest.first() == Some(number));
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(text: &str) -> Vec<String> {
        let answer = answer(text).unwrap();
        answer["sentences"].as_array().unwrap().iter().map(|s| s.as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_sentences_about_the_common_subject_are_kept_in_order() {
        let text = "The bank raised its rates. Birds sang. Higher rates hurt the bank's borrowers.\n\
                    Borrowers asked the bank for lower rates. It rained.";
        let expect = [
            "The bank raised its rates.",
            "Higher rates hurt the bank's borrowers.",
            "Borrowers asked the bank for lower rates.",
        ];
        assert_eq!(kept(text), expect);
        assert_eq!(answer(text).unwrap()["of"], 5);
    }

    #[test]
    fn a_short_text_is_its_own_summary() {
        assert_eq!(kept("Yes. No."), ["Yes.", "No."]);
        assert_eq!(kept("?"), ["?"]);
    }

    #[test]
    fn what_is_not_compared_is_said() {
        let answer = answer(&"All is well. ".repeat(700)).unwrap();
        assert_eq!((&answer["considered"], &answer["of"]), (&json!(500), &json!(700)));
    }
}
