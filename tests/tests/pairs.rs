//! Every door in front of an upstream of every dialect, on conversations that are made up from a seed and on
//! recorded streams: what the upstream receives is what the caller said, and what the caller puts together from a
//! stream is what it would have received whole. Both ends are written and read by the tests' own hand.
#![allow(clippy::unwrap_used, clippy::panic)]

use maof_core::fold::Fold;
use maof_core::{
    Answer, Call, CallId, ChatAnswer, Delta, Dialect, Envelope, Event, Incoming, Name, Operation, Principal,
    Response, Target, Usage,
};
use maof_providers::client::Events;
use maof_providers::{ANTHROPIC, GEMINI, OPENAI, RESPONSES};
use maof_testkit::cassette::{Cassettes, DIALECTS, Exchange};
use maof_testkit::{Script, Upstream};
use maof_tests::served::{Server, json_of};
use maof_tests::spoken::{Conversation, Generator, Heard, Said, Tongue, Turn, assembled, returned};
use serde_json::{Value, json};

/// Conversations for each pair.
const ROUNDS: usize = 25;

/// A dialect as a name, the profile, and what its base URL has after the upstream's address.
fn endpoint(tongue: Tongue) -> (&'static str, &'static str, &'static str) {
    match tongue {
        Tongue::Chat => ("chat", "openai_compatible", "/v1"),
        Tongue::Responses => ("responses", "openai_responses", "/v1"),
        Tongue::Messages => ("messages", "anthropic", "/v1"),
        Tongue::Contents => ("contents", "gemini", "/v1beta"),
    }
}

async fn server() -> (Server, Upstream) {
    let upstream = Upstream::start(Script::default()).await;
    let mut config = String::from("providers:\n");
    for (name, profile, path) in Tongue::ALL.map(endpoint) {
        let url = format!("{}{path}", upstream.origin());
        config += &format!(
            "  {name}: {{profile: {profile}, base_url: '{url}', api_key: k, unsupported: drop_and_report}}\n"
        );
    }
    config += "endpoints:\n";
    for (name, ..) in Tongue::ALL.map(endpoint) {
        config += &format!("  - {{name: {name}, provider: {name}, model: up}}\n");
    }
    (Server::start(&config).await, upstream)
}

fn seed() -> u64 {
    match std::env::var("MAOF_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => 1,
    }
}

/// What the upstream received last.
fn received(upstream: &Upstream) -> Value {
    serde_json::from_slice(&upstream.received().last().unwrap().body).unwrap()
}

/// S01: the assembled stream equals the whole reply, for every door and every upstream dialect.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_arrives_and_a_stream_says_what_the_whole_reply_says() {
    let (server, upstream) = server().await;
    let seed = seed();
    for door in Tongue::ALL {
        for behind in Tongue::ALL {
            let mut generator = Generator::new(seed);
            for round in 0..ROUNDS {
                let what = format!("MAOF_SEED={seed}, round {round}, {door:?} in front of {behind:?}");
                let asked = generator.conversation();
                let model = endpoint(behind).0;

                let body = asked.written(door, model, false);
                let (status, whole) = json_of(server.post(&door.path(model, false), &body)).await;
                assert!(status.is_success(), "{what}: {whole} for {body}");
                let sent = received(&upstream);
                let heard = Conversation::read(behind, &sent);
                assert_eq!(heard.numbered(), asked.clone().numbered(), "{what}: {body} became {sent}");

                let mut body = asked.written(door, model, true);
                if door == Tongue::Chat {
                    body["stream_options"] = json!({"include_usage": true});
                }
                let reply = server.post(&door.path(model, true), &body).send().await.unwrap();
                let stream = reply.text().await.unwrap();
                let whole_says = Heard::whole(door, &whole);
                assert_eq!(assembled(door, &stream), whole_says, "{what}: {stream} against {whole}");
                assert!(!whole_says.text.is_empty() || !whole_says.calls.is_empty(), "{what}: {whole}");
                assert!(whole_says.tokens.0 > 0 && whole_says.tokens.1 > 0, "{what}: {whole}");
            }
        }
    }
}

/// Where an upstream's request says what a thought was signed with.
fn signatures(body: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![body];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(fields) => {
                let names = ["signature", "thoughtSignature", "encrypted_content"];
                let here = names.iter().filter_map(|name| fields.get(*name)?.as_str());
                found.extend(here.map(str::to_owned));
                open.extend(fields.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    found
}

/// S04: signatures come back verbatim and in order, and go to nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn a_signed_thought_finds_its_way_back_through_any_door() {
    let (server, upstream) = server().await;
    // Upstreams of chat completions sign nothing.
    let signing = [Tongue::Responses, Tongue::Messages, Tongue::Contents];
    for door in Tongue::ALL {
        for behind in signing {
            let what = format!("{door:?} in front of {behind:?}");
            let mut generator = Generator::new(7);
            let mut asked = generator.conversation();
            while asked.tools.is_empty() {
                asked = generator.conversation();
            }
            asked.thinks = true;
            asked.turns = vec![Turn::User(vec![Said::Text("what now".to_owned())])];
            let model = endpoint(behind).0;
            let mut body = asked.written(door, model, false);
            let (status, whole) = json_of(server.post(&door.path(model, false), &body)).await;
            assert!(status.is_success(), "{what}: {whole}");
            let direct = asked.written(behind, "up", false);
            let origin = upstream.origin();
            let reply = server.client.post(format!("{origin}{}", behind.path("up", false))).json(&direct);
            let signed = signatures(&reply.send().await.unwrap().json().await.unwrap());
            assert!(!signed.is_empty(), "{what}: the upstream signs what it thinks");

            let list = match door {
                Tongue::Responses => "input",
                Tongue::Contents => "contents",
                Tongue::Chat | Tongue::Messages => "messages",
            };
            body[list].as_array_mut().unwrap().extend(returned(door, &whole));
            let (status, answer) = json_of(server.post(&door.path(model, false), &body)).await;
            assert!(status.is_success(), "{what}: {answer} for {body}");
            let sent = received(&upstream);
            assert_eq!(signatures(&sent), signed, "{what}: {body} became {sent}");
            // What one provider signed is nothing to another.
            for other in signing.into_iter().filter(|other| *other != behind) {
                let elsewhere = endpoint(other).0;
                let mut body = body.clone();
                if door != Tongue::Contents {
                    body["model"] = json!(elsewhere);
                }
                let (status, answer) = json_of(server.post(&door.path(elsewhere, false), &body)).await;
                assert!(status.is_success(), "{what}, then {other:?}: {answer}");
                let sent = received(&upstream);
                assert_eq!(signatures(&sent), Vec::<String>::new(), "{what}, then {other:?}: {sent}");
            }
        }
    }
}

fn dialect(tongue: Tongue) -> &'static dyn Dialect {
    match tongue {
        Tongue::Chat => &OPENAI,
        Tongue::Responses => &RESPONSES,
        Tongue::Messages => &ANTHROPIC,
        Tongue::Contents => &GEMINI,
    }
}

/// The streams that were recorded with real providers of a dialect, as calls and what they brought.
fn recorded(behind: Tongue) -> Vec<(Call, Vec<Event>, Exchange)> {
    let (folders, path): (&[&str], _) = match behind {
        Tongue::Chat => (&DIALECTS, "/chat/completions"),
        Tongue::Responses => (&["openai", "openai_responses", "deepseek"], "/responses"),
        Tongue::Messages => (&["anthropic"], "/messages"),
        Tongue::Contents => (&["gemini"], ":streamGenerateContent"),
    };
    let cassettes = Cassettes::open();
    if cassettes.is_absent() {
        return Vec::new();
    }
    let exchanges = folders.iter().flat_map(|folder| cassettes.exchanges(folder));
    exchanges
        .filter(|e| e.status == 200 && e.is_stream() && e.bare_path().ends_with(path))
        .filter_map(|e| read(behind, e))
        .collect()
}

fn read(behind: Tongue, exchange: Exchange) -> Option<(Call, Vec<Event>, Exchange)> {
    let incoming = Incoming {
        model: Some("m".to_owned()),
        stream: Some(true),
        ..Incoming::json(Operation::Chat, exchange.request.clone())
    };
    let body = dialect(behind).read(incoming).ok()?;
    let id = CallId::from_uuid(uuid::Uuid::nil());
    let call = Call::new(id, Target::Name(Name::new("m").unwrap()), Principal::local(), body);
    let mut frames = Events::new(1 << 20);
    frames.push(&exchange.response);
    let mut decoder = dialect(behind).decoder(&call);
    let mut events = Vec::new();
    while let Some(frame) = frames.next().unwrap() {
        events.extend(decoder.frame(frame.name.as_deref(), &frame.data, frame.raw).ok()?);
    }
    events.extend(decoder.close().ok()?);
    Some((call, events, exchange))
}

fn usage(delta: &Delta) -> Option<Usage> {
    match delta {
        Delta::Usage(usage) => Some(*usage),
        _ => None,
    }
}

/// S01, on what real providers streamed.
#[test]
fn a_recorded_stream_says_at_every_door_what_it_says_whole() {
    for behind in Tongue::ALL {
        let streams = recorded(behind);
        for (call, events, exchange) in &streams {
            for door in Tongue::ALL.into_iter().filter(|door| *door != behind) {
                let mut fold = Fold::default();
                let deltas = events.iter().flat_map(|event| &event.deltas);
                deltas.for_each(|delta| fold.push(delta.clone()).unwrap());
                let folded = fold.finish();
                let Ok(Answer::Chat(chat)) = folded.answer() else {
                    panic!("{} is no chat", exchange.source())
                };
                let spoken = Some(dialect(behind).name());
                let mut whole = Response::chat(ChatAnswer { spoken, ..chat.clone() });
                (whole.id, whole.model) = (folded.id.clone(), folded.model.clone());
                whole.usage = events.iter().flat_map(|event| &event.deltas).rev().find_map(usage);
                let envelope = Envelope { include_usage: true, ..Envelope::default() };
                let body = dialect(door).encode_reply(call, &whole, &envelope).unwrap().bytes;
                let whole = Heard::whole(door, &serde_json::from_slice(&body).unwrap());

                let mut encoder = dialect(door).encoder(call, envelope);
                let mut out = Vec::new();
                for event in events {
                    encoder.event(&Event { frame: None, deltas: event.deltas.clone() }, &mut out);
                }
                encoder.finish(&mut out);
                let stream = String::from_utf8(out).unwrap();
                let what = format!("{} at {door:?}: {stream}", exchange.source());
                assert_eq!(assembled(door, &stream), whole, "{what}");
            }
        }
        println!("{behind:?}: {} recorded streams at three doors each", streams.len());
        let least = match behind {
            Tongue::Chat => 150,
            Tongue::Messages => 60,
            Tongue::Responses => 30,
            Tongue::Contents => 50,
        };
        assert!(streams.is_empty() || streams.len() >= least, "only {} of {behind:?}", streams.len());
    }
}
