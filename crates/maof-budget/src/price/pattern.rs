//! Which names a model goes by: `*` stands for any characters, `#` for a digit.

/// Whether a name fits one of the patterns, and none of those that begin with `!`. Letters' case does not matter.
pub(crate) fn fits(patterns: &[String], name: &str) -> bool {
    let mut any = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(not) if matches(not.as_bytes(), name.as_bytes()) => return false,
            Some(_) => {}
            None => any = any || matches(pattern.as_bytes(), name.as_bytes()),
        }
    }
    any
}

/// Goes back to the last `*` only, so the time is at most the product of the lengths.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = name.get(n) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(b'#') if byte.is_ascii_digit() => (p, n) = (p + 1, n + 1),
            Some(other) if other.eq_ignore_ascii_case(byte) => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, n) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|b| *b == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_its_patterns() {
        let check = |patterns: &[&str], name: &str, expect: bool| {
            let patterns: Vec<String> = patterns.iter().map(|p| (*p).to_owned()).collect();
            assert_eq!(fits(&patterns, name), expect, "{patterns:?} {name}");
        };
        check(&["gpt-4o"], "gpt-4o", true);
        check(&["gpt-4o"], "GPT-4o", true);
        check(&["gpt-4o"], "gpt-4o-mini", false);
        check(&["gpt-4o*"], "gpt-4o-mini", true);
        check(&["*claude-v2*"], "anthropic.claude-v2:1", true);
        check(&["*-latest"], "x-latest-y", false);
        check(&["claude-5-########"], "claude-5-20261019", true);
        check(&["claude-5-########"], "claude-5-2026101x", false);
        check(&["claude-5-########"], "claude-5-202610190", false);
        check(&["gemini-2.5-pro*", "!*-tts*"], "gemini-2.5-pro-preview", true);
        check(&["gemini-2.5-pro*", "!*-tts*"], "gemini-2.5-pro-preview-tts", false);
        check(&["a*a*a*b"], "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false);
        check(&[], "x", false);
        check(&["*"], "", true);
    }
}
