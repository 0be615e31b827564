//! What the trained methods see of a text: which n-grams are in it, hashed into buckets.
//!
//! Hashing: K. Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", ICML 2009.

use crate::text::words;

/// Lengths of the pieces of words, in characters, where pieces are wanted.
const PIECES: std::ops::RangeInclusive<usize> = 3..=5;

/// Words and pairs of words, as sorted buckets below 2^`bits`, each once.
pub(super) fn word_buckets(text: &str, bits: u32) -> Vec<u32> {
    sorted(of_words(&words(text), bits))
}

/// Words, pairs of words and pieces of words, as sorted buckets below 2^`bits`, each once. A piece is three
/// to five characters; the spaces beside a word are part of it.
pub(super) fn piece_buckets(text: &str, bits: u32) -> Vec<u32> {
    let words = words(text);
    let mut found = of_words(&words, bits);
    let mut padded = Vec::new();
    let mut piece = String::new();
    for word in &words {
        padded.clear();
        padded.push(' ');
        padded.extend(word.chars());
        padded.push(' ');
        for window in PIECES.flat_map(|length| padded.windows(length)) {
            piece.clear();
            piece.extend(window);
            found.push(bucket(&["c", &piece], bits));
        }
    }
    sorted(found)
}

fn of_words(words: &[String], bits: u32) -> Vec<u32> {
    let single = words.iter().map(|word| bucket(&["1", word], bits));
    let pairs = words.windows(2).filter_map(|pair| match pair {
        [first, second] => Some(bucket(&["2", first, second], bits)),
        _ => None,
    });
    single.chain(pairs).collect()
}

fn sorted(mut buckets: Vec<u32>) -> Vec<u32> {
    buckets.sort_unstable();
    buckets.dedup();
    buckets
}

/// FNV-1a in 32 bits over the bytes of these parts, a separator after each, folded to `bits` bits.
fn bucket(parts: &[&str], bits: u32) -> u32 {
    let mut hash: u32 = 0x811c_9dc5;
    for part in parts {
        for byte in part.bytes().chain([0x1f]) {
            hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        }
    }
    (hash ^ (hash >> 15)) & ((1 << bits) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ngram_counts_once_and_order_matters() {
        assert_eq!(word_buckets("so so so", 16).len(), 2);
        assert_ne!(word_buckets("not good", 16), word_buckets("good not", 16));
        assert_eq!(word_buckets("", 16), Vec::<u32>::new());
    }

    #[test]
    fn pieces_tell_related_words_from_unrelated_ones() {
        let shared = |a: &str, b: &str| {
            let (a, b) = (piece_buckets(a, 20), piece_buckets(b, 20));
            a.iter().filter(|bucket| b.contains(bucket)).count()
        };
        assert!(shared("wonderful", "wonderfully") > 10);
        assert_eq!(shared("wonderful", "bleak"), 0);
        // Characters, not bytes, are cut.
        assert!(shared("naïveté", "naïve") > 5);
    }
}
