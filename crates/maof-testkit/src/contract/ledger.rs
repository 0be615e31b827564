//! What every ledger must do.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use maof_core::{
    Account, Attempt, AttemptId, Balance, Balances, CallId, Charge, ErrorKind, HoldMode, Ledger, Measure,
    Money, Name, Result, RunId, Timestamp, Unit, Usage, Window,
};

/// A ledger whose holds are all of one mode.
#[derive(Clone, Debug)]
pub struct Store {
    ledger: Arc<dyn Ledger>,
    mode: HoldMode,
}

impl From<Arc<dyn Ledger>> for Store {
    fn from(ledger: Arc<dyn Ledger>) -> Store {
        Store { ledger, mode: HoldMode::Strict }
    }
}

impl Deref for Store {
    type Target = dyn Ledger;

    fn deref(&self) -> &Self::Target {
        &*self.ledger
    }
}

impl Store {
    /// With batched holds.
    pub fn batched(ledger: Arc<dyn Ledger>) -> Store {
        Store { ledger, mode: HoldMode::Batched }
    }

    /// As [`Ledger::hold`], in the mode.
    ///
    /// # Errors
    /// As [`Ledger::hold`].
    pub fn hold<'a>(
        &'a self,
        key: &'a Arc<str>,
        charges: &'a [Charge],
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Balances>> {
        self.ledger.hold(key, charges, self.mode, now)
    }
}

pub(super) const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

pub(super) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn account(text: &str, measure: Measure) -> Account {
    Account { tenant: name("t"), name: name(text), measure, window: Window::Day }
}

pub(super) fn charge(text: &str, amount: i64, limit: i64) -> Charge {
    Charge { account: account(text, Measure::Money), amount, limit: Some(limit) }
}

pub(super) fn attempt(number: u128, cost: i64) -> Attempt {
    Attempt {
        id: AttemptId::from_uuid(uuid::Uuid::from_u128(number)),
        call: CallId::from_uuid(uuid::Uuid::from_u128(number)),
        tenant: name("t"),
        user: name("u"),
        key: Some(name("k")),
        team: Some(name("x")),
        tier: name("gold"),
        task_type: Some(name("summary")),
        tags: Some(Arc::new([(name("team"), name("finance")), (name("a.b"), name("c"))].into())),
        run: Some(RunId::from_uuid(uuid::Uuid::from_u128(7))),
        step: Some("s".into()),
        agent: name("a"),
        endpoint: name("e"),
        model: "m".into(),
        began: Timestamp::from_micros(number as i64),
        micros: 5,
        usage: Usage::default().with(Unit::Input, 3).with(Unit::Output, 2),
        cost: Money::from_nanos(cost),
        failure: None,
        purpose: maof_core::Purpose::Shadow,
        asked: Some(9),
        price: Some("file 1".into()),
        question: Some(1 << 62),
        opening: Some(7),
    }
}

pub(super) async fn balance(store: &Store, text: &str, measure: Measure) -> (i64, i64) {
    let Balance { spent, held } = store.balance(&account(text, measure), NOW).await.unwrap();
    (spent, held)
}

/// The life of a hold, on accounts of every measure.
pub async fn a_hold_is_raised_charged_and_given_back(store: Store) {
    let key: Arc<str> = "k".into();
    let charges = |money: i64| {
        let other = |measure, amount| Charge { account: account("a", measure), amount, limit: None };
        [charge("a", money, 100), other(Measure::Tokens, 50), other(Measure::Requests, 1)]
    };
    store.hold(&key, &charges(30), NOW).await.unwrap();
    store.hold(&key, &charges(40), NOW).await.unwrap();
    assert_eq!(balance(&store, "a", Measure::Money).await, (0, 40));
    store.charge(&key, attempt(1, 25));
    assert_eq!(balance(&store, "a", Measure::Money).await, (25, 15));
    assert_eq!(balance(&store, "a", Measure::Tokens).await, (5, 45));
    assert_eq!(balance(&store, "a", Measure::Requests).await, (1, 0));
    store.close(&key);
    store.close(&key);
    assert_eq!(balance(&store, "a", Measure::Money).await, (25, 0));
}

/// All or none.
pub async fn a_refusal_changes_nothing_and_says_why(store: Store) {
    let key: Arc<str> = "k".into();
    let error = store.hold(&key, &[charge("a", 5, 10), charge("b", 11, 10)], NOW).await.unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::BudgetExceeded, Some("b")));
    for part in ["$0.00000001 of $0.00000001 left", "resets at 2023-11-15T00:00:00"] {
        assert!(error.message().contains(part), "{error}");
    }
    assert_eq!(balance(&store, "a", Measure::Money).await, (0, 0));
    let whole = store.hold(&key, &[charge("b", 10, 10)], NOW).await;
    assert!(whole.is_ok(), "a limit may be used up to the last of it");
    assert!(store.hold(&"other".into(), &[charge("b", 1, 10)], NOW).await.is_err());
}

/// M01, in one process.
pub async fn two_hundred_callers_never_overspend(store: Store) {
    #[allow(clippy::disallowed_methods, reason = "a test waits for its own tasks")]
    let calls = (0..200_u128).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            let key: Arc<str> = number.to_string().into();
            let held = store.hold(&key, &[charge("a", 7, 500)], NOW).await.is_ok();
            tokio::task::yield_now().await;
            if held {
                store.charge(&key, attempt(number, 7));
            }
            store.close(&key);
            held
        })
    });
    let mut admitted = 0;
    for call in calls {
        admitted += i64::from(call.await.unwrap());
    }
    assert_eq!(balance(&store, "a", Measure::Money).await, (7 * admitted, 0));
    assert!(7 * admitted <= 500 && admitted >= 500 / 7, "{admitted} were admitted");
}

/// M01: what is decided together is decided one by one.
pub async fn holds_that_come_together_do_not_overspend(store: Store) {
    let keys: Vec<Arc<str>> = (0..40).map(|number| number.to_string().into()).collect();
    let charges = [charge("a", 7, 100), charge("b", 7, 1_000)];
    let mut holds: Vec<_> = keys.iter().map(|key| store.hold(key, &charges, NOW)).collect();
    let mut held = 0;
    // All of them are on their way before the first is waited for.
    std::future::poll_fn(|cx| {
        holds.retain_mut(|hold| match hold.as_mut().poll(cx) {
            std::task::Poll::Ready(done) => {
                held += i64::from(done.is_ok());
                false
            }
            std::task::Poll::Pending => true,
        });
        std::task::Poll::Ready(())
    })
    .await;
    for hold in holds {
        held += i64::from(hold.await.is_ok());
    }
    assert_eq!(held, 100 / 7);
    for account in ["a", "b"] {
        assert_eq!(balance(&store, account, Measure::Money).await, (0, 7 * held), "{account}");
    }
}

/// What a provider bills is in the ledger, once.
pub async fn attempts_are_written_once_and_read_by_their_tenant(store: Store) {
    let key: Arc<str> = "k".into();
    for number in [1, 2, 2] {
        store.charge(&key, attempt(number, 1));
    }
    store.charge(&"other".into(), attempt(2, 1));
    store.flush().await.unwrap();
    let read = store.attempts(&name("t"), None, 10).await.unwrap();
    let ids: Vec<u128> = read.iter().map(|a| a.id.uuid().as_u128()).collect();
    assert_eq!(ids, [2, 1], "once each, newest first");
    assert_eq!(read.last(), Some(&attempt(1, 1)), "every fact is kept");
    assert!(store.attempts(&name("other"), None, 10).await.unwrap().is_empty());
    let run = |number| Some(RunId::from_uuid(uuid::Uuid::from_u128(number)));
    assert_eq!(store.attempts(&name("t"), run(7), 10).await.unwrap(), read);
    assert!(store.attempts(&name("t"), run(8), 10).await.unwrap().is_empty());
    assert!(store.attempts(&name("other"), run(7), 10).await.unwrap().is_empty());
    assert_eq!(store.attempts(&name("t"), None, 1).await.unwrap().len(), 1);
}

/// A step that is asked again after a restart or by its policy holds under its old key.
pub async fn a_key_may_be_held_again_after_it_was_closed(store: Store) {
    let key: Arc<str> = "k".into();
    store.hold(&key, &[charge("a", 10, 20)], NOW).await.unwrap();
    store.charge(&key, attempt(1, 4));
    store.close(&key);
    store.hold(&key, &[charge("a", 10, 20)], NOW).await.unwrap();
    assert_eq!(balance(&store, "a", Measure::Money).await, (4, 10));
    store.close(&key);
    assert_eq!(balance(&store, "a", Measure::Money).await, (4, 0));
}

/// What a provider bills is spent, whatever was held for it.
pub async fn what_exceeds_the_hold_is_spent_all_the_same(store: Store) {
    let key: Arc<str> = "k".into();
    store.hold(&key, &[charge("a", 10, 20)], NOW).await.unwrap();
    store.charge(&key, attempt(1, 35));
    assert_eq!(balance(&store, "a", Measure::Money).await, (35, 0));
    store.close(&key);
    let error = store.hold(&"other".into(), &[charge("a", 1, 20)], NOW).await.unwrap_err();
    assert!(error.message().contains("$0.00 of"), "{error}");
}

/// M08: an answer that nobody waited for is billed after its hold was closed.
pub async fn a_charge_that_comes_late_counts(store: Store) {
    let key: Arc<str> = "k".into();
    store.hold(&key, &[charge("a", 10, 20)], NOW).await.unwrap();
    store.close(&key);
    for _ in 0..2 {
        store.charge(&key, attempt(1, 4));
    }
    assert_eq!(balance(&store, "a", Measure::Money).await, (4, 0));
    store.close(&"never held".into());
}

/// Windows are by the calendar, and a hold belongs to the one in which it began.
pub async fn windows_refill_and_a_hold_stays_in_its_own(store: Store) {
    let tomorrow = NOW.plus(Duration::from_secs(86_400));
    let spent = |now| {
        let store = store.clone();
        async move { store.balance(&account("a", Measure::Money), now).await.unwrap().spent }
    };
    let (first, second): (Arc<str>, Arc<str>) = ("k".into(), "l".into());
    store.hold(&first, &[charge("a", 10, 10)], NOW).await.unwrap();
    assert!(store.hold(&second, &[charge("a", 1, 10)], NOW).await.is_err());
    store.hold(&second, &[charge("a", 10, 10)], tomorrow).await.unwrap();
    store.charge(&first, attempt(1, 10));
    assert_eq!((spent(NOW).await, spent(tomorrow).await), (10, 0));
    store.close(&first);
    // Held again a day later, it is that day's: what was spent before is not spent twice.
    store.close(&second);
    store.hold(&first, &[charge("a", 3, 10)], tomorrow).await.unwrap();
    store.charge(&first, attempt(2, 3));
    assert_eq!((spent(NOW).await, spent(tomorrow).await), (10, 3));
}

/// M04: the same name in two tenants is two accounts, and what is only counted has no end.
pub async fn tenants_share_no_account_and_counting_has_no_limit(store: Store) {
    let counted = Charge { limit: None, ..charge("a", i64::MAX, 0) };
    let other = Account { tenant: name("other"), ..account("a", Measure::Money) };
    store.hold(&"k".into(), &[counted], NOW).await.unwrap();
    let theirs = Charge { account: other.clone(), amount: 5, limit: Some(5) };
    store.hold(&"l".into(), &[theirs], NOW).await.unwrap();
    assert_eq!(store.balance(&other, NOW).await.unwrap(), Balance { spent: 0, held: 5 });
    assert_eq!(balance(&store, "a", Measure::Money).await, (0, i64::MAX));
}

/// A budget nobody can exceed by asking often: vast usage saturates, and the ledger goes on.
pub async fn vast_usage_does_not_stop_the_ledger(store: Store) {
    let key: Arc<str> = "k".into();
    let tokens = Charge { account: account("a", Measure::Tokens), amount: 1, limit: Some(10) };
    store.hold(&key, std::slice::from_ref(&tokens), NOW).await.unwrap();
    for number in 1..=3 {
        let usage = Usage::default().with(Unit::Output, u64::MAX);
        store.charge(&key, Attempt { usage, ..attempt(number, i64::MAX) });
        store.flush().await.unwrap();
    }
    store.close(&key);
    assert_eq!(balance(&store, "a", Measure::Tokens).await, (i64::MAX, 0));
    assert!(store.hold(&"other".into(), &[tokens], NOW).await.is_err());
    assert_eq!(store.attempts(&name("t"), None, 9).await.unwrap().len(), 3);
}

/// Who stands in for another spends its own budget; what both share, both spend.
pub async fn an_agents_account_pays_for_its_own_attempts_only(store: Store) {
    let key: Arc<str> = "k".into();
    let held = ["agent:first", "agent:second", "tenant"].map(|name| charge(name, 10, 100));
    store.hold(&key, &held, NOW).await.unwrap();
    store.charge(&key, Attempt { agent: name("first"), ..attempt(1, 1) });
    store.charge(&key, Attempt { agent: name("second"), ..attempt(2, 4) });
    assert_eq!(balance(&store, "agent:first", Measure::Money).await, (1, 9));
    assert_eq!(balance(&store, "agent:second", Measure::Money).await, (4, 6));
    assert_eq!(balance(&store, "tenant", Measure::Money).await, (5, 5));
    store.close(&key);
    assert_eq!(balance(&store, "agent:first", Measure::Money).await, (1, 0));
}

/// A call that is budgeted twice on one account holds once.
pub async fn one_account_under_two_limits_holds_once_within_both(store: Store) {
    let both = |first, second| [charge("a", 4, first), charge("a", 6, second)];
    for _ in 0..2 {
        store.hold(&"k".into(), &both(10, 8), NOW).await.unwrap();
        assert_eq!(balance(&store, "a", Measure::Money).await, (0, 6));
    }
    assert!(store.hold(&"l".into(), &both(12, 11), NOW).await.is_err());
    store.hold(&"l".into(), &both(12, 12), NOW).await.unwrap();
}

/// A caller that goes away while its hold is on its way gives it back by its guard's `close`.
pub async fn a_hold_that_nobody_waits_for_leaves_nothing(store: Store) {
    for number in 0..20 {
        let (key, charges) = (Arc::from(number.to_string()), [charge("a", 5, 1_000)]);
        let mut held = store.hold(&key, &charges, NOW);
        // Polled once: it is on its way.
        std::future::poll_fn(|cx| {
            let _ = held.as_mut().poll(cx);
            std::task::Poll::Ready(())
        })
        .await;
        drop(held);
        store.close(&key);
    }
    assert_eq!(balance(&store, "a", Measure::Money).await, (0, 0));
}

/// Exactly once, however many ask.
pub async fn what_was_said_is_not_said_again(store: Store) {
    let say = |what: &'static str| {
        let store = store.clone();
        async move { store.first(what, NOW).await.unwrap() }
    };
    let answers = futures::future::join_all((0..20).map(|_| say("once"))).await;
    assert_eq!(answers.into_iter().filter(|first| *first).count(), 1);
    assert!(say("another").await);
    assert!(!say("another").await);
}
