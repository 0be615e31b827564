//! The layer alone, in front of agents that answer by their names.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::Mutex;

use maof_core::{Body, CallId, ChatAnswer, ChatRequest, Grant, Principal, Silent, ToolSpec};
use tower::{ServiceExt as _, util::BoxCloneSyncService};
use tower_layer::Layer as _;

use super::*;
use crate::learned::{Model, Outcome as Recorded, Prices, Seeded, Training, arms_of};
use crate::registry::{Agent, Registry};

type Agents = Cascaded<BoxCloneSyncService<Call, Reply, Error>>;
type Asked = Arc<Mutex<Vec<Call>>>;

/// What one attempt of anybody costs.
const EACH: i64 = 10;

struct Costs;

impl Guard for Costs {
    fn end(self: Box<Self>, end: &mut End) {
        end.cost = Some(Money::from_nanos(EACH));
    }
}

/// `clerk` and `other` say this; `editor` says `by the editor`. An empty text is a failure.
fn agents(config: &str, clerk: &'static str, other: &'static str) -> (Agents, Asked) {
    let asked = Asked::default();
    let noted = Arc::clone(&asked);
    let service = tower::service_fn(move |call: Call| {
        let Target::Name(name) = &call.target else { unreachable!() };
        let said = match name.as_str() {
            "clerk" => clerk,
            "other" => other,
            _ => "by the editor",
        };
        noted.lock().unwrap().push(call.clone());
        async move {
            if said.is_empty() {
                return Err(Error::unavailable("down"));
            }
            let mut answer = ChatAnswer::text(said.trim_end_matches('|'));
            if said.ends_with('|') {
                answer.choices[0].finish = Some(Finish::Length);
            }
            let mut reply = Reply::whole(Response::chat(answer));
            reply.guard(Box::new(Costs));
            Ok(reply)
        }
    });
    let layer = Layer::new(vec![judged(config)], Arc::new(Silent));
    (layer.layer(BoxCloneSyncService::new(service)), asked)
}

fn judged(config: &str) -> (Config, Judge) {
    let config: Config = serde_json::from_str(config).unwrap();
    let registry = registry(&["clerk"]);
    let judge = match config.model {
        None => Judge::by_hand(&config),
        Some(_) => Judge::trained(&config, model(true), &registry).unwrap(),
    };
    (config, judge)
}

fn registry(endpoints: &[&str]) -> Registry {
    let names: Vec<Name> = endpoints.iter().map(|name| name.parse().unwrap()).collect();
    let offers: HashMap<Name, Vec<Operation>> =
        names.iter().map(|name| (name.clone(), vec![Operation::Chat])).collect();
    let clerk = Agent { endpoints: names, ..Agent::new("clerk".parse().unwrap()) };
    Registry::new(vec![clerk], offers, HashMap::new()).unwrap()
}

/// The clerk is right where it says that it is done, and wrong where it says how much, though that looks better; the editor is right
/// always.
fn model(with_answers: bool) -> Model {
    let outcome = |n: u32| {
        let right = !n.is_multiple_of(3);
        let answer = if right { "Done as you wished.".to_owned() } else { format!("It is {n} apples.") };
        let answers = with_answers.then(|| ("clerk".parse().unwrap(), answer));
        Recorded {
            prompt: format!("How many apples are {n}?"),
            quality: [("clerk", f32::from(u8::from(right))), ("editor", 1.0)]
                .map(|(name, quality)| (name.parse().unwrap(), quality))
                .into(),
            answers: answers.into_iter().collect(),
        }
    };
    let outcomes: Vec<Recorded> = (0..300).map(outcome).collect();
    let prices = Prices::parse(r#"{"clerk": [1, 1], "editor": [10, 10]}"#, &arms_of(&outcomes)).unwrap();
    Training { prices, ..Training::default() }.train(&outcomes, &Seeded::new(1)).unwrap()
}

fn question(text: &str) -> Call {
    let id = CallId::from_uuid(uuid::Uuid::from_u128(1));
    let target = Target::Name("editor".parse().unwrap());
    Call::new(id, target, Principal::local(), Body::from(ChatRequest::user(text)))
}

async fn answered(agents: &Agents, call: Call) -> (String, i64) {
    let (response, end) = agents.clone().oneshot(call).await.unwrap().collect().await.unwrap();
    (response.text().unwrap(), end.cost.unwrap().nanos())
}

const PLAIN: &str = r#"{"of":"editor","first":"clerk"}"#;

#[tokio::test]
async fn a_doubtful_answer_is_escalated_and_both_are_paid() {
    const SUM: &str = "What is 12 times 3?";
    for (question_text, said, kept) in [
        ("What is the capital of France?", "Paris.", true),
        (SUM, "12 * 3 = 36\n#### 36", true),
        (SUM, "12 * 3 = 38\n#### 38", false),
        ("What is the capital of France?", "Perhaps it is Paris, I think.", false),
        ("What is the capital of France?", "I'm sorry, but I cannot help with that.", false),
        ("What is the capital of France?", "It is unclear; perhaps it cannot be determined.", false),
        ("Tell a story.", "Once upon a time there was a|", false),
        ("What is the capital of France?", "", false),
    ] {
        let (agents, asked) = agents(PLAIN, said, "");
        let (text, cost) = answered(&agents, question(question_text)).await;
        let clerk_costs = if said.is_empty() { 0 } else { EACH };
        let expect =
            if kept { (said.to_owned(), EACH) } else { ("by the editor".to_owned(), clerk_costs + EACH) };
        assert_eq!((text, cost), expect, "{said}");
        let asked = asked.lock().unwrap();
        assert_eq!(asked.len(), 2 - usize::from(kept), "{said}");
        let keys: Vec<_> = asked.iter().map(|call| (call.hold_key(), call.turn)).collect();
        let one = question("").hold_key();
        assert_eq!(keys, [(Arc::clone(&one), 1), (one, 2)][..keys.len()], "one hold, a turn each");
    }
}

#[tokio::test]
async fn a_second_cheap_agent_must_agree() {
    let config = r#"{"of":"editor","first":"clerk","second":"other","confidence":0.5}"#;
    for (clerk, other, expect) in [
        ("The answer is 7.", "I get 7. The answer is 7.", ("The answer is 7.", 2 * EACH)),
        ("The answer is 7.", "The answer is 9.", ("by the editor", 3 * EACH)),
        ("", "The answer is 9.", ("by the editor", 2 * EACH)),
    ] {
        let (agents, asked) = agents(config, clerk, other);
        let (text, cost) = answered(&agents, question("How many?")).await;
        assert_eq!((text.as_str(), cost), expect, "{clerk} {other}");
        let asked = asked.lock().unwrap();
        let beside = asked.iter().filter(|call| call.beside).count();
        assert_eq!((beside, asked[0].hold_key() == asked[1].hold_key()), (1, false));
    }
}

#[tokio::test]
async fn what_cannot_be_verified_goes_to_whom_it_asks_for() {
    let only = Grant::Only(vec!["editor".parse().unwrap()]);
    let principal = Arc::new(Principal { grant: only, ..(*Principal::local()).clone() });
    let of = |target: &str| Target::Name(target.parse().unwrap());
    let tool: ToolSpec = serde_json::from_str(r#"{"name":"look","parameters":{}}"#).unwrap();
    let tools = ChatRequest { tools: vec![tool], ..ChatRequest::user("hi") };
    let two = ChatRequest { choices: Some(2), ..ChatRequest::user("hi") };
    for (what, call) in [
        ("a stream", Call { stream: true, ..question("hi") }),
        ("another agent", Call { target: of("reader"), ..question("hi") }),
        ("a shadow", Call { purpose: Purpose::Shadow, ..question("hi") }),
        ("without a grant", Call { principal, ..question("hi") }),
        ("tools", Call { body: Body::from(tools), ..question("hi") }),
        ("two choices", Call { body: Body::from(two), ..question("hi") }),
    ] {
        let (agents, asked) = agents(PLAIN, "Paris.", "");
        assert_eq!(answered(&agents, call).await.0, "by the editor", "{what}");
        assert_eq!(asked.lock().unwrap().len(), 1, "{what}");
    }
}

#[tokio::test]
async fn a_stream_is_held_until_it_is_verified_where_that_is_wished() {
    let config = r#"{"of":"editor","first":"clerk","hold_streams":true}"#;
    let (agents, _) = agents(config, "Paris.", "");
    let reply = agents.clone().oneshot(Call { stream: true, ..question("Where?") }).await.unwrap();
    assert!(reply.is_stream());
    let (response, end) = reply.collect().await.unwrap();
    assert_eq!((response.text().unwrap().as_str(), end.cost), ("Paris.", Some(Money::from_nanos(EACH))));
}

#[tokio::test]
async fn a_trained_model_tells_which_answers_stand() {
    const ASKED: &str = "How many apples are 77?";
    let trained = |rest: &str| format!(r#"{{"of":"editor","first":"clerk","model":"m"{rest}}}"#);
    for (rest, said, by_hand, kept) in [
        // By hand who names the question's numbers is believed; of these outcomes, it was always wrong.
        (r#","cost_weight":0.3"#, "It is 77 apples.", true, false),
        (r#","cost_weight":0.3"#, "Done as you wished.", false, true),
        (r#","quality":0.95"#, "It is 77 apples.", true, false),
        (r#","quality":0.95"#, "Done as you wished.", false, true),
        // Not worth it, whatever it adds.
        (r#","cost_weight":100"#, "It is 77 apples.", true, true),
        // What the provider cut never stands.
        (r#","cost_weight":100"#, "Done as you wished.|", false, false),
    ] {
        for (config, kept) in [(PLAIN.to_owned(), by_hand), (trained(rest), kept)] {
            let (agents, _) = agents(&config, said, "");
            let (text, _) = answered(&agents, question(ASKED)).await;
            assert_eq!(text != "by the editor", kept, "{config}: {said}");
        }
    }
}

#[test]
fn a_model_without_answers_or_of_another_cheap_arm_is_refused() {
    let config: Config = serde_json::from_str(r#"{"of":"editor","first":"clerk","model":"m"}"#).unwrap();
    let refused = |config: &Config, model, registry: &Registry| {
        let error = Judge::trained(config, model, registry).unwrap_err();
        assert_eq!(error.field(), Some("model"));
        error.message().to_owned()
    };
    assert!(refused(&config, model(false), &registry(&["clerk"])).contains("`out`"));
    let other = Config { first: "other".parse().unwrap(), ..config.clone() };
    assert!(refused(&other, model(true), &registry(&["other"])).contains("`clerk`"));
    // The arm may be an endpoint of the agent that is asked first.
    let scribe = Agent { endpoints: vec!["clerk".parse().unwrap()], ..Agent::new("scribe".parse().unwrap()) };
    let offers = HashMap::from([("clerk".parse().unwrap(), vec![Operation::Chat])]);
    let registry = Registry::new(vec![scribe], offers, HashMap::new()).unwrap();
    let by_endpoint = Config { first: "scribe".parse().unwrap(), ..config };
    assert!(Judge::trained(&by_endpoint, model(true), &registry).is_ok());
}
