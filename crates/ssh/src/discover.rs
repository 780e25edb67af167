//! Which hosts `~/.ssh/config` names.

use crate::SshSettings;
use crate::config::Asked;
use crate::files::KeptFiles;

/// A host that the config names without a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoveredHost {
    /// Its alias.
    pub alias: String,
    /// Its host name or address, as the config resolves it.
    pub host: String,
    /// The user, if the config sets one.
    pub user: Option<String>,
    /// The port, if the config sets one.
    pub port: Option<u16>,
}

/// Every host that the config files name, in order, without patterns and negations. Reads files
/// and blocks while it does.
///
/// # Errors
/// When a config file is there and cannot be read or understood: what and where.
pub fn discover(settings: &SshSettings) -> Result<Vec<DiscoveredHost>, String> {
    let config = KeptFiles::new().config(settings).map_err(|error| error.to_string())?;
    let names = config.named_hosts().into_iter();
    let hosts = names.map(|alias| {
        let asked = Asked {
            host: &alias,
            user: None,
            port: None,
            local_user: &settings.user,
            home: settings.home.as_deref(),
        };
        let found = config.host(&asked).map_err(|error| error.to_string())?;
        let host = found.hostname.unwrap_or_else(|| alias.clone());
        Ok(DiscoveredHost { host, user: found.user, port: found.port, alias })
    });
    hosts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_proposed_as_the_config_resolves_them() {
        let home = tempfile::tempdir().expect("directory");
        std::fs::create_dir(home.path().join(".ssh")).expect("made");
        let file = home.path().join(".ssh/config");
        let text =
            "Host gpu-1 gpu-2\n HostName %h.lan\n Port 2222\nInclude more\nHost * !x\n User ops\n";
        std::fs::write(&file, text).expect("written");
        std::fs::write(home.path().join(".ssh/more"), "Host late\n Port 7\n").expect("written");
        let settings = SshSettings {
            config_files: vec![file.clone(), home.path().join("missing")],
            home: Some(home.path().to_owned()),
            ..SshSettings::default()
        };
        let found = discover(&settings).expect("understood");
        let shown: Vec<String> = found
            .iter()
            .map(|it| format!("{} {} {:?} {:?}", it.alias, it.host, it.user, it.port))
            .collect();
        assert_eq!(
            shown,
            [
                r#"gpu-1 gpu-1.lan Some("ops") Some(2222)"#,
                r#"gpu-2 gpu-2.lan Some("ops") Some(2222)"#,
            ]
        );
        std::fs::write(&file, "Host\n").expect("written");
        let error = discover(&settings).expect_err("a mistake");
        assert_eq!(error, format!("{}:1: Host without a name", file.display()));
    }

    #[test]
    fn a_config_that_others_may_write_is_not_used() {
        use std::os::unix::fs::{PermissionsExt as _, chown};
        let home = tempfile::tempdir().expect("directory");
        let file = home.path().join("config");
        std::fs::write(&file, "Host a\n").expect("written");
        let settings = SshSettings { config_files: vec![file.clone()], ..SshSettings::default() };
        for (mode, refused) in [(0o644, false), (0o666, true), (0o602, true), (0o664, false)] {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&file, permissions).expect("set");
            match discover(&settings) {
                Ok(found) => assert!(!refused && found.len() == 1, "{mode:o}"),
                Err(error) => {
                    assert!(refused && error.contains("others may write it"), "{mode:o} {error}");
                }
            }
        }
        // Only root can try this.
        if chown(&file, Some(12_345), None).is_ok() {
            let error = discover(&settings).expect_err("a stranger's");
            assert!(error.contains("it belongs to another user"), "{error}");
        }
    }
}
