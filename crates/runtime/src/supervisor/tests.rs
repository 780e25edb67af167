use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

const MIN: Duration = Duration::from_millis(100);
const MAX: Duration = Duration::from_secs(1);
const RESTART: OnEnd = OnEnd::Restart { backoff_min: MIN, backoff_max: MAX };

fn supervisor() -> (Supervisor, Shutdown) {
    let shutdown = Shutdown::new();
    (Supervisor::new(shutdown.clone(), Clock::manual(0).0), shutdown)
}

fn only(supervisor: &Supervisor) -> TaskStatus {
    let mut statuses = supervisor.statuses();
    assert_eq!(statuses.len(), 1, "{statuses:?}");
    statuses.remove(0)
}

#[derive(Clone, Copy, Debug)]
enum End {
    Error,
    Panic,
    Early,
}

async fn end(how: End) -> Result<(), TaskError> {
    tokio::task::yield_now().await;
    match how {
        End::Error => Err("the disk is on fire".into()),
        End::Panic => panic!("index {} is odd", 7),
        End::Early => Ok(()),
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_ends_is_started_again_with_growing_pauses() {
    for (how, message) in [
        (End::Error, "the disk is on fire"),
        (End::Panic, "index 7 is odd"),
        (End::Early, "returned although"),
    ] {
        let (supervisor, shutdown) = supervisor();
        let starts = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&starts);
        let began = Instant::now();
        supervisor.spawn(TaskSpec::new("sweeper", RESTART), move |_| {
            lock(&seen).push(began.elapsed().as_millis());
            end(how)
        });
        tokio::time::sleep(Duration::from_millis(3_600)).await;
        // Pauses of 100, 200, 400, 800, 1000, 1000 ms: doubled, then capped.
        assert_eq!(*lock(&starts), [0, 100, 300, 700, 1_500, 2_500, 3_500], "{how:?}");
        let status = only(&supervisor);
        assert_eq!((status.state, status.restarts), (TaskState::Restarting, 7));
        assert!(status.last_error.unwrap_or_default().contains(message), "{how:?}");

        shutdown.request("test");
        assert!(supervisor.join(MAX).await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_good_run_starts_the_pauses_anew() {
    let (supervisor, _shutdown) = supervisor();
    let starts = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&starts);
    let began = Instant::now();
    supervisor.spawn(TaskSpec::new("sweeper", RESTART), move |_| {
        let mut starts = lock(&seen);
        starts.push(began.elapsed().as_millis());
        let run = if starts.len() == 3 { MAX * 2 } else { Duration::ZERO };
        async move {
            tokio::time::sleep(run).await;
            Err("no".into())
        }
    });
    tokio::time::sleep(Duration::from_millis(2_650)).await;
    assert_eq!(*lock(&starts), [0, 100, 300, 2_400, 2_600]);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_vital_task_stops_everything() {
    for (how, state) in [
        (End::Error, Some(TaskState::Failed)),
        (End::Panic, Some(TaskState::Failed)),
        (End::Early, None),
    ] {
        let (supervisor, shutdown) = supervisor();
        supervisor.spawn(TaskSpec::new("judge", OnEnd::StopAll), move |_| end(how));
        shutdown.requested().await;
        let reason = shutdown.reason().unwrap_or_default();
        assert!(reason.contains("\"judge\""), "{reason}");
        assert_eq!(supervisor.statuses().first().map(|status| status.state), state);
    }
}

#[tokio::test(start_paused = true)]
async fn an_ignored_end_disturbs_nobody_and_failures_are_kept_within_a_limit() {
    let (supervisor, shutdown) = supervisor();
    for _ in 0..MAX_FAILED_KEPT + 10 {
        supervisor.spawn(TaskSpec::new("errand", OnEnd::Ignore), |_| end(End::Panic));
        supervisor.spawn(TaskSpec::new("good errand", OnEnd::Ignore), |_| end(End::Early));
    }
    tokio::time::sleep(MAX).await;
    assert!(!shutdown.is_requested());
    let statuses = supervisor.statuses();
    assert_eq!(statuses.len(), MAX_FAILED_KEPT);
    assert!(statuses.iter().all(|status| status.state == TaskState::Failed));
}

#[tokio::test(start_paused = true)]
async fn join_waits_and_names_those_that_did_not_end() {
    let (supervisor, shutdown) = supervisor();
    let ended_well = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&ended_well);
    supervisor.spawn(TaskSpec::new("polite", OnEnd::StopAll), move |token| {
        let count = Arc::clone(&count);
        async move {
            token.cancelled().await;
            tokio::time::sleep(MAX).await;
            count.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    });
    for name in ["deaf", "deafer"] {
        supervisor.spawn(TaskSpec::new(name, RESTART), |_| std::future::pending());
    }
    shutdown.request("test");
    let began = Instant::now();
    assert_eq!(supervisor.join(MAX * 2).await, ["deaf", "deafer"]);
    assert_eq!(began.elapsed(), MAX * 2);
    assert_eq!(ended_well.load(Ordering::Relaxed), 1);
    assert!(supervisor.statuses().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_task_in_its_pause_hears_the_shutdown() {
    let (supervisor, shutdown) = supervisor();
    let long = Duration::from_secs(3_600);
    let on_end = OnEnd::Restart { backoff_min: long, backoff_max: long };
    supervisor.spawn(TaskSpec::new("sweeper", on_end), |_| end(End::Error));
    tokio::time::sleep(MAX).await;
    assert_eq!(only(&supervisor).state, TaskState::Restarting);
    shutdown.request("test");
    assert!(supervisor.join(MAX).await.is_empty());
}

#[tokio::test]
async fn threads_and_blocking_work_are_joined_and_their_panics_caught() {
    let (supervisor, shutdown) = supervisor();
    let (release, wait) = std::sync::mpsc::sync_channel::<()>(1);
    supervisor
        .spawn_thread("writer", move |token| {
            let _ = wait.recv();
            assert!(token.is_cancelled());
        })
        .expect("a thread");
    supervisor.spawn_thread("clumsy", |_| panic!("dropped it")).expect("a thread");
    let sum = supervisor.spawn_blocking("adder", || 2 + 2).await.expect("not aborted");
    assert_eq!(sum, Some(4));
    let nothing = supervisor.spawn_blocking("clumsy adder", || -> u8 { panic!("oops") });
    assert_eq!(nothing.await.expect("not aborted"), None);

    shutdown.request("test");
    release.send(()).expect("the writer waits");
    assert!(supervisor.join(Duration::from_secs(10)).await.is_empty());
}

#[tokio::test]
async fn a_thread_that_does_not_end_is_named() {
    let (supervisor, shutdown) = supervisor();
    let (_hold, wait) = std::sync::mpsc::sync_channel::<()>(1);
    let wait = Mutex::new(wait);
    supervisor
        .spawn_thread("stuck writer", move |_| {
            let _ = lock(&wait).recv();
        })
        .expect("a thread");
    shutdown.request("test");
    assert_eq!(supervisor.join(Duration::from_millis(50)).await, ["stuck writer"]);
}
