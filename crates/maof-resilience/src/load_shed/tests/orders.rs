//! The door in every order in which callers can meet at it, as far as shuttle tries them.

use maof_core::Guarded as _;
use shuttle::{check_pct, check_random, thread};

use crate::load_shed::{Config, Door};
use crate::scripted::Moved;

const ORDERS: usize = 1_000;

#[test]
fn never_are_more_inside_than_may_be_and_everybody_leaves() {
    let test = || {
        let config = Config { min_calls: 2, max_calls: 2, ..Config::default() };
        let door = Door::new(&config, Moved::new(), |_| {});
        let callers: Vec<_> = (0..5)
            .map(|number| {
                let door = door.clone();
                thread::spawn(move || {
                    let Ok(mut admission) = door.enter(false) else { return };
                    assert!(door.load_percent() <= 100);
                    admission.replied();
                    // Some leave as a guard of a reply, some as a call that is given up.
                    if number % 2 == 0 {
                        let answer = maof_core::ChatAnswer::text("ok");
                        let mut reply = maof_core::Reply::whole(maof_core::Response::chat(answer));
                        reply.guard(Box::new(admission));
                    }
                })
            })
            .collect();
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        assert_eq!(door.load_percent(), 0);
    };
    check_random(test, ORDERS);
    check_pct(test, ORDERS, 3);
}
