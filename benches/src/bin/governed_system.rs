//! The server under test, with the system's allocator.

#[tokio::main(worker_threads = 2)]
async fn main() {
    maof_benches::governed().await;
}
