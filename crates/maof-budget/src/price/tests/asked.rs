//! Which service a call asks for.

use maof_core::{Body, Call, CallId, ChatRequest, Name, Principal, Target};
use serde_json::json;

use super::*;
use crate::price::service;

fn call(said: &[(&str, serde_json::Value)]) -> Call {
    let mut chat = ChatRequest::user("what \"service_tier\" is");
    said.iter().for_each(|(key, value)| drop(chat.rest.insert((*key).to_owned(), value.clone())));
    let id = CallId::from_uuid(Default::default());
    Call::new(id, Target::Name(Name::new("a").unwrap()), Principal::local(), Body::from(chat))
}

#[test]
fn the_service_is_what_the_request_says_where_prices_depend_on_it() {
    let by_service = prices(r#"[{"price": {"input": 2}}, {"service": "flex", "price": {"input": 1}}]"#);
    let check = |said: &[(&str, serde_json::Value)], expect: Option<&str>| {
        assert_eq!(service(&call(said), &by_service).as_deref(), expect, "{said:?}");
    };
    check(&[], None);
    check(&[("service_tier", json!("flex"))], Some("flex"));
    check(&[("serviceTier", json!("flex"))], Some("flex"));
    check(&[("service_tier", json!(7))], None);
    let same = prices(r#"{"input": 2}"#);
    assert_eq!(
        service(&call(&[("service_tier", json!("flex"))]), &same),
        None,
        "nothing is looked up for nothing"
    );
}
