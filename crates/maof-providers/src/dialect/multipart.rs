//! Forms with files (`multipart/form-data`, RFC 7578): read without copying, patched, and written.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use maof_core::{Error, Result};

/// The most fields of a form.
const MOST: usize = 256;

/// One field of a form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) file_name: Option<String>,
    pub(crate) media_type: Option<String>,
    /// Where its value is in the body.
    pub(crate) place: Range<usize>,
}

/// A field to write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) name: &'a str,
    /// Of a file, its name and its media type.
    pub(crate) file: Option<(&'a str, &'a str)>,
    pub(crate) bytes: &'a [u8],
}

/// A form that was read.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    body: Bytes,
    fields: Vec<Field>,
}

fn malformed(why: &str) -> Error {
    Error::invalid_request(format!("the body must be multipart/form-data: {why}"))
}

impl Form {
    /// Reads a body of the media type `content_type`.
    ///
    /// # Errors
    /// `invalid_request` when it is no form, is cut off, or has more than 256 fields.
    pub(crate) fn parse(content_type: Option<&str>, body: Bytes) -> Result<Self> {
        let boundary = content_type.and_then(boundary).ok_or_else(|| malformed("it names no boundary"))?;
        let mark = format!("--{boundary}");
        let mark = mark.as_bytes();
        // What stands before the first boundary is for readers that know no forms.
        let mut at = find(&body, mark, 0).ok_or_else(|| malformed("its boundary is not there"))?;
        let mut fields = Vec::new();
        let next = [b"\r\n", mark].concat();
        loop {
            at += mark.len();
            let Some(after) = body.get(at..) else { return Err(malformed("it is cut off")) };
            if after.starts_with(b"--") {
                return Ok(Form { body, fields });
            }
            let start = find(&body, b"\r\n", at).ok_or_else(|| malformed("it is cut off"))? + 2;
            let end =
                find(&body, &next, start.saturating_sub(2)).ok_or_else(|| malformed("it is cut off"))?;
            if fields.len() >= MOST {
                return Err(malformed("it has more than 256 fields"));
            }
            fields.push(field(&body, start..end.max(start))?);
            at = end + 2;
        }
    }

    /// The field called `name`, if there is one.
    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Every field, in order.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter()
    }

    /// A field's bytes.
    pub(crate) fn bytes(&self, field: &Field) -> Bytes {
        self.body.slice(field.place.clone())
    }

    /// The text of the field called `name`.
    ///
    /// # Errors
    /// `invalid_request` naming it when it is no text.
    pub(crate) fn text(&self, name: &'static str) -> Result<Option<&str>> {
        let Some(field) = self.field(name) else { return Ok(None) };
        let bytes = self.body.get(field.place.clone()).unwrap_or_default();
        let text = std::str::from_utf8(bytes);
        text.map(Some).map_err(|_| Error::invalid_request(format!("`{name}` must be text")).param(name))
    }

    /// The body with another value of the field called `name`.
    pub(crate) fn with(&self, name: &str, value: &str) -> Bytes {
        let Some(field) = self.field(name) else { return self.body.clone() };
        let (before, after) = (&self.body[..field.place.start], &self.body[field.place.end..]);
        [before, value.as_bytes(), after].concat().into()
    }
}

/// Writes a form; gives its media type and its bytes.
pub(crate) fn write(fields: &[Entry<'_>]) -> (String, Bytes) {
    // The first boundary that no value has in it.
    let taken =
        |boundary: &str| fields.iter().any(|field| find(field.bytes, boundary.as_bytes(), 0).is_some());
    let boundary = (0_u32..).map(|n| format!("maof-form-{n:08}")).find(|boundary| !taken(boundary));
    let boundary = boundary.unwrap_or_default();
    let mut out = Vec::new();
    for Entry { name, file, bytes } in fields {
        let head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"", plain(name));
        out.extend_from_slice(head.as_bytes());
        if let Some((file_name, media_type)) = file {
            let head = format!("; filename=\"{}\"\r\nContent-Type: {}", plain(file_name), plain(media_type));
            out.extend_from_slice(head.as_bytes());
        }
        out.extend_from_slice(b"\r\n\r\n");
        out.extend_from_slice(bytes);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), out.into())
}

/// A name that cannot end its line or its quotes (WHATWG HTML, "multipart form data").
fn plain(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

fn field(body: &Bytes, part: Range<usize>) -> Result<Field> {
    let bytes = body.get(part.clone()).unwrap_or_default();
    let gap = find(bytes, b"\r\n\r\n", 0).ok_or_else(|| malformed("a field has no head"))?;
    let head = String::from_utf8_lossy(&bytes[..gap]);
    let mut field = Field { place: part.start + gap + 4..part.end, ..Field::default() };
    for line in head.split("\r\n") {
        let Some((header, value)) = line.split_once(':') else { continue };
        match header.trim().to_ascii_lowercase().as_str() {
            "content-disposition" => {
                field.name = parameter(value, "name").unwrap_or_default().into_owned();
                field.file_name = parameter(value, "filename").map(Cow::into_owned);
            }
            "content-type" => field.media_type = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    Ok(field)
}

fn boundary(content_type: &str) -> Option<Cow<'_, str>> {
    let kind = content_type.split(';').next()?.trim();
    let boundary = parameter(content_type, "boundary")?;
    let fits = kind.eq_ignore_ascii_case("multipart/form-data") && (1..=70).contains(&boundary.len());
    fits.then_some(boundary)
}

/// A parameter behind a header's value: a word, or a quoted text.
fn parameter<'a>(value: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let mut rest = value.split_once(';')?.1;
    loop {
        let (key, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (text, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_at(after.find(';').unwrap_or(after.len())),
        };
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(Cow::Borrowed(text.trim()));
        }
        rest = next.trim_start().strip_prefix(';')?;
    }
}

fn find(bytes: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    let at = bytes.get(from..)?.windows(needle.len().max(1)).position(|window| window == needle)?;
    Some(from + at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_form_is_refused() {
        let check = |content_type: Option<&str>, body: &'static str| {
            let error = Form::parse(content_type, body.into()).unwrap_err();
            assert_eq!(error.kind(), maof_core::ErrorKind::InvalidRequest, "{body:?}");
        };
        let form = Some("multipart/form-data; boundary=b");
        check(None, "");
        check(Some("application/json; boundary=b"), "--b--");
        check(form, "");
        check(form, "--b");
        check(form, "--b\r\n");
        check(form, "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx");
        check(form, "--b\r\nx\r\n--b--");
    }

    #[test]
    fn a_form_of_a_browser_is_read() {
        let body = "preamble\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a b.wav\"\r\n\
                    content-type: audio/wav\r\n\r\nRI\r\n--FF\r\n--b\r\nContent-Disposition: form-data; name=model\r\n\r\n\
                    \r\n--b--\r\n";
        let form = Form::parse(Some("Multipart/Form-Data; charset=x; boundary=\"b\""), body.into()).unwrap();
        let file = form.field("file").unwrap();
        assert_eq!(
            (file.file_name.as_deref(), file.media_type.as_deref()),
            (Some("a b.wav"), Some("audio/wav"))
        );
        assert_eq!(form.bytes(file), "RI\r\n--FF");
        assert_eq!(form.text("model").unwrap(), Some(""));
        let patched = String::from_utf8(form.with("model", "m").to_vec()).unwrap();
        assert_eq!(patched, body.replace("\r\n\r\n\r\n--b--", "\r\n\r\nm\r\n--b--"));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            values in prop::collection::vec(("[a-z\\[\\]]{1,8}", prop::collection::vec(any::<u8>(), 0..40)), 0..6),
            edge in "(maof-form-0000000[0-2])?",
        ) {
            let values: Vec<(String, Vec<u8>)> =
                values.into_iter().map(|(name, bytes)| (name, [&bytes, edge.as_bytes()].concat())).collect();
            let fields: Vec<Entry<'_>> =
                values.iter().map(|(name, bytes)| Entry { name, file: Some(("f", "x/y")), bytes }).collect();
            let (content_type, body) = write(&fields);
            let form = Form::parse(Some(&content_type), body).unwrap();
            let read: Vec<_> = form.fields().map(|f| (f.name.clone(), form.bytes(f).to_vec())).collect();
            prop_assert_eq!(read, values);
        }

        #[test]
        fn no_bytes_break_the_reader(bytes in prop::collection::vec(prop::sample::select(&b"-b\r\n:;=\"x"[..]), 0..60)) {
            let _ = Form::parse(Some("multipart/form-data; boundary=b"), bytes.into());
        }
    }
}
