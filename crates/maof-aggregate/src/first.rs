//! The first member's answer.

use async_trait::async_trait;
use maof_core::{Aggregate, Answered, Error, Result, Verdict};

use crate::ballot::ballot;

/// The first answer in the order of the members; agreement is the share of members that say the same.
#[derive(Debug)]
pub(crate) struct First;

#[async_trait]
impl Aggregate for First {
    async fn aggregate(&self, answers: Vec<Answered>) -> Result<Verdict> {
        let first = answers.first().ok_or_else(|| Error::invalid_request("there is no answer to fold"))?;
        let (value, said) = (first.value.clone(), ballot(&first.value, ""));
        let costs = answers.iter().map(|a| (a.agent.clone(), a.cost)).collect();
        let of = answers.len() as u64;
        let dissent: Vec<Answered> = answers.into_iter().filter(|a| ballot(&a.value, "") != said).collect();
        let agreed = of - dissent.len() as u64;
        Ok(Verdict { value, agreement_ppm: (agreed * 1_000_000 / of) as u32, dissent, costs, tied: false })
    }
}
