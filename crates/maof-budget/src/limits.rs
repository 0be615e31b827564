//! Budgets as they are configured, and the accounts that a call is charged to.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use maof_core::{
    Account, Balance, Call, Charge, Error, Held, HoldMode, Measure, Name, Principal, Provenance, Result,
    Window,
};
use parking_lot::RwLock;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::changes::Changes;
use crate::price::Dollars;
use crate::tier::TierConfig;
use crate::worst::Worst;

/// What an account may spend in a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetConfig {
    /// Whose spending: `agent:NAME`; `tier:NAME` for all of a tenant's callers of that tier together; or `tenant`, `team`,
    /// `user`, `key`, `session`, `task` for each tenant, team, user, key, session or task by itself; `tag:KEY` for each value
    /// that calls have under this tag. A call without a team, session, task or such a tag is not counted by it.
    pub account: String,
    /// The most to spend, in US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_usd: Option<Dollars>,
    /// The most tokens to use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_tokens: Option<u64>,
    /// The most input tokens to use, cached or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_input_tokens: Option<u64>,
    /// The most output tokens to use, reasoning included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_output_tokens: Option<u64>,
    /// The most requests to make to upstreams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_requests: Option<u64>,
    /// The most calls of tools that replies may ask for. A reply that asks for more than is left fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_tool_calls: Option<u64>,
    /// The most calls under way at the same time, whatever the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_concurrency: Option<u64>,
    /// Over which time: `total`; by the calendar in UTC `minute`, `hour`, `day`, `month`, or where another time is told
    /// `day@Europe/Berlin`, `month@Europe/Berlin`; or of the time until now, such as `rolling:24h` (a multiple of 30 s, at
    /// most `31d`). Default `total`.
    #[serde(default)]
    #[schemars(with = "String")]
    pub window: Window,
    /// From which part of the limit on cheaper agents are asked first, in percent of it, 1 to 100. Default 80; with 100 nobody
    /// is moved before the limit.
    #[serde(default = "default_soft")]
    pub soft_percent: u8,
}

/// The field that limits a measure.
pub(crate) const fn field(measure: Measure) -> &'static str {
    match measure {
        Measure::Money => "limit_usd",
        Measure::Tokens => "limit_tokens",
        Measure::InputTokens => "limit_input_tokens",
        Measure::OutputTokens => "limit_output_tokens",
        Measure::Requests => "limit_requests",
        Measure::ToolCalls => "limit_tool_calls",
        Measure::Concurrency => "limit_concurrency",
    }
}

/// All of them, for people.
pub(crate) fn fields() -> String {
    Measure::ALL.map(field).join(", ")
}

fn default_soft() -> u8 {
    80
}

/// Whose accounts a budget is about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Owner {
    /// This agent, and its account's name.
    Agent(Name, Name),
    /// This tier, and its account's name.
    Tier(Name, Name),
    Tenant,
    Team,
    User,
    Key,
    Session,
    Task,
    /// Each value of this tag.
    Tag(Name),
}

impl BudgetConfig {
    fn owner(&self) -> Result<Owner> {
        let wrong = || {
            let why = format!(
                "`{}` is none of agent:NAME, tier:NAME, tag:KEY, tenant, team, user, key, session, task (at most {} characters)",
                self.account,
                Name::MAX_LEN
            );
            Error::invalid_request(why).param("account")
        };
        // Both must be names, or the account could not be kept.
        let named = |name: &str| match (Name::new(name), Name::new(&self.account)) {
            (Ok(name), Ok(account)) => Ok((name, account)),
            _ => Err(wrong()),
        };
        match self.account.split_once(':') {
            Some(("agent", name)) => named(name).map(|(name, account)| Owner::Agent(name, account)),
            Some(("tier", name)) => named(name).map(|(name, account)| Owner::Tier(name, account)),
            Some(("tag", key)) => named(key).map(|(key, _)| Owner::Tag(key)),
            None => match self.account.as_str() {
                "tenant" => Ok(Owner::Tenant),
                "team" => Ok(Owner::Team),
                "user" => Ok(Owner::User),
                "key" => Ok(Owner::Key),
                "session" => Ok(Owner::Session),
                "task" => Ok(Owner::Task),
                _ => Err(wrong()),
            },
            Some(_) => Err(wrong()),
        }
    }

    /// The agent that it is about, if it is about one.
    pub fn agent(&self) -> Option<&str> {
        self.account.strip_prefix("agent:")
    }

    fn limits(&self) -> Result<Vec<(Measure, i64)>> {
        let whole = |field: &'static str, limit: Option<u64>| match limit.map(i64::try_from) {
            None => Ok(None),
            Some(Ok(limit)) if limit > 0 => Ok(Some(limit)),
            Some(_) => Err(Error::invalid_request("must be at least 1").param(field)),
        };
        let money = match self.limit_usd.map(|d| d.0.nanos()) {
            Some(nanos) if nanos <= 0 => {
                return Err(Error::invalid_request("must be above 0").param("limit_usd"));
            }
            money => money,
        };
        let counted = [
            (Measure::Tokens, self.limit_tokens),
            (Measure::InputTokens, self.limit_input_tokens),
            (Measure::OutputTokens, self.limit_output_tokens),
            (Measure::Requests, self.limit_requests),
            (Measure::ToolCalls, self.limit_tool_calls),
            (Measure::Concurrency, self.limit_concurrency),
        ];
        let mut limits: Vec<_> = money.map(|nanos| (Measure::Money, nanos)).into_iter().collect();
        for (measure, limit) in counted {
            limits.extend(whole(field(measure), limit)?.map(|most| (measure, most)));
        }
        match limits.is_empty() {
            true => Err(Error::invalid_request(format!("give one of {}", fields())).param("limit_usd")),
            false => Ok(limits),
        }
    }

    /// Checks the budget.
    ///
    /// # Errors
    /// `invalid_request` naming the field.
    pub fn validate(&self) -> Result<()> {
        self.owner()?;
        if !(1..=100).contains(&self.soft_percent) {
            return Err(Error::invalid_request("must be 1 to 100").param("soft_percent"));
        }
        self.limits().map(drop)
    }
}

/// What has to be written down before a call goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Holds {
    /// `strict` for calls of runs, `batched` for all others.
    #[default]
    Auto,
    /// Its hold: each call waits for a commit. What a process holds when it dies counts as spent, to the call.
    Strict,
    /// A part of each account, for many calls: they seldom wait. What a process has left of it when it dies counts as
    /// spent: a thirty-second of what was left of the account, at most.
    Batched,
}

/// Every budget, resolved.
#[derive(Debug, Default)]
pub struct Limits {
    holds: Holds,
    limits: Vec<Limit>,
    known: RwLock<Known>,
    pub(crate) changes: Arc<Changes>,
}

/// The accounts of principals that were looked up before. By address: the principal that is kept with them keeps it
/// from being another's.
type Known = HashMap<usize, (Arc<Principal>, Arc<[Line]>), ahash::RandomState>;

/// Principals whose accounts are remembered; beyond them all are forgotten, since those of keys that were replaced
/// are not told apart.
const REMEMBERED: usize = 4_096;

#[derive(Clone, Debug)]
struct Limit {
    owner: Owner,
    /// The names of the only tier whose callers it is about.
    tier: Option<Arc<[Name]>>,
    soft_percent: u8,
    measure: Measure,
    window: Window,
    most: i64,
}

/// An account that a principal's calls are charged to.
#[derive(Clone, Debug)]
struct Line {
    account: Account,
    most: i64,
    soft_percent: u8,
    /// The only agent whose calls count.
    agent: Option<Name>,
}

impl Limits {
    /// Resolves budgets.
    ///
    /// # Errors
    /// `invalid_request` naming the budget and its field.
    pub fn new(budgets: &[BudgetConfig]) -> Result<Limits> {
        let mut limits = Limits::default();
        limits.add(budgets, None, "budgets")?;
        Ok(limits)
    }

    /// Adds what tiers may spend.
    ///
    /// # Errors
    /// `invalid_request` naming the tier, the budget and its field.
    pub fn with_tiers(mut self, tiers: &BTreeMap<Name, TierConfig>) -> Result<Limits> {
        for (name, tier) in tiers {
            let names = std::iter::once(name).chain(&tier.aliases).cloned().collect();
            self.add(&tier.budgets, Some(names), &format!("tiers.{name}.budgets"))?;
        }
        Ok(self)
    }

    fn add(&mut self, budgets: &[BudgetConfig], tier: Option<Arc<[Name]>>, section: &str) -> Result<()> {
        for (i, budget) in budgets.iter().enumerate() {
            let at = |e: Error| {
                let field = e.field().unwrap_or_default().to_owned();
                e.param(format!("{section}[{i}].{field}"))
            };
            budget.validate().map_err(at)?;
            let owner = budget.owner().map_err(at)?;
            self.limits.extend(budget.limits().map_err(at)?.into_iter().map(|(measure, most)| Limit {
                owner: owner.clone(),
                tier: tier.clone(),
                soft_percent: budget.soft_percent,
                measure,
                window: match measure {
                    Measure::Concurrency => Window::Total,
                    _ => budget.window,
                },
                most,
            }));
        }
        Ok(())
    }

    /// Holds as said. Default: [`Holds::Auto`].
    #[must_use]
    pub fn holding(self, holds: Holds) -> Limits {
        Limits { holds, ..self }
    }

    /// With the limits that were changed in the ones before, and that are changed in either from now on.
    #[must_use]
    pub fn after(self, before: &Limits) -> Limits {
        Limits { changes: Arc::clone(&before.changes), ..self }
    }

    /// How a call's holds are written down.
    pub(crate) fn mode(&self, call: &Call) -> HoldMode {
        match self.holds {
            Holds::Strict => HoldMode::Strict,
            Holds::Batched => HoldMode::Batched,
            Holds::Auto if call.provenance.run.is_some() => HoldMode::Strict,
            Holds::Auto => HoldMode::Batched,
        }
    }

    /// Whether any of them counts this.
    pub(crate) fn count(&self, measure: Measure) -> bool {
        self.limits.iter().any(|limit| limit.measure == measure)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.limits.is_empty()
    }

    /// The accounts that calls of this principal may be charged to, whoever answers, each with its limit.
    ///
    /// # Errors
    /// As a call's: `invalid_request` when a user's or key's name is too long to have an account.
    pub fn accounts(&self, principal: &Principal) -> Result<Vec<(Account, i64)>> {
        let mut accounts = Vec::with_capacity(self.limits.len());
        for limit in &self.limits {
            if let Some(account) = limit.account(principal, &Provenance::default())? {
                let most = self.changes.limit(&account, limit.most);
                accounts.push((account, most));
            }
        }
        Ok(accounts)
    }

    /// What a call that may use `worst` holds, on the caller's accounts and, where the agent
    /// is known, on the agent's.
    ///
    /// # Errors
    /// `invalid_request` when the name of a user, key, team or session can have no account: nobody spends uncounted.
    pub(crate) fn charges(&self, call: &Call, agent: Option<&Name>, worst: &Worst) -> Result<Vec<Charge>> {
        if self.limits.is_empty() {
            return Ok(Vec::new());
        }
        let lines = self.lines(call)?;
        // What is asked beside another request is of the same call.
        let again = |line: &&Line| call.beside && line.account.measure == Measure::Concurrency;
        let counts = |line: &&Line| (line.agent.is_none() || line.agent.as_ref() == agent) && !again(line);
        let charge = |line: &Line| Charge {
            account: line.account.clone(),
            amount: worst.amount(line.account.measure),
            limit: Some(line.most),
        };
        let mut charges = Vec::with_capacity(lines.len());
        charges.extend(lines.iter().filter(counts).map(charge));
        Ok(charges)
    }

    /// Whether what is `held` on the accounts that a call has whoever answers is all that it holds when
    /// this agent does, with `worst` at most.
    ///
    /// # Errors
    /// As [`Limits::charges`].
    pub(crate) fn is_covered(&self, call: &Call, agent: &Name, worst: &Worst, held: &Held) -> Result<bool> {
        let covered = |line: &Line| match &line.agent {
            Some(only) => only != agent,
            None => worst.amount(line.account.measure) <= held.of(line.account.measure),
        };
        Ok(self.lines(call)?.iter().all(covered))
    }

    /// Of the accounts that a call has whoever answers, with these balances: those of which so many percent of their limit, or
    /// as many as their soft limit has, are taken.
    pub(crate) fn taken(&self, call: &Call, balances: &[Balance], from: u8) -> Result<Vec<Taken>> {
        let lines = self.lines(call)?;
        let own = lines.iter().filter(|line| line.agent.is_none()).zip(balances);
        let taken = own.filter_map(|(line, balance)| {
            let percent = percent(balance.spent.saturating_add(balance.held), line.most);
            let soft_percent = line.soft_percent;
            let account = (percent >= soft_percent.min(from)).then(|| line.account.clone())?;
            Some(Taken { account, percent, soft_percent })
        });
        Ok(taken.collect())
    }

    /// What the configuration says of an account; the least, where several budgets do.
    pub(crate) fn configured(&self, account: &Account) -> Option<i64> {
        let name = account.name.as_str();
        let of = |owner: &Owner| match owner {
            Owner::Agent(_, own) | Owner::Tier(_, own) => own == &account.name,
            Owner::Tenant => name == "tenant",
            Owner::Team => is_of(name, "team:"),
            Owner::User => is_of(name, "user:"),
            Owner::Key => is_of(name, "key:"),
            Owner::Session => is_of(name, "session:"),
            Owner::Task => is_of(name, "task:"),
            Owner::Tag(key) => is_of(name, &format!("tag:{key}:")),
        };
        let same = |limit: &&Limit| limit.measure == account.measure && limit.window == account.window;
        self.limits.iter().filter(same).filter(|limit| of(&limit.owner)).map(|limit| limit.most).min()
    }

    /// Whoever looked limits up before looks them up again.
    pub(crate) fn forget(&self) {
        self.known.write().clear();
    }

    /// The accounts that a call may be charged to: its caller's, and its own.
    fn lines(&self, call: &Call) -> Result<Arc<[Line]>> {
        let callers = self.lines_of(&call.principal)?;
        if !self.limits.iter().any(|limit| limit.owner.is_of_call()) {
            return Ok(callers);
        }
        let mut lines = callers.to_vec();
        for limit in self.limits.iter().filter(|limit| limit.owner.is_of_call()) {
            lines.extend(self.line(limit, &call.principal, &call.provenance)?);
        }
        Ok(lines.into())
    }

    /// The accounts of whoever makes a call, named once.
    fn lines_of(&self, principal: &Arc<Principal>) -> Result<Arc<[Line]>> {
        let address = Arc::as_ptr(principal).addr();
        if let Some((_, lines)) = self.known.read().get(&address) {
            return Ok(Arc::clone(lines));
        }
        let changes = self.changes.count();
        let nobodys = Provenance::default();
        let mut lines = Vec::with_capacity(self.limits.len());
        for limit in self.limits.iter().filter(|limit| !limit.owner.is_of_call()) {
            lines.extend(self.line(limit, principal, &nobodys)?);
        }
        let lines: Arc<[Line]> = lines.into();
        let mut known = self.known.write();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        if self.changes.count() != changes {
            // These may be older than what was changed meanwhile.
            return Ok(lines);
        }
        known.insert(address, (Arc::clone(principal), Arc::clone(&lines)));
        Ok(lines)
    }

    fn line(&self, limit: &Limit, principal: &Principal, of: &Provenance) -> Result<Option<Line>> {
        let Some(account) = limit.account(principal, of)? else { return Ok(None) };
        let (most, soft_percent) = (self.changes.limit(&account, limit.most), limit.soft_percent);
        Ok(Some(Line { account, most, soft_percent, agent: limit.owner.agent() }))
    }
}

/// Whether an account's name is one of this kind.
fn is_of(name: &str, kind: &str) -> bool {
    name.strip_prefix(kind).is_some_and(|own| !own.is_empty())
}

/// How much of an account is taken.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) account: Account,
    pub(crate) percent: u8,
    pub(crate) soft_percent: u8,
}

fn percent(taken: i64, limit: i64) -> u8 {
    let percent = i128::from(taken.max(0)) * 100 / i128::from(limit.max(1));
    u8::try_from(percent).unwrap_or(u8::MAX)
}

impl Limit {
    /// The account that this principal's call from there is charged to, if it is.
    fn account(&self, principal: &Principal, of: &Provenance) -> Result<Option<Account>> {
        if self.tier.as_ref().is_some_and(|names| !names.contains(&principal.tier)) {
            return Ok(None);
        }
        let name = self.owner.account(principal, of)?;
        let (tenant, measure, window) = (principal.tenant.clone(), self.measure, self.window);
        Ok(name.map(|name| Account { tenant, name, measure, window }))
    }
}

impl Owner {
    /// The only agent whose calls it is about, if there is one.
    fn agent(&self) -> Option<Name> {
        match self {
            Owner::Agent(name, _) => Some(name.clone()),
            _ => None,
        }
    }

    /// Whether its accounts are a call's own, and not its caller's.
    fn is_of_call(&self) -> bool {
        matches!(self, Owner::Session | Owner::Task | Owner::Tag(_))
    }

    /// The name of the account that this principal's call from there is charged to, if it is.
    fn account(&self, principal: &Principal, of: &Provenance) -> Result<Option<Name>> {
        let each = |kind: &str, field: &'static str, name: &str| {
            Name::new(&format!("{kind}:{name}")).map(Some).map_err(|_| {
                let most = Name::MAX_LEN - kind.len() - 1;
                let why = format!(
                    "a {kind} that a budget counts has a name of at most {most} characters of A-Z a-z 0-9 . _ : / @ -"
                );
                Error::invalid_request(why).param(field)
            })
        };
        match self {
            Owner::Agent(_, account) => Ok(Some(account.clone())),
            Owner::Tier(name, account) => Ok((principal.tier == *name).then(|| account.clone())),
            Owner::Tenant => Name::new("tenant").map(Some),
            Owner::Team => {
                principal.team.as_ref().map_or(Ok(None), |team| each("team", "team", team.as_str()))
            }
            Owner::User => each("user", "user", principal.user.as_str()),
            Owner::Key => principal.key.as_ref().map_or(Ok(None), |key| each("key", "key", key.as_str())),
            Owner::Session => {
                of.session.as_ref().map_or(Ok(None), |session| each("session", "session", session))
            }
            Owner::Task => of.run.map_or(Ok(None), |run| each("task", "task", &run.to_string())),
            Owner::Tag(key) => {
                let kind = format!("tag:{key}");
                of.tag(key.as_str()).map_or(Ok(None), |value| each(&kind, "tags", value.as_str()))
            }
        }
    }
}

#[cfg(test)]
mod tests;
