//! Words, sentences and hashes of English text.

/// Lower-case words: runs of letters and digits, apostrophes within them kept.
pub(crate) fn words(text: &str) -> Vec<String> {
    let inner = |c: char| c.is_alphanumeric() || c == '\'';
    text.split(|c| !inner(c))
        .map(|word| word.trim_matches('\'').to_lowercase())
        .filter(|word| !word.is_empty())
        .collect()
}

/// Sentences: lines, and within lines what ends with `.`, `!` or `?` before a space and a capital or quote.
pub(crate) fn sentences(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut start = 0;
        let bytes = line.as_bytes();
        for (i, byte) in bytes.iter().enumerate() {
            let ends = matches!(byte, b'.' | b'!' | b'?') && bytes.get(i + 1) == Some(&b' ');
            let begins =
                bytes.get(i + 2).is_some_and(|b| b.is_ascii_uppercase() || matches!(b, b'"' | b'\''));
            let initial = i >= 1 && bytes[i - 1].is_ascii_uppercase() && (i < 2 || bytes[i - 2] == b' ');
            if ends && begins && !initial && !abbreviation(&line[start..i]) {
                found.push(line[start..=i].trim());
                start = i + 1;
            }
        }
        found.push(line[start..].trim());
    }
    found.retain(|s| !s.is_empty());
    found
}

fn abbreviation(text: &str) -> bool {
    const KNOWN: [&str; 12] =
        ["Mr", "Mrs", "Ms", "Dr", "St", "Jr", "Sen", "Rep", "Gov", "Gen", "Dec", "Calif"];
    let last = text.rsplit([' ', '(']).next().unwrap_or_default();
    KNOWN.contains(&last)
}

/// FNV-1a in 32 bits over the bytes of these parts, a separator between them.
pub(crate) fn hash(parts: &[&str]) -> u32 {
    let mut hash: u32 = 0x811c_9dc5;
    for part in parts {
        for byte in part.bytes().chain([0x1f]) {
            hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        }
    }
    hash
}

/// Words that say little by themselves (a closed list of English function words).
pub(crate) fn is_stop_word(word: &str) -> bool {
    const STOP: &str = " a about above after again against all also am an and any are as at be because been \
        before being below between both but by can could did do does doing down during each few for from \
        further had has have having he her here hers herself him himself his how i if in into is it its itself \
        just may me might more most must my myself no nor not now of off on once one only or other our ours \
        ourselves out over own said same say says she should so some such than that the their theirs them \
        themselves then there these they this those through to too two under until up upon us very was we were \
        what when where which while who whom whose why will with would yet you your yours yourself yourselves \
        it's don't that's isn't can't won't didn't doesn't he's she's they're we're i'm ";
    STOP.split(' ').any(|stop| stop == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_end_where_people_end_them() {
        let check = |text: &str, expect: &[&str]| assert_eq!(sentences(text), expect);
        check("One. Two! Three? 'Four.' five", &["One.", "Two!", "Three?", "'Four.' five"]);
        check(
            "On Dec. 19 Mr. Moore spoke.\nJohn F. Kennedy did.",
            &["On Dec. 19 Mr. Moore spoke.", "John F. Kennedy did."],
        );
        check("  \n ", &[]);
    }

    #[test]
    fn words_are_lower_case_and_keep_their_apostrophes() {
        assert_eq!(words("It isn't ''free'' - 5%!"), ["it", "isn't", "free", "5"]);
    }
}
