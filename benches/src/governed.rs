//! The server under test, whatever it allocates with.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark's own program")]

use maof::{Config, Maof};

/// The server of MAOF, with everything on: keys, budgets of tenant, user and key, routing, breaker, retry, timeouts,
/// metrics, ledger and audit on SQLite. First argument of the program: the upstream's port; second: a folder for its
/// files. Prints its port, and a key.
///
/// # Panics
/// Whenever something is not as it should be.
pub async fn governed() {
    let mut arguments = std::env::args().skip(1);
    let (upstream, folder) = (arguments.next().unwrap(), arguments.next().unwrap());
    let config = format!(
        "providers: {{up: {{profile: openai_compatible, base_url: 'http://127.0.0.1:{upstream}/v1'}}}}\n\
         endpoints: [{{name: mock, provider: up, model: mock-1, price: {{input: 0.15, output: 0.6}}}}]\n\
         agents: [{{name: mock, endpoints: [mock]}}]\n\
         budgets:\n\
         - {{account: tenant, limit_usd: 1000000}}\n\
         - {{account: user, limit_usd: 1000000}}\n\
         - {{account: key, limit_requests: 1000000000}}\n\
         store: {{path: '{folder}/maof.db'}}\n\
         server: {{keys: '{folder}/keys.json'}}\n"
    );
    let config = Config::parse(&config).unwrap();
    let maof = Maof::builder(config).with_keys().build().await.unwrap();
    let listener = maof_http::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    maof_http::serve(listener, maof, maof_http::stop_signal()).await.unwrap();
}
