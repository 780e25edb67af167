//! Where the config file and the data are when nobody says so (XDG for a user, `/etc` and `/var/lib`
//! for root).

use std::path::PathBuf;

use crate::environment::Environment;

/// The config file's name.
const FILE_NAME: &str = "config.yaml";

/// Whether this process is root, and so a system service.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Where the config file belongs when nobody says otherwise.
#[must_use]
pub fn default_config_file(environment: &Environment, root: bool) -> Option<PathBuf> {
    if root {
        return Some(PathBuf::from("/etc/sickbay").join(FILE_NAME));
    }
    let base = environment.path("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    let base = base.or_else(|| Some(environment.path("HOME")?.join(".config")))?;
    Some(base.join("sickbay").join(FILE_NAME))
}

/// Where the data is kept when nobody says otherwise. systemd's `StateDirectory=` comes first.
#[must_use]
pub fn default_data_dir(environment: &Environment, root: bool) -> PathBuf {
    if let Some(given) = environment.get("STATE_DIRECTORY").and_then(|list| list.split(':').next())
    {
        return PathBuf::from(given);
    }
    if root {
        return PathBuf::from("/var/lib/sickbay");
    }
    let base = environment.path("XDG_STATE_HOME").filter(|path| path.is_absolute());
    base.or_else(|| Some(environment.path("HOME")?.join(".local/state")))
        .map_or_else(|| PathBuf::from("sickbay-data"), |base| base.join("sickbay"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        for (pairs, root, config, data) in [
            (
                vec![("HOME", "/home/ada")],
                false,
                Some("/home/ada/.config/sickbay/config.yaml"),
                "/home/ada/.local/state/sickbay",
            ),
            (
                vec![("HOME", "/h"), ("XDG_CONFIG_HOME", "/c"), ("XDG_STATE_HOME", "/s")],
                false,
                Some("/c/sickbay/config.yaml"),
                "/s/sickbay",
            ),
            (vec![], false, None, "sickbay-data"),
            (vec![("HOME", "/root")], true, Some("/etc/sickbay/config.yaml"), "/var/lib/sickbay"),
            (
                vec![("STATE_DIRECTORY", "/var/lib/sickbay-2")],
                true,
                Some("/etc/sickbay/config.yaml"),
                "/var/lib/sickbay-2",
            ),
        ] {
            let environment = Environment::from_pairs(pairs);
            let found = default_config_file(&environment, root);
            assert_eq!(found, config.map(PathBuf::from), "{environment:?}");
            assert_eq!(default_data_dir(&environment, root), PathBuf::from(data));
        }
    }
}
