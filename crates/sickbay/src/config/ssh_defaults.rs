//! How nodes are reached when nobody says otherwise: as the `ssh` of whoever runs the hub would.

use std::path::PathBuf;

use sickbay_ssh::SshSettings;

use crate::environment::Environment;

/// The defaults of somebody with this environment.
#[must_use]
pub(super) fn ssh_defaults(environment: &Environment, root: bool) -> SshSettings {
    // A service of the system may be given neither.
    let home = environment.path("HOME").or_else(|| root.then(|| PathBuf::from("/root")));
    let user = environment.get("USER").or_else(|| environment.get("LOGNAME"));
    let own = |name: &str| home.as_ref().map(|home| home.join(".ssh").join(name));
    let with = |own: Option<PathBuf>, all: &str| own.into_iter().chain([all.into()]).collect();
    SshSettings {
        config_files: with(own("config"), "/etc/ssh/ssh_config"),
        known_hosts: with(own("known_hosts"), "/etc/ssh/ssh_known_hosts"),
        agent_socket: environment.path("SSH_AUTH_SOCK"),
        user: user.unwrap_or(if root { "root" } else { "" }).to_owned(),
        home,
        ..SshSettings::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_ssh_itself_would() {
        for (pairs, root, config, user, agent) in [
            (
                vec![("HOME", "/home/ada"), ("USER", "ada"), ("SSH_AUTH_SOCK", "/run/agent")],
                false,
                Some("/home/ada/.ssh/config"),
                "ada",
                Some("/run/agent"),
            ),
            (vec![("HOME", "/h"), ("LOGNAME", "eve")], false, Some("/h/.ssh/config"), "eve", None),
            (vec![], true, Some("/root/.ssh/config"), "root", None),
            (vec![], false, None, "", None),
        ] {
            let ssh = ssh_defaults(&Environment::from_pairs(pairs), root);
            let expected: Vec<PathBuf> =
                config.into_iter().chain(["/etc/ssh/ssh_config"]).map(PathBuf::from).collect();
            assert_eq!(ssh.config_files, expected);
            assert_eq!(ssh.known_hosts.len(), ssh.config_files.len());
            assert_eq!((ssh.user.as_str(), ssh.agent_socket), (user, agent.map(PathBuf::from)));
        }
    }
}
