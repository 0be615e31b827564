//! Extractive summary: the sentences most like all the others.
//!
//! TextRank: R. Mihalcea and P. Tarau, "TextRank: Bringing Order into Texts", EMNLP 2004, with their measure
//! of overlap (shared words over the logarithms of the lengths) and damping 0.85.

use std::collections::BTreeSet;

use maof_core::Result;
use serde_json::{Value, json};

use crate::text::{is_stop_word, sentences, words};

const DAMPING: f64 = 0.85;
const ROUNDS: usize = 30;
/// Sentences that are compared; more would take the square of the time.
const MOST: usize = 500;
const KEEP: usize = 3;

/// The three most central sentences, in the order of the text.
pub(crate) fn answer(text: &str) -> Result<Value> {
    let all = sentences(text);
    let sentences = &all[..all.len().min(MOST)];
    let ranks = rank(sentences);
    let mut order: Vec<usize> = (0..sentences.len()).collect();
    // Earlier first among equals, so that the same text always has the same summary.
    order.sort_by(|a, b| ranks[*b].total_cmp(&ranks[*a]).then(a.cmp(b)));
    order.truncate(KEEP);
    order.sort_unstable();
    let kept: Vec<&str> = order.iter().map(|i| sentences[*i]).collect();
    Ok(json!({"summary": kept.join(" "), "sentences": kept, "of": all.len()}))
}

fn rank(sentences: &[&str]) -> Vec<f64> {
    let bags: Vec<BTreeSet<String>> =
        sentences.iter().map(|s| words(s).into_iter().filter(|w| !is_stop_word(w)).collect()).collect();
    let n = bags.len();
    let mut weight = vec![vec![0.0_f64; n]; n];
    for i in 0..n {
        for j in i + 1..n {
            let shared = bags[i].intersection(&bags[j]).count() as f64;
            let lengths = (bags[i].len().max(2) as f64).ln() + (bags[j].len().max(2) as f64).ln();
            weight[i][j] = shared / lengths;
            weight[j][i] = weight[i][j];
        }
    }
    let sums: Vec<f64> = weight.iter().map(|row| row.iter().sum()).collect();
    let mut ranks = vec![1.0; n];
    for _ in 0..ROUNDS {
        ranks = (0..n)
            .map(|i| {
                let votes = (0..n).filter(|j| sums[*j] > 0.0).map(|j| weight[j][i] / sums[j] * ranks[j]);
                1.0 - DAMPING + DAMPING * votes.sum::<f64>()
            })
            .collect();
    }
    ranks
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_sentences_about_the_common_subject_are_kept_in_order() {
        let text = "The bank raised its rates. Birds sang. Higher rates hurt the bank's borrowers. \
                    Borrowers asked the bank for lower rates. It rained.";
        let answer = answer(text).unwrap();
        let kept: Vec<&str> =
            answer["sentences"].as_array().unwrap().iter().map(|s| s.as_str().unwrap()).collect();
        assert_eq!(
            kept,
            [
                "The bank raised its rates.",
                "Higher rates hurt the bank's borrowers.",
                "Borrowers asked the bank for lower rates.",
            ]
        );
        assert_eq!(answer["of"], 5);
    }
}
