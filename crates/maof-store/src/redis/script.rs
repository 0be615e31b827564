//! The one script that Redis runs, as it is asked and as it answers.

use std::sync::{Arc, LazyLock};

use deadpool_redis::redis::{Script, ScriptInvocation};
use maof_core::Balance;
use tokio::sync::oneshot;

/// How long Redis keeps what nobody asks for: a generation whose members all died leaves nothing behind.
const LIFE_SECONDS: u32 = 86_400;
/// What the script says of each operation.
const SAID: usize = 3;

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("pool.lua")));

/// What is to be done with a generation's pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// Takes what is needed, or what of it there is, and a spare part, under a limit.
    Take { needed: i64, limit: i64, first: bool },
    /// Puts in what PostgreSQL has just held, and what it said.
    Put { amount: i64, limit: i64, first: bool, balance: Balance },
    /// The node uses the window no more: puts in its part, or, if it was the last one, gets the rest.
    Leave { amount: i64 },
    /// Reads what is there.
    Read,
    /// Begins the generation.
    Begin,
    /// Whether the generation is the current one.
    Is,
}

/// What is asked of Redis.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) generation: i64,
    /// The server for which the generation was begun.
    pub(super) run: Arc<str>,
    pub(super) window: Arc<str>,
    pub(super) op: Op,
    pub(super) tell: oneshot::Sender<Said>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Taken, with so much more.
    Taken { amount: i64, spare: i64, limit: i64, balance: Balance },
    /// There is nothing, or it was asked for under a higher limit.
    Nothing,
    /// Done. Where something was asked for: so much is there.
    Done(Option<i64>),
    /// That is not the current generation, or not its server. Nothing was done.
    Gone,
    /// Redis is away. Nothing was done.
    Away,
    /// Redis did not answer: nobody knows what was done.
    Lost,
}

impl Ask {
    /// Tells who asked, if somebody still waits.
    pub(super) fn answer(self, said: Said) {
        let _ = self.tell.send(said);
    }

    fn arguments(&self) -> [String; 6] {
        let Ask { window, op, .. } = self;
        let balance = |balance: Balance| format!("{}|{}", balance.spent, balance.held);
        let (name, amount, limit, first, balance) = match *op {
            Op::Take { needed, limit, first } => ("take", needed, limit, first, String::new()),
            Op::Put { amount, limit, first, balance: b } => ("put", amount, limit, first, balance(b)),
            Op::Leave { amount } => ("leave", amount, 0, false, String::new()),
            Op::Read | Op::Is => ("read", 0, 0, false, String::new()),
            Op::Begin => ("begin", 0, 0, false, String::new()),
        };
        let first = u8::from(first).to_string();
        [name.to_owned(), window.to_string(), amount.to_string(), format!("{limit:019}"), first, balance]
    }

    /// What the script said of it.
    fn read(&self, said: &[String]) -> Option<Said> {
        let [one, two, three] = said else { return None };
        match self.op {
            Op::Take { .. } if one.is_empty() => Some(Said::Nothing),
            Op::Take { .. } => {
                let (spent, held) = three.split_once('|')?;
                let balance = Balance { spent: spent.parse().ok()?, held: held.parse().ok()? };
                let (amount, spare) = one.split_once('|')?;
                let (amount, spare) = (amount.parse().ok()?, spare.parse().ok()?);
                Some(Said::Taken { amount, spare, limit: two.parse().ok()?, balance })
            }
            _ if one.is_empty() => Some(Said::Done(None)),
            _ => Some(Said::Done(Some(one.parse().ok()?))),
        }
    }
}

/// The script for asks of one generation. All keys of a ledger lie on one server of a cluster.
pub(super) fn invocation<'a>(ledger: &str, asks: &[Ask]) -> ScriptInvocation<'a> {
    let generation = asks.first().map(|ask| ask.generation).unwrap_or_default();
    let mut script = SCRIPT.key(format!("maof:{{{ledger}}}:generation"));
    script.key(format!("maof:{{{ledger}}}:pool:{generation}")).arg(generation).arg(LIFE_SECONDS);
    for ask in asks {
        for argument in ask.arguments() {
            script.arg(argument);
        }
    }
    script
}

/// What the script said, to each. An answer that cannot be read is none.
pub(super) fn read(asks: &[Ask], said: &[String]) -> Vec<Said> {
    let Some((first, said)) = said.split_first() else { return vec![Said::Lost; asks.len()] };
    if first != "ok" {
        return vec![Said::Gone; asks.len()];
    }
    let mut said = said.chunks(SAID);
    let one = |ask: &Ask| match ask.op {
        Op::Begin => Said::Done(None),
        _ => said.next().and_then(|said| ask.read(said)).unwrap_or(Said::Lost),
    };
    asks.iter().map(one).collect()
}
