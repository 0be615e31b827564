//! The layer alone, in front of a service that notes what it is asked.
#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, reason = "the clock is the paused one of the test")]

use std::sync::Mutex;
use std::time::Instant;

use maof_core::{Body, ChatAnswer, ChatRequest, EmbedRequest, Name, Response, Silent, Timestamp};
use tower::{ServiceExt as _, util::BoxCloneSyncService};
use tower_layer::Layer as _;

use super::*;
use crate::learned::Seeded;

#[derive(Debug)]
struct World;

impl Ids for World {
    fn next(&self) -> uuid::Uuid {
        uuid::Uuid::from_u128(7)
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        Timestamp::default()
    }

    fn instant(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}

type Asked = Arc<Mutex<Vec<Call>>>;
type Service = Shadowed<BoxCloneSyncService<Call, Reply, Error>>;

/// A service whose shadows take a minute each, and what it was asked.
fn shadowed(config: &str, has_room: bool) -> (Service, Asked) {
    let asked = Asked::default();
    let noted = Arc::clone(&asked);
    let service = tower::service_fn(move |call: Call| {
        noted.lock().unwrap().push(call.clone());
        async move {
            if call.purpose == Purpose::Shadow {
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
            Ok(Reply::whole(Response::chat(ChatAnswer::text("hi"))))
        }
    });
    let ports = Ports {
        ids: Arc::new(World),
        clock: Arc::new(World),
        random: Arc::new(Seeded::new(3)),
        observe: Arc::new(Silent),
        spawn: Arc::new(|work| drop(tokio::spawn(work))),
        has_room: Arc::new(move || has_room),
    };
    let layer = Layer::new(&serde_json::from_str(config).unwrap(), ports);
    (layer.layer(BoxCloneSyncService::new(service)), asked)
}

fn call(target: &str) -> Call {
    let id = CallId::from_uuid(uuid::Uuid::from_u128(1));
    let grant = Grant::Only(vec![target.parse().unwrap()]);
    let principal = Arc::new(Principal { grant, ..(*Principal::local()).clone() });
    let mut call =
        Call::new(id, Target::Name(target.parse().unwrap()), principal, Body::from(ChatRequest::user("hi")));
    call.provenance.effect = Some("effect".into());
    call
}

/// Asks so often, and lets the shadows begin; how many there were.
async fn shadows(service: &Service, asked: &Asked, one: &Call, times: usize) -> usize {
    for _ in 0..times {
        let began = Instant::from(tokio::time::Instant::now());
        service.clone().oneshot(one.clone()).await.unwrap();
        assert_eq!(Instant::from(tokio::time::Instant::now()), began, "the caller waited");
        tokio::task::yield_now().await;
    }
    asked.lock().unwrap().iter().filter(|call| call.purpose == Purpose::Shadow).count()
}

#[tokio::test(start_paused = true)]
async fn a_share_is_also_sent_elsewhere_and_nobody_waits_for_it() {
    let (service, asked) = shadowed(r#"{"agent":"other","share":0.25,"max_concurrent":1000}"#, true);
    let made = shadows(&service, &asked, &call("analyst"), 1_000).await;
    assert!((200..300).contains(&made), "{made} of 1,000");
    let asked = asked.lock().unwrap();
    let shadow = asked.iter().find(|call| call.purpose == Purpose::Shadow).unwrap();
    let other: Name = "other".parse().unwrap();
    assert_eq!(shadow.target, Target::Name(other));
    assert!(shadow.principal.grant.allows("other"), "the caller's grant is not the operator's");
    let call = call("analyst");
    assert_ne!(shadow.hold_key(), call.hold_key(), "a hold of its own");
    assert!(shadow.deadline.is_some() && shadow.principal.tenant == call.principal.tenant);
}

#[tokio::test(start_paused = true)]
async fn shadows_are_bounded_in_number_and_time() {
    let (service, asked) =
        shadowed(r#"{"agent":"other","share":1,"max_concurrent":3,"timeout_ms":5000}"#, true);
    assert_eq!(shadows(&service, &asked, &call("analyst"), 10).await, 3);
    tokio::time::sleep(Duration::from_millis(5_001)).await;
    assert_eq!(shadows(&service, &asked, &call("analyst"), 10).await, 6, "those that took too long are gone");
}

#[tokio::test(start_paused = true)]
async fn who_is_not_meant_has_no_shadow() {
    let all = r#"{"agent":"other","share":1}"#;
    for (config, has_room, one, expect) in [
        (all, true, call("analyst"), 1),
        (all, false, call("analyst"), 0),
        (all, true, Call { purpose: Purpose::Shadow, ..call("analyst") }, 1),
        (all, true, Call { body: Body::Embed(Arc::new(EmbedRequest::default())), ..call("analyst") }, 0),
        (r#"{"agent":"other","share":1,"of":"analyst"}"#, true, call("analyst"), 1),
        (r#"{"agent":"other","share":1,"of":"analyst"}"#, true, call("clerk"), 0),
    ] {
        let (service, asked) = shadowed(config, has_room);
        // A shadow is asked and has none: it alone is counted.
        if one.purpose == Purpose::Shadow {
            service.clone().oneshot(one).await.unwrap();
            assert_eq!(asked.lock().unwrap().len(), expect);
            continue;
        }
        assert_eq!(shadows(&service, &asked, &one, 1).await, expect, "{config}");
    }
}
