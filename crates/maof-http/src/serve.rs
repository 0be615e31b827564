//! Listens, serves, and stops in good order.

use std::future::{Future, IntoFuture as _};
use std::time::Duration;

use axum::serve::ListenerExt;
use maof::Maof;
use maof_core::{Error, Result};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long requests in flight have to end once the server stops.
const DRAIN: Duration = Duration::from_secs(10);

/// Takes an address such as `127.0.0.1:8000`; port 0 takes any free one.
///
/// # Errors
/// `conflict` when the port is in use, `permission_denied` when it may not be taken, `invalid_request` when
/// it is no address.
pub async fn bind(address: &str) -> Result<TcpListener> {
    use std::io::ErrorKind;
    TcpListener::bind(address).await.map_err(|error| {
        let made = match error.kind() {
            ErrorKind::AddrInUse => Error::conflict(format!(
                "the address {address} is in use; stop what listens there or set another with --listen"
            )),
            ErrorKind::PermissionDenied => Error::permission_denied(format!(
                "the address {address} may not be taken; use a port above 1023"
            )),
            _ => Error::invalid_request(format!("`{address}` cannot be listened on: {error}")),
        };
        made.param("server.listen").because(error)
    })
}

/// Serves until `stop` is done, then lets requests in flight end, and gives runs in flight back to the queue. At each
/// SIGHUP it reloads the configuration, where that can be read again ([`maof::Builder::reloads`]).
///
/// # Errors
/// `unavailable` when the listener fails.
pub fn serve(
    listener: TcpListener,
    maof: Maof,
    stop: impl Future<Output = ()> + Send + 'static,
) -> impl Future<Output = Result<()>> {
    // Heard from now on, not only when it is first polled: unheard, the signal would end the process.
    let hangups = if maof.can_reload() { signal(SignalKind::hangup()).ok() } else { None };
    serve_until(listener, maof, stop, hangups)
}

async fn serve_until(
    listener: TcpListener,
    maof: Maof,
    stop: impl Future<Output = ()> + Send + 'static,
    hangups: Option<Signal>,
) -> Result<()> {
    let front = tower::make::Shared::new(crate::front::Front::new(maof.clone()));
    // Without it every streamed body waits about 40 ms for a delayed acknowledgement.
    let listener = listener.tap_io(|socket| {
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
    });
    let closing = CancellationToken::new();
    let told = closing.clone();
    let begin = async move {
        stop.await;
        told.cancel();
    };
    let server = axum::serve(listener, front).with_graceful_shutdown(begin).into_future();
    let drained = async {
        closing.cancelled().await;
        // Runs go back to the queue at once; requests in flight have a while to end, event streams do not.
        maof.shutdown().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        () = reload_at_hangups(&maof, hangups) => Ok(()),
        served = server => {
            maof.shutdown().await;
            served.map_err(|e| Error::unavailable("the server stopped listening").because(e))
        }
        () = drained => Ok(()),
    }
}

/// Reloads the configuration at each SIGHUP, for ever. What came of it is in the log and the audit trail.
async fn reload_at_hangups(maof: &Maof, hangups: Option<Signal>) {
    let Some(mut hangups) = hangups else { return std::future::pending().await };
    let operator = maof_core::Principal::local();
    while hangups.recv().await.is_some() {
        // What is wrong with it was told where it was found, and nothing changed.
        drop(maof.reload(&operator).await);
    }
    std::future::pending().await
}

/// Done at Ctrl-C or SIGTERM.
pub async fn stop_signal() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}
