//! Files into statements.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{
    Config, ConfigError, ConfigFiles, Criterion, Keyword, MAX_DEPTH, MAX_FILE_BYTES, MAX_FILES,
    Position, Statement, Subject, lex, pattern,
};

impl Config {
    /// Reads config files and all that they include. Files that are not there are left out.
    ///
    /// # Errors
    /// When a file cannot be read, is too large or is included too deeply, or when a `Host` or
    /// `Match` line cannot be understood, so that nobody knows for whom the following lines are.
    pub(crate) fn parse(paths: &[PathBuf], files: &ConfigFiles<'_>) -> Result<Self, ConfigError> {
        let mut parser = Parser { files, read: 0, notices: Vec::new() };
        let mut statements = Vec::new();
        for path in paths {
            // Each file begins anew for all hosts.
            statements.push(Statement::Included(parser.file(path, 0)?));
        }
        Ok(Self { statements, notices: parser.notices })
    }
}

struct Parser<'a> {
    files: &'a ConfigFiles<'a>,
    read: usize,
    notices: Vec<String>,
}

impl Parser<'_> {
    fn file(&mut self, path: &Path, depth: usize) -> Result<Vec<Statement>, ConfigError> {
        self.read += 1;
        if self.read > MAX_FILES {
            return Err(ConfigError(format!(
                "{}: more than {MAX_FILES} config files include each other",
                path.display()
            )));
        }
        let bytes = (self.files.read)(path)
            .map_err(|error| ConfigError(format!("cannot read {}: {error}", path.display())))?;
        let Some(bytes) = bytes else { return Ok(Vec::new()) };
        if bytes.len() > MAX_FILE_BYTES {
            return Err(ConfigError(format!(
                "{} is longer than {MAX_FILE_BYTES} bytes",
                path.display()
            )));
        }
        let file: Arc<Path> = Arc::from(path);
        let text = String::from_utf8_lossy(&bytes);
        let mut statements = Vec::new();
        for (index, text) in text.split('\n').enumerate() {
            let position = Position { file: Arc::clone(&file), line: index + 1 };
            self.line(text, &position, depth, &mut statements)?;
        }
        Ok(statements)
    }

    fn line(
        &mut self,
        text: &str,
        position: &Position,
        depth: usize,
        into: &mut Vec<Statement>,
    ) -> Result<(), ConfigError> {
        let (keyword, arguments) = match lex::line(text) {
            Ok(None) => return Ok(()),
            Ok(Some(line)) => line,
            Err(what) => {
                let mistake = ConfigError::at(position, what);
                let first = text.trim_start().to_ascii_lowercase();
                if first.starts_with("host") && !first.starts_with("hostn")
                    || first.starts_with("match")
                {
                    return Err(mistake);
                }
                into.push(Statement::Mistake(mistake));
                return Ok(());
            }
        };
        match keyword.as_str() {
            "host" if arguments.is_empty() => {
                return Err(ConfigError::at(position, "Host without a name"));
            }
            "host" => into.push(Statement::Host(lowercase(arguments))),
            "match" => into.push(Statement::Match(self.criteria(&arguments, position)?)),
            "include" => self.include(&arguments, position, depth, into)?,
            _ => match Keyword::named(&keyword) {
                None => {}
                Some(_) if arguments.is_empty() => into.push(Statement::Mistake(ConfigError::at(
                    position,
                    format_args!("{keyword} without a value"),
                ))),
                Some(keyword) => into.push(Statement::Set(keyword, arguments, position.clone())),
            },
        }
        Ok(())
    }

    fn criteria(
        &mut self,
        arguments: &[String],
        position: &Position,
    ) -> Result<Vec<Criterion>, ConfigError> {
        let mut found = Vec::new();
        let mut rest = arguments.iter();
        while let Some(word) = rest.next() {
            let (negated, name) = match word.strip_prefix('!') {
                Some(name) => (true, name),
                None => (false, word.as_str()),
            };
            // `host=a` and `host a` are the same.
            let (name, joined) = match name.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (name, None),
            };
            let name = name.to_ascii_lowercase();
            let subject = match name.as_str() {
                "all" => {
                    found.push(Criterion::All);
                    continue;
                }
                "canonical" | "final" => {
                    self.skip(position, &name, "only one pass is made");
                    found.push(Criterion::Skipped);
                    continue;
                }
                "host" => Some(Subject::Host),
                "originalhost" => Some(Subject::OriginalHost),
                "user" => Some(Subject::User),
                "localuser" => Some(Subject::LocalUser),
                _ => None,
            };
            let value = joined.or_else(|| rest.next().cloned()).ok_or_else(|| {
                ConfigError::at(position, format_args!("Match {name} without a value"))
            })?;
            found.push(match subject {
                Some(subject @ (Subject::Host | Subject::OriginalHost)) => {
                    Criterion::On { subject, patterns: value.to_ascii_lowercase(), negated }
                }
                Some(subject) => Criterion::On { subject, patterns: value, negated },
                None => {
                    let why = if name == "exec" { "nothing is executed" } else { "not known here" };
                    self.skip(position, &name, why);
                    Criterion::Skipped
                }
            });
        }
        if found.is_empty() {
            return Err(ConfigError::at(position, "Match without a criterion"));
        }
        Ok(found)
    }

    fn skip(&mut self, position: &Position, name: &str, why: &str) {
        self.notices.push(format!("{position}: the block of `Match {name}` is skipped: {why}"));
    }

    fn include(
        &mut self,
        arguments: &[String],
        position: &Position,
        depth: usize,
        into: &mut Vec<Statement>,
    ) -> Result<(), ConfigError> {
        if depth >= MAX_DEPTH {
            let what = format_args!("files include each other more than {MAX_DEPTH} deep");
            return Err(ConfigError::at(position, what));
        }
        for argument in arguments {
            let pattern = self.include_path(argument, position);
            for path in self.matching(&pattern) {
                into.push(Statement::Included(self.file(&path, depth + 1)?));
            }
        }
        Ok(())
    }

    /// Relative paths are those of `~/.ssh`, or of `/etc/ssh` in a file of the system.
    fn include_path(&self, argument: &str, position: &Position) -> PathBuf {
        if let (Some(rest), Some(home)) = (argument.strip_prefix("~/"), self.files.home) {
            return home.join(rest);
        }
        match (position.file.starts_with("/etc"), self.files.home) {
            (false, Some(home)) => home.join(".ssh").join(argument),
            _ => Path::new("/etc/ssh").join(argument),
        }
    }

    /// The paths that a pattern stands for, sorted; without `*` and `?`, itself.
    fn matching(&self, pattern: &Path) -> Vec<PathBuf> {
        let mut found = vec![PathBuf::new()];
        for part in pattern {
            let wild = part.to_str().filter(|part| part.contains(['*', '?']));
            let Some(wild) = wild else {
                for path in &mut found {
                    path.push(part);
                }
                continue;
            };
            let hidden = wild.starts_with('.');
            let fits = |name: &OsStr| {
                name.to_str().is_some_and(|name| {
                    (hidden || !name.starts_with('.')) && pattern::fits(wild, name)
                })
            };
            found = found
                .iter()
                .flat_map(|directory| {
                    let mut names = (self.files.list)(directory);
                    names.sort_unstable();
                    names.retain(|name| fits(name));
                    names.into_iter().map(|name| directory.join(name))
                })
                .take(MAX_FILES + 1)
                .collect();
        }
        found
    }
}

fn lowercase(words: Vec<String>) -> Vec<String> {
    words.into_iter().map(|word| word.to_ascii_lowercase()).collect()
}

impl Keyword {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "hostname" => Self::HostName,
            "user" => Self::User,
            "port" => Self::Port,
            "identityfile" => Self::IdentityFile,
            "identitiesonly" => Self::IdentitiesOnly,
            "identityagent" => Self::IdentityAgent,
            "proxyjump" => Self::ProxyJump,
            "proxycommand" => Self::ProxyCommand,
            "userknownhostsfile" => Self::UserKnownHostsFile,
            "globalknownhostsfile" => Self::GlobalKnownHostsFile,
            "hostkeyalias" => Self::HostKeyAlias,
            "stricthostkeychecking" => Self::StrictHostKeyChecking,
            "hashknownhosts" => Self::HashKnownHosts,
            _ => return None,
        })
    }
}
