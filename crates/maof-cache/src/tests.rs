//! What is given again, to whom, and what is not.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use maof_core::{
    Cache, CacheControl, CacheKey, CacheStatus, Call, ChatAnswer, Conformity, Delta, Endpoint as _, Error,
    ErrorKind, Finish, Kept, Money, Name, Observe, Parts, Reply, Response, Result, Signal, Silent, Timestamp,
    Unit,
};
use maof_store::MemoryCache;
use maof_testkit::{FakeClock, Play, ScriptedEndpoint, endpoint};
use parking_lot::Mutex;
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::{Config, Layer};

type Service = BoxCloneSyncService<Call, Reply, Error>;

/// What came of each call, in words.
#[derive(Debug, Default)]
struct Log(Mutex<Vec<&'static str>>);

impl Observe for Log {
    fn on(&self, signal: Signal<'_>) {
        if let Signal::Cache(status) = signal {
            self.0.lock().push(status.as_str());
        }
    }
}

struct House {
    service: Service,
    endpoint: Arc<ScriptedEndpoint>,
    store: Arc<MemoryCache>,
    clock: Arc<FakeClock>,
    log: Arc<Log>,
}

/// Questions are the same where their last texts are; one of "alone" is like no other.
fn key(call: &Call) -> Option<CacheKey> {
    let text = call.body.chat().ok()?.last_user_text()?;
    let mut key = [0; 32];
    key.iter_mut().zip(text.bytes()).for_each(|(place, byte)| *place = byte);
    (text != "alone").then_some(key)
}

fn layer(store: Arc<dyn Cache>, clock: &Arc<FakeClock>, log: &Arc<Log>) -> Layer {
    let config = Config { ttl_seconds: 60, max_answer_bytes: 1_000, ..Config::default() };
    Layer::new(&config, store, key, clock.clone(), log.clone())
}

fn house(endpoint: ScriptedEndpoint) -> House {
    let (endpoint, clock, log) = (Arc::new(endpoint), FakeClock::new(), Arc::<Log>::default());
    let store = Arc::new(MemoryCache::new(1 << 20, Arc::new(Silent)));
    let asked = Arc::clone(&endpoint);
    let model = service_fn(move |call: Call| {
        let endpoint = Arc::clone(&asked);
        async move { endpoint.call(call).await }
    });
    let service = Service::new(layer(store.clone(), &clock, &log).layer(model));
    House { service, endpoint, store, clock, log }
}

fn question(text: &str, stream: bool) -> Call {
    let mut call = endpoint::call(text);
    call.stream = stream;
    call
}

impl House {
    /// Asks, and reads the answer to its end; its text, and how the cache took part.
    async fn ask(&self, call: Call) -> Result<(String, CacheStatus)> {
        let reply = self.service.clone().oneshot(call).await?;
        let status = reply.head.cache.unwrap();
        Ok((reply.collect().await?.0.text()?, status))
    }

    /// Asks each, one after the other; hit, miss or bypass.
    async fn statuses(&self, calls: impl IntoIterator<Item = Call>) -> Vec<&'static str> {
        let mut statuses = Vec::new();
        for call in calls {
            statuses.push(self.ask(call).await.map_or_else(|e| e.kind().as_str(), |(_, s)| s.as_str()));
        }
        statuses
    }
}

#[tokio::test]
async fn an_answer_is_given_again_whole_or_streamed_until_its_time_is_over() {
    for first in [false, true] {
        for then in [false, true] {
            let house = house(ScriptedEndpoint::new("e"));
            assert_eq!(house.ask(question("hi", first)).await.unwrap().1, CacheStatus::Miss);
            house.clock.advance(Duration::from_secs(59));
            let (text, status) = house.ask(question("hi", then)).await.unwrap();
            assert_eq!(text, "echo: hi");
            assert_eq!(status, CacheStatus::Hit { age: Duration::from_secs(59) });
            house.clock.advance(Duration::from_secs(1));
            assert_eq!(house.ask(question("hi", then)).await.unwrap().1, CacheStatus::Miss);
            assert_eq!(house.endpoint.counts().calls, 2);
            assert_eq!(*house.log.0.lock(), ["miss", "hit", "miss"]);
        }
    }
}

#[tokio::test]
async fn a_hit_says_what_was_used_and_costs_nothing() {
    for first in [false, true] {
        let house = house(ScriptedEndpoint::new("e"));
        house.ask(question("a b", first)).await.unwrap();
        let whole = house.service.clone().oneshot(question("a b", false)).await.unwrap();
        assert_eq!(whole.head.attempts, 0);
        let (response, end) = whole.collect().await.unwrap();
        assert_eq!((end.cost, end.is_complete()), (Some(Money::ZERO), true));
        let usage = response.usage.unwrap();
        assert_eq!((usage.get(Unit::Input), usage.get(Unit::Output)), (2, 3));
        assert_eq!(response.finish, Some(Finish::Stop));

        let streamed = house.service.clone().oneshot(question("a b", true)).await.unwrap();
        let (_, Parts::Stream(events)) = streamed.into_parts() else { panic!("a stream was asked for") };
        let deltas: Vec<Delta> = futures::StreamExt::collect::<Vec<_>>(events)
            .await
            .into_iter()
            .flat_map(|e| e.unwrap().deltas)
            .collect();
        let start = Delta::Start { id: String::new(), model: "e".to_owned() };
        let text = Delta::Text { choice: 0, text: "echo: a b".to_owned() };
        let finish = Delta::Finish { choice: 0, reason: Finish::Stop };
        assert_eq!(deltas, [start, text, finish, Delta::Usage(usage)]);
    }
}

#[tokio::test]
async fn a_caller_may_say_otherwise() {
    let house = house(ScriptedEndpoint::new("e"));
    let said = |header: &str| {
        let mut call = question("hi", false);
        call.cache = CacheControl::parse(header);
        call
    };
    assert_eq!(house.statuses([said("no-store"), said("")]).await, ["miss", "miss"]);
    assert_eq!(
        house.statuses([said("no-store"), said("no-cache"), said("")]).await,
        ["hit", "bypass", "hit"]
    );
    house.clock.advance(Duration::from_secs(10));
    assert_eq!(house.statuses([said("max-age=10"), said("max-age=0")]).await, ["hit", "bypass"]);
    house.clock.advance(Duration::from_secs(10));
    assert_eq!(house.statuses([said("max-age=9"), said("max-age=9")]).await, ["miss", "hit"]);
    assert_eq!(house.statuses([question("alone", false), question("alone", false)]).await, ["bypass"; 2]);
}

#[tokio::test]
async fn failures_and_what_was_not_read_to_its_end_are_not_kept() {
    let down = || Error::unavailable("down");
    let endpoint = ScriptedEndpoint::new("e")
        .then(Play::fail(down()))
        .then(Play::Break(2, down().failure()))
        .then(Play::Echo)
        .then(Play::Say(String::new()))
        .then(Play::Say("x".repeat(2_000)));
    let house = house(endpoint);
    assert_eq!(house.statuses([question("hi", false), question("hi", true)]).await, ["unavailable"; 2]);
    drop(house.service.clone().oneshot(question("hi", true)).await.unwrap());
    let (empty, large) = (question("hi", true), question("hi", true));
    assert_eq!(house.statuses([empty, large, question("hi", true)]).await, ["miss"; 3]);
    assert_eq!(house.statuses([question("hi", true)]).await, ["hit"]);
}

#[tokio::test]
async fn what_breaks_its_schema_is_not_kept() {
    let store = Arc::new(MemoryCache::new(1 << 20, Arc::new(Silent)));
    let invalid = service_fn(|_: Call| async {
        let mut reply = Reply::whole(Response::chat(ChatAnswer::text("{}")));
        reply.head.schema = Some(Conformity::Invalid);
        Ok::<_, Error>(reply)
    });
    let service = layer(store.clone(), &FakeClock::new(), &Arc::default()).layer(invalid);
    let reply = service.oneshot(question("hi", false)).await.unwrap();
    assert_eq!((reply.head.cache, store.bytes()), (Some(CacheStatus::Miss), 0));
}

#[tokio::test]
async fn nothing_is_given_to_another_tenant_though_the_key_were_the_same() {
    let house = house(ScriptedEndpoint::new("e"));
    let mut other = question("hi", false);
    let mut principal = (*other.principal).clone();
    principal.tenant = "other".parse().unwrap();
    other.principal = Arc::new(principal);
    assert_eq!(house.statuses([question("hi", false), other]).await, ["miss", "miss"]);
}

#[tokio::test]
async fn an_answer_that_was_under_way_when_all_was_forgotten_is_not_kept() {
    let house = house(ScriptedEndpoint::new("e"));
    let reply = house.service.clone().oneshot(question("hi", true)).await.unwrap();
    house.clock.advance(Duration::from_secs(1));
    let (tenant, now) = (question("hi", true).principal.tenant.clone(), maof_core::Clock::now(&*house.clock));
    house.store.forget(&tenant, None, now).await.unwrap();
    reply.collect().await.unwrap();
    house.clock.advance(Duration::from_secs(1));
    assert_eq!(house.statuses([question("hi", false), question("hi", false)]).await, ["miss", "hit"]);
}

/// A cache that cannot be reached.
#[derive(Debug)]
struct Gone;

#[async_trait]
impl Cache for Gone {
    async fn get(&self, _: &Name, _: &CacheKey, _: Timestamp) -> Result<Option<Arc<Kept>>> {
        Err(Error::unavailable("the cache is away"))
    }
    fn put(&self, _: CacheKey, _: Kept) {}
    async fn forget(&self, _: &Name, _: Option<&Name>, _: Timestamp) -> Result<u64> {
        Ok(0)
    }
}

#[tokio::test]
async fn a_cache_that_is_away_costs_no_answer() {
    let answers = service_fn(|_: Call| -> BoxFuture<'static, Result<Reply>> {
        Box::pin(async { Ok(Reply::whole(Response::chat(ChatAnswer::text("ok")))) })
    });
    let service = layer(Arc::new(Gone), &FakeClock::new(), &Arc::default()).layer(answers);
    let reply = service.oneshot(question("hi", false)).await.unwrap();
    assert_eq!(reply.head.cache, Some(CacheStatus::Miss));
}

#[test]
fn wrong_settings_are_refused_by_name() {
    let check = |config: Config, field: &str| {
        let error = config.validate().unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidRequest, Some(field)));
    };
    Config::default().validate().unwrap();
    check(Config { ttl_seconds: 0, ..Config::default() }, "ttl_seconds");
    check(Config { ttl_seconds: 31_536_001, ..Config::default() }, "ttl_seconds");
    check(Config { max_bytes: 1 << 10, ..Config::default() }, "max_bytes");
    check(Config { max_bytes: 1 << 20, max_answer_bytes: 1 << 20, ..Config::default() }, "max_answer_bytes");
    check(Config { max_answer_bytes: 0, ..Config::default() }, "max_answer_bytes");
}
