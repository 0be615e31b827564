//! The worst case is never below the true one.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use maof_core::{
    Body, CallId, Chosen, DecisionId, Message, Name, Operation, Principal, Speaker, Target, ToolSpec,
};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::tokens::Tiktoken;

fn card(tariff: Tariff) -> Card {
    let name = Name::new("a").unwrap();
    Card {
        name: name.clone(),
        provider: name,
        model: "gpt-4o".into(),
        operations: vec![Operation::Chat],
        tariff,
        context: None,
        max_output: 100,
    }
}

fn per_token() -> Card {
    card(Tariff::default().with(Unit::Input, 1_000_000).with(Unit::Output, 1_000_000))
}

/// By the card's tariff.
fn by<T>(card: &Card, of: impl FnOnce(Terms<'_>) -> T) -> T {
    of(Terms { card, prices: &Prices::from(card.tariff), now: Timestamp::from_micros(0) })
}

fn call(chat: ChatRequest, instructions: Option<&str>) -> Call {
    let name = Name::new("a").unwrap();
    let id = CallId::from_uuid(Default::default());
    let mut call = Call::new(id, Target::Name(name.clone()), Principal::local(), Body::from(chat));
    call.chosen = Some(Arc::new(Chosen {
        decision: DecisionId::from_uuid(Default::default()),
        agent: name.clone(),
        endpoint: name,
        instructions: instructions.map(Arc::from),
        fallbacks: 0,
        instead_of: None,
    }));
    call
}

#[test]
fn instructions_and_choices_are_held_too() {
    let cost = |chat: ChatRequest, said: Option<&str>| {
        by(&per_token(), |t| worst_cost(&call(chat, said), t)).unwrap().nanos()
    };
    let plain = cost(ChatRequest::user("q"), None);
    assert!(cost(ChatRequest::user("q"), Some("four")) >= plain + 4);
    let three = ChatRequest { choices: Some(3), ..ChatRequest::user("q") };
    assert_eq!(cost(three.clone(), None), plain + 200, "the card's bound is for each choice");
    let bounded = ChatRequest { max_tokens: Some(7), ..three };
    assert_eq!(cost(bounded, None), plain - 100 + 21, "what the caller allows over all choices");
}

#[test]
fn only_plain_text_of_a_known_encoding_is_counted() {
    let long = "hello world ".repeat(40);
    let check = |chat: ChatRequest, model: &str, counted: bool| {
        let card = Card { model: model.into(), ..per_token() };
        let said = by(&card, |t| counted_cost(&call(chat.clone(), None), t, &Tiktoken));
        assert_eq!(said.is_some(), counted, "{model}: {chat:?}");
        let bound = by(&card, |t| worst_cost(&call(chat, None), t)).unwrap();
        assert!(said.is_none_or(|worst| worst.cost < bound));
    };
    let plain = ChatRequest::user(long.as_str());
    check(plain.clone(), "gpt-4o", true);
    check(plain.clone(), "claude-x", false);
    check(ChatRequest::user("hello world ".repeat(5_000)), "gpt-4o", false);
    let with = |change: &dyn Fn(&mut ChatRequest)| {
        let mut chat = plain.clone();
        change(&mut chat);
        chat
    };
    let tool = ToolSpec { name: "t".into(), description: None, parameters: json!({}), strict: None };
    check(with(&|c| c.tools.push(tool.clone())), "gpt-4o", false);
    let schema = OutputFormat::JsonSchema { name: "s".into(), schema: json!({}), strict: None };
    check(with(&|c| c.output = Some(schema.clone())), "gpt-4o", false);
    check(with(&|c| drop(c.rest.insert("functions".into(), json!([])))), "gpt-4o", false);
    check(with(&|c| drop(c.rest.insert("user".into(), json!("u")))), "gpt-4o", true);
    let image = Part::Image { url: "https://x.example/y.png".into(), detail: None };
    check(with(&|c| c.messages[0].parts.push(image.clone())), "gpt-4o", false);
    check(with(&|c| drop(c.messages[0].rest.insert("thought".into(), json!("t")))), "gpt-4o", false);
}

#[test]
fn instructions_are_counted_with_the_question() {
    let long = "hello world ".repeat(40);
    let count = |instructions: Option<&str>| {
        let call = call(ChatRequest::user(long.as_str()), instructions);
        counted(&call, &per_token(), &Tiktoken).unwrap()
    };
    assert!(count(Some(&long)) >= count(None) + 80);
}

#[test]
fn an_estimate_tells_of_characters_only_to_those_who_charge_by_them() {
    let call = call(ChatRequest::user("12345678"), None);
    let by = |tariff: Tariff| estimate(&call, &card(tariff), 9).get(Unit::Character);
    assert_eq!(by(Tariff::default().with(Unit::Input, 1)), 0);
    assert!(by(Tariff::default().with(Unit::Character, 1)) >= 8);
}

#[test]
fn sound_is_estimated_by_the_time_that_it_takes() {
    // A minute at 32 kbit/s.
    let sound = maof_core::media::TranscribeRequest { audio: vec![0; 240_000].into(), ..Default::default() };
    let mut call = call(ChatRequest::user("q"), None);
    call.body = Body::Transcribe(Arc::new(sound));
    let by_time = card(Tariff::default().with(Unit::AudioMs, 100_000_000));
    let guess = estimate(&call, &by_time, 0);
    assert_eq!(guess.get(Unit::AudioMs) / 100, 600, "{guess:?}");
    assert_eq!(guess.get(Unit::Input) / 10, 192, "32 tokens a second: {guess:?}");
    assert_eq!(
        estimate(&call, &per_token(), 0).get(Unit::AudioMs),
        0,
        "only who charges by time is told of it"
    );
    let held = by(&by_time, |t| worst(&call, t, call.token_bound())).unwrap();
    assert!(by_time.tariff.cost(&guess).unwrap() <= held.cost);
}

#[test]
fn an_estimate_of_the_output_is_no_more_than_may_come() {
    let call = call(ChatRequest::user("q"), None);
    let check = |came: u64, tokens: u64| {
        assert_eq!(estimate(&call, &per_token(), came).get(Unit::Output), tokens);
    };
    check(0, 0);
    check(3, 3);
    check(100, 100);
    check(4_000, 100);
}

fn prices() -> impl Strategy<Value = Tariff> {
    proptest::array::uniform9(0_u64..1 << 40).prop_map(|prices| {
        Unit::ALL.into_iter().zip(prices).fold(Tariff::default(), |t, (u, p)| t.with(u, p))
    })
}

/// A call of these texts, and the usage of an endpoint that uses these shares of all it may.
fn used(texts: &[String], instructions: &str, max: Option<u64>, shares: [u64; 5]) -> (Call, Usage) {
    let messages = texts.iter().map(|text| Message::text(Speaker::User, text.as_str())).collect();
    let chat = ChatRequest { messages, max_tokens: max, ..ChatRequest::default() };
    let bytes = texts.iter().map(String::len).sum::<usize>() + instructions.len();
    let (input, output) = (bytes as u64, max.unwrap_or(100));
    let [cached, written, reasoned, all, characters] = shares;
    let part = |whole: u64, share: u64| whole * share / 100;
    let (input, output) = (part(input, all), part(output, all));
    let (cached, reasoned) = (part(input, cached), part(output, reasoned));
    let written = part(input - cached, written);
    let usage = Usage::default()
        .with(Unit::Input, input - cached - written)
        .with(Unit::CachedInput, cached)
        .with(Unit::CacheWrite, written)
        .with(Unit::Output, output - reasoned)
        .with(Unit::Reasoning, reasoned)
        .with(Unit::Character, part(bytes as u64, characters))
        .with(Unit::Request, 1);
    (call(chat, Some(instructions)), usage)
}

proptest! {
    /// Whatever is used within the bounds, in whatever classes at whatever prices, costs no more than is held.
    #[test]
    fn the_worst_case_is_never_below_the_true_one(
        tariff in prices(),
        texts in proptest::collection::vec(".{0,60}", 0..4),
        instructions in ".{0,60}",
        max in proptest::option::of(0_u64..1_000),
        shares in proptest::array::uniform5(0_u64..=100),
    ) {
        let (call, usage) = used(&texts, &instructions, max, shares);
        let card = card(tariff);
        let held = by(&card, |t| worst(&call, t, call.token_bound())).unwrap();
        prop_assert!(tariff.cost(&usage).unwrap() <= held.cost);
        prop_assert!(usage.total_tokens() <= held.input + held.output);
        let guess = estimate(&call, &card, shares[0] * 1_000);
        prop_assert!(tariff.cost(&guess).unwrap() <= held.cost && guess.total_tokens() <= held.input + held.output);
    }

    /// A count lies between what the texts have and their bound.
    #[test]
    fn a_count_is_never_below_the_texts_own(texts in proptest::collection::vec("[a-z ]{40,120}", 1..4)) {
        let (call, _) = used(&texts, "be brief and polite to everybody who asks", None, [0; 5]);
        let own: u64 = texts.iter().map(|text| Tiktoken.count("gpt-4o", text).tokens()).sum();
        if let Some(tokens) = counted(&call, &per_token(), &Tiktoken) {
            prop_assert!(own < tokens && tokens < call.token_bound());
        }
    }
}
