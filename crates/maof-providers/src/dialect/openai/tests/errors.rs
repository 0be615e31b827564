//! Errors: what is told of them, and what may be done after them.

use maof_core::Classify as _;

use super::*;

#[test]
fn a_status_and_a_code_say_what_may_be_done() {
    let check = |status: u16, error: Value, kind: ErrorKind, origin: Origin, retry: Retry| {
        let got = OPENAI.decode_error(status, json!({"error": error}).to_string().as_bytes());
        assert_eq!((got.kind(), got.origin(), got.retry()), (kind, origin, retry), "{status} {error}");
    };
    use ErrorKind::{
        ContentFiltered, ContextLength, InvalidRequest, RateLimited, Timeout, TooLarge, Unavailable,
    };
    use Origin::{Caller, Provider};
    let plain = || json!({"message": "m", "type": "t", "param": null, "code": null});
    check(400, plain(), InvalidRequest, Caller, Retry::Never);
    check(422, plain(), InvalidRequest, Caller, Retry::Never);
    check(401, plain(), Unavailable, Provider, Retry::Elsewhere);
    check(403, plain(), Unavailable, Provider, Retry::Elsewhere);
    check(404, plain(), Unavailable, Provider, Retry::Elsewhere);
    check(408, plain(), Timeout, Provider, Retry::Here);
    for status in [402, 405, 409, 410, 418, 425, 451] {
        check(status, plain(), Unavailable, Provider, Retry::Elsewhere);
    }
    check(413, plain(), TooLarge, Caller, Retry::Never);
    check(429, plain(), RateLimited, Provider, Retry::Here);
    check(302, plain(), Unavailable, Provider, Retry::Elsewhere);
    for status in [500, 502, 503, 529] {
        check(status, plain(), Unavailable, Provider, Retry::Here);
    }
    check(504, plain(), Timeout, Provider, Retry::Here);
    check(
        400,
        json!({"message": "m", "code": "context_length_exceeded"}),
        ContextLength,
        Provider,
        Retry::Elsewhere,
    );
    check(400, json!({"message": "exceeds the Context Window"}), ContextLength, Provider, Retry::Elsewhere);
    check(400, json!({"message": "m", "code": "content_filter"}), ContentFiltered, Provider, Retry::Never);
    check(
        429,
        json!({"message": "m", "type": "insufficient_quota"}),
        Unavailable,
        Provider,
        Retry::Elsewhere,
    );
}

/// Of the statuses 400 to 499 only 408 and 429 say that the same endpoint may succeed, and is at fault.
#[test]
fn a_refusal_is_never_asked_again_and_never_opens_a_breaker() {
    for status in 400..500 {
        let error = OPENAI.decode_error(status, br#"{"error":{"message":"m"}}"#);
        let again = matches!(error.retry(), Retry::Here | Retry::After(_));
        let expect = matches!(status, 408 | 429);
        assert_eq!((again, error.is_fault()), (expect, expect), "{status}: {error:?}");
    }
}

/// As Anthropic and Google say it: in words, and in a word beside a number.
#[test]
fn a_filter_is_told_by_its_words_and_a_kind_by_its_word() {
    let check = |error: Value, kind: ErrorKind, code: Value| {
        let error = OPENAI.decode_error(400, json!({"error": error}).to_string().as_bytes());
        assert_eq!(error.kind(), kind, "{error:?}");
        assert_eq!(value(&OPENAI.encode_error(&error))["error"]["code"], code, "{error:?}");
    };
    let filtered = ErrorKind::ContentFiltered;
    let said = |message: &str| json!({"type": "invalid_request_error", "message": message});
    check(said("Output blocked by content filtering policy"), filtered, json!("content_filter"));
    let google = |message: &str| json!({"code": 400, "message": message, "status": "INVALID_ARGUMENT"});
    check(google("it violates Google's Responsible AI practices"), filtered, json!("content_filter"));
    check(google("no such field"), ErrorKind::InvalidRequest, json!("INVALID_ARGUMENT"));
    check(said("`content_filter` is no field"), ErrorKind::InvalidRequest, Value::Null);
}

#[test]
fn only_the_callers_own_fault_keeps_the_upstreams_words() {
    let said = |status: u16| {
        let message = "bad `top_k` at http://10.0.0.7:9/secret for sk-upstream-SECRET";
        let body = json!({"error": {"message": message, "type": "t", "param": "top_k", "code": "bad_value"}});
        OPENAI.decode_error(status, body.to_string().as_bytes())
    };
    let own = said(400);
    assert_eq!(own.message(), "bad `top_k` at [url] for [key]");
    assert_eq!((own.field(), own.provider_code()), (Some("top_k"), Some("bad_value")));
    for status in [401, 403, 404, 429, 500, 503] {
        let error = said(status);
        assert!(!error.message().contains("top_k") && error.field().is_none(), "{error}");
        let all = format!("{error:?}");
        assert!(!all.contains("SECRET") && !all.contains("10.0.0.7"), "not even in the log: {all}");
        assert!(all.contains("bad `top_k`"), "but the rest is logged: {all}");
    }
}

#[test]
fn errors_of_other_shapes_are_understood() {
    let check =
        |body: &str, expect: &str| assert_eq!(OPENAI.decode_error(400, body.as_bytes()).message(), expect);
    check(r#"{"error":"model not loaded"}"#, "model not loaded");
    check(r#"{"message":"no"}"#, "no");
    check(r#"{"detail":"no"}"#, "no");
    check(r#"{"detail":[{"loc":["body"],"msg":"no"}]}"#, r#"[{"loc":["body"],"msg":"no"}]"#);
    check("<html>no</html>", "<html>no</html>");
    check("", "the upstream refused the request");
    check("null", "the upstream refused the request");
}

#[test]
fn callers_are_told_in_the_dialects_words() {
    let check = |error: Error, kind: &str, code: Value, param: Value| {
        let body = value(&OPENAI.encode_error(&error));
        let expect =
            json!({"error": {"message": error.message(), "type": kind, "param": param, "code": code}});
        assert_eq!(body, expect);
    };
    let request = "invalid_request_error";
    check(Error::invalid_request("m").param("n"), request, Value::Null, json!("n"));
    check(Error::invalid_request("m").code("bad_value"), request, json!("bad_value"), Value::Null);
    check(Error::unauthenticated("m"), request, json!("invalid_api_key"), Value::Null);
    check(Error::not_found("m").param("model"), request, json!("model_not_found"), json!("model"));
    check(Error::not_found("m").code("model_not_found"), request, json!("model_not_found"), Value::Null);
    check(Error::not_found("m"), request, json!("not_found"), Value::Null);
    check(Error::rate_limited("m"), "rate_limit_error", json!("rate_limit_exceeded"), Value::Null);
    check(Error::budget_exceeded("m"), "insufficient_quota", json!("insufficient_quota"), Value::Null);
    check(Error::context_length("m"), request, json!("context_length_exceeded"), Value::Null);
    check(Error::unavailable("m").code("theirs"), "server_error", json!("unavailable"), Value::Null);
    for kind in ErrorKind::ALL {
        let body = value(&OPENAI.encode_error(&Error::new(kind, "m")));
        assert!(body["error"]["type"].is_string() && body["error"].get("code").is_some(), "{kind}");
    }
}
