//! What the fuzzer feeds: bytes of an upstream or of a caller, into whatever reads them first. Nothing may panic, and
//! what is promised of any bytes is asserted. The same functions read the committed corpus in the tests.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a broken promise must be seen")]

use maof_core::fold::Fold;
use maof_core::{
    Body, Call, CallId, Content, Dialect, Envelope, Event, Incoming, Name, Operation, Principal,
};
use maof_providers::client::Events;
use maof_providers::{ANTHROPIC, GEMINI, OPENAI, RESPONSES};

/// Reads some bytes, and panics where a promise is broken.
pub type Target = fn(&[u8]);

/// Every target, by the name of its corpus.
pub const TARGETS: [(&str, Target); 5] = [
    ("sse", sse),
    ("openai", |bytes| dialect(&OPENAI, bytes)),
    ("openai_responses", |bytes| dialect(&RESPONSES, bytes)),
    ("anthropic", |bytes| dialect(&ANTHROPIC, bytes)),
    ("gemini", |bytes| dialect(&GEMINI, bytes)),
];

const MOST: usize = 1 << 16;

/// The events of a stream, and whether it was read to its end.
fn events(pieces: &[&[u8]]) -> (Vec<maof_providers::client::Frame>, bool) {
    let mut events = Events::new(MOST);
    let mut frames = Vec::new();
    for piece in pieces {
        events.push(piece);
        loop {
            match events.next() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(_) => return (frames, false),
            }
        }
    }
    frames.extend(events.rest());
    (frames, true)
}

/// Server-sent events: the same ones, however the bytes are cut; the first byte says where.
pub fn sse(bytes: &[u8]) {
    let Some((cut, stream)) = bytes.split_first() else { return };
    let (left, right) = stream.split_at(usize::from(*cut).min(stream.len()));
    let whole = events(&[stream]);
    assert_eq!(whole, events(&[left, right]));
    let (frames, complete) = whole;
    if complete {
        assert!(frames.iter().all(|frame| frame.raw.ends_with(b"\n")));
    }
}

fn call(body: Body) -> Call {
    let id = CallId::from_uuid(uuid::Uuid::nil());
    Call::new(id, maof_core::Target::Name(Name::new("m").unwrap()), Principal::local(), body)
}

/// Everything that a dialect reads: a stream's frames, a whole answer, an error, and a caller's request.
pub fn dialect(dialect: &'static dyn Dialect, bytes: &[u8]) {
    let speech = maof_core::media::SpeechRequest::default();
    for body in [Body::from(maof_core::ChatRequest::user("x")), Body::Speech(speech.into())] {
        stream(dialect, &call(body), bytes);
    }
    let _ = dialect.decode_error(500, bytes);
    for operation in Operation::ALL {
        let incoming = Incoming {
            model: Some("m".to_owned()),
            content_type: Some("multipart/form-data; boundary=b".to_owned()),
            ..Incoming::json(operation, bytes.to_vec())
        };
        let Ok(body) = dialect.read(incoming) else { continue };
        let typed = body.typed().cloned();
        let asked = call(body);
        for upstream in [&OPENAI as &dyn Dialect, &RESPONSES, &ANTHROPIC, &GEMINI] {
            let ask = maof_core::Ask {
                model: "m",
                unsupported: maof_core::Unsupported::DropAndReport,
                max_output: 4096,
            };
            let _ = upstream.encode(&asked, ask);
        }
        if typed.is_ok() {
            let _ = asked.token_bound();
        }
    }
    let asked = call(Body::from(maof_core::ChatRequest::user("x")));
    if let Ok(reply) = dialect.decode(&asked, Content::json(bytes.to_vec())) {
        // What is well-formed enough to be passed on may still be refused by who wants to understand it.
        if reply.answer().is_ok() {
            for door in [&OPENAI as &dyn Dialect, &RESPONSES, &ANTHROPIC, &GEMINI] {
                let _ = door.encode_reply(&asked, &reply, &Envelope::default());
            }
        }
    }
}

fn stream(dialect: &'static dyn Dialect, asked: &Call, bytes: &[u8]) {
    let mut decoder = dialect.decoder(asked);
    let mut fold = Fold::default();
    let doors = [&OPENAI as &dyn Dialect, &RESPONSES, &ANTHROPIC, &GEMINI];
    let mut encoders: Vec<_> = doors.iter().map(|door| door.encoder(asked, Envelope::default())).collect();
    let mut out = Vec::new();
    for frame in events(&[bytes]).0 {
        let Ok(event) = decoder.frame(frame.name.as_deref(), &frame.data, frame.raw) else { return };
        let Some(event) = event else { continue };
        let unframed = Event { frame: None, deltas: event.deltas.clone() };
        encoders.iter_mut().for_each(|encoder| encoder.event(&unframed, &mut out));
        for delta in event.deltas {
            if fold.push(delta).is_err() {
                return;
            }
        }
    }
    if decoder.close().is_ok() {
        encoders.iter_mut().for_each(|encoder| encoder.finish(&mut out));
        let _ = fold.finish().answer();
    }
}
