//! Estimates of texts against the vocabularies of families that publish theirs.

use super::installed::{LANGUAGES, of_language};
use crate::tokens::Family;

/// How far an estimate is from the truth, in percent: below and above.
fn check(family: Family, vocabulary: &str, texts: &[(String, String)]) {
    let vocabulary = tiktoken::get_encoding(vocabulary).unwrap();
    let (mut few, mut many) = ((0, ""), (0, ""));
    for (name, text) in texts {
        let truth = vocabulary.count(text) as u64;
        let guess = family.text(text);
        assert!(
            family.at_most(guess) >= truth,
            "{family:?} {name}: {guess}, with its margin less than {truth}"
        );
        few = few.max((truth.saturating_sub(guess) * 100 / truth, name));
        many = many.max((guess.saturating_sub(truth) * 100 / truth, name));
    }
    println!("| {family:?} | {} | {} % ({}) | {} % ({}) |", texts.len(), few.0, few.1, many.0, many.1);
}

#[test]
fn an_estimate_with_its_margin_is_no_less_than_the_published_vocabularies_count() {
    let prose = include_str!("../../../../../ARCHITECTURE.md").to_owned();
    let code = [include_str!("../split.rs"), include_str!("../vocabulary.rs")].concat();
    let mut texts = vec![("prose".to_owned(), prose), ("code".to_owned(), code)];
    let joined = |language: &&str| (language.to_string(), of_language(language).join(". "));
    texts.extend(LANGUAGES.iter().map(joined).filter(|(_, text)| !text.is_empty()));
    println!("| family | texts | too few at worst | too many at worst |\n|---|---|---|---|");
    check(Family::Llama, "llama3", &texts);
    check(Family::Qwen, "qwen2", &texts);
    check(Family::Mistral, "mistral_v3", &texts);
    check(Family::DeepSeek, "deepseek_v3", &texts);
}
