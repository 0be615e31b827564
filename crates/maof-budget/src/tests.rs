//! Both layers over a ledger that writes down what it is told.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Cx, Poll as P, Waker};
use std::time::{Duration, Instant};

use maof_core::{
    Account, Balance, Balances, Body, CallId, Charge, ChatAnswer, ChatRequest, Delta, Event, Finish,
    HoldMode, Operation, Principal, Response, RunId, Silent, Spending, SpendingQuery, Target, Tariff, Unit,
};
use parking_lot::Mutex;
use proptest::prelude::*;
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::*;
use crate::hold;
use crate::limits::BudgetConfig;
use crate::worst::{Quote, Terms, Worst, counted_cost, worst_cost};
use crate::{Alert, AlertConfig, Alerts};

#[path = "tests/priced.rs"]
mod priced;

#[derive(Debug, Default)]
struct Book(Mutex<Lines>);

#[derive(Debug, Default)]
struct Lines {
    held: i64,
    limit: i64,
    /// How often a hold is pending before it is made.
    slow: u32,
    holds: u32,
    modes: Vec<HoldMode>,
    rows: Vec<Attempt>,
    closed: u32,
}

#[async_trait::async_trait]
impl Ledger for Book {
    async fn hold(&self, _: &Arc<str>, charges: &[Charge], mode: HoldMode, _: Timestamp) -> Result<Balances> {
        let slow = self.0.lock().slow;
        for _ in 0..slow {
            tokio::task::yield_now().await;
        }
        let mut lines = self.0.lock();
        lines.holds += 1;
        let most = charges.iter().map(|c| c.amount).max().unwrap_or(0);
        if most > lines.limit {
            return Err(Error::budget_exceeded("too dear").param("agent:a"));
        }
        lines.held = lines.held.max(most);
        lines.modes.push(mode);
        Ok(charges.iter().map(|charge| Balance { spent: 0, held: charge.amount }).collect())
    }
    fn charge(&self, _: &Arc<str>, attempt: Attempt) {
        self.0.lock().rows.push(attempt);
    }
    fn close(&self, _: &Arc<str>) {
        self.0.lock().closed += 1;
    }
    async fn balance(&self, _: &Account, _: Timestamp) -> Result<Balance> {
        Ok(Balance::default())
    }
    async fn attempts(&self, _: &Name, _: Option<RunId>, _: u32) -> Result<Vec<Attempt>> {
        Ok(self.0.lock().rows.clone())
    }
    async fn first(&self, _: &str, _: Timestamp) -> Result<bool> {
        Ok(true)
    }

    async fn spending(&self, query: &SpendingQuery) -> Result<Spending> {
        Spending::over(query, self.0.lock().rows.iter())
    }
    async fn flush(&self) -> Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
struct Still(Instant);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1)
    }
    fn instant(&self) -> Instant {
        self.0
    }
}

#[derive(Debug)]
struct Same;

impl Ids for Same {
    fn next(&self) -> uuid::Uuid {
        Default::default()
    }
}

/// Quotes the one card there is.
#[derive(Debug)]
struct One;

impl Quote for One {
    fn cheapest(&self, call: &Call) -> Option<Money> {
        by_card(|terms| worst_cost(call, terms)).ok()
    }
    fn counted(&self, call: &Call) -> Option<Worst> {
        by_card(|terms| counted_cost(call, terms, &Tiktoken))
    }
}

/// Knows nobody who could answer.
#[derive(Debug)]
struct Nobody;

impl Quote for Nobody {
    fn cheapest(&self, _: &Call) -> Option<Money> {
        None
    }
}

#[derive(Debug, Default)]
struct Heard(Mutex<Vec<String>>);

impl Observe for Heard {
    fn on(&self, signal: Signal<'_>) {
        match signal {
            Signal::HoldRefused { account } => self.0.lock().push(account.to_owned()),
            Signal::NearLimit { account } => self.0.lock().push(format!("near {account}")),
            _ => {}
        }
    }
}

fn card() -> Arc<Card> {
    let name = Name::new("a").unwrap();
    Arc::new(Card {
        name: name.clone(),
        provider: name,
        model: "gpt-4o".into(),
        operations: vec![Operation::Chat],
        tariff: Tariff::default().with(Unit::Input, 1_000_000).with(Unit::Output, 2_000_000),
        context: None,
        max_output: 100,
    })
}

/// By the card's tariff.
fn by_card<T>(of: impl FnOnce(Terms<'_>) -> T) -> T {
    let card = card();
    of(Terms { card: &card, prices: &Prices::from(card.tariff), now: Timestamp::from_micros(1) })
}

fn bound(text: &str) -> i64 {
    by_card(|terms| worst_cost(&call(text), terms)).unwrap().nanos()
}

fn call(text: &str) -> Call {
    let body = Body::from(ChatRequest::user(text));
    let id = CallId::from_uuid(Default::default());
    Call::new(id, Target::Name(Name::new("a").unwrap()), Principal::local(), body)
}

type Answer = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<Reply>> + Send>> + Send + Sync>;

type Stack = tower::util::BoxCloneService<Call, Reply, Error>;

/// Both layers over an endpoint that answers so.
fn stack(book: &Arc<Book>, answer: Answer) -> Stack {
    quoted(book, answer, Arc::new(Nobody), Arc::new(Silent))
}

fn quoted(book: &Arc<Book>, answer: Answer, quote: Arc<dyn Quote>, observe: Arc<dyn Observe>) -> Stack {
    let budget: BudgetConfig = serde_json::from_str(r#"{"account": "tenant", "limit_usd": 1}"#).unwrap();
    let limits = Arc::new(Limits::new(&[budget]).unwrap());
    let clock: Arc<dyn Clock> = Arc::new(Still(Instant::now()));
    let inner = service_fn(move |_: Call| answer());
    let attempt =
        Layer::new(card(), book.clone(), limits.clone(), clock.clone(), Arc::new(Same), observe.clone());
    let hold = hold::Layer::new(book.clone(), limits, clock, quote).observed_by(observe);
    Stack::new(hold.layer(attempt.layer(inner)))
}

fn book(limit: i64) -> Arc<Book> {
    Arc::new(Book(Mutex::new(Lines { limit, ..Lines::default() })))
}

fn whole(usage: Option<Usage>) -> Answer {
    Arc::new(move || {
        let mut response = Response::chat(ChatAnswer::text("hi"));
        response.usage = usage;
        Box::pin(async move { Ok(Reply::whole(response)) })
    })
}

#[tokio::test]
async fn a_whole_answer_is_charged_by_its_usage_and_its_hold_closed() {
    let book = book(i64::MAX);
    let usage = Usage::default().with(Unit::Input, 10).with(Unit::Output, 5);
    let reply = stack(&book, whole(Some(usage))).oneshot(call("q")).await.unwrap();
    assert_eq!(book.0.lock().closed, 0, "held until the reply ends");
    let (_, end) = reply.collect().await.unwrap();
    assert_eq!(end.cost, Some(Money::from_nanos(20)));
    let lines = book.0.lock();
    assert_eq!((lines.rows.len(), lines.closed), (1, 1));
    assert_eq!(
        (lines.rows[0].cost, lines.rows[0].usage),
        (Money::from_nanos(20), usage.with(Unit::Request, 1))
    );
    assert_eq!(lines.held, bound("q"), "the worst case was held");
}

/// What one call holds and spends that makes two requests, with these budgets: how often something was held after the
/// first of them, and after the second.
async fn holds_of_two_requests(budgets: &[&str]) -> [u32; 2] {
    let book = book(i64::MAX);
    let budgets: Vec<BudgetConfig> = budgets.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    let limits = Arc::new(Limits::new(&budgets).unwrap());
    let clock: Arc<dyn Clock> = Arc::new(Still(Instant::now()));
    let inner = service_fn(move |_: Call| whole(None)());
    let attempt =
        Layer::new(card(), book.clone(), limits.clone(), clock.clone(), Arc::new(Same), Arc::new(Silent));
    let (attempt, seen) = (Stack::new(attempt.layer(inner)), Arc::clone(&book));
    let twice = service_fn(move |call: Call| -> BoxFuture<'static, Result<Reply>> {
        let (attempt, seen) = (attempt.clone(), Arc::clone(&seen));
        Box::pin(async move {
            drop(attempt.clone().oneshot(call.clone()).await?);
            let first = seen.0.lock().holds;
            drop(attempt.oneshot(call).await?);
            seen.0.lock().slow = first;
            Ok(Reply::whole(Response::chat(ChatAnswer::text("done"))))
        })
    });
    let hold = hold::Layer::new(book.clone(), limits, clock, Arc::new(One));
    drop(hold.layer(twice).oneshot(call("q")).await.unwrap());
    let lines = book.0.lock();
    [lines.slow, lines.holds]
}

#[tokio::test]
async fn the_first_request_is_covered_by_the_calls_own_hold_and_no_later_one() {
    let check = async |budgets: &[&str], expect: [u32; 2]| {
        assert_eq!(holds_of_two_requests(budgets).await, expect, "{budgets:?}");
    };
    let money = r#"{"account": "tenant", "limit_usd": 1}"#;
    check(&[money], [1, 2]).await;
    check(&[], [0, 0]).await;
    // The call's own hold knows no agent, and bounds the input's tokens only.
    check(&[money, r#"{"account": "agent:a", "limit_usd": 1}"#], [2, 3]).await;
    check(&[money, r#"{"account": "agent:other", "limit_usd": 1}"#], [1, 2]).await;
    check(&[money, r#"{"account": "user", "limit_tokens": 1000000}"#], [2, 3]).await;
}

#[tokio::test]
async fn missing_usage_is_estimated_and_flagged() {
    let book = book(i64::MAX);
    stack(&book, whole(None)).oneshot(call("q")).await.unwrap().collect().await.unwrap();
    assert!(book.0.lock().rows[0].usage.estimated);
}

#[tokio::test]
async fn a_failure_before_any_answer_costs_nothing_and_has_its_row() {
    let book = book(i64::MAX);
    let answer: Answer = Arc::new(|| Box::pin(async { Err(Error::unavailable("down")) }));
    assert!(stack(&book, answer).oneshot(call("q")).await.is_err());
    let lines = book.0.lock();
    assert_eq!((lines.rows.len(), lines.closed, lines.rows[0].cost), (1, 1, Money::ZERO));
    assert_eq!(lines.rows[0].failure.as_ref().unwrap().kind, ErrorKind::Unavailable);
}

#[tokio::test]
async fn what_was_never_sent_has_no_row() {
    let book = book(i64::MAX);
    let answer: Answer =
        Arc::new(|| Box::pin(async { Err(Error::invalid_request("no such word").before_sending()) }));
    assert!(stack(&book, answer).oneshot(call("q")).await.is_err());
    let lines = book.0.lock();
    assert_eq!((lines.rows.len(), lines.closed), (0, 1));
}

#[tokio::test]
async fn a_refused_hold_sends_the_call_elsewhere_and_asks_nobody() {
    let book = book(10);
    let error = stack(&book, whole(None)).oneshot(call("q")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BudgetExceeded);
    assert_eq!(maof_core::Classify::retry(&error), Retry::Elsewhere);
    let lines = book.0.lock();
    assert_eq!((lines.rows.len(), lines.closed), (0, 1));
}

#[tokio::test]
async fn tokens_are_counted_exactly_where_their_bound_would_refuse() {
    let text = "hello world ".repeat(100);
    let bound = bound(&text);
    let book = book(bound - 1);
    stack(&book, whole(None)).oneshot(call(&text)).await.unwrap();
    assert!(book.0.lock().held < bound / 2);
}

#[tokio::test]
async fn nothing_cheaper_is_tried_where_the_cheapest_is_refused() {
    let (book, heard) = (book(10), Arc::new(Heard::default()));
    let service = quoted(&book, whole(None), Arc::new(One), heard.clone());
    let error = service.oneshot(call("q")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BudgetExceeded);
    assert_eq!(maof_core::Classify::retry(&error), Retry::Never);
    assert_eq!(*heard.0.lock(), ["agent:a"], "told once, by whoever refused");
    let lines = book.0.lock();
    assert_eq!((lines.rows.len(), lines.closed), (0, 1));
}

/// Who cannot afford whom he asks for is asked about who is cheaper near a limit, before he is refused.
#[tokio::test]
async fn who_is_cheaper_near_the_limit_is_tried_before_a_refusal() {
    #[derive(Debug)]
    struct Peers(i64);
    impl Quote for Peers {
        fn cheapest(&self, call: &Call) -> Option<Money> {
            Some(Money::from_nanos(if call.near.is_some() { self.0 } else { 100 }))
        }
    }
    let check = async |cheaper: i64, near: Option<u8>, holds: u32, expect: &[&str]| {
        let (book, heard) = (book(50), Arc::new(Heard::default()));
        let limits =
            Limits::new(&[serde_json::from_str(r#"{"account": "tenant", "limit_usd": 1}"#).unwrap()]);
        let clock: Arc<dyn Clock> = Arc::new(Still(Instant::now()));
        let quote = Arc::new(Peers(cheaper));
        let hold = hold::Layer::new(book.clone(), Arc::new(limits.unwrap()), clock, quote)
            .observed_by(heard.clone());
        let inner = service_fn(|_: Call| async { Ok(Reply::whole(Response::chat(ChatAnswer::text("hi")))) });
        let reply = hold.layer(inner).oneshot(call("q")).await;
        let told = reply.as_ref().ok().and_then(|reply| reply.head.near.as_ref()).map(|near| near.percent);
        assert_eq!((reply.is_ok(), told, book.0.lock().holds), (near.is_some(), near, holds), "{cheaper}");
        assert_eq!(*heard.0.lock(), expect, "{cheaper}");
    };
    check(50, Some(100), 2, &["near agent:a"]).await;
    check(60, None, 2, &["agent:a"]).await;
    check(100, None, 1, &["agent:a"]).await;
}

#[tokio::test]
async fn the_whole_calls_hold_is_counted_exactly_before_it_is_refused() {
    let text = "hello world ".repeat(100);
    let bound = bound(&text);
    let book = book(bound - 1);
    let service = quoted(&book, whole(None), Arc::new(One), Arc::new(Silent));
    service.oneshot(call(&text)).await.unwrap();
    assert!(book.0.lock().held < bound / 2);
}

#[tokio::test]
async fn tokens_are_not_counted_where_their_bound_is_held() {
    #[derive(Debug)]
    struct Never;
    impl CountTokens for Never {
        fn count(&self, _: &str, _: &str) -> crate::tokens::Count {
            unreachable!("nothing was refused")
        }
    }
    let book = book(i64::MAX);
    let budget: BudgetConfig = serde_json::from_str(r#"{"account": "tenant", "limit_usd": 1}"#).unwrap();
    let limits = Arc::new(Limits::new(&[budget]).unwrap());
    let clock = Arc::new(Still(Instant::now()));
    let layer = Layer::new(card(), book.clone(), limits, clock, Arc::new(Same), Arc::new(Silent));
    let answer = whole(None);
    let service = layer.counting(Arc::new(Never)).layer(service_fn(move |_: Call| answer()));
    service.oneshot(call(&"hello ".repeat(100))).await.unwrap();
    assert_eq!(book.0.lock().holds, 1);
}

/// Streams three texts with a pause before each, then its usage.
fn streamed() -> Answer {
    Arc::new(|| {
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let events = futures::stream::unfold(0, |i| async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                let usage = Usage::default().with(Unit::Input, 3).with(Unit::Output, 3);
                let deltas = match i {
                    0..3 => vec![Delta::Text { choice: 0, text: "four".into() }],
                    3 => vec![Delta::Finish { choice: 0, reason: Finish::Stop }, Delta::Usage(usage)],
                    _ => return None,
                };
                Some((Ok(Event { frame: None, deltas }), i + 1))
            });
            Ok(Reply::stream(Box::pin(events)))
        })
    })
}

proptest! {
    /// Dropped after any number of polls, its holds pending or not: at most one row, at most one closing; a
    /// row exactly if the request was sent, a closing exactly if anything began.
    #[test]
    fn a_call_dropped_at_any_poll_settles(polls in 0_usize..16, slow in 0_u32..3) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let book = book(i64::MAX);
            book.0.lock().slow = slow;
            let sent = Arc::new(Mutex::new(false));
            let (told, answer) = (sent.clone(), streamed());
            let answer: Answer = Arc::new(move || {
                *told.lock() = true;
                answer()
            });
            let service = quoted(&book, answer, Arc::new(One), Arc::new(Silent));
            let mut work = Box::pin(async { service.oneshot(call("q")).await?.collect().await });
            let mut done = false;
            for _ in 0..polls {
                match work.as_mut().poll(&mut Cx::from_waker(Waker::noop())) {
                    P::Ready(out) => {
                        let (_, end) = out.unwrap();
                        assert_eq!(end.cost, Some(Money::from_nanos(9)));
                        done = true;
                        break;
                    }
                    P::Pending => tokio::time::advance(Duration::from_millis(1)).await,
                }
            }
            drop(work);
            let (lines, sent) = (book.0.lock(), *sent.lock());
            assert_eq!(lines.rows.len(), usize::from(sent));
            assert_eq!(lines.closed, u32::from(polls > 0));
            if sent && !done {
                // Estimated, unless the usage had come already and only the end was missing.
                let exact = lines.rows[0].cost == Money::from_nanos(9);
                assert!(lines.rows[0].cost > Money::ZERO && (lines.rows[0].usage.estimated || exact));
                assert_eq!(lines.rows[0].failure.as_ref().unwrap().kind, ErrorKind::Cancelled);
            }
        });
    }
}

/// From the soft limit on the call says so on its way down, and the reply on its way up; parts that are passed are told.
#[tokio::test]
async fn a_call_beyond_the_soft_limit_says_which_account_is_near_its_limit() {
    let check = async |budget: &str, held: i64, near: Option<u8>, alerts: &[u8]| {
        let budget: BudgetConfig = serde_json::from_str(budget).unwrap();
        let limits = Arc::new(Limits::new(&[budget]).unwrap());
        let clock: Arc<dyn Clock> = Arc::new(Still(Instant::now()));
        let (heard, told) = (Arc::new(Heard::default()), Arc::new(Mutex::new(Vec::new())));
        let tell = {
            let told = Arc::clone(&told);
            move |alert: Alert| told.lock().push(alert.percent)
        };
        #[derive(Debug)]
        struct Costs(i64);
        impl Quote for Costs {
            fn cheapest(&self, _: &Call) -> Option<Money> {
                Some(Money::from_nanos(self.0))
            }
        }
        let book = book(i64::MAX);
        let hold = hold::Layer::new(book.clone(), limits, clock, Arc::new(Costs(held)))
            .observed_by(Arc::clone(&heard) as Arc<dyn Observe>)
            .alerting(Arc::new(Alerts::new(&AlertConfig::default(), tell)));
        let seen = Arc::new(Mutex::new(None));
        let answered = Arc::clone(&seen);
        let inner = service_fn(move |call: Call| {
            *answered.lock() = call.near.as_ref().map(|near| near.percent);
            async { Ok(Reply::whole(Response::chat(ChatAnswer::text("hi")))) }
        });
        let reply = hold.layer(inner).oneshot(call("q")).await.unwrap();
        assert_eq!(*seen.lock(), near, "{held}");
        assert_eq!(reply.head.near.as_ref().map(|near| near.percent), near, "{held}");
        assert_eq!(*heard.0.lock(), near.map(|_| "near tenant".to_owned()).into_iter().collect::<Vec<_>>());
        assert_eq!(*told.lock(), alerts, "{held}");
        assert_eq!(book.0.lock().modes, [HoldMode::Batched], "no run waits for it");
    };
    let dollar = r#"{"account": "tenant", "limit_usd": 1}"#;
    check(dollar, 799_999_999, None, &[]).await;
    check(dollar, 800_000_000, Some(80), &[80]).await;
    check(dollar, 1_000_000_000, Some(100), &[100]).await;
    let early = r#"{"account": "tenant", "limit_usd": 1, "soft_percent": 50}"#;
    check(early, 500_000_000, Some(50), &[]).await;
    let never = r#"{"account": "tenant", "limit_usd": 1, "soft_percent": 100}"#;
    check(never, 999_999_999, None, &[80]).await;
}

#[test]
fn a_tiers_callers_have_its_budgets_beside_everybodys() {
    let everybody: Vec<BudgetConfig> =
        serde_json::from_str(r#"[{"account": "tenant", "limit_usd": 9}]"#).unwrap();
    let tiers = r#"{
        "free": {"budgets": [{"account": "user", "limit_usd": 5, "window": "month"}, {"account": "user", "limit_requests": 100}]},
        "premium": {"aliases": ["pro"], "budgets": [{"account": "user", "limit_usd": 100, "window": "month"}]}
    }"#;
    let limits = Limits::new(&everybody).unwrap().with_tiers(&serde_json::from_str(tiers).unwrap()).unwrap();
    let check = |tier: &str, expect: &[(&str, i64)]| {
        let principal = Principal { tier: Name::new(tier).unwrap(), ..(*Principal::local()).clone() };
        let call = Call { principal: Arc::new(principal), ..call("q") };
        let charges = limits.charges(&call, None, &Worst::default()).unwrap();
        let said: Vec<_> = charges.iter().map(|c| (c.account.to_string(), c.limit.unwrap())).collect();
        let said: Vec<_> = said.iter().map(|(account, limit)| (account.as_str(), *limit)).collect();
        assert_eq!(said, expect, "{tier}");
    };
    let tenant = ("tenant (money per total)", 9_000_000_000);
    let paying = ("user:local (money per month)", 100_000_000_000);
    let free = [("user:local (money per month)", 5_000_000_000), ("user:local (requests per total)", 100)];
    check("free", &[tenant, free[0], free[1]]);
    check("premium", &[tenant, paying]);
    check("pro", &[tenant, paying]);
    check("enterprise", &[tenant]);
    let wrong =
        serde_json::from_str(r#"{"free": {"budgets": [{"account": "user", "limit_usd": 0}]}}"#).unwrap();
    let error = Limits::default().with_tiers(&wrong).unwrap_err();
    assert_eq!(error.field(), Some("tiers.free.budgets[0].limit_usd"));
}
