//! What stands before the routes: the door that nearly all calls come through is known by its path, and the router's
//! tables, boxes and extractors are left out for it. They cost as much as three layers of the stack.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::Method;
use axum::response::Response;
use axum::routing::future::RouteFuture;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Either};
use maof::Maof;
use tower::Service;

use crate::routes::{self, router};

/// Every route, the most frequent one first.
#[derive(Clone, Debug)]
pub(crate) struct Front {
    maof: Maof,
    limit: usize,
    routes: Router,
}

impl Front {
    pub(crate) fn new(maof: Maof) -> Self {
        let limit = maof.config().server.body_limit as usize;
        Front { routes: router(maof.clone()), limit, maof }
    }
}

type Answered = BoxFuture<'static, Result<Response, Infallible>>;

impl Service<Request> for Front {
    type Response = Response;
    type Error = Infallible;
    type Future = Either<Answered, RouteFuture<Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        if request.uri().path() != "/v1/chat/completions" || request.method() != Method::POST {
            return Either::Right(self.routes.call(request));
        }
        DefaultBodyLimit::max(self.limit).apply(&mut request);
        let answered: Pin<Box<_>> = Box::pin(routes::chat(State(self.maof.clone()), request).map(Ok));
        Either::Left(answered)
    }
}
