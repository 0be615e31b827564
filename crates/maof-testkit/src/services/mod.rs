//! Real services, for tests that need one: `scripts/services` starts them and says where they are, in variables such as
//! `MAOF_TEST_POSTGRES_URL`.
//!
//! A test that needs a service that is not there prints a line `SKIP` and passes; but where `MAOF_TEST_REQUIRE` (a list
//! with commas: `postgres,redis`) names it, the test fails, so that none is missed in silence.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let Some(database) = maof_testkit::services::postgres().await else { return };
//! assert!(database.url().starts_with("postgres"));
//! # })
//! ```

mod postgres;
mod redis;
mod relay;

pub use postgres::{Database, postgres};
pub use redis::{Redis, redis};
pub use relay::Relay;

/// Where a service is, if it is anywhere.
fn url(service: &str) -> Option<String> {
    let variable = format!("MAOF_TEST_{}_URL", service.to_uppercase());
    let required = std::env::var("MAOF_TEST_REQUIRE").unwrap_or_default();
    found(service, std::env::var(&variable).ok(), &required)
}

#[allow(clippy::print_stderr, reason = "whoever reads the tests' output should see what was not tested")]
fn found(service: &str, url: Option<String>, required: &str) -> Option<String> {
    let url = url.filter(|url| !url.is_empty());
    if url.is_none() {
        let how = format!("`eval \"$(scripts/services up {service})\"` starts one");
        let required = required.split(',').any(|name| name.trim() == service);
        assert!(!required, "MAOF_TEST_REQUIRE names {service}, and there is none; {how}");
        eprintln!("SKIP: there is no {service}; {how}");
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_service_is_skipped_and_one_that_is_there_is_used() {
        let check = |url: Option<&str>, required: &str, expect: Option<&str>| {
            assert_eq!(found("redis", url.map(str::to_owned), required).as_deref(), expect);
        };
        check(None, "", None);
        check(Some(""), "postgres", None);
        check(Some("redis://here"), "", Some("redis://here"));
        check(Some("redis://here"), "postgres,redis", Some("redis://here"));
    }

    #[test]
    #[should_panic(expected = "MAOF_TEST_REQUIRE names redis")]
    fn a_missing_service_that_is_required_fails() {
        found("redis", None, "postgres, redis");
    }
}
