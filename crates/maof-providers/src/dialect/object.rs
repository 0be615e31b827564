//! The top level of a JSON object, borrowed: every member's name, and its value as the bytes that came.
//!
//! This is what lets a body be routed without being understood, and patched without being rebuilt. Nothing
//! here recurses: nested values are only scanned.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::scan;

/// An object's members in their order; of a name that comes twice, both.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    text: &'a str,
    members: Vec<(Cow<'a, str>, &'a str)>,
}

impl<'a> Object<'a> {
    /// Reads `bytes`, which must be one well-formed JSON object.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, serde_json::Error> {
        let text = std::str::from_utf8(bytes).map_err(serde::de::Error::custom)?;
        Self::read_text(text)
    }

    /// Reads `text`, which must be one well-formed JSON object.
    pub(crate) fn read_text(text: &'a str) -> Result<Self, serde_json::Error> {
        let members = match scanned(text) {
            Some(members) => members,
            // Not well-formed, most likely: serde_json says where.
            None => {
                let Members(members) = serde_json::from_str(text)?;
                members
            }
        };
        Ok(Object { text, members })
    }

    /// The value of `name` as it came, unless it is missing or null.
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        self.raw(name).filter(|raw| *raw != "null")
    }

    /// The value of `name` as it came, null too. Of several, the last one, as most readers have it.
    pub(crate) fn raw(&self, name: &str) -> Option<&'a str> {
        self.members.iter().rev().find(|(n, _)| n == name).map(|(_, raw)| *raw)
    }

    /// Whether there is a `name` that is not null.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The value of `name`, if it is there and can be read as a `T`.
    pub(crate) fn read<T: Deserialize<'a>>(&self, name: &str) -> Option<T> {
        self.get(name).and_then(|raw| serde_json::from_str(raw).ok())
    }

    /// The value of `name` as text, if it is a string.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.get(name).and_then(plain).map(Cow::into_owned)
    }

    /// The names of the members, in their order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|(name, _)| name.as_ref())
    }

    /// Whether a name comes twice, so that two readers could see two different objects.
    pub(crate) fn is_ambiguous(&self) -> bool {
        let names = |from: usize| self.members.iter().skip(from).map(|(name, _)| name.as_ref());
        if self.members.len() <= 16 {
            return names(0).enumerate().any(|(at, name)| names(at + 1).any(|other| other == name));
        }
        let mut sorted: Vec<&str> = names(0).collect();
        sorted.sort_unstable();
        sorted.windows(2).any(|pair| pair[0] == pair[1])
    }

    /// Where the value of `name` is.
    pub(crate) fn place(&self, name: &str) -> Option<Range<usize>> {
        let raw = self.raw(name)?;
        let start = (raw.as_ptr() as usize).checked_sub(self.text.as_ptr() as usize)?;
        Some(start..start + raw.len())
    }

    /// Begins a copy of the object that differs in a few places.
    pub(crate) fn patch(&self) -> Patch<'_, 'a> {
        Patch { object: self, edits: Vec::new(), added: String::new() }
    }
}

/// The members of the object that `text` is.
fn scanned(text: &str) -> Option<Vec<(Cow<'_, str>, &str)>> {
    let mut found = Vec::with_capacity(16);
    members(text, |name, value| {
        found.push((plain(name)?, value));
        Some(())
    })?;
    Some(found)
}

/// Tells each member of the object that `text` is, its name as a JSON string; none if that is not well-formed or
/// `tell` has enough.
fn members<'a>(text: &'a str, mut tell: impl FnMut(&'a str, &'a str) -> Option<()>) -> Option<()> {
    let bytes = text.as_bytes();
    let end = members_at(text, scan::blank(bytes, 0), |name, at| {
        let end = scan::value(bytes, at)?;
        tell(name, text.get(at..end)?)?;
        Some(end)
    })?;
    (scan::blank(bytes, end) == bytes.len()).then_some(())
}

/// Tells each member of the object that begins at `at`: its name as a JSON string, and where its value begins; `tell`
/// gives back where that ends. The end of the object; none if it is not well-formed or `tell` has enough.
pub(crate) fn members_at<'a>(
    text: &'a str,
    at: usize,
    mut tell: impl FnMut(&'a str, usize) -> Option<usize>,
) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = scan::blank(bytes, scan::opened(bytes, at, b'{')?);
    if let Some(end) = scan::opened(bytes, at, b'}') {
        return Some(end);
    }
    loop {
        let name = at;
        at = scan::string(bytes, scan::opened(bytes, at, b'"')?)?;
        let name = text.get(name..at)?;
        at = scan::blank(bytes, scan::opened(bytes, scan::blank(bytes, at), b':')?);
        at = scan::blank(bytes, tell(name, at)?);
        if let Some(end) = scan::opened(bytes, at, b'}') {
            return Some(end);
        }
        at = scan::blank(bytes, scan::opened(bytes, at, b',')?);
    }
}

/// Tells where each element of the array begins that begins at `at`; `tell` gives back where it ends. The end of the
/// array; none if it is not well-formed or `tell` has enough.
pub(crate) fn elements_at(
    text: &str,
    at: usize,
    mut tell: impl FnMut(usize) -> Option<usize>,
) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = scan::blank(bytes, scan::opened(bytes, at, b'[')?);
    if let Some(end) = scan::opened(bytes, at, b']') {
        return Some(end);
    }
    loop {
        at = scan::blank(bytes, tell(at)?);
        if let Some(end) = scan::opened(bytes, at, b']') {
            return Some(end);
        }
        at = scan::blank(bytes, scan::opened(bytes, at, b',')?);
    }
}

/// The text that a well-formed JSON string stands for; borrowed unless it has escapes.
pub(crate) fn plain(string: &str) -> Option<Cow<'_, str>> {
    let inside = string.strip_prefix('"')?.strip_suffix('"')?;
    match inside.as_bytes().contains(&b'\\') {
        false => Some(Cow::Borrowed(inside)),
        true => serde_json::from_str(string).ok().map(Cow::Owned),
    }
}

struct Members<'a>(Vec<(Cow<'a, str>, &'a str)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::with_capacity(16);
                while let Some(Name(name)) = map.next_key()? {
                    let value: &RawValue = map.next_value()?;
                    members.push((name, value.get()));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Visit)
    }
}

/// A member's name; borrowed unless it has escapes. (A bare `Cow` would always be owned.)
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// A copy in the making. What is not replaced, inserted or added leaves as it came.
pub(crate) struct Patch<'o, 'a> {
    object: &'o Object<'a>,
    edits: Vec<(Range<usize>, String)>,
    added: String,
}

impl Patch<'_, '_> {
    /// Sets `name` to `value`, which is JSON.
    pub(crate) fn set(&mut self, name: &str, value: String) {
        match self.object.place(name) {
            Some(place) => self.edits.push((place, value)),
            None => {
                let comma = if self.object.members.is_empty() && self.added.is_empty() { "" } else { "," };
                self.added.push_str(&format!("{comma}{}:{value}", quoted(name)));
            }
        }
    }

    /// Inserts `text` right after the opening bracket of `name`'s value.
    pub(crate) fn insert_first(&mut self, name: &str, text: String) {
        if let Some(place) = self.object.place(name) {
            self.edits.push((place.start + 1..place.start + 1, text));
        }
    }

    /// The copy.
    pub(crate) fn finish(mut self) -> Bytes {
        let text = self.object.text;
        if !self.added.is_empty() {
            let end = text.rfind('}').unwrap_or(text.len());
            self.edits.push((end..end, self.added));
        }
        self.edits.sort_by_key(|(place, _)| place.start);
        let more: usize = self.edits.iter().map(|(_, new)| new.len()).sum();
        let mut out = String::with_capacity(text.len() + more);
        let mut from = 0;
        for (place, new) in &self.edits {
            out.push_str(text.get(from..place.start).unwrap_or_default());
            out.push_str(new);
            from = place.end;
        }
        out.push_str(text.get(from..).unwrap_or_default());
        out.into()
    }
}

/// `text` as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_what_is_patched_changes() {
        let text = r#" { "a\u0062" : [ 1 , {"model":"inner"} ], "model":"m" ,"n" : null } "#;
        let object = Object::parse(text.as_bytes()).unwrap();
        assert_eq!(object.names().collect::<Vec<_>>(), ["ab", "model", "n"]);
        assert_eq!((object.get("n"), object.raw("n")), (None, Some("null")));
        let mut patch = object.patch();
        patch.set("x", "1".to_owned());
        patch.set("model", quoted("a \"b\""));
        patch.insert_first("ab", "0,".to_owned());
        patch.set("y", "2".to_owned());
        let expect =
            r#" { "a\u0062" : [0, 1 , {"model":"inner"} ], "model":"a \"b\"" ,"n" : null ,"x":1,"y":2} "#;
        assert_eq!(patch.finish(), expect);
        let empty = Object::parse(b"{}").unwrap();
        let mut patch = empty.patch();
        patch.set("x", "1".to_owned());
        assert_eq!(patch.finish(), r#"{"x":1}"#);
    }

    #[test]
    fn malformed_and_ambiguous_bodies_are_seen() {
        let wrong: [&[u8]; 6] = [b"", b"{", b"[]", b"{\"a\":1}x", b"{\"a\":\"\xff\"}", b"{\"a\":[1,]}"];
        for bytes in wrong {
            assert!(Object::parse(bytes).is_err(), "{bytes:?}");
        }
        let twice = Object::parse(br#"{"model":"a","m\u006fdel":"b"}"#).unwrap();
        assert!(twice.is_ambiguous());
        assert_eq!(twice.text("model").as_deref(), Some("b"));
        assert!(!Object::parse(br#"{"a":1,"b":1}"#).unwrap().is_ambiguous());
    }

    #[test]
    fn depth_cannot_overflow_the_stack() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200_000), "]".repeat(200_000));
        assert!(Object::parse(deep.as_bytes()).is_ok());
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-z\"\\\\{}é]{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map("[a-c\"}é]{0,2}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_patched_object_is_the_object_with_those_values(
            members in prop::collection::hash_map("[a-e\"}é]{0,2}", json(), 0..5),
            name in "[a-e]",
            value in json(),
            pretty: bool,
        ) {
            let mut expect = Value::Object(members.into_iter().collect());
            let text = if pretty { format!("{expect:#}") } else { expect.to_string() };
            let object = Object::parse(text.as_bytes()).unwrap();
            let mut patch = object.patch();
            patch.set(&name, value.to_string());
            patch.set("added", "1".to_owned());
            expect[name] = value;
            expect["added"] = 1.into();
            prop_assert_eq!(serde_json::from_slice::<Value>(&patch.finish()).unwrap(), expect);
        }
    }
}
