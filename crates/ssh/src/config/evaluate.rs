//! What a config says of one host.

use std::path::{Path, PathBuf};

use super::{
    Config, ConfigError, Criterion, HostConfig, Keyword, Position, Statement, Strict, Subject,
    pattern,
};

/// For whom the config is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// The host as it was given.
    pub(crate) host: &'a str,
    /// The user, if one was given.
    pub(crate) user: Option<&'a str>,
    /// The port, if one was given.
    pub(crate) port: Option<u16>,
    /// Who asks.
    pub(crate) local_user: &'a str,
    /// The home of who asks.
    pub(crate) home: Option<&'a Path>,
}

impl Config {
    /// What holds for one host.
    ///
    /// # Errors
    /// When a line that is for this host cannot be understood.
    pub(crate) fn host(&self, asked: &Asked<'_>) -> Result<HostConfig, ConfigError> {
        let mut found = Raw::default();
        let host = asked.host.to_ascii_lowercase();
        walk(&self.statements, asked, &host, &mut found)?;
        found.finish(asked)
    }

    /// Every host that is named without a pattern, in the order of the files, each once.
    pub(crate) fn named_hosts(&self) -> Vec<String> {
        let mut found = Vec::new();
        collect_names(&self.statements, &mut found);
        let mut seen = std::collections::HashSet::new();
        found.retain(|name| seen.insert(name.clone()));
        found
    }
}

fn collect_names(statements: &[Statement], into: &mut Vec<String>) {
    // What is included within a block counts for that block's hosts only.
    let mut for_all = true;
    for statement in statements {
        match statement {
            Statement::Host(patterns) => {
                for_all = patterns.iter().any(|pattern| pattern == "*");
                let names = patterns.iter().filter(|name| !name.contains(['*', '?', '!']));
                into.extend(names.cloned());
            }
            Statement::Match(criteria) => {
                for_all = criteria.iter().all(|criterion| *criterion == Criterion::All);
            }
            Statement::Included(inner) if for_all => collect_names(inner, into),
            _ => {}
        }
    }
}

/// A value, and where it stands.
type Placed<T> = Option<(T, Position)>;

/// Values as they stand in the files, before `~` and `%` are replaced.
#[derive(Default)]
struct Raw {
    host: Placed<String>,
    user: Option<String>,
    port: Option<u16>,
    identity_files: Vec<(String, Position)>,
    identities_only: Option<bool>,
    identity_agent: Placed<String>,
    proxy_jump: Placed<String>,
    proxy_command: Option<Option<Position>>,
    user_known_hosts: Placed<Vec<String>>,
    global_known_hosts: Placed<Vec<String>>,
    host_key_alias: Option<String>,
    strict: Option<Strict>,
    hash_known_hosts: Option<bool>,
}

/// Goes through one file; a block ends at the next one, or with the file.
fn walk(
    statements: &[Statement],
    asked: &Asked<'_>,
    host: &str,
    found: &mut Raw,
) -> Result<(), ConfigError> {
    let mut active = true;
    for statement in statements {
        match statement {
            Statement::Host(patterns) => {
                active = pattern::list_fits(patterns.iter().map(String::as_str), host);
            }
            Statement::Match(criteria) => {
                active = criteria.iter().all(|criterion| meets(criterion, asked, host, found));
            }
            Statement::Included(inner) if active => walk(inner, asked, host, found)?,
            Statement::Set(keyword, values, position) if active => {
                found.set(*keyword, values, position)?;
            }
            Statement::Mistake(error) if active => return Err(error.clone()),
            _ => {}
        }
    }
    Ok(())
}

fn meets(criterion: &Criterion, asked: &Asked<'_>, host: &str, found: &Raw) -> bool {
    match criterion {
        Criterion::All => true,
        Criterion::Skipped => false,
        Criterion::On { subject, patterns, negated } => {
            let text = match subject {
                Subject::OriginalHost => host.to_owned(),
                Subject::Host => found.host.as_ref().map_or_else(
                    || host.to_owned(),
                    |(name, _)| name.replace("%h", host).to_ascii_lowercase(),
                ),
                Subject::User => {
                    asked.user.or(found.user.as_deref()).unwrap_or(asked.local_user).to_owned()
                }
                Subject::LocalUser => asked.local_user.to_owned(),
            };
            pattern::list_fits(patterns.split(','), &text) != *negated
        }
    }
}

impl Raw {
    fn set(
        &mut self,
        keyword: Keyword,
        values: &[String],
        position: &Position,
    ) -> Result<(), ConfigError> {
        let Some(value) = values.first() else { return Ok(()) };
        match keyword {
            Keyword::HostName => first(&mut self.host, || Ok((value.clone(), position.clone()))),
            Keyword::User => first(&mut self.user, || Ok(value.clone())),
            Keyword::Port => first(&mut self.port, || port(value, position)),
            Keyword::IdentityFile => {
                let known = self.identity_files.iter().any(|(file, _)| file == value);
                if !known && self.identity_files.len() < MAX_IDENTITY_FILES {
                    self.identity_files.push((value.clone(), position.clone()));
                }
                Ok(())
            }
            Keyword::IdentitiesOnly => {
                first(&mut self.identities_only, || yes("IdentitiesOnly", value, position))
            }
            Keyword::IdentityAgent => {
                first(&mut self.identity_agent, || Ok((value.clone(), position.clone())))
            }
            Keyword::ProxyJump => {
                first(&mut self.proxy_jump, || Ok((value.clone(), position.clone())))
            }
            Keyword::ProxyCommand => first(&mut self.proxy_command, || {
                Ok((!value.eq_ignore_ascii_case("none")).then(|| position.clone()))
            }),
            Keyword::UserKnownHostsFile => {
                first(&mut self.user_known_hosts, || Ok((values.to_vec(), position.clone())))
            }
            Keyword::GlobalKnownHostsFile => {
                first(&mut self.global_known_hosts, || Ok((values.to_vec(), position.clone())))
            }
            Keyword::HostKeyAlias => {
                first(&mut self.host_key_alias, || Ok(value.to_ascii_lowercase()))
            }
            Keyword::StrictHostKeyChecking => first(&mut self.strict, || strict(value, position)),
            Keyword::HashKnownHosts => {
                first(&mut self.hash_known_hosts, || yes("HashKnownHosts", value, position))
            }
        }
    }

    fn finish(self, asked: &Asked<'_>) -> Result<HostConfig, ConfigError> {
        let hostname = match &self.host {
            // Here `%h` is the name that was given; elsewhere it is what becomes of it.
            Some((name, position)) => Some(expand(name, position, |token| match token {
                'h' | 'n' => Some(asked.host.to_owned()),
                _ => None,
            })?),
            None => None,
        };
        let user = asked.user.map(str::to_owned).or(self.user);
        let port = asked.port.or(self.port);
        let names = Names {
            home: asked.home,
            original: asked.host,
            host: hostname.as_deref().unwrap_or(asked.host),
            remote_user: user.as_deref().unwrap_or(asked.local_user),
            local_user: asked.local_user,
            port: port.unwrap_or(crate::route::DEFAULT_PORT),
        };
        let no_identity_files = self.identity_files.iter().any(|(file, _)| is_none(file));
        let identity_files = self
            .identity_files
            .iter()
            .filter(|(file, _)| !is_none(file))
            .map(|(file, position)| names.path(file, position))
            .collect::<Result<_, _>>()?;
        let identity_agent = match &self.identity_agent {
            Some((agent, _)) if is_none(agent) || agent == "SSH_AUTH_SOCK" => Some(agent.clone()),
            Some((agent, _)) if agent.starts_with('$') => Some(agent.clone()),
            Some((agent, position)) => {
                Some(names.path(agent, position)?.to_string_lossy().into_owned())
            }
            None => None,
        };
        Ok(HostConfig {
            no_identity_files,
            identity_files,
            identities_only: self.identities_only,
            identity_agent,
            proxy_jump: match &self.proxy_jump {
                Some((jump, position)) => Some(names.jump(jump, position)?),
                None => None,
            },
            proxy_command: self.proxy_command.flatten(),
            user_known_hosts: names.paths(self.user_known_hosts.as_ref())?,
            global_known_hosts: names.paths(self.global_known_hosts.as_ref())?,
            host_key_alias: self.host_key_alias,
            strict: self.strict,
            hash_known_hosts: self.hash_known_hosts,
            hostname,
            user,
            port,
        })
    }
}

/// How many `IdentityFile` lines count for one host, as in OpenSSH.
const MAX_IDENTITY_FILES: usize = 100;

fn is_none(value: &str) -> bool {
    value.eq_ignore_ascii_case("none")
}

/// Sets what is not set yet; even a value that is not used has to be right.
fn first<T>(
    slot: &mut Option<T>,
    value: impl FnOnce() -> Result<T, ConfigError>,
) -> Result<(), ConfigError> {
    let value = value()?;
    slot.get_or_insert(value);
    Ok(())
}

fn port(value: &str, position: &Position) -> Result<u16, ConfigError> {
    value.parse().ok().filter(|&port| port > 0).ok_or_else(|| {
        ConfigError::at(position, format_args!("Port {value:?} is no number from 1 to 65535"))
    })
}

fn yes(keyword: &str, value: &str, position: &Position) -> Result<bool, ConfigError> {
    match value.to_ascii_lowercase().as_str() {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err(ConfigError::at(
            position,
            format_args!("{keyword} {value:?} is neither yes nor no"),
        )),
    }
}

fn strict(value: &str, position: &Position) -> Result<Strict, ConfigError> {
    match value.to_ascii_lowercase().as_str() {
        "yes" | "true" => Ok(Strict::Yes),
        "ask" => Ok(Strict::Ask),
        // Never blindly: a changed key is refused all the same.
        "accept-new" | "no" | "off" | "false" => Ok(Strict::AcceptNew),
        _ => Err(ConfigError::at(
            position,
            format_args!("StrictHostKeyChecking {value:?} is none of yes, ask, accept-new, no"),
        )),
    }
}

/// What `%` stands for in paths and jumps.
struct Names<'a> {
    home: Option<&'a Path>,
    original: &'a str,
    host: &'a str,
    remote_user: &'a str,
    local_user: &'a str,
    port: u16,
}

impl Names<'_> {
    fn path(&self, value: &str, position: &Position) -> Result<PathBuf, ConfigError> {
        let expanded = expand(value, position, |token| match token {
            'd' => self.home.map(|home| home.to_string_lossy().into_owned()),
            'h' => Some(self.host.to_owned()),
            'n' => Some(self.original.to_owned()),
            'p' => Some(self.port.to_string()),
            'r' => Some(self.remote_user.to_owned()),
            'u' => Some(self.local_user.to_owned()),
            _ => None,
        })?;
        let home = || {
            self.home.ok_or_else(|| {
                ConfigError::at(position, format_args!("{value:?}: there is no home directory"))
            })
        };
        Ok(match expanded.strip_prefix("~/") {
            Some(rest) => home()?.join(rest),
            None if expanded == "~" => home()?.to_owned(),
            // As with `ssh`, beside where it was started; here: the home, which does not move.
            None => self.home.map_or_else(|| PathBuf::from(&expanded), |home| home.join(&expanded)),
        })
    }

    /// A jump may hold fewer tokens than a path.
    fn jump(&self, value: &str, position: &Position) -> Result<String, ConfigError> {
        expand(value, position, |token| match token {
            'h' => Some(self.host.to_owned()),
            'n' => Some(self.original.to_owned()),
            'p' => Some(self.port.to_string()),
            'r' => Some(self.remote_user.to_owned()),
            _ => None,
        })
    }

    fn paths(
        &self,
        values: Option<&(Vec<String>, Position)>,
    ) -> Result<Option<Vec<PathBuf>>, ConfigError> {
        let Some((values, position)) = values else { return Ok(None) };
        let files = values.iter().filter(|value| !is_none(value));
        files.map(|value| self.path(value, position)).collect::<Result<_, _>>().map(Some)
    }
}

fn expand(
    value: &str,
    position: &Position,
    named: impl Fn(char) -> Option<String>,
) -> Result<String, ConfigError> {
    let mut text = String::new();
    let mut rest = value.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        match rest.next() {
            Some('%') => text.push('%'),
            Some(token) => text.push_str(&named(token).ok_or_else(|| {
                ConfigError::at(
                    position,
                    format_args!("%{token} in {value:?} stands for nothing here"),
                )
            })?),
            None => {
                return Err(ConfigError::at(
                    position,
                    format_args!("{value:?} ends with a single %"),
                ));
            }
        }
    }
    Ok(text)
}
