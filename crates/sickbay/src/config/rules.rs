//! Mistakes between fields: each value is right by itself, but not together with another.

use std::net::SocketAddr;

use super::mistake::Mistake;
use super::raw::{RawConfig, RawTlsMode};
use super::settings::Settings;
use super::tree::{Origin, Tree};
use super::units::DurationText;

/// Checks a config whose fields are right one by one. `settings` is what it would mean.
pub(super) fn check(raw: &RawConfig, settings: &Settings, tree: &Tree) -> Vec<Mistake> {
    let mut mistakes = Rules { tree, mistakes: Vec::new() };
    mistakes.listen(raw, settings.hub.listen.addr);
    mistakes.store(settings);
    mistakes.processes(raw);
    let nodes = raw.nodes.as_deref().unwrap_or_default();
    mistakes.mistakes.extend(super::node_rules::check(nodes, tree));
    mistakes.mistakes.extend(raw.faults.iter().flat_map(|it| super::fault_rules::check(it, tree)));
    mistakes.policy(settings);
    mistakes.mistakes
}

/// Collects mistakes.
struct Rules<'a> {
    tree: &'a Tree,
    mistakes: Vec<Mistake>,
}

impl Rules<'_> {
    /// Reports a mistake at the first of these fields that was written down.
    fn refuse(&mut self, paths: &[&str], problem: impl Into<String>, allowed: &str) {
        self.refuse_bare(paths, problem);
        if let Some(mistake) = self.mistakes.last_mut() {
            mistake.allowed = Some(allowed.to_owned());
        }
    }

    fn refuse_bare(&mut self, paths: &[&str], problem: impl Into<String>) {
        let found = paths.iter().find_map(|path| Some((*path, self.tree.get(path)?)));
        let nowhere = (paths.first().copied().unwrap_or(""), Origin::Default);
        let (path, origin) = found.map_or(nowhere, |(path, tree)| (path, tree.origin.clone()));
        self.mistakes.push(Mistake::new(origin, path, problem));
    }

    fn listen(&mut self, raw: &RawConfig, addr: SocketAddr) {
        let Some(listen) = &raw.listen else {
            return;
        };
        if listen.token.is_some() && listen.token_file.is_some() {
            let problem = "both `listen.token` and `listen.token_file` are given";
            self.refuse(&["listen.token", "listen.token_file"], problem, "one of the two");
        }
        if !addr.ip().is_loopback() && listen.token.is_none() && listen.token_file.is_none() {
            let problem = format!(
                "`listen.address` is {addr}, which others can reach, but there is no token"
            );
            let allowed = format!(
                "an address on loopback (127.0.0.1:{port}), or any together with `listen.token_file` (SICKBAY_TOKEN_FILE)",
                port = addr.port()
            );
            self.refuse(&["listen.address"], problem, &allowed);
        }
        if listen.tls == Some(RawTlsMode::Files) {
            for (path, missing) in [
                ("listen.tls_certificate", listen.tls_certificate.is_none()),
                ("listen.tls_key", listen.tls_key.is_none()),
            ] {
                if missing {
                    let problem = format!("`listen.tls` is files, but `{path}` is not given");
                    self.refuse(&["listen.tls"], problem, "off, self_signed, or files with both");
                }
            }
        }
    }

    fn store(&mut self, settings: &Settings) {
        let kept = &settings.hub.store.retention;
        for (finer, finer_age, coarser, coarser_age) in [
            ("store.raw_age", kept.raw_age, "store.minute_age", kept.minute_age),
            ("store.minute_age", kept.minute_age, "store.hour_age", kept.hour_age),
        ] {
            if finer_age > coarser_age {
                let problem = format!(
                    "`{finer}` is {}, longer than `{coarser}` ({})",
                    DurationText(finer_age),
                    DurationText(coarser_age)
                );
                let allowed = format!("at most {}", DurationText(coarser_age));
                self.refuse(&[finer, coarser], problem, &allowed);
            }
        }
    }

    fn processes(&mut self, raw: &RawConfig) {
        let processes = raw.processes.as_deref().unwrap_or_default();
        for (place, process) in processes.iter().enumerate() {
            if processes.iter().take(place).any(|earlier| earlier.name == process.name) {
                let path = format!("processes.{place}.name");
                let problem =
                    format!("`{path}` is {:?}, as an earlier one already is", process.name);
                self.refuse(&[&path], problem, "a name of its own for each process");
            }
        }
    }

    /// The engine checks its own numbers; here its words are put at the right place.
    fn policy(&mut self, settings: &Settings) {
        for mistake in settings.hub.policy.validate() {
            let path = written_path(&mistake.path);
            let problem = format!("`{path}`: {}", mistake.problem.replace("_seconds", ""));
            let parent = path.rsplit_once('.').map_or("", |(parent, _)| parent);
            self.refuse_bare(&[&path, parent], problem);
        }
    }
}

/// The engine's name of a field as the file writes it: units are in the value there.
fn written_path(path: &str) -> String {
    let path = path.replace('[', ".").replace(']', "");
    let path = path.strip_suffix("_bytes_per_second").unwrap_or(&path);
    let path = path.strip_suffix("_seconds").unwrap_or(path);
    path.strip_suffix("disk_free_bytes")
        .map_or_else(|| path.to_owned(), |head| format!("{head}disk_free"))
}
