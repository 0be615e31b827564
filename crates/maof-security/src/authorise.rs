//! Refuses calls that a principal may not make, before anything is reserved or looked up for it.
//!
//! Who may call at all is a matter of roles; whom it may ask is a matter of its grant. A target that is no
//! name (a type of task, a capability) is narrowed down by the router, which passes over agents that the
//! grant does not cover.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::{BoxFuture, FutureExt as _};
use maof_core::{Audit, AuditRow, Call, Clock, Error, Reply, Result, Target};
use tower_service::Service;

/// Makes [`Authorised`] services.
#[derive(Clone, Debug)]
pub struct Layer {
    audit: Arc<dyn Audit>,
    clock: Arc<dyn Clock>,
}

impl Layer {
    /// Notes refusals in `audit`.
    pub fn new(audit: Arc<dyn Audit>, clock: Arc<dyn Clock>) -> Self {
        Layer { audit, clock }
    }
}

impl<S> tower_layer::Layer<S> for Layer {
    type Service = Authorised<S>;

    fn layer(&self, inner: S) -> Authorised<S> {
        Authorised { inner, audit: Arc::clone(&self.audit), clock: Arc::clone(&self.clock) }
    }
}

/// A call path behind its guard.
#[derive(Clone, Debug)]
pub struct Authorised<S> {
    inner: S,
    audit: Arc<dyn Audit>,
    clock: Arc<dyn Clock>,
}

impl<S> Service<Call> for Authorised<S>
where
    S: Service<Call, Response = Reply, Error = Error>,
    S::Future: Send + 'static,
{
    type Response = Reply;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Reply>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        if let Err(error) = check(&call) {
            self.audit.note(AuditRow {
                at: self.clock.now(),
                tenant: call.principal.tenant.clone(),
                user: call.principal.user.clone(),
                action: "call".to_owned(),
                subject: call.target.to_string(),
                outcome: error.kind().as_str().to_owned(),
            });
            return std::future::ready(Err(error)).boxed();
        }
        self.inner.call(call).boxed()
    }
}

fn check(call: &Call) -> Result<()> {
    if !call.principal.may_call() {
        return Err(Error::permission_denied("this principal has no role that lets it make calls"));
    }
    match &call.target {
        // By name only what the grant names: an endpoint or a `provider/model` must be granted by its own name,
        // since it can be asked past the agent's instructions and budget.
        Target::Name(name) if !call.principal.grant.allows(name.as_str()) => {
            Err(Error::permission_denied(format!("this principal may not use `{name}`")).param("model"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use super::*;
    use maof_core::{
        Body, CallId, ChatAnswer, ChatRequest, ErrorKind, Grant, Name, Principal, Response, Role, Timestamp,
    };
    use parking_lot::Mutex;
    use std::time::Instant;
    use tower::{Layer as _, ServiceExt as _, service_fn};

    #[derive(Debug, Default)]
    struct Trail(Mutex<Vec<AuditRow>>);

    #[async_trait::async_trait]
    impl Audit for Trail {
        fn note(&self, row: AuditRow) {
            self.0.lock().push(row);
        }
        async fn trail(&self, _: &Name, _: u32) -> Result<Vec<AuditRow>> {
            Ok(self.0.lock().clone())
        }
    }

    #[derive(Debug)]
    struct Still;

    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp::from_micros(1)
        }
        fn instant(&self) -> Instant {
            Instant::now()
        }
    }

    async fn check(roles: Vec<Role>, grant: Grant, target: Target, expect: Option<ErrorKind>) {
        let trail = Arc::new(Trail::default());
        let inner = service_fn(|_: Call| async { Ok(Reply::whole(Response::chat(ChatAnswer::text("x")))) });
        let service = Layer::new(trail.clone(), Arc::new(Still)).layer(inner);
        let principal = Principal { roles, grant, ..(*Principal::local()).clone() };
        let id = CallId::from_uuid(Default::default());
        let call = Call::new(id, target, Arc::new(principal), Body::from(ChatRequest::user("q")));
        let said = service.oneshot(call).await.err().map(|e| e.kind());
        assert_eq!(said, expect);
        assert_eq!(trail.0.lock().len(), usize::from(expect.is_some()), "refusals are noted");
    }

    #[tokio::test]
    async fn roles_and_grants_decide_before_anything_else() {
        let name = |text: &str| Name::new(text).unwrap();
        let only = || Grant::Only(vec![name("a")]);
        let denied = Some(ErrorKind::PermissionDenied);
        check(vec![Role::User], Grant::Any, Target::Name(name("b")), None).await;
        check(vec![Role::Service], only(), Target::Name(name("a")), None).await;
        check(vec![Role::User], only(), Target::Name(name("b")), denied).await;
        check(vec![Role::User], only(), Target::Capability(name("x")), None).await;
        check(vec![Role::User], only(), Target::TaskType(name("x")), None).await;
        check(vec![Role::User], Grant::Only(vec![]), Target::Name(name("a")), denied).await;
        check(vec![Role::Admin], only(), Target::Name(name("b")), denied).await;
        check(vec![Role::Readonly], Grant::Any, Target::Name(name("b")), denied).await;
        check(vec![], Grant::Any, Target::Name(name("b")), denied).await;
    }
}
