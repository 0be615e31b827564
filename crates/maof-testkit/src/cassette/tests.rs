//! Both formats on small documents, and the whole of the recordings.

use bytes::Bytes;

use super::*;

fn one(text: &str) -> Exchange {
    let mut exchanges = parse("suite__test__case", text).unwrap();
    assert_eq!(exchanges.len(), 1, "{exchanges:?}");
    exchanges.remove(0)
}

const WHEN: &str = "when:\n  path: /v1/x\n  method: POST\n  query_param:\n  - name: alt\n    value: sse\n  header:\n  - name: Anthropic-Version\n    value: 2023-06-01\n  body: '{\"a\":1}'\nthen:\n  status: 200\n  header:\n  - name: Content-Type\n    value: Text/Event-Stream\n  body: |+\n    event: e\n    data: 1\n\n";

fn interaction(request: &str, response: &str) -> String {
    format!(
        "interactions:\n- request:\n    headers: {{accept: ['*/*', b], x-n: '1'}}\n    method: POST\n    uri: https://h.example/v1/y?z=1\n{request}  response:\n    headers:\n      content-type: [application/json]\n    status: {{code: 201, message: Created}}\n{response}version: 1\n"
    )
}

#[test]
fn an_exchange_a_document_is_read_whole() {
    let exchange = one(WHEN);
    let expect = Exchange {
        suite: "suite".to_owned(),
        test: "test__case".to_owned(),
        index: 0,
        method: "POST".to_owned(),
        path: "/v1/x?alt=sse".to_owned(),
        request_headers: vec![("anthropic-version".to_owned(), "2023-06-01".to_owned())],
        request: "{\"a\":1}".into(),
        status: 200,
        response_headers: vec![("content-type".to_owned(), "Text/Event-Stream".to_owned())],
        response: "event: e\ndata: 1\n\n".into(),
    };
    assert!(exchange == expect, "{exchange:?}: {:?}", exchange.response);
    assert!(exchange.is_stream());
    assert_eq!(exchange.sse(), [("e".to_owned(), "1".to_owned())]);
    assert_eq!(exchange.request_json().unwrap()["a"], 1);
    assert_eq!((exchange.response_json(), exchange.bare_path()), (None, "/v1/x"));
    assert_eq!(format!("{exchange:?}"), "suite__test__case#0 (POST /v1/x?alt=sse: 200)");
}

#[test]
fn each_document_of_a_file_is_an_exchange() {
    let again = format!("{WHEN}---\n{WHEN}");
    let indices: Vec<usize> = parse("a__b", &again).unwrap().iter().map(|e| e.index).collect();
    assert_eq!(indices, [0, 1]);
}

#[test]
fn an_interaction_is_read_whole() {
    let text = interaction("    parsed_body: {b: 1}\n", "    parsed_body: {z: '2', a: 2.50}\n");
    let exchange = one(&text);
    assert_eq!((exchange.method.as_str(), exchange.path.as_str()), ("POST", "/v1/y?z=1"));
    assert_eq!((exchange.status, exchange.content_type().as_str()), (201, "application/json"));
    let headers = [("accept", "*/*"), ("accept", "b"), ("x-n", "1")];
    assert_eq!(exchange.request_headers, headers.map(|(n, v)| (n.to_owned(), v.to_owned())));
    assert_eq!(exchange.request, r#"{"b":1}"#);
    assert_eq!(exchange.response, r#"{"z":"2","a":2.5}"#, "the order of the keys is kept");
}

#[test]
fn bodies_of_every_writing_are_read() {
    let check = |body: &str, expect: &[u8]| {
        let exchange = one(&interaction("", body));
        assert_eq!(exchange.response, Bytes::copy_from_slice(expect), "{body}");
    };
    check("", b"");
    check("    body: null\n", b"");
    check("    body: plain\n", b"plain");
    check("    body: !!binary /wA=\n", b"\xff\0");
    check("    body: {string: ''}\n", b"");
    check("    body:\n      string: |+\n        data: x\n\n", b"data: x\n\n");
    check("    body:\n      string: !!binary |\n        /w\n        A=\n", b"\xff\0");
    check("    body: {encoding: utf-8, base64_string: YQ==}\n", b"a");
    check("    body: {string: !odd text}\n", b"text");
    check("    parsed_body: [yes, 'true', true, ~, -3, 18446744073709551615, 1.5e-7, {}]\n", {
        br#"["yes","true",true,null,-3,18446744073709551615,1.5e-7,{}]"#
    });
}

#[test]
fn what_cannot_be_read_says_why() {
    let check = |text: &str, wanted: &str| {
        let reason = parse("s__t", text).unwrap_err();
        assert!(reason.contains(wanted), "{reason}");
    };
    check("when: 1\n", "when");
    check(&WHEN.replace("  status: 200\n", ""), "status");
    check(&WHEN.replace("  status: 200\n", "  status: 200\n  body_encoding: rot13\n"), "rot13");
    check(&WHEN.replace("  status: 200\n", "  status: 200\n  body_encoding: base64\n"), "base64");
    check(&WHEN.replace("Content-Type", "Content-Encoding"), "Text/Event-Stream");
    check(&interaction("", "    body: {strong: x}\n"), "strong");
    check(&interaction("", "    body: !!binary '%'\n"), "base64");
}

#[test]
fn events_are_read_as_the_standard_says() {
    let check = |stream: &str, expect: &[(&str, &str)]| {
        let events = events(stream.as_bytes());
        let events: Vec<_> = events.iter().map(|(name, data)| (name.as_str(), data.as_str())).collect();
        assert_eq!(events, expect, "{stream:?}");
    };
    check("", &[]);
    check("data: 1\n\n", &[("", "1")]);
    check("\u{feff}data:1\r\n\r\ndata:  2\r\r", &[("", "1"), ("", " 2")]);
    check(": comment\nevent: e\nid: 7\ndata: a\ndata\ndata: b\n\n", &[("e", "a\n\nb")]);
    check("event: lost\n\ndata: 1\n\n", &[("", "1")]);
    check("data: 1\n\ndata: cut off\n", &[("", "1")]);
    check("data: cut off", &[]);
}

#[test]
fn without_recordings_nothing_is_read_unless_they_are_required() {
    let nowhere = Path::new("/nonexistent");
    let cassettes = Cassettes::at(nowhere, false).unwrap();
    assert!(cassettes.is_absent());
    assert_eq!(cassettes.exchanges("openai").count(), 0);
    assert_eq!(cassettes.census("openai").files, 0);
    let message = Cassettes::at(nowhere, true).unwrap_err();
    assert!(message.contains("/nonexistent") && message.contains("MAOF_FIXTURES"), "{message}");
}

#[test]
fn every_recording_is_read_or_says_why_not() {
    let cassettes = Cassettes::open();
    if cassettes.is_absent() {
        return;
    }
    let (mut files, mut exchanges) = (0, 0);
    for dialect in DIALECTS {
        let census = cassettes.census(dialect);
        let streams = cassettes.exchanges(dialect).filter(|exchange| exchange.is_stream()).count();
        println!(
            "{dialect}: {} exchanges ({streams} streams) in {} files, unreadable: {:?}",
            census.exchanges, census.files, census.unreadable
        );
        assert!(census.exchanges > 0, "{dialect}");
        assert!(census.unreadable.iter().all(|file| !file.reason.is_empty()), "{dialect}: {census:?}");
        files += census.files;
        exchanges += census.exchanges;
    }
    println!("together: {exchanges} exchanges in {files} files");
    assert!(exchanges >= 900, "only {exchanges} exchanges were read");
}

#[test]
fn recorded_answers_are_what_their_headers_say() {
    for dialect in DIALECTS {
        for exchange in Cassettes::open().exchanges(dialect) {
            let kind = exchange.content_type();
            if exchange.is_stream() {
                assert!(!exchange.sse().is_empty(), "{exchange:?} has no events");
            } else if kind.starts_with("application/json") && !exchange.response.is_empty() {
                assert!(exchange.response_json().is_some(), "{exchange:?} is no JSON");
            }
        }
    }
}
