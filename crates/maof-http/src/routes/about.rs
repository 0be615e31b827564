//! What a caller says of a call beside its body: the session that it belongs to, and tags for rules of routing.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName};
use maof_core::{Error, Name, Provenance, Result};

use super::headers::is_plain;
use crate::dto::header;

/// Tags that one call may have.
const MOST_TAGS: usize = 16;

static SESSION: HeaderName = HeaderName::from_static("x-maof-session");
static TAGS: HeaderName = HeaderName::from_static("x-maof-tags");

/// What a caller's tags are kept as.
type Tags = Arc<BTreeMap<Name, Name>>;

/// Notes what the headers say.
///
/// # Errors
/// `invalid_request` naming the header: whoever asks for a session or a rule must not be served by another one.
pub(super) fn read(headers: &HeaderMap, provenance: &mut Provenance) -> Result<()> {
    if let Some(said) = header(headers, &SESSION)? {
        provenance.session = Some(session(said, SESSION.as_str())?);
    }
    if headers.contains_key(&TAGS) {
        provenance.tags = tags(headers)?;
    }
    Ok(())
}

/// A session's name, said in the field `param`.
pub(super) fn session(said: &str, param: &'static str) -> Result<Arc<str>> {
    if is_plain(said) {
        return Ok(said.into());
    }
    let why = format!("`{param}` has 1 to 128 letters, digits and signs out of -_.:/+=@");
    Err(Error::invalid_request(why).param(param))
}

/// Tags that were said in the field `param`; none where there are none.
pub(super) fn bounded(tags: BTreeMap<Name, Name>, param: &'static str) -> Result<Option<Tags>> {
    match tags.len() {
        0 => Ok(None),
        1..=MOST_TAGS => Ok(Some(Arc::new(tags))),
        many => {
            let why = format!("`{param}` has at most {MOST_TAGS} tags, not {many}");
            Err(Error::invalid_request(why).param(param))
        }
    }
}

/// `k=v,k2=v2`; several headers of the name are one list, as everywhere in HTTP.
fn tags(headers: &HeaderMap) -> Result<Option<Tags>> {
    let param = TAGS.as_str();
    let wrong = |why: String| Error::invalid_request(format!("`{param}`: {why}")).param(param);
    let mut tags = BTreeMap::new();
    for value in headers.get_all(&TAGS) {
        let text = value.to_str().map_err(|_| wrong("the header is not plain text".to_owned()))?;
        for said in text.split(',') {
            let unlike = || wrong("tags are written `key=value,key=value`".to_owned());
            let (key, value) = said.split_once('=').ok_or_else(unlike)?;
            let name = |text: &str| Name::new(text.trim()).map_err(|e| wrong(e.message().to_owned()));
            let (key, value) = (name(key)?, name(value)?);
            if let Some((twice, _)) = tags.get_key_value(&key) {
                return Err(wrong(format!("the tag `{twice}` is said twice")));
            }
            tags.insert(key, value);
            if tags.len() > MOST_TAGS {
                return Err(wrong(format!("there may be at most {MOST_TAGS} tags")));
            }
        }
    }
    Ok(Some(Arc::new(tags)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn said(lines: &[(&'static str, &str)]) -> Result<Provenance> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let mut provenance = Provenance::default();
        read(&headers, &mut provenance).map(|()| provenance)
    }

    #[test]
    fn sessions_and_tags_are_read_where_they_are_said() {
        let check = |lines: &[(&'static str, &str)], session: Option<&str>, tags: &[(&str, &str)]| {
            let got = said(lines).unwrap();
            let found = got.tags.iter().flat_map(|tags| tags.iter());
            let found: Vec<_> = found.map(|(key, value)| (key.as_str(), value.as_str())).collect();
            assert_eq!((got.session.as_deref(), &found[..]), (session, tags), "{lines:?}");
        };
        check(&[], None, &[]);
        check(&[("x-maof-session", "s-1")], Some("s-1"), &[]);
        check(&[("x-maof-tags", "team=finance")], None, &[("team", "finance")]);
        check(&[("x-maof-tags", "b=2 , a=1")], None, &[("a", "1"), ("b", "2")]);
        check(&[("x-maof-tags", "a=1"), ("x-maof-tags", "b=2")], None, &[("a", "1"), ("b", "2")]);
    }

    #[test]
    fn what_is_malformed_is_refused_by_the_headers_name() {
        let check = |name: &'static str, value: &str, part: &str| {
            let error = said(&[(name, value)]).unwrap_err();
            assert_eq!(error.field(), Some(name), "{value}");
            assert!(error.message().contains(part), "{value}: {error}");
        };
        let long = "x".repeat(129);
        for bad in ["", "a b", "a,b", "<a>", &long] {
            check("x-maof-session", bad, "1 to 128");
        }
        for bad in ["", "team", "a=1,", ",a=1"] {
            check("x-maof-tags", bad, "key=value");
        }
        check("x-maof-tags", "a=", "a name has");
        check("x-maof-tags", "=1", "a name has");
        check("x-maof-tags", "a=b=c", "a name has");
        check("x-maof-tags", &format!("a={long}"), "a name has");
        check("x-maof-tags", "a=1,a=1", "`a` is said twice");
        check("x-maof-tags", "\u{e4}=1", "plain text");
        let many: Vec<String> = (0..17).map(|n| format!("t{n}=v")).collect();
        assert!(said(&[("x-maof-tags", &many[..16].join(","))]).is_ok());
        check("x-maof-tags", &many.join(","), "at most 16");
    }
}
