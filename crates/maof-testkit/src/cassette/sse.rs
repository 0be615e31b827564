//! Server-sent events, read as <https://html.spec.whatwg.org/multipage/server-sent-events.html> says (as of
//! 2026-11-21). On purpose no code of the dialects': what they read is checked against this.

/// The events of a whole stream: name (empty: none was given) and data. An event without data is none; what
/// no blank line ends is dropped.
pub fn events(stream: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(stream).replace("\r\n", "\n").replace('\r', "\n");
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let lines = text.rsplit_once('\n').map_or("", |(lines, _)| lines);
    let mut events = Vec::new();
    let (mut name, mut data) = ("", Vec::new());
    for line in lines.split('\n') {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            _ if line.is_empty() => {
                if !data.is_empty() {
                    events.push((name.to_owned(), data.join("\n")));
                }
                (name, data) = ("", Vec::new());
            }
            "event" => name = value,
            "data" => data.push(value),
            _ => {}
        }
    }
    events
}
