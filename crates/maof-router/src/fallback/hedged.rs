//! One candidate, and by and by the next one beside it.

use std::pin::pin;

use maof_core::{Call, Candidate, Decision, Error, ErrorKind, Hedge, Name, Reply, Result, Retry, Signal};
use tower_service::Service;

use super::service::Shared;

/// What came of asking one candidate, or two: the first reply, or the error of each in their order.
pub(super) type Asked = Result<Reply, Vec<Error>>;

impl<S> Shared<S>
where
    S: Service<Call, Response = Reply, Error = Error> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    /// Asks the candidate at `at`. Where its stream says nothing when it should, and a hedge may be spent, the
    /// next one is asked beside it: the first reply wins, and the other one is dropped.
    pub(super) async fn ask_or_hedge(
        &self,
        call: &Call,
        decision: &Decision,
        at: usize,
        instead_of: Option<(Name, ErrorKind)>,
        hedge: Option<&dyn Hedge>,
    ) -> Asked {
        let Some(first) = decision.candidate(at) else { return Err(Vec::new()) };
        match hedge {
            None => alone(self.ask(call, decision, first, at as u32, instead_of).await),
            // In a box, for the many calls that are not hedged.
            Some(hedge) => Box::pin(self.hedged(call, decision, (at, first), instead_of, hedge)).await,
        }
    }

    async fn hedged(
        &self,
        call: &Call,
        decision: &Decision,
        (at, first): (usize, &Candidate),
        instead_of: Option<(Name, ErrorKind)>,
        hedge: &dyn Hedge,
    ) -> Asked {
        let asked = self.ask(call, decision, first, at as u32, instead_of);
        let mut asked = pin!(self.timed(hedge, first, asked));
        let next = decision.candidate(at + 1);
        let (Some(patience), Some(next)) = (hedge.patience(&first.endpoint), next) else {
            return alone(asked.await);
        };
        let began = self.clock.instant();
        if let Ok(answer) = tokio::time::timeout(patience, &mut asked).await {
            return alone(answer);
        }
        if !hedge.spend(&first.endpoint, &next.endpoint) {
            return alone(asked.await);
        }
        self.observe.on(Signal::Hedged { from: &first.endpoint, to: &next.endpoint });
        let copy = Call { beside: true, ..call.clone() };
        let beside = self.ask(&copy, decision, next, at as u32 + 1, None);
        let mut beside = pin!(self.timed(hedge, next, beside));
        tokio::select! {
            answer = &mut asked => match answer {
                Ok(reply) => Ok(reply),
                // What nobody can help is no better beside.
                Err(error) if error.retry() == Retry::Never => Err(vec![error]),
                Err(error) => beside.await.map_err(|other| vec![error, other]),
            },
            answer = &mut beside => match answer {
                Ok(reply) => {
                    // It would have taken longer yet; not to count it would make it look quick.
                    hedge.answered(&first.endpoint, self.clock.instant().saturating_duration_since(began));
                    Ok(reply)
                }
                Err(error) => asked.await.map_err(|other| vec![other, error]),
            },
        }
    }

    /// Tells the policy how it went.
    async fn timed(
        &self,
        hedge: &dyn Hedge,
        candidate: &Candidate,
        asked: impl Future<Output = Result<Reply>>,
    ) -> Result<Reply> {
        let began = self.clock.instant();
        let answer = match asked.await {
            // One that says that it begins and no more may yet stall; whoever says something first wins.
            Ok(reply) => Ok(reply.once_said().await),
            Err(error) => Err(error),
        };
        match &answer {
            Ok(_) => {
                let waited = self.clock.instant().saturating_duration_since(began);
                hedge.answered(&candidate.endpoint, waited);
            }
            Err(error) => hedge.failed(&candidate.endpoint, error),
        }
        answer
    }
}

fn alone(answer: Result<Reply>) -> Asked {
    answer.map_err(|error| vec![error])
}
