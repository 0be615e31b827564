//! The first member's answer.

use async_trait::async_trait;
use maof_core::{Aggregate, Answered, Member, Result, Verdict};

use crate::ballot::ballot;
use crate::verdict::{nobody, ppm, verdict};

/// The first answer in the order of the members that has the part that matters; agreement is the share of
/// members that say the same there.
#[derive(Debug)]
pub(crate) struct First {
    pub(crate) key: String,
}

#[async_trait]
impl Aggregate for First {
    async fn aggregate(&self, answers: Vec<Answered>) -> Result<Verdict> {
        let said: Vec<Option<String>> = answers.iter().map(|a| ballot(&a.value, &self.key)).collect();
        let first = said.iter().position(Option::is_some).ok_or_else(nobody)?;
        let agreed: Vec<usize> = (0..said.len()).filter(|place| said[*place] == said[first]).collect();
        let agreement = ppm(agreed.len() as u128, answers.len() as u128);
        Ok(verdict(answers, first, &agreed, agreement, false))
    }

    /// Once the first who has an answer is known.
    fn is_decided(&self, members: &[Member<'_>]) -> bool {
        let counts = |member: &Member<'_>| match member {
            Member::Answered { value, .. } => value.pointer(&self.key).is_some(),
            Member::Awaited(_) => true,
            Member::Failed => false,
        };
        matches!(members.iter().find(|member| counts(member)), Some(Member::Answered { .. }))
    }
}
