//! Endpoints as they are written in files: each kind by itself, and mistakes named by their place.

use maof_core::Result;

use super::Config;

fn parse(endpoint: &str) -> Result<Config> {
    Config::parse(&format!(
        "providers: {{p: {{profile: ollama}}}}\nendpoints:\n  - name: e\n    {}\n",
        endpoint.replace('\n', "\n    ")
    ))
}

#[test]
fn an_endpoint_is_of_one_kind() {
    let check = |endpoint: &str, expect: Option<&str>| {
        let field = parse(endpoint).err().map(|e| e.field().unwrap_or("?").to_owned());
        assert_eq!(field.as_deref(), expect, "{endpoint}");
    };
    let service =
        "service: {url: \"http://h.example/p\", body: {text: \"{{ text }}\", top: 3}, result: /0/label}";
    let cursor = "cursor: {api_key: k, repository: \"https://github.com/o/r\", ref: main, poll_ms: 500, follow_ms: 59000}";
    check(service, None);
    check(&format!("{service}\nmodel: finbert"), None);
    check(cursor, None);
    check(&format!("{cursor}\nmodel: claude-4-sonnet"), None);
    check("provider: p\nmodel: m", None);
    check("provider: p", Some("endpoints[0].name"));
    check(&format!("{service}\n{cursor}"), Some("endpoints[0].name"));
    check(&format!("{service}\nprovider: p\nmodel: m"), Some("endpoints[0].name"));
    check(&format!("{cursor}\nlocal: lexicon"), Some("endpoints[0].name"));
    check(&format!("{service}\noperations: [chat, embed]"), Some("endpoints[0].operations"));
    check(&format!("{cursor}\noperations: [image]"), Some("endpoints[0].operations"));
    let misspelt = service.replace("{{ text }}", "{{ txt }}");
    check(&misspelt, Some("endpoints[0].service.body.text"));
    check(&service.replace("http:", "ftp:"), Some("endpoints[0].service.url"));
    check(&cursor.replace("59000", "60000"), Some("endpoints[0].cursor.follow_ms"));
    check(&cursor.replace("500", "0"), Some("endpoints[0].cursor.poll_ms"));
    assert!(parse(&service.replace("result", "reslut")).unwrap_err().message().contains("result"));
}

#[test]
fn an_endpoint_survives_failure_in_its_own_way() {
    let check = |text: &str, expect: Option<&str>| {
        let field = Config::parse(text).err().map(|e| e.field().unwrap_or("?").to_owned());
        assert_eq!(field.as_deref(), expect, "{text}");
    };
    let cursor = |own: &str| {
        format!(
            "resilience: {{timeout: {{total_ms: 7200000}}}}\n\
             endpoints: [{{name: e, cursor: {{api_key: k, follow_ms: 3600000}}, resilience: {own}}}]"
        )
    };
    check(&cursor("{timeout: {attempt_ms: 3700000}}"), None);
    check(&cursor("{timeout: {attempt_ms: 3600000}}"), Some("endpoints[0].cursor.follow_ms"));
    check(&cursor("{timeout: {attempt_ms: 7200001}}"), Some("endpoints[0].resilience.timeout.attempt_ms"));
    check(&cursor("{retry: {max_attempts: 0}}"), Some("endpoints[0].resilience.retry.max_attempts"));
    let provider = |name: &str, said: &str| {
        format!("providers: {{p: {{profile: ollama}}}}\nresilience: {{providers: {{{name}: {said}}}}}")
    };
    check(&provider("p", "{rate_limit: {requests: 500}}"), None);
    check(&provider("local", "{bulkhead: {max_concurrent: 2}}"), None);
    check(&provider("q", "{}"), Some("resilience.providers"));
    check(&provider("p", "{rate_limit: {requests: 0}}"), Some("resilience.providers.p.rate_limit.requests"));
    let error = Config::parse(&provider("p", "{rate_limit: {request: 5}}")).unwrap_err();
    assert!(error.message().contains("unknown field `request`"), "{error}");
}

#[test]
fn what_agents_declare_badly_is_named_and_what_nobody_can_be_told_is_warned_of() {
    let config = |output: &str| {
        Config::parse(&format!(
            "endpoints: [{{name: e, service: {{url: 'http://h.example/p', body: '{{{{ text }}}}'}}}}]\n\
             agents: [{{name: a, endpoints: [e], output: {output}}}]\n"
        ))
    };
    let check = |output: &str, expect: Option<&str>| {
        let field = config(output).err().map(|e| e.field().unwrap_or("?").to_owned());
        assert_eq!(field.as_deref(), expect, "{output}");
    };
    check("{schema: {type: object}, fields: {answer: /label}}", None);
    check("{schema: {type: objekt}}", Some("agents[0].output.schema"));
    check("{schema: {}, fields: {answer: label}}", Some("agents[0].output.fields.answer"));
    let warned =
        |output: &str| config(output).unwrap().check().unwrap().iter().any(|w| w.contains("output.fields"));
    assert!(warned("{schema: {type: object}}"));
    assert!(!warned("{schema: {type: object}, fields: {answer: ''}}"));
    let wrong = Config::parse("structured: {max_schema_bytes: 0}").unwrap_err();
    assert_eq!(wrong.field(), Some("structured.max_schema_bytes"));
}

#[test]
fn the_cache_is_off_until_it_is_named_and_its_numbers_are_checked() {
    assert_eq!(Config::parse("{}").unwrap().cache, None);
    let check = |yaml: &str, field: Option<&str>| {
        let wrong = Config::parse(yaml).and_then(|config| config.check()).err();
        assert_eq!(wrong.as_ref().and_then(|e| e.field()), field, "{yaml}: {wrong:?}");
    };
    check("cache: {}", None);
    check("cache: {when: always, ttl_seconds: 5}", None);
    check("cache: {ttl_seconds: 0}", Some("cache.ttl_seconds"));
    check("cache: {max_bytes: 100}", Some("cache.max_bytes"));
}

#[test]
fn what_is_said_of_an_agents_failures_is_added_to_the_workflows_that_ask_it() {
    let config = Config::parse(
        "agents: [{name: lexicon, recovery: {timeout@tool: skip, NETWORK: RETRY}}, {name: bayes}]",
    );
    let config = config.unwrap().complete();
    config.check().unwrap();
    let spec = |step: &str| {
        serde_saphyr::from_str::<maof_engine::WorkflowSpec>(&format!("{{name: w, steps: [{step}]}}"))
    };
    let said = |step: &str| config.with_recoveries(spec(step).unwrap()).recovery;
    assert_eq!(said("{id: s, agent: lexicon}").values().map(|table| table.len()).collect::<Vec<_>>(), [2]);
    assert_eq!(said("{id: s, parallel: [bayes, lexicon]}").len(), 1);
    assert_eq!(said("{id: s, agent: bayes, on_error: {fallback: lexicon}}").len(), 1);
    assert!(said("{id: s, agent: bayes}").is_empty());
    let own = "{name: w, recovery: {lexicon: {conflict: skip}}, steps: [{id: s, agent: lexicon}]}";
    let own = serde_saphyr::from_str(own).unwrap();
    assert_eq!(
        config.with_recoveries(own).recovery.values().map(|table| table.len()).collect::<Vec<_>>(),
        [1]
    );
    let wrong =
        Config::parse("agents: [{name: lexicon, recovery: {timeouts: skip}}]").and_then(|c| c.check());
    assert_eq!(wrong.unwrap_err().field(), Some("agents[0].recovery.timeouts"));
}

#[test]
fn what_is_shown_of_a_configuration_has_no_secret() {
    let service = "service: {url: \"http://h.example/p\", headers: {x-key: sk-secret1}, query: {k: sk-secret2}, body: \"{{ text }}\"}";
    let shown = parse(service).unwrap().masked();
    assert!(shown.contains("x-key") && !shown.contains("sk-secret"), "{shown}");
    let shown = parse("cursor: {api_key: sk-secret3, follow_ms: 1000}").unwrap().masked();
    assert!(shown.contains("poll_ms") && !shown.contains("sk-secret"), "{shown}");
}

#[tokio::test]
async fn each_kind_is_built_and_can_be_asked_by_name() {
    let text = "resilience: {timeout: {attempt_ms: 3700000, total_ms: 3700000}}\nendpoints:\n  - {name: finbert, service: {url: \"http://h.example/p\", body: \"{{ input }}\"}}\n  \
                - {name: coder, cursor: {api_key: k}}\n";
    let maof = crate::Maof::builder(Config::parse(text).unwrap()).in_memory().build().await.unwrap();
    let agents: Vec<_> =
        maof.agents(&maof_core::Principal::local()).iter().map(|agent| agent.name.to_string()).collect();
    assert_eq!(agents, ["finbert", "coder"]);
}

#[test]
fn the_page_of_providers_tells_every_profile_and_its_examples_are_right() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/providers.md");
    let page = std::fs::read_to_string(page).unwrap();
    for profile in maof_providers::Profile::ALL {
        assert!(page.contains(&format!("`{}`", profile.name)), "{} is not told", profile.name);
    }
    let examples = page.split("```yaml\n").skip(1).filter_map(|after| after.split_once("```"));
    let mut checked = 0;
    for (example, _) in examples {
        // Variables stand for themselves.
        let mut pieces = example.split("${");
        let first = pieces.next().map(str::to_owned);
        let given: String = first.into_iter().chain(pieces.map(|piece| piece.replacen('}', "", 1))).collect();
        let config = Config::parse(&given).unwrap_or_else(|e| panic!("{e} in\n{given}"));
        assert!(!config.endpoints.is_empty(), "{given}");
        checked += 1;
    }
    assert_eq!(checked, 8, "examples");
}

#[test]
fn an_alias_stands_for_a_model_that_is_there() {
    let check = |aliases: &str, expect: Option<&str>| {
        let config = "providers: {p: {profile: ollama}}\nendpoints: [{name: e, provider: p, model: m}]\n\
                      agents: [{name: a, endpoints: [e]}]\n";
        let field = Config::parse(&format!("{config}aliases: {aliases}")).err();
        assert_eq!(field.and_then(|e| e.field().map(str::to_owned)).as_deref(), expect, "{aliases}");
    };
    check("{gpt-4o: a, fast: e, other: p/m}", None);
    check("{fast: nobody}", Some("aliases.fast"));
    check("{fast: e, faster: fast}", Some("aliases.faster"));
    check("{e: a}", Some("aliases.e"));
    check("{p/m: a}", Some("aliases.p/m"));
}
