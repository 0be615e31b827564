//! Attempts that are charged by rates with conditions.

use maof_core::Frame;
use serde_json::json;

use super::*;
use crate::PriceConfig;

/// Dearer beyond 1,000 tokens, cheaper as `flex`.
fn rates() -> Arc<Prices> {
    let rates = json!([
        {"price": {"input": 1_000, "output": 2_000}},
        {"over": 1_000, "price": {"input": 3_000, "output": 4_000}},
        {"service": "flex", "price": {"input": 500, "output": 1_000}},
    ]);
    Arc::new(serde_json::from_value::<PriceConfig>(rates).unwrap().prices().unwrap())
}

#[derive(Debug, Default)]
struct Unpriced(Mutex<u32>);

impl Observe for Unpriced {
    fn on(&self, signal: Signal<'_>) {
        *self.0.lock() += u32::from(matches!(signal, Signal::PriceUnknown { .. }));
    }
}

/// What a call is charged that uses this, and what was held for it; and how often its price was told to be unknown.
async fn charged(chat: ChatRequest, used: Usage, unknown: bool) -> (i64, i64, u32) {
    charged_by(chat, whole(Some(used)), unknown).await
}

/// The same of a call that is answered so.
async fn charged_by(chat: ChatRequest, answer: Answer, unknown: bool) -> (i64, i64, u32) {
    let (book, unpriced) = (book(i64::MAX), Arc::new(Unpriced::default()));
    let budget: BudgetConfig = serde_json::from_str(r#"{"account": "tenant", "limit_usd": 1}"#).unwrap();
    let limits = Arc::new(Limits::new(&[budget]).unwrap());
    let clock = Arc::new(Still(Instant::now()));
    let layer = Layer::new(card(), book.clone(), limits, clock, Arc::new(Same), unpriced.clone());
    let service = layer.priced(rates(), unknown).layer(service_fn(move |_: Call| answer()));
    let mut asked = call("");
    asked.body = Body::from(chat);
    service.oneshot(asked).await.unwrap().collect().await.unwrap();
    let lines = book.0.lock();
    let told = *unpriced.0.lock();
    (lines.rows[0].cost.nanos(), lines.held, told)
}

/// M02: held at the worst rate that may apply, settled at the true one.
#[tokio::test]
async fn a_long_question_is_held_at_the_dearer_rate_and_charged_at_the_true_one() {
    let chat = || ChatRequest { max_tokens: Some(0), ..ChatRequest::user("x".repeat(2_000)) };
    let of = |input: u64| Usage::default().with(Unit::Input, input);
    let (cost, held, told) = charged(chat(), of(1_000), false).await;
    assert_eq!((cost, told), (1_000_000_000, 0));
    assert!(held >= 2_000 * 3_000_000, "{held}");
    assert_eq!(charged(chat(), of(1_001), false).await.0, 3_003_000_000);
}

#[tokio::test]
async fn the_service_that_was_asked_for_is_held_and_charged() {
    let mut chat = ChatRequest { max_tokens: Some(0), ..ChatRequest::user("x".repeat(100)) };
    chat.rest.insert("service_tier".into(), json!("flex"));
    let (cost, held, _) = charged(chat, Usage::default().with(Unit::Input, 100), false).await;
    assert_eq!(cost, 50_000_000);
    assert!(held < 100_000_000, "{held}");
}

/// What a provider answers in is what it charges by, whatever was asked for; a text that speaks of it says nothing.
#[tokio::test]
async fn the_service_that_answered_is_charged() {
    let check = async |said: &'static str, expected: i64| {
        let mut chat = ChatRequest { max_tokens: Some(0), ..ChatRequest::user("x") };
        chat.rest.insert("service_tier".into(), json!("flex"));
        let usage = Usage::default().with(Unit::Input, 100);
        let answer: Answer = Arc::new(move || {
            let frame = |text: &'static str| Some(Frame { dialect: "openai", bytes: text.into() });
            let first = Event { frame: frame(r#"{"service_tier":"auto"}"#), deltas: vec![] };
            let last = Event { frame: frame(said), deltas: vec![Delta::Usage(usage)] };
            let events = futures::stream::iter([Ok(first), Ok(last)]);
            Box::pin(async move { Ok(Reply::stream(Box::pin(events))) })
        });
        assert_eq!(charged_by(chat, answer, false).await.0, expected, "{said}");
    };
    check(r#"{"service_tier": "default"}"#, 100_000_000).await;
    check(r#"{"service_tier": "flex"}"#, 50_000_000).await;
    check(r#"{"content": "\"service_tier\": \"default\""}"#, 50_000_000).await;
}

/// M10: counted.
#[tokio::test]
async fn each_request_whose_price_nobody_knows_is_told() {
    assert_eq!(charged(ChatRequest::user("q"), Usage::default(), true).await.2, 1);
}
