//! What becomes of a call whose caller has left: it is dropped at once, which aborts the upstream, or it is let
//! finish, so that its usage is known, for as long as the configuration says.

use std::future::Future;
use std::time::Duration;

use futures::StreamExt as _;
use maof::{Maof, OnDisconnect};
use maof_core::{Call, Error, Reply, ReplyStream, Result};
use tokio::sync::oneshot;

/// Where a stream that nobody reads any more is read to its end. None where it is to be dropped.
pub(crate) type Drain = Option<oneshot::Sender<ReplyStream>>;

/// How long a call may go on without its caller.
fn bound(maof: &Maof) -> Option<Duration> {
    let server = &maof.config().server;
    (server.on_disconnect == OnDisconnect::Drain).then(|| Duration::from_millis(server.drain_ms))
}

/// Makes a call that outlives its caller where it shall.
pub(crate) async fn call(maof: &Maof, call: Call) -> Result<Reply> {
    let Some(most) = bound(maof) else { return maof.call(call).await };
    let (mut answer, answered) = oneshot::channel::<Box<Result<Reply>>>();
    let of = maof.clone();
    maof.spawn(async move {
        let reply = {
            let mut asked = std::pin::pin!(of.call(call));
            tokio::select! {
                reply = &mut asked => Some(reply),
                () = answer.closed() => within(most, asked).await,
            }
        };
        let Some(reply) = reply else { return };
        // Nobody is there to tell of a failure.
        if let Err(unread) = answer.send(Box::new(reply))
            && let Ok(unread) = *unread
        {
            within(most, unread.collect()).await;
        }
    });
    match answered.await {
        Ok(reply) => *reply,
        Err(_) => Err(Error::cancelled("the server is shutting down")),
    }
}

/// Where the rest of a stream goes.
pub(crate) fn drain(maof: &Maof) -> Drain {
    let most = bound(maof)?;
    let (left, unread) = oneshot::channel::<ReplyStream>();
    maof.spawn(async move {
        if let Ok(mut events) = unread.await {
            within(most, async { while let Some(Ok(_)) = events.next().await {} }).await;
        }
    });
    Some(left)
}

async fn within<T>(most: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(most, work).await.ok()
}
