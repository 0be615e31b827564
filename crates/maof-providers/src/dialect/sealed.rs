//! What a provider has signed or sealed can be read by that provider alone. Inside MAOF it bears the name of the
//! dialect that it came in, as in `anthropic:EqRk…`, so that it is sent back to no other: a caller of one
//! dialect keeps it verbatim for a provider of another. (What providers sign with is base64, which has no colon.)

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Every dialect that has such things.
const DIALECTS: [&str; 4] = ["openai", "openai_responses", "anthropic", "gemini"];

/// As MAOF keeps what came in `dialect`.
pub(crate) fn seal(dialect: &str, came: &str) -> String {
    match came.split_once(':') {
        Some((other, _)) if DIALECTS.contains(&other) => came.to_owned(),
        _ => format!("{dialect}:{came}"),
    }
}

/// As an upstream of `dialect` is told it; none when it is another's.
pub(crate) fn open<'a>(dialect: &str, kept: &'a str) -> Option<&'a str> {
    match kept.split_once(':') {
        Some((own, came)) if own == dialect => Some(came),
        Some((other, _)) if DIALECTS.contains(&other) => None,
        _ => Some(kept),
    }
}

/// As a caller of `dialect` is told it.
pub(crate) fn told<'a>(dialect: &str, kept: &'a str) -> &'a str {
    open(dialect, kept).unwrap_or(kept)
}

/// As a caller is told it whose SDK takes nothing but base64.
pub(crate) fn told_base64<'a>(dialect: &str, kept: &'a str) -> Cow<'a, str> {
    match open(dialect, kept) {
        Some(own) => Cow::Borrowed(own),
        None => Cow::Owned(STANDARD.encode(kept)),
    }
}

/// As MAOF keeps what came in `dialect` from such a caller.
pub(crate) fn seal_base64(dialect: &str, came: &str) -> String {
    let text = STANDARD.decode(came).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let other = text.filter(|text| text.split_once(':').is_some_and(|(other, _)| DIALECTS.contains(&other)));
    other.unwrap_or_else(|| seal(dialect, came))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_goes_back_only_to_its_own_dialect() {
        let kept = seal("anthropic", "Eq==");
        assert_eq!(open("anthropic", &kept), Some("Eq=="));
        assert_eq!(open("gemini", &kept), None);
        // A caller of another dialect keeps it, and it finds its way back.
        let told_openai = told("openai", &kept);
        assert_eq!(open("anthropic", &seal("openai", told_openai)), Some("Eq=="));
        assert_eq!(told("anthropic", &kept), "Eq==");
        let told_gemini = told_base64("gemini", &kept);
        assert!(STANDARD.decode(told_gemini.as_ref()).is_ok());
        assert_eq!(open("anthropic", &seal_base64("gemini", &told_gemini)), Some("Eq=="));
        assert_eq!(seal_base64("gemini", "Cq8="), "gemini:Cq8=");
    }
}
