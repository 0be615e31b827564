//! Shares of the calls that go another way.

use std::collections::{BTreeMap, BTreeSet};

use maof_core::{Grant, LeftOut};

use super::strategies::{ask, house, order};
use super::*;

fn splits(arms: &str) -> Router {
    house(&format!(r#"{{"strategy":"priority","split":{arms}}}"#), &Still::new()).unwrap()
}

fn of_session(session: usize) -> Call {
    let mut call = ask("hi");
    call.provenance.session = Some(session.to_string().into());
    call
}

fn arm(router: &Router, call: &Call) -> String {
    router.decide(call).unwrap().explain().arm.unwrap().to_string()
}

#[test]
fn sessions_fall_to_arms_by_their_shares_and_stay_there() {
    let arms =
        r#"[{"name":"dear","share":0.2,"agent":"big"},{"name":"cheap","share":0.3,"strategy":"cheapest"}]"#;
    let router = splits(arms);
    let mut fallen = BTreeMap::new();
    for session in 0..4_000 {
        let call = of_session(session);
        let arm = arm(&router, &call);
        let expect = match arm.as_str() {
            "dear" => "cd",
            "cheap" => "badc",
            _ => "abcd",
        };
        assert_eq!((order(&router, &call), self::arm(&router, &call)), (expect.to_owned(), arm.clone()));
        // What the hold goes by is what is decided on.
        let mut held: Vec<_> = router.candidates(&call).unwrap().into_iter().map(|c| c.endpoint).collect();
        let mut asked: Vec<_> =
            router.decide(&call).unwrap().candidates().map(|c| c.endpoint.clone()).collect();
        held.sort();
        asked.sort();
        assert_eq!(held, asked);
        *fallen.entry(arm).or_insert(0) += 1;
    }
    for (arm, share) in [("control", 0.5), ("dear", 0.2), ("cheap", 0.3)] {
        let found = f64::from(fallen[arm]) / 4_000.0;
        assert!((found - share).abs() < 0.03, "{arm}: {found}");
    }
}

#[test]
fn a_share_that_grows_takes_from_others_and_moves_nobody_else() {
    let before = splits(r#"[{"name":"b","share":0.1,"agent":"big"},{"name":"c","share":0.2,"agent":"big"}]"#);
    let after = splits(r#"[{"name":"b","share":0.2,"agent":"big"},{"name":"c","share":0.2,"agent":"big"}]"#);
    let mut moved = 0;
    for session in 0..2_000 {
        let call = of_session(session);
        let (was, is) = (arm(&before, &call), arm(&after, &call));
        // The rest shrank, so some of it may have moved to any arm; nobody comes to it.
        assert!(was == is || is == "b" || was == "control", "from {was} to {is}");
        moved += u32::from(was != is);
    }
    assert!((100..400).contains(&moved), "{moved} of 2,000 moved");
}

#[test]
fn an_arm_takes_only_what_it_is_for_and_whom_its_agent_may_serve() {
    let router = splits(r#"[{"name":"b","share":1,"agent":"big","of":"small"}]"#);
    let named = |target: &str| Call { target: Target::Name(name(target)), ..ask("hi") };
    assert_eq!((order(&router, &named("small")), arm(&router, &named("small"))), ("cd".into(), "b".into()));
    assert_eq!((order(&router, &named("a")), arm(&router, &named("a"))), ("a".into(), "control".into()));
    let mut only = named("small");
    let grant = Grant::Only(vec![name("small")]);
    only.principal = Arc::new(Principal { grant, ..(*Principal::local()).clone() });
    assert_eq!((order(&router, &only), arm(&router, &only)), ("ab".into(), "control".into()));
    assert!(router.decide(&only).unwrap().why.left_out.iter().all(|(_, why)| *why != LeftOut::Grant));
}

#[test]
fn an_arm_may_learn_where_the_rest_does_not() {
    let router = splits(r#"[{"name":"b","share":0.5,"strategy":"thompson"}]"#);
    let tried: BTreeSet<_> = (0..200).map(|session| order(&router, &of_session(session)).remove(0)).collect();
    assert_eq!(tried.into_iter().collect::<String>(), "abcd");
    assert!(router.learned_state().is_some());
}

#[test]
fn what_is_split_wrongly_is_refused_by_field() {
    let check = |split: &str, field: &str| {
        let config = format!(r#"{{"strategy":"priority",{split}}}"#);
        let error = house(&config, &Still::new()).unwrap_err();
        assert_eq!(error.field(), Some(field), "{split}: {error:?}");
    };
    check(r#""split":[{"name":"control","share":0.1,"agent":"big"}]"#, "split[0].name");
    check(r#""split":[{"name":"b","share":0,"agent":"big"}]"#, "split[0].share");
    check(r#""split":[{"name":"b","share":0.1}]"#, "split[0].strategy");
    check(r#""split":[{"name":"b","share":0.1,"agent":"nobody"}]"#, "split[0].agent");
    check(r#""split":[{"name":"b","share":0.1,"strategy":"complexity"}]"#, "tiers");
    check(r#""split":[{"name":"b","share":0.1,"strategy":"capability"}]"#, "split[0].strategy");
    let two = r#"{"name":"b","share":0.6,"agent":"big"},{"name":"c","share":0.6,"agent":"big"}"#;
    check(&format!(r#""split":[{two}]"#), "split");
    check(r#""shadow":{"agent":"nobody","share":0.1}"#, "shadow.agent");
    check(r#""shadow":{"agent":"big","share":1.1}"#, "shadow.share");
    check(r#""shadow":{"agent":"big","share":1,"max_concurrent":0}"#, "shadow.max_concurrent");
    check(r#""shadow":{"agent":"big","share":1,"timeout_ms":0}"#, "shadow.timeout_ms");
    check(r#""cascade":[{"of":"big","first":"nobody"}]"#, "cascade[0].first");
    check(r#""cascade":[{"of":"big","first":"big"}]"#, "cascade[0].first");
    check(r#""cascade":[{"of":"big","first":"small","second":"small"}]"#, "cascade[0].second");
    check(r#""cascade":[{"of":"big","first":"small","confidence":2}]"#, "cascade[0].confidence");
}
