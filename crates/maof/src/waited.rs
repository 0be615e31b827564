//! The time in which an endpoint is waited for.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use maof_core::{Clock, Waits};

/// Answers as `inner` does, and notes the time in which that has nothing to do but wait. What it does itself, such
/// as to write a request and read its answer, is work and no waiting. A future that is dropped waits no longer.
pub(crate) struct Waited<F> {
    inner: F,
    clock: Arc<dyn Clock>,
    waits: Arc<Waits>,
    waiting: bool,
}

impl<F> Waited<F> {
    pub(crate) fn new(inner: F, clock: Arc<dyn Clock>, waits: Arc<Waits>) -> Self {
        Waited { inner, clock, waits, waiting: false }
    }

    fn stop(&mut self) {
        if std::mem::replace(&mut self.waiting, false) {
            self.waits.end(self.clock.instant());
        }
    }
}

impl<F: Future + Unpin> Future for Waited<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.stop();
        let polled = Pin::new(&mut self.inner).poll(cx);
        if polled.is_pending() {
            self.waits.begin(self.clock.instant());
            self.waiting = true;
        }
        polled
    }
}

impl<F> Drop for Waited<F> {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Waker;
    use std::time::Duration;

    use maof_core::Timestamp;
    use maof_testkit::FakeClock;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Works for a millisecond at each poll; is done at the second.
    struct Work(Arc<FakeClock>, bool);

    impl Future for Work {
        type Output = ();

        fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            self.0.advance(MS);
            if std::mem::replace(&mut self.1, true) { Poll::Ready(()) } else { Poll::Pending }
        }
    }

    #[test]
    fn waiting_counts_and_working_does_not() {
        let check = |polls: u32, expect: Duration| {
            let (clock, waits) = (FakeClock::at(Timestamp::default()), Arc::<Waits>::default());
            let mut waited =
                pin!(Some(Waited::new(Work(clock.clone(), false), clock.clone(), Arc::clone(&waits))));
            for _ in 0..polls {
                let future = waited.as_mut().get_mut().as_mut().map(Pin::new);
                let _ = future.map(|future| future.poll(&mut Context::from_waker(Waker::noop())));
                clock.advance(100 * MS);
            }
            // Dropped, be it before its end.
            waited.set(None);
            clock.advance(1_000 * MS);
            assert_eq!(waits.total(), expect, "{polls} polls");
        };
        check(0, Duration::ZERO);
        check(1, 100 * MS);
        check(2, 100 * MS);
    }
}
