//! What the tests start: a worker, and a parent that starts one.
//!
//! `worker` echoes requests and hangs on the request `"hang"`. `parent` starts a worker, prints its
//! process id, and waits.
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
    let program = std::env::current_exe().unwrap();
    let command = ChildCommand { program, args: vec!["worker".into()], env: Vec::new() };
    let mut worker = WorkerChild::new("worker".into(), command, ChildLimits::default());
    let ample = Duration::from_secs(1_000);
    worker.call(&"hello", ample).await.unwrap();
    println!("{}", worker.pid().unwrap());
    if std::env::args().nth(2).as_deref() == Some("hang") {
        worker.call(&"hang", ample).await.unwrap();
    }
    std::future::pending().await
}
