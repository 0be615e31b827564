//! Leaders, waiters and cancellation in every order, as far as shuttle tries them.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use maof_core::{ChatAnswer, Error, Reply, Response, Result};
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::{check_pct, check_random, future};

use crate::single_flight::flight::{Joined, Lead, News, Sky};

const ORDERS: usize = 1_000;

type Skies = Sky<u8, Reply, Error>;

fn answer() -> Result<Reply> {
    Ok(Reply::whole(Response::chat(ChatAnswer::text("ok"))))
}

/// A caller that leads once it may; whether it was answered.
async fn fly(sky: Arc<Skies>, made: Arc<AtomicUsize>) -> bool {
    let lead = match sky.join(7) {
        Joined::Lead(lead) => lead,
        Joined::Wait(told) => match told.await {
            Ok(News::Landed(_)) => return true,
            Ok(News::Lead(lead)) => lead,
            _ => return false,
        },
        Joined::Alone => return false,
    };
    made.fetch_add(1, Ordering::SeqCst);
    pause().await;
    lead.land(&answer());
    true
}

/// Lets others go first, once.
async fn pause() {
    let mut paused = false;
    poll_fn(|cx| match std::mem::replace(&mut paused, true) {
        true => Poll::Ready(()),
        false => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}

#[test]
fn everybody_is_answered_though_leaders_and_waiters_give_up() {
    let test = || {
        let (sky, made) = (Skies::new(10), Arc::new(AtomicUsize::new(0)));
        let caller = || future::spawn(fly(Arc::clone(&sky), Arc::clone(&made)));
        let (given_up, kept) = ([caller(), caller()], [caller(), caller(), caller()]);
        future::block_on(async {
            given_up.iter().for_each(future::JoinHandle::abort);
            for caller in kept {
                assert!(caller.await.unwrap(), "nobody is forgotten");
            }
            for caller in given_up {
                let _ = caller.await;
            }
        });
        let made = made.load(Ordering::SeqCst);
        assert!((1..=5).contains(&made), "{made}");
        assert!(sky.is_empty(), "nothing is left behind");
    };
    check_random(test, ORDERS);
    check_pct(test, ORDERS, 3);
}

#[test]
fn while_one_leads_nobody_else_does() {
    let test = || {
        let (sky, leading) = (Skies::new(10), Arc::new(AtomicUsize::new(0)));
        let callers: Vec<_> = (0..4)
            .map(|number| {
                let (sky, leading) = (Arc::clone(&sky), Arc::clone(&leading));
                future::spawn(async move {
                    let lead: Lead<_, _, _> = match sky.join(7) {
                        Joined::Lead(lead) => lead,
                        Joined::Wait(told) => match told.await {
                            Ok(News::Lead(lead)) => lead,
                            _ => return,
                        },
                        Joined::Alone => return,
                    };
                    assert_eq!(leading.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
                    pause().await;
                    leading.fetch_sub(1, Ordering::SeqCst);
                    // Half of them give up.
                    match number % 2 {
                        0 => lead.land(&answer()),
                        _ => drop(lead),
                    }
                })
            })
            .collect();
        future::block_on(async {
            for caller in callers {
                caller.await.unwrap();
            }
        });
        assert!(sky.is_empty());
    };
    check_random(test, ORDERS);
    check_pct(test, ORDERS, 3);
}
