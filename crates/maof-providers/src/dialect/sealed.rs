//! What a provider has signed or sealed can be read by that provider alone. Inside MAOF it bears the name of the
//! dialect that it came in, as in `anthropic:EqRk…`, so that it is sent back to no other: a caller of one
//! dialect keeps it verbatim for a provider of another. (What providers sign with is base64, which has no colon.)

use std::borrow::Cow;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem::Finder;

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

/// What the values of such fields begin with, as they stand in a body: plain, and in base64 (those of its letters
/// that follow from the name alone).
static BEGUN: LazyLock<Vec<(&str, Finder<'static>)>> = LazyLock::new(|| {
    let begun = DIALECTS.into_iter().flat_map(|name| {
        let mark = format!("{name}:");
        let encoded = STANDARD.encode(&mark);
        let certain = &encoded[..mark.len() * 8 / 6];
        [format!("\"{mark}"), format!("\"{certain}")].map(|text| (name, Finder::new(&text).into_owned()))
    });
    begun.collect()
});

/// The fields that carry such things.
const FIELDS: [&str; 5] = ["signature", "data", "encrypted_content", "thoughtSignature", "thought_signature"];

/// How every one of those fields ends, so that most bodies are looked through for three words only.
static ENDINGS: LazyLock<[Finder<'static>; 3]> =
    LazyLock::new(|| ["ignature\"", "data\"", "encrypted_content\""].map(Finder::new));

/// Whether a caller's request in `dialect` carries what a provider of another dialect has sealed: it cannot go to an
/// upstream as it came.
pub(crate) fn carries_anothers(dialect: &str, body: &[u8]) -> bool {
    if ENDINGS.iter().all(|ending| ending.find(body).is_none()) {
        return false;
    }
    let others = BEGUN.iter().filter(|(name, _)| *name != dialect);
    others.into_iter().any(|(_, begun)| begun.find_iter(body).any(|at| is_value_of_field(&body[..at])))
}

/// Whether what follows is the value of one of the fields.
fn is_value_of_field(before: &[u8]) -> bool {
    let name = before.trim_ascii_end().strip_suffix(b":").map(<[u8]>::trim_ascii_end);
    let name = name.and_then(|name| name.strip_suffix(b"\""));
    name.is_some_and(|name| {
        FIELDS
            .iter()
            .any(|field| name.strip_suffix(field.as_bytes()).is_some_and(|rest| rest.ends_with(b"\"")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_ends_as_is_looked_for() {
        for field in FIELDS {
            let found = |ending: &Finder<'_>| ending.find(format!("{field}\"").as_bytes()).is_some();
            assert!(ENDINGS.iter().any(found), "{field}");
        }
    }

    #[test]
    fn anothers_seal_is_seen_in_a_body() {
        let check = |dialect: &str, body: &str, expect: bool| {
            assert_eq!(carries_anothers(dialect, body.as_bytes()), expect, "{dialect}: {body}");
        };
        check("anthropic", r#"{"signature":"anthropic:Eq=="}"#, false);
        check("anthropic", r#"{"signature" : "gemini:Eq=="}"#, true);
        check("anthropic", r#"{"text":"gemini:Eq=="}"#, false);
        check("anthropic", r#"{"text":"\"signature\":\"gemini:\""}"#, false);
        check("openai_responses", r#"[{"encrypted_content":"openai:x"}]"#, true);
        check("openai", r#"{"encrypted_content":"openai_responses:x"}"#, true);
        let told = told_base64("gemini", "openai_responses:abc");
        check("gemini", &format!(r#"{{"thoughtSignature":"{told}"}}"#), true);
        check("gemini", r#"{"thoughtSignature":"Cq8="}"#, false);
    }

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
