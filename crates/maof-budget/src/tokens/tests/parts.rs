//! Texts that come in parts.

use super::written::{Seed, text};
use super::*;

fn in_parts(encoding: Encoding, text: &str, seed: u64, longest: usize) -> crate::tokens::Stream {
    let mut stream = encoding.stream();
    let mut seed = Seed(seed);
    let mut rest = text;
    while !rest.is_empty() {
        let (part, after) =
            rest.split_at(rest.ceil_char_boundary(1 + seed.below(longest).min(rest.len() - 1)));
        stream.push(part);
        rest = after;
    }
    stream
}

#[test]
fn a_text_has_the_same_tokens_however_it_is_cut() {
    for seed in 0..1_500 {
        let text = [text(seed), text(seed + 1_000_000)].concat();
        for encoding in BOTH {
            let whole = encoding.count(&text);
            for longest in [1, 7, 200] {
                let stream = in_parts(encoding, &text, seed, longest);
                assert_eq!(
                    stream.tokens(),
                    whole,
                    "{encoding:?}, seed {seed}, parts up to {longest}: {text:?}"
                );
                assert!(stream.is_exact());
            }
        }
    }
}

#[test]
fn the_tokens_so_far_are_those_of_the_beginning() {
    let text = text(7_777);
    for encoding in BOTH {
        let mut stream = encoding.stream();
        for (at, c) in text.char_indices() {
            assert_eq!(stream.tokens(), encoding.count(&text[..at]), "{encoding:?} at {at} of {text:?}");
            stream.push(c.encode_utf8(&mut [0; 4]));
        }
    }
}

#[test]
fn a_run_without_end_is_cut_and_says_so() {
    let check = |encoding: Encoding, run: &str, exact: bool| {
        let text = run.repeat(100_000 / run.len());
        let stream = in_parts(encoding, &text, 1, 5_000);
        let whole = encoding.count(&text);
        assert_eq!(stream.is_exact(), exact, "{encoding:?} {run:?}");
        // A cut is a few tokens too many at most.
        let most = if exact { 0 } else { 10 };
        assert!(
            stream.tokens().abs_diff(whole) <= most,
            "{encoding:?} {run:?}: {} of {whole}",
            stream.tokens()
        );
    };
    for encoding in BOTH {
        for one_piece in ["a", "=", " ", "中"] {
            check(encoding, one_piece, false);
        }
        // Many pieces, between which no border is certain at a glance.
        for pieces in ["1", "a'", "it's", "!\u{301}a"] {
            check(encoding, pieces, true);
        }
    }
}
