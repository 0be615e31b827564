//! How much to think: some dialects say it in words, some in tokens.
//!
//! Where one is said and the other is needed, it is translated by the amounts that gateways and SDKs have in
//! common: minimal 512, low 1,024, medium 4,096, high 16,384, xhigh and max 32,768 tokens.

use maof_core::Thinking;

/// The words, and the tokens that each stands for.
const EFFORTS: [(&str, u64); 7] = [
    ("none", 0),
    ("minimal", 512),
    ("low", 1024),
    ("medium", 4096),
    ("high", 16_384),
    ("xhigh", 32_768),
    ("max", 32_768),
];

/// In a word.
pub(crate) fn effort(thinking: &Thinking) -> Option<String> {
    thinking.effort.clone().or_else(|| {
        let budget = thinking.budget_tokens?;
        let word =
            EFFORTS.iter().take(5).find(|(_, tokens)| budget <= *tokens).map_or("xhigh", |(word, _)| word);
        Some(word.to_owned())
    })
}

/// In tokens; none where nothing is said, or the word is not known.
pub(crate) fn budget(thinking: &Thinking) -> Option<u64> {
    let word = thinking.effort.as_deref();
    let said = word.and_then(|word| EFFORTS.iter().find(|(known, _)| *known == word));
    thinking.budget_tokens.or_else(|| said.map(|(_, tokens)| *tokens))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_tokens_stand_for_one_another() {
        let check = |word: Option<&str>, tokens: Option<u64>, expect: (Option<&str>, Option<u64>)| {
            let thinking =
                Thinking { effort: word.map(str::to_owned), budget_tokens: tokens, ..Thinking::default() };
            assert_eq!((effort(&thinking).as_deref(), budget(&thinking)), expect);
        };
        check(Some("low"), None, (Some("low"), Some(1024)));
        check(None, Some(1024), (Some("low"), Some(1024)));
        check(None, Some(0), (Some("none"), Some(0)));
        check(None, Some(20_000), (Some("xhigh"), Some(20_000)));
        check(Some("high"), Some(2000), (Some("high"), Some(2000)));
        check(Some("odd"), None, (Some("odd"), None));
        check(None, None, (None, None));
    }
}
