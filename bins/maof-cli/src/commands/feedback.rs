//! `maof feedback`: tells a running server what an answer was worth.

use std::time::Duration;

use maof::{DecisionId, Error, ErrorKind, Result, Secret};
use reqwest::{Client, Response, StatusCode, Url, redirect};
use serde::Deserialize;
use serde_json::json;

use crate::exit;
use crate::options::Common;

/// How long a server may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much of an answer is read, in bytes.
const MOST: usize = 64 * 1024;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The router learns from it where its strategy is `thompson` or `learned`. It may come late or never;
what comes again changes nothing.

Example:
  MAOF_API_KEY=... maof feedback 01890a5d-ac96-774b-bcce-b302099a8057 0.8 --url http://maof:8000")]
pub(crate) struct Args {
    /// The decision that chose who answered, from the response header x-maof-decision
    decision: DecisionId,
    /// What the answer was worth, 0 to 1
    #[arg(allow_negative_numbers = true)]
    score: f64,
    /// Where the server is
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8000")]
    url: String,
    /// The API key; others on this machine can see an option's value, so rather set the variable
    #[arg(long, env = "MAOF_API_KEY", hide_env_values = true, value_name = "KEY", value_parser = secret)]
    key: Secret,
}

fn secret(text: &str) -> Result<Secret, String> {
    Ok(Secret::new(text))
}

pub(crate) async fn run(common: &Common, args: Args) -> Result<u8> {
    if !(0.0..=1.0).contains(&args.score) {
        return Err(Error::invalid_request("`score` must be 0 to 1").param("score"));
    }
    let wrong_url =
        || Error::invalid_request("`--url` is an address such as http://127.0.0.1:8000").param("url");
    let url = Url::parse(&format!("{}/feedback", args.url.trim_end_matches('/'))).map_err(|_| wrong_url())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong_url());
    }
    // A redirect would take the key to somebody who was not named.
    let client = Client::builder().timeout(PATIENCE).redirect(redirect::Policy::none()).build();
    let client = client.map_err(|e| Error::internal("no HTTP client could be made").because(e))?;
    let body = json!({"decision": args.decision, "score": args.score}).to_string();
    let asked = client.post(url).bearer_auth(args.key.expose()).header("content-type", "application/json");
    let answer = asked.body(body).send().await.map_err(unanswered)?;
    if answer.status() != StatusCode::NO_CONTENT {
        return Err(refusal(answer).await);
    }
    match common.json {
        true => println!("{}", json!({"decision": args.decision, "score": args.score})),
        false => println!("the decision {} was worth {}: noted", args.decision, args.score),
    }
    Ok(exit::SUCCESS)
}

fn unanswered(error: reqwest::Error) -> Error {
    if error.is_builder() {
        return Error::invalid_request("the key has characters that no key has").param("key");
    }
    let why = "no server answered there; is it running, and does `--url` name it?";
    Error::unavailable(why).param("url").because(error)
}

/// What our own API says where it refuses.
#[derive(Deserialize)]
struct Envelope {
    error: Told,
}

#[derive(Deserialize)]
struct Told {
    code: String,
    message: String,
    param: Option<String>,
}

/// The server's refusal as the error that it was there.
async fn refusal(mut answer: Response) -> Error {
    let status = answer.status().as_u16();
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await
        && body.len() < MOST
    {
        body.extend_from_slice(&chunk);
    }
    let told = serde_json::from_slice::<Envelope>(&body).ok().map(|envelope| envelope.error);
    let known = told.and_then(|told| {
        let kind = ErrorKind::ALL.iter().find(|kind| kind.as_str() == told.code)?;
        let error = Error::new(*kind, told.message);
        Some(match told.param {
            Some(param) => error.param(param),
            None => error,
        })
    });
    known.unwrap_or_else(|| {
        let why = format!(
            "the answer has the status {status} and is none of MAOF's; does `--url` name its server?"
        );
        Error::new(ErrorKind::Protocol, why).param("url")
    })
}
