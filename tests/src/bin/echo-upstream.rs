//! The scripted upstream without a script, as a process of its own: prints its port, answers until it is killed.
#![allow(clippy::print_stdout, reason = "the test that starts it reads the port")]

use maof_testkit::{Script, Upstream};

#[tokio::main]
async fn main() {
    let upstream = Upstream::start(Script::default()).await;
    println!("{}", upstream.address().port());
    upstream.run().await;
}
