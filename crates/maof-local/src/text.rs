//! Words, clauses and sentences of English text.

use std::collections::HashSet;
use std::sync::LazyLock;

/// Lower-case words: runs of letters and digits, apostrophes within them kept.
pub(crate) fn words(text: &str) -> Vec<String> {
    let inner = |c: char| c.is_alphanumeric() || matches!(c, '\'' | '’');
    text.split(|c| !inner(c))
        .map(|word| word.replace('’', "'").trim_matches('\'').to_lowercase())
        .filter(|word| !word.is_empty())
        .collect()
}

/// Sentences, on one line each: what ends with `.`, `!` or `?`, and a quotation mark perhaps, before a space
/// and a capital, a digit or a quotation mark. An empty line ends a sentence, a single line break does not.
pub(crate) fn sentences(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for paragraph in paragraphs(text) {
        let words: Vec<&str> = paragraph.split_whitespace().collect();
        let mut from = 0;
        for (at, word) in words.iter().enumerate() {
            let next = words.get(at + 1);
            if next.is_none_or(|next| ends_sentence(word) && begins_sentence(next)) {
                found.extend(words.get(from..=at).map(|words| words.join(" ")));
                from = at + 1;
            }
        }
    }
    found
}

/// Blocks of lines with an empty line between them.
pub(crate) fn paragraphs(text: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    for line in text.lines() {
        if line.trim().is_empty() {
            found.push(String::new());
        } else if let Some(paragraph) = found.last_mut() {
            paragraph.push_str(line);
            paragraph.push('\n');
        }
    }
    found.retain(|paragraph| !paragraph.is_empty());
    found
}

const QUOTES: [char; 6] = ['"', '\'', '“', '”', '‘', '’'];

fn ends_sentence(word: &str) -> bool {
    const KNOWN: [&str; 26] = [
        "Mr", "Mrs", "Ms", "Dr", "St", "Jr", "Sr", "Sen", "Rep", "Gov", "Gen", "Col", "Lt", "Prof", "Jan",
        "Feb", "Mar", "Apr", "Aug", "Sept", "Oct", "Nov", "Dec", "Calif", "No", "vs",
    ];
    let word = word.trim_end_matches(QUOTES).trim_end_matches(')');
    let Some(stem) = word.strip_suffix('.') else { return word.ends_with(['!', '?']) };
    let stem = stem.trim_start_matches(QUOTES).trim_start_matches('(');
    let initial = stem.chars().count() == 1 && stem.chars().all(char::is_uppercase);
    !initial && !stem.contains('.') && !KNOWN.contains(&stem)
}

fn begins_sentence(word: &str) -> bool {
    word.starts_with(|c: char| c.is_uppercase() || c.is_ascii_digit() || c == '(' || QUOTES.contains(&c))
}

/// Whether a lower-case word says little by itself (a closed list of English function words).
pub(crate) fn is_stop_word(word: &str) -> bool {
    const STOP: &str = "a about above after again against all also am an and any are as at be because been \
        before being below between both but by can could did do does doing down during each few for from \
        further had has have having he her here hers herself him himself his how i if in into is it its itself \
        just may me might more most must my myself no nor not now of off on once one only or other our ours \
        ourselves out over own said same say says she should so some such than that the their theirs them \
        themselves then there these they this those through to too two under until up upon us very was we were \
        what when where which while who whom whose why will with would yet you your yours yourself yourselves \
        it's don't that's isn't can't won't didn't doesn't he's she's they're we're i'm";
    static WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| STOP.split_whitespace().collect());
    WORDS.contains(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_end_where_people_end_them() {
        let check = |text: &str, expect: &[&str]| assert_eq!(sentences(text), expect);
        check("One. Two! Three? 'Four.' five", &["One.", "Two!", "Three?", "'Four.' five"]);
        check("He said ''yes.'' She did not.", &["He said ''yes.''", "She did not."]);
        check(
            "On Dec. 19 Mr. Moore spoke\nof U.S. Treasuries. John F. Kennedy\ndid.",
            &["On Dec. 19 Mr. Moore spoke of U.S. Treasuries.", "John F. Kennedy did."],
        );
        check(
            "A heading\n\nA rise of 1.5 percent. (It was more.)\r\n",
            &["A heading", "A rise of 1.5 percent.", "(It was more.)"],
        );
        check("  \n ", &[]);
        check("…", &["…"]);
    }

    #[test]
    fn words_are_lower_case_and_keep_their_apostrophes() {
        assert_eq!(words("It isn't ''free'' - 5%!"), ["it", "isn't", "free", "5"]);
        assert_eq!(words("The Reserve’s ‘goal’"), ["the", "reserve's", "goal"]);
    }
}
