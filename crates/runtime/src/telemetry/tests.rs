use super::*;

/// Everything in a directory, by file name.
fn read(directory: &Path) -> Vec<(String, String)> {
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .expect("the directory")
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).expect("text"))
        })
        .collect();
    files.sort();
    files
}

fn log_to(directory: &Path, format: Format, log: impl FnOnce(&Guard)) -> String {
    let options = Options {
        level: "info".into(),
        format,
        log_file: Some(directory.join("deep/sickbay.log")),
        stderr: true,
    };
    let (subscriber, guard) = build(&options).expect("begins");
    tracing::subscriber::with_default(subscriber, || log(&guard));
    drop(guard);
    let mut files = read(&directory.join("deep"));
    assert_eq!(files.len(), 1);
    let (name, text) = files.remove(0);
    assert!(name.starts_with("sickbay.2") && name.ends_with(".log"), "{name}");
    text
}

#[test]
fn a_line_is_text_or_json() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = log_to(directory.path(), Format::Text, |_| tracing::info!(node = "a", "swept"));
    assert!(text.contains("INFO") && text.contains("swept node=\"a\""), "{text}");
    assert!(!text.contains('\u{1b}'), "no colours in a file");

    let directory = tempfile::tempdir().expect("a directory");
    let json = log_to(directory.path(), Format::Json, |_| tracing::warn!(n = 3, "a \"b\"\n"));
    let line: serde_json::Value = serde_json::from_str(&json).expect("one JSON object");
    assert_eq!(line["level"], "WARN");
    assert_eq!(line["message"], "a \"b\"\n");
    assert_eq!(line["n"], 3);
}

#[test]
fn a_message_cannot_pass_for_another_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let forged = "x\n2026-11-22T00:00:00Z  INFO sickbay: all is well\r\u{1b}[2K";
    let text = log_to(directory.path(), Format::Text, |_| {
        tracing::warn!("process {forged} hangs");
        tracing::info!("next");
    });
    let beginnings: Vec<_> = text.lines().map(|line| line.starts_with("20")).collect();
    assert_eq!(beginnings, [true, false, true], "{text}");
    assert!(!text.contains(['\r', '\u{1b}']), "{text}");
}

/// What is written for the journal.
fn journal_of(log: impl FnOnce()) -> String {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("journal");
    let look = Look { format: Format::Text, colours: false, journal: true };
    let mut guard = Guard {
        filter: reload::Layer::new(parse_level("info").expect("a level")).1,
        dropped: Vec::new(),
        _writers: Vec::new(),
    };
    let writer = queue(std::fs::File::create(&file).expect("a file"), &mut guard);
    let (filter, _handle) = reload::Layer::new(parse_level("info").expect("a level"));
    let subscriber = Registry::default().with(filter).with(vec![layer(look, writer)]);
    tracing::subscriber::with_default(subscriber, log);
    drop(guard);
    std::fs::read_to_string(file).expect("text")
}

#[test]
fn the_journal_is_told_how_bad_it_is_on_every_line() {
    let text = journal_of(|| {
        tracing::error!("it hangs");
        tracing::warn!("two\n<0>lines");
        tracing::info!("well");
    });
    let lines: Vec<_> = text.lines().collect();
    let [error, warning, forged, info] = lines[..] else { panic!("{text}") };
    assert!(error.starts_with("<3>") && error.ends_with("it hangs"), "{text}");
    assert!(!error.contains("20"), "the journal has the time: {text}");
    assert!(warning.starts_with("<4>") && forged.starts_with("<4>    <0>"), "{text}");
    assert!(info.starts_with("<6>"), "{text}");
}

#[test]
fn the_level_changes_while_running_and_a_bad_one_changes_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = log_to(directory.path(), Format::Text, |guard| {
        tracing::debug!("too early");
        guard.set_level("debug").expect("a level");
        tracing::debug!("in time");
        assert!(guard.set_level("lots").is_err());
        tracing::debug!("still in time");
        guard.set_level("error").expect("a level");
        tracing::warn!("too late");
    });
    assert!(text.contains("DEBUG") && text.contains("in time") && text.contains("still in time"));
    assert!(!text.contains("too"), "{text}");
}

#[test]
fn levels_are_checked() {
    for level in ["info", "OFF", "warn,sickbay_hub=debug", "sickbay_store=trace"] {
        assert!(parse_level(level).is_ok(), "{level}");
    }
    for level in ["", "  ", "lots", "info,loud", "sickbay_hub=lots", "=", "a=b=c"] {
        let message = parse_level(level).expect_err(level).to_string();
        assert!(message.contains("is not a log level"), "{message}");
    }
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let occupied = directory.path().join("file");
    std::fs::write(&occupied, "").expect("writes");
    for path in [occupied.join("sickbay.log"), PathBuf::from("/"), PathBuf::from("/proc/x/y.log")] {
        let options = Options { log_file: Some(path.clone()), ..Options::default() };
        let message = build(&options).map(drop).expect_err("cannot be written").to_string();
        assert!(message.contains(&*path.to_string_lossy()), "{message}");
    }
}
