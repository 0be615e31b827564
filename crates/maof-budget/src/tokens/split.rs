//! Splits a text into the pieces within which tokens are merged, as the regular expressions of cl100k and o200k do.
//!
//! The expressions are those of OpenAI's tiktoken (<https://github.com/openai/tiktoken/blob/main/tiktoken_ext/openai_public.py>,
//! 2025). A hand-written splitter takes a tenth of their time, and time in proportion to the text, whatever is in it.

use super::class::{Class, at};

/// How an encoding splits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// `'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s`
    Cl100k,
    /// `[^\r\n\p{L}\p{N}]?U*L+C?|[^\r\n\p{L}\p{N}]?U+L*C?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+` where
    /// U is `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`, L `[\p{Ll}\p{Lm}\p{Lo}\p{M}]` and C `(?i:'s|'t|'re|'ve|'m|'ll|'d)`.
    O200k,
}

impl Rule {
    /// Where the piece ends that begins at `start`; none at the text's end.
    #[inline]
    pub(crate) fn piece(self, text: &str, start: usize) -> Option<usize> {
        let first = at(text, start)?;
        Some(match self {
            Rule::Cl100k => cl100k(text, start, first),
            Rule::O200k => o200k(text, start, first),
        })
    }
}

#[inline]
fn cl100k(text: &str, start: usize, (class, len): (Class, usize)) -> usize {
    if class.is_letter() {
        return letters(text, start + len);
    }
    if class == Class::Number {
        return numbers(text, start + len);
    }
    if let Some(end) = contraction(text, start) {
        return end;
    }
    let next = at(text, start + len);
    if let Some((second, second_len)) = next
        && class != Class::Newline
        && second.is_letter()
    {
        return letters(text, start + len + second_len);
    }
    if let Some(end) = signs(text, start, class, next) {
        return run(text, end, |c| c == Class::Newline);
    }
    white(text, start, Rule::Cl100k)
}

#[inline]
fn o200k(text: &str, start: usize, (class, len): (Class, usize)) -> usize {
    if class == Class::Number {
        return numbers(text, start + len);
    }
    let next = at(text, start + len);
    if let Some(end) = word_with_prefix(text, start, (class, len), next) {
        return contraction(text, end).unwrap_or(end);
    }
    if let Some(mut end) = signs(text, start, class, next) {
        while matches!(text.as_bytes().get(end), Some(b'\r' | b'\n' | b'/')) {
            end += 1;
        }
        return end;
    }
    white(text, start, Rule::O200k)
}

/// The four ways in which o200k finds a word, in the order in which its expression tries them.
#[inline]
fn word_with_prefix(
    text: &str,
    start: usize,
    (class, len): (Class, usize),
    next: Option<(Class, usize)>,
) -> Option<usize> {
    let begins = |c: Class| c.is_letter() || c == Class::Mark;
    let after = start + len;
    if class.is_letter() {
        return lower_word(text, start).or_else(|| upper_word(text, start));
    }
    if class == Class::Newline {
        return None;
    }
    let prefixed = next.is_some_and(|(c, _)| begins(c));
    if class == Class::Mark {
        let prefixed = |word: fn(&str, usize) -> Option<usize>| prefixed.then(|| word(text, after)).flatten();
        return prefixed(lower_word).or_else(|| lower_word(text, start));
    }
    if prefixed { lower_word(text, after).or_else(|| upper_word(text, after)) } else { None }
}

/// `U*L+`: greedy, and given back as far as the last character that is in both.
#[inline]
fn lower_word(text: &str, start: usize) -> Option<usize> {
    let (mut end, mut in_both) = (start, None);
    while let Some((class, len)) = at(text, end) {
        match class {
            Class::Upper => end += len,
            Class::Caseless | Class::Mark => {
                end += len;
                in_both = Some(end);
            }
            Class::Lower => return Some(lower_run(text, end + len)),
            _ => break,
        }
    }
    in_both
}

/// `U+L*` where [`lower_word`] found nothing, so that no character of L follows.
fn upper_word(text: &str, start: usize) -> Option<usize> {
    let end = run(text, start, |c| c == Class::Upper);
    (end > start).then_some(end)
}

#[inline]
fn lower_run(text: &str, start: usize) -> usize {
    run(text, ascii(text, start, u8::is_ascii_lowercase), |c| {
        matches!(c, Class::Lower | Class::Caseless | Class::Mark)
    })
}

/// Most of most texts: bytes that need no class looked up.
#[inline]
fn ascii(text: &str, start: usize, is: impl Fn(&u8) -> bool) -> usize {
    let bytes = text.as_bytes().get(start..).unwrap_or_default();
    start + bytes.iter().take_while(|b| is(b)).count()
}

#[inline]
fn letters(text: &str, start: usize) -> usize {
    run(text, ascii(text, start, u8::is_ascii_alphabetic), Class::is_letter)
}

#[inline]
fn run(text: &str, mut end: usize, is: impl Fn(Class) -> bool) -> usize {
    while let Some((class, len)) = at(text, end) {
        if !is(class) {
            break;
        }
        end += len;
    }
    end
}

/// Up to three numbers, of which the first ends here.
fn numbers(text: &str, mut end: usize) -> usize {
    for _ in 0..2 {
        match at(text, end) {
            Some((Class::Number, len)) => end += len,
            _ => break,
        }
    }
    end
}

/// `'s` and its like, in either case; the long s (U+017F) is an `s` in another case.
#[inline]
fn contraction(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    if *bytes.get(start)? != b'\'' {
        return None;
    }
    let first = bytes.get(start + 1)?;
    if matches!(first.to_ascii_lowercase(), b's' | b'd' | b'm' | b't') {
        return Some(start + 2);
    }
    let second = bytes.get(start + 2)?;
    let ends = match [first.to_ascii_lowercase(), second.to_ascii_lowercase()] {
        [b'l', b'l'] | [b'v' | b'r', b'e'] => true,
        _ => [*first, *second] == [0xc5, 0xbf],
    };
    ends.then_some(start + 3)
}

/// ` ?[^\s\p{L}\p{N}]+`.
#[inline]
fn signs(text: &str, start: usize, class: Class, next: Option<(Class, usize)>) -> Option<usize> {
    let is = |c: Class| matches!(c, Class::Sign | Class::Mark);
    let spaced = text.as_bytes().get(start) == Some(&b' ') && next.is_some_and(|(c, _)| is(c));
    (spaced || is(class)).then(|| run(text, start + usize::from(spaced), is))
}

/// White space: up to the last newline; else all but the last, which goes to what follows.
fn white(text: &str, start: usize, rule: Rule) -> usize {
    let (mut end, mut newline, mut last) = (start, None, start);
    while let Some((class, len)) = at(text, end).filter(|(c, _)| c.is_white()) {
        last = end;
        end += len;
        if class == Class::Newline {
            newline = Some(end);
        }
    }
    let to_the_end = end == text.len();
    match newline {
        // cl100k tries `\s++$` first, o200k `\s*[\r\n]+`.
        _ if to_the_end && rule == Rule::Cl100k => end,
        Some(newline) => newline,
        None if to_the_end || last == start => end,
        None => last,
    }
}
