//! Whole texts.

use super::super::long::Ends;
use super::super::vocabulary::LONGEST;
use super::written::text;
use super::*;

fn check(encoding: Encoding, text: &str, what: &str) {
    let expect = reference(encoding, text);
    assert_eq!(encoding.count(text), expect, "{encoding:?}, {what}: {:?}", text.get(..200).unwrap_or(text));
}

#[test]
fn counts_equal_the_reference_on_10_000_texts_in_16_scripts() {
    for seed in 0..10_000 {
        for encoding in BOTH {
            check(encoding, &text(seed), &format!("seed {seed}"));
        }
    }
}

#[test]
fn counts_equal_the_reference_where_splitting_is_hard() {
    let texts = [
        "",
        " ",
        "\n",
        "a",
        "I'll, I'LL, I'lL, it'\u{17f}, it'\u{17f}x, 'tis, don''t, '",
        "  \n  x",
        "x  \n  ",
        "x \n \n",
        " \r\n\r ",
        "中AB, 中ABc, \u{301}AB, \u{301}ab, AB\u{301}CD, ABC'SD",
        "!abc !!abc \u{301}! !\u{301}\u{301}/\n/\r\n/ x",
        "1234567 ٣٤٥٦ ½Ⅷ²³1",
        "\u{a0}word\u{3000}\u{3000}word\u{85}\u{2028}x",
        "ǅungla ǈUBAV aªb ʰA",
        "<|endoftext|><|fim_prefix|>",
        "\u{0}\u{1}\u{feff}\u{10ffff}",
    ];
    for text in texts {
        for encoding in BOTH {
            check(encoding, text, "hard");
            // The same in the midst of a text, and at its end.
            check(encoding, &format!("a{text}b"), "within");
            check(encoding, &format!("{text}{text}"), "twice");
        }
    }
}

#[test]
fn counts_equal_the_reference_on_long_pieces() {
    let random = |n: usize| {
        let mut seed = super::written::Seed(3);
        (0..n).map(|_| char::from(b'a' + seed.below(26) as u8)).collect::<String>()
    };
    let han = |n: u32| (0..n).map(|i| char::from_u32(0x4e00 + i * 37 % 5000).unwrap()).collect::<String>();
    let texts = [
        "a".repeat(5_000),
        " ".repeat(3_001),
        "\n".repeat(2_999),
        "=".repeat(4_321),
        "ab".repeat(1_500),
        "\t ".repeat(1_000),
        random(5_000),
        han(1_500),
        format!("{}x", " ".repeat(1_000)),
    ];
    for text in &texts {
        for encoding in BOTH {
            check(encoding, text, "long");
        }
    }
}

#[test]
fn a_piece_counted_byte_by_byte_has_the_same_tokens() {
    let pieces =
        ["a".repeat(700), "aab".repeat(100), "zqxjkv".repeat(40), "天気".repeat(60), " ".repeat(400)];
    for piece in &pieces {
        for encoding in BOTH {
            let tokens = Ends::default().count(encoding.vocabulary(), piece.as_bytes());
            assert_eq!(tokens, reference(encoding, piece), "{encoding:?}: {piece:.20}");
        }
    }
}

#[test]
fn the_tables_hold_every_token_of_the_reference() {
    for (encoding, tokens) in [(Encoding::Cl100k, 100_256), (Encoding::O200k, 199_998)] {
        let vocabulary = encoding.vocabulary();
        assert_eq!(vocabulary.len(), tokens);
        let reference = if encoding == Encoding::Cl100k { &*CL100K } else { &*O200K };
        let mut longest = 0;
        for id in 0..tokens {
            let bytes = vocabulary.token(id);
            assert_eq!(reference.decode_bytes(&[id]).unwrap(), bytes, "{encoding:?} {id}");
            assert!(vocabulary.is_token(bytes, 0, bytes.len()), "{encoding:?} {id}");
            longest = longest.max(bytes.len());
        }
        assert_eq!(longest, LONGEST, "{encoding:?}");
    }
}

#[test]
fn a_limit_is_exceeded_exactly_beyond_it() {
    for seed in 0..500 {
        let text = text(seed);
        for encoding in BOTH {
            let tokens = encoding.count(&text);
            assert!(!encoding.exceeds(&text, tokens), "{encoding:?}, seed {seed}");
            assert!(tokens == 0 || encoding.exceeds(&text, tokens - 1), "{encoding:?}, seed {seed}");
        }
    }
}

#[test]
fn a_model_is_counted_by_the_encoding_that_its_maker_names() {
    let check = |model: &str, expect: Option<Encoding>| assert_eq!(Encoding::of(model), expect, "{model}");
    for model in
        ["gpt-4o-mini", "openai/gpt-5-nano", "o3-mini", "gpt-5.1", "ft:gpt-4o-mini:acme::x1", "gpt-oss:20b"]
    {
        check(model, Some(Encoding::O200k));
    }
    for model in ["gpt-4", "gpt-4-turbo", "gpt-3.5-turbo-0125", "text-embedding-3-small"] {
        check(model, Some(Encoding::Cl100k));
    }
    for model in ["claude-opus", "llama3.2", "o30", "olmo", "gpt-40", ""] {
        check(model, None);
    }
}

#[test]
fn nothing_is_allocated_once_the_tables_are_there() {
    let texts: Vec<String> = (0..200).map(text).chain([" ".repeat(5_000), "zq".repeat(3_000)]).collect();
    for encoding in BOTH {
        encoding.load();
        let mut stream = encoding.stream();
        let mut parts = || {
            for text in &texts {
                stream.push(text);
                // A border, so that the next round begins as this one.
                stream.push(" .\n");
            }
        };
        // What is pending grows to what it needs.
        parts();
        let used = allocation_counter::measure(|| {
            parts();
            for text in &texts {
                assert!(encoding.count(text) >= u64::from(encoding.exceeds(text, 3)));
            }
        });
        assert_eq!(used.count_total, 0, "{encoding:?}");
    }
}
