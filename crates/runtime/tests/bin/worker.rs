//! What the tests start: a worker, and a parent that starts one.
//!
//! `worker` echoes requests and hangs on the request `"hang"`. `parent` starts a worker, prints its
//! process id, and waits; `parent upgraded` waits for a line before.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "part of the tests")]

use std::process::ExitCode;
use std::time::Duration;

use sickbay_runtime::{ChildCommand, ChildLimits, WorkerChild, serve_worker};

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("worker") => serve_worker(|request| {
            if request == b"\"hang\"" {
                std::thread::sleep(Duration::from_secs(1_000));
            }
            request.to_vec()
        }),
        Some("parent") => {
            parent();
            ExitCode::SUCCESS
        }
        _ => ExitCode::FAILURE,
    }
}

#[tokio::main(flavor = "current_thread")]
async fn parent() {
    let mood = std::env::args().nth(2);
    if mood.as_deref() == Some("upgraded") {
        // Until the test has replaced this program's file.
        std::io::stdin().lines().next().unwrap().unwrap();
    }
    let command = ChildCommand::this_program(vec!["worker".into()]).unwrap();
    let mut worker = WorkerChild::new("worker".into(), command, ChildLimits::default());
    let ample = Duration::from_secs(1_000);
    worker.call(&"hello", ample).await.unwrap();
    println!("{}", worker.pid().unwrap());
    if mood.as_deref() == Some("hang") {
        worker.call(&"hang", ample).await.unwrap();
    }
    std::future::pending().await
}
