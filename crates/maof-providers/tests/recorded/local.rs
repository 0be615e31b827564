//! Traffic of the local model's server, which MAOF records itself: `scripts/model python tests/model/record.py`.
//! It is committed beside this file, so that these tests never skip.

use std::path::Path;

use futures::StreamExt as _;
use maof_core::{Finish, Parts};
use maof_testkit::cassette::Cassettes;

use super::*;

/// The dialects that the server speaks.
const SPOKEN: [&dyn Dialect; 3] = [&OPENAI, &RESPONSES, &ANTHROPIC];
/// Those in which callers hear it.
const HEARD: [&dyn Dialect; 4] = [&OPENAI, &RESPONSES, &ANTHROPIC, &GEMINI];

/// What was recorded, by its name without the suite's.
struct Recorded {
    name: String,
    dialect: &'static dyn Dialect,
    operation: Operation,
    exchange: Exchange,
}

impl Recorded {
    fn asked(&self) -> Call {
        let incoming = Incoming::json(self.operation, self.exchange.request.clone());
        call(self.dialect.read(incoming).unwrap_or_else(|e| panic!("{}: {e:?}", self.name)))
    }

    /// The answer, as a whole or put together from its frames.
    fn answer(&self) -> Response {
        match self.exchange.is_stream() {
            true => assembled(&events(self.dialect, &self.asked(), &self.exchange).unwrap()),
            false => {
                let reply = self
                    .dialect
                    .decode(&self.asked(), Content::json(self.exchange.response.clone()))
                    .unwrap_or_else(|e| panic!("{}: {e:?}", self.name));
                let mut typed = Response::typed(reply.answer().unwrap().clone());
                (typed.id, typed.model, typed.usage) = (reply.id, reply.model, reply.usage);
                typed.finish = reply.finish;
                typed
            }
        }
    }
}

/// What a stream says, all in all, and what it says was used.
fn assembled(events: &[Event]) -> Response {
    let usage = events.iter().flat_map(|event| &event.deltas).filter_map(|delta| match delta {
        Delta::Usage(usage) => Some(*usage),
        _ => None,
    });
    let mut whole = folded(events);
    whole.usage = usage.last();
    whole
}

fn recorded() -> Vec<Recorded> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded/local");
    let cassettes = Cassettes::at(&folder, true).unwrap();
    let of = |dialect: &'static dyn Dialect| {
        let census = cassettes.census(dialect.name());
        assert!(census.unreadable.is_empty(), "{:?}", census.unreadable);
        cassettes.exchanges(dialect.name()).map(move |exchange| Recorded {
            name: format!("{} {}", dialect.name(), exchange.test),
            operation: match exchange.bare_path() {
                path if path.ends_with("/embeddings") => Operation::Embed,
                path if path.ends_with("/count_tokens") => Operation::CountTokens,
                _ => Operation::Chat,
            },
            dialect,
            exchange: exchange.into(),
        })
    };
    let all: Vec<Recorded> = SPOKEN.into_iter().flat_map(of).collect();
    assert!(all.len() >= 20, "only {} exchanges", all.len());
    all
}

fn answered(stream: bool) -> impl Iterator<Item = Recorded> {
    recorded().into_iter().filter(move |r| r.exchange.status == 200 && r.exchange.is_stream() == stream)
}

/// The answer's own words for what was used, wherever a whole answer or a stream tells them.
fn told_usage(recorded: &Recorded) -> Value {
    if !recorded.exchange.is_stream() {
        return value(&recorded.exchange.response)["usage"].clone();
    }
    let mut told = json!({});
    for frame in data(&recorded.exchange.response) {
        for place in [&frame["usage"], &frame["message"]["usage"], &frame["response"]["usage"]] {
            told.as_object_mut().unwrap().extend(place.as_object().cloned().unwrap_or_default());
        }
    }
    told
}

/// The frames of a stream, without what only ends it.
fn data(stream: &[u8]) -> Vec<Value> {
    let lines = std::str::from_utf8(stream).unwrap().lines();
    let data = lines.filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    data.map(|data| value(data.as_bytes())).collect()
}

#[test]
fn of_a_request_only_the_model_changes() {
    for recorded in &recorded() {
        let Ok(body) =
            recorded.dialect.read(Incoming::json(recorded.operation, recorded.exchange.request.clone()))
        else {
            assert!(recorded.exchange.status >= 400, "{} is refused here only", recorded.name);
            continue;
        };
        let sent = recorded.dialect.encode(&call(body), ask("other-model")).unwrap();
        let mut expect = value(&recorded.exchange.request);
        expect["model"] = json!("other-model");
        assert_eq!(value(&sent.body), expect, "{}", recorded.name);
        assert!(recorded.exchange.path.ends_with(&*sent.path), "{}", recorded.name);
    }
}

#[test]
fn usage_is_in_disjoint_classes_that_sum_to_what_the_server_says() {
    let mut seen = 0;
    for recorded in answered(false).chain(answered(true)) {
        if recorded.operation == Operation::CountTokens {
            continue;
        }
        let (told, name) = (told_usage(&recorded), &recorded.name);
        let reply = recorded.answer();
        match recorded.dialect.name() {
            "openai" => openai::check_usage(&reply, &json!({"usage": told}), name),
            "anthropic" => anthropic::check_usage(reply.usage.unwrap(), &told, name),
            _ => responses::check_usage(reply.usage.unwrap(), &told, name),
        }
        seen += 1;
    }
    assert!(seen >= 15, "only {seen}");
}

#[test]
fn every_whole_answer_passes_as_it_came_and_survives_being_written_anew() {
    for recorded in answered(false) {
        let (asked, name) = (recorded.asked(), &recorded.name);
        let reply =
            recorded.dialect.decode(&asked, Content::json(recorded.exchange.response.clone())).unwrap();
        let passed = reply.content_of(recorded.dialect.name()).map(|content| &content.bytes);
        assert_eq!(passed, Some(&recorded.exchange.response), "{name}");

        let typed = recorded.answer();
        let original = value(&recorded.exchange.response);
        let envelope = Envelope { created: original["created"].as_i64().unwrap_or(0), ..Envelope::default() };
        let anew = recorded.dialect.encode_reply(&asked, &typed, &envelope).unwrap();
        match recorded.dialect.name() {
            "openai" if recorded.operation == Operation::Chat => {
                assert_eq!(openai::answer_of(value(&anew.bytes)), openai::answer_of(original), "{name}");
            }
            "anthropic" if recorded.operation == Operation::Chat => {
                assert_eq!(
                    anthropic::answer_of(value(&anew.bytes)),
                    anthropic::answer_of(original),
                    "{name}"
                );
            }
            _ => {
                let back = recorded.dialect.decode_answer(recorded.operation, &anew).unwrap();
                assert_eq!(&back, typed.answer().unwrap(), "{name}");
            }
        }
        for other in HEARD.iter().filter(|_| recorded.operation == Operation::Chat) {
            let written = other.encode_reply(&asked, &typed, &Envelope::default()).unwrap();
            let back = other.decode_answer(Operation::Chat, &written).unwrap();
            assert_eq!(gist(&back), gist(typed.answer().unwrap()), "{name} in {}", other.name());
        }
    }
}

#[test]
fn every_stream_passes_as_it_came_and_says_the_same_in_any_dialect() {
    for recorded in answered(true) {
        let (asked, name) = (recorded.asked(), &recorded.name);
        let events = events(recorded.dialect, &asked, &recorded.exchange).unwrap();
        assert_eq!(encoded(recorded.dialect, &asked, &events), recorded.exchange.response, "{name}");
        let whole = assembled(&events);
        for other in HEARD {
            let out = encoded(other, &asked, &unframed(&events));
            let ours = Exchange { response: out.into(), ..recorded.exchange.clone() };
            let again = assembled(&super::events(other, &asked, &ours).unwrap());
            let name = format!("{name} in {}", other.name());
            assert_eq!(gist(again.answer().unwrap()), gist(whole.answer().unwrap()), "{name}");
            assert_eq!(
                (&again.id, &again.model, &again.finish),
                (&whole.id, &whole.model, &whole.finish),
                "{name}"
            );
            assert_eq!(again.usage, whole.usage, "{name}");
        }
    }
}

/// Each was asked for the likeliest tokens, once as a whole and once as a stream.
#[test]
fn a_stream_assembles_to_the_whole_answer_of_the_same_request() {
    let whole: Vec<Recorded> = answered(false).collect();
    let mut seen = 0;
    for stream in answered(true) {
        let twin = stream.name.trim_end_matches("_stream");
        let twin = whole.iter().find(|whole| whole.name == twin).unwrap().answer();
        let assembled = stream.answer();
        assert_eq!(gist(assembled.answer().unwrap()), gist(twin.answer().unwrap()), "{}", stream.name);
        assert_eq!(assembled.finish, twin.finish, "{}", stream.name);
        // Of its responses the server names the model in the last frame only, which begins nothing.
        let model = twin.model.clone().filter(|_| stream.dialect.name() != "openai_responses");
        assert_eq!(assembled.model.clone(), model, "{}", stream.name);
        let output = [assembled, twin].map(|reply| reply.usage.unwrap().output_tokens());
        assert_eq!(output[0], output[1], "{}", stream.name);
        seen += 1;
    }
    assert!(seen >= 8, "only {seen}");
}

#[test]
fn finish_reasons_and_errors_are_what_they_mean() {
    let all = recorded();
    let find = |name: &str| all.iter().find(|recorded| recorded.name == name).unwrap();
    let check = |name: &str, expect: Finish| {
        assert_eq!(find(name).answer().finish, Some(expect.clone()), "{name}");
        assert_eq!(find(&format!("{name}_stream")).answer().finish, Some(expect), "{name}_stream");
    };
    check("openai cut", Finish::Length);
    check("openai schema", Finish::Stop);
    check("openai stop", Finish::Stop);
    check("anthropic cut", Finish::Length);
    check("anthropic stop", Finish::Stop);
    // The server calls a response complete that it has cut.
    check("openai_responses cut", Finish::Stop);
    check("openai_responses end", Finish::Stop);

    let check = |name: &str, expect: ErrorKind| {
        let Recorded { dialect, exchange, .. } = find(name);
        let error = dialect.decode_error(exchange.status, &exchange.response);
        // The server's code is HTTP's status again: none that a caller could use.
        assert_eq!((error.kind(), error.provider_code()), (expect, None), "{name}: {error:?}");
    };
    check("openai nothing_said", ErrorKind::InvalidRequest);
    check("openai too_long", ErrorKind::ContextLength);
    check("openai_responses too_long", ErrorKind::ContextLength);
    check("anthropic too_long", ErrorKind::ContextLength);
}

/// What a server bills for an answer that nobody heard to its end is told by nobody.
#[tokio::test]
async fn an_abandoned_stream_is_measured_by_its_pieces() {
    let mut seen = 0;
    for recorded in answered(true) {
        let told = recorded.answer().usage.unwrap().output_tokens();
        let mut events = events(recorded.dialect, &recorded.asked(), &recorded.exchange).unwrap();
        events.iter_mut().for_each(|event| event.deltas.retain(|delta| !matches!(delta, Delta::Usage(_))));
        let (_, Parts::Stream(mut stream)) =
            Reply::stream(Box::pin(futures::stream::iter(events.into_iter().map(Ok)))).into_parts()
        else {
            panic!("a stream");
        };
        while let Some(event) = stream.next().await {
            event.unwrap();
        }
        let (end, name) = (stream.end(), &recorded.name);
        assert_eq!(end.usage, None, "{name}");
        let estimate = end.estimated_output();
        // The last token says only that the answer is over. By a schema several come in a piece, and are short.
        let least = if name.contains("schema") { told / 3 } else { told - 2 };
        assert!((least..=2 * told).contains(&estimate), "{name}: {estimate} for {told}");
        assert!(end.streamed_bytes.div_ceil(4) <= estimate, "{name}");
        assert_ne!(end.model.as_deref(), Some(""), "{name}");
        seen += 1;
    }
    assert!(seen >= 8, "only {seen}");
}

#[test]
fn a_whole_answer_without_usage_is_measured_by_what_it_says() {
    for recorded in answered(false).filter(|recorded| recorded.operation == Operation::Chat) {
        let mut whole = recorded.answer();
        whole.usage = None;
        let said = whole.said_bytes();
        let (_, Parts::Whole(_, ends)) = Reply::whole(whole).into_parts() else { panic!("whole") };
        let end = ends.tell();
        assert!(said > 0 && end.estimated_output() == said.div_ceil(4), "{}", recorded.name);
    }
}
