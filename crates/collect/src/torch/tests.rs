//! Real interpreters: `sh` scripts that say what Python would say.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;

/// An interpreter that answers like this, whatever program it is given.
fn interpreter(directory: &Path, script: &str) -> PathBuf {
    let path = directory.join("python3");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("executable");
    path
}

fn settings(mode: TorchMode, interpreter: PathBuf) -> TorchSettings {
    let timeout = Duration::from_secs(20);
    TorchSettings { mode, interpreter: Some(interpreter), timeout, ..TorchSettings::default() }
}

async fn ask(torch: &mut Torch, clock: &Clock) {
    std::future::poll_fn(|context| torch.poll(clock, context)).await;
}

async fn outcome(mode: TorchMode, script: &str, has_gpu: bool) -> (ProbeOutcome, Torch) {
    let directory = tempfile::tempdir().expect("a directory");
    let interpreter = interpreter(directory.path(), script);
    let mut torch = Torch::new(settings(mode, interpreter), None, None);
    let (clock, _) = Clock::manual(0);
    ask(&mut torch, &clock).await;
    (torch.report(has_gpu, &clock).expect("a report").outcome, torch)
}

fn say(answer: &str) -> String {
    format!("echo 'a plugin says hello'; echo 'sickbay-torch:{answer}'")
}

#[tokio::test]
async fn an_answer_is_taken_strictly() {
    let good = r#"{"version": "2.9.0+cu130", "cuda_available": true, "gpu_count": 8}"#;
    let (found, torch) = outcome(TorchMode::Auto, &say(good), true).await;
    assert_eq!(found, ProbeOutcome::Answered);
    let report = torch.answer().expect("an answer");
    assert_eq!(
        (&*report.version, report.cuda_available, report.gpu_count),
        ("2.9.0+cu130", true, 8)
    );
    assert!(report.interpreter.ends_with("python3"));

    for script in [
        "exit 0".to_owned(),
        "echo hello".to_owned(),
        say("{}"),
        say("[]"),
        say(r#"{"version": "2", "cuda_available": "yes", "gpu_count": 8}"#),
        say(r#"{"version": "2", "cuda_available": true, "gpu_count": -1}"#),
        say(r#"{"version": "2", "cuda_available": true, "gpu_count": 99999}"#),
        say(r#"{"version": "2", "cuda_available": true, "gpu_count": 1, "more": 1}"#),
        format!("{}\n{}", say(good), say(good)),
    ] {
        let (found, torch) = outcome(TorchMode::Auto, &script, false).await;
        let ProbeOutcome::Failed(error) = found else { panic!("{script}: {found:?}") };
        assert_eq!(error.kind, ProbeErrorKind::Malformed, "{script}");
        assert!(torch.answer().is_none());
    }
}

#[tokio::test]
async fn what_it_means_that_torch_is_missing() {
    let missing = say(r#"{"missing": "No module named torch"}"#);
    for (mode, has_gpu, applicable) in [
        (TorchMode::Auto, false, false),
        (TorchMode::Auto, true, true),
        (TorchMode::Always, false, true),
    ] {
        let (found, _) = outcome(mode, &missing, has_gpu).await;
        match found {
            ProbeOutcome::NotApplicable(_) => assert!(!applicable, "{mode:?}, GPU: {has_gpu}"),
            ProbeOutcome::Failed(error) => {
                assert!(applicable, "{mode:?}, GPU: {has_gpu}");
                assert_eq!(error.kind, ProbeErrorKind::Absent);
                assert!(error.message.ends_with("cannot import torch: No module named torch"));
                assert!(error.advice.is_some());
            }
            other => panic!("it is missing: {other:?}"),
        }
    }
    // Torch that is there and broken is a failure, GPU or not.
    let broken = say(r#"{"broken": "OSError: libcudart.so.13: cannot open"}"#);
    let (found, _) = outcome(TorchMode::Auto, &broken, false).await;
    assert!(matches!(found, ProbeOutcome::Failed(error) if error.message.contains("libcudart")));
    let (found, _) =
        outcome(TorchMode::Auto, "echo 'Segmentation fault' >&2; exit 139", true).await;
    assert!(matches!(found, ProbeOutcome::Failed(error) if error.message.contains("Segmentation")));
}

#[tokio::test]
async fn torch_is_asked_rarely_and_again_when_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = directory.path().join("log");
    let script = format!("echo run >> {}", log.display());
    let interpreter = interpreter(directory.path(), &script);
    let mut torch = Torch::new(settings(TorchMode::Auto, interpreter), None, None);
    let (clock, hand) = Clock::manual(0);
    let runs = || std::fs::read_to_string(&log).unwrap_or_default().lines().count();
    for (advance, again, expected) in [
        (0, false, 1),
        (60, false, 1),
        (14 * 60 - 1, false, 1),
        (1, false, 2),
        (5, false, 2),
        // Told again and again: once a minute at most.
        (5, true, 2),
        (49, true, 2),
        (1, false, 3),
        (1, true, 3),
        (59, false, 4),
    ] {
        hand.advance(Duration::from_secs(advance));
        if again {
            torch.ask_again();
        }
        ask(&mut torch, &clock).await;
        assert_eq!(runs(), expected, "after {:?}", clock.monotonic());
    }
}

#[tokio::test]
async fn a_hanging_import_is_killed_and_nothing_waits_for_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let interpreter = interpreter(directory.path(), "sleep 1000");
    let mut hurried = settings(TorchMode::Auto, interpreter);
    hurried.timeout = Duration::from_millis(200);
    let mut torch = Torch::new(hurried, None, None);
    let (clock, _) = Clock::manual(0);
    let first = std::future::poll_fn(|context| Poll::Ready(torch.poll(&clock, context))).await;
    assert!(first.is_pending());
    assert_eq!(torch.report(true, &clock), None, "nothing is known yet");
    ask(&mut torch, &clock).await;
    let report = torch.report(true, &clock).expect("a report");
    let ProbeOutcome::Failed(error) = report.outcome else { panic!("{report:?}") };
    assert_eq!(error.kind, ProbeErrorKind::Late);
}

#[tokio::test]
async fn an_interpreter_is_found_or_missed() {
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path();
    std::fs::create_dir_all(root.join("venv/bin")).expect("made");
    std::fs::write(root.join("venv/bin/python"), "").expect("written");
    std::fs::create_dir_all(root.join("bin")).expect("made");
    std::fs::write(root.join("bin/python3"), "").expect("written");
    let default = TorchSettings::default();
    let configured = settings(TorchMode::Auto, "/configured".into());
    let (venv, bin) = (root.join("venv"), root.join("bin"));
    let (venv, bin) = (venv.as_os_str(), bin.as_os_str());
    for (settings, virtual_env, path, expected) in [
        (&configured, Some(venv), Some(bin), Some("/configured".into())),
        (&default, Some(venv), Some(bin), Some(root.join("venv/bin/python"))),
        (&default, Some(OsStr::new("/gone")), Some(bin), Some(root.join("bin/python3"))),
        (&default, None, Some(OsStr::new("relative:/no")), None),
        (&default, None, None, None),
    ] {
        assert_eq!(find_interpreter(settings, virtual_env, path), expected);
    }

    let (clock, _) = Clock::manual(0);
    for (mode, has_gpu, applicable) in [
        (TorchMode::Auto, false, false),
        (TorchMode::Auto, true, true),
        (TorchMode::Never, true, false),
    ] {
        let mut torch = Torch::new(TorchSettings { mode, ..TorchSettings::default() }, None, None);
        ask(&mut torch, &clock).await;
        let outcome = torch.report(has_gpu, &clock).expect("known at once").outcome;
        assert_eq!(matches!(outcome, ProbeOutcome::Failed(_)), applicable, "{mode:?}");
    }

    let mut torch = Torch::new(configured, None, None);
    ask(&mut torch, &clock).await;
    let outcome = torch.report(false, &clock).expect("a report").outcome;
    let ProbeOutcome::Failed(error) = outcome else { panic!("{outcome:?}") };
    assert!(error.kind == ProbeErrorKind::Absent && error.message.contains("/configured"));
}
