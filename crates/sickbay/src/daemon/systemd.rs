//! The systemd unit: its text, where it goes, and asking `systemctl`.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::environment::Environment;

/// The unit's name.
pub const UNIT: &str = "sickbay.service";

/// Whose service manager is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The machine's.
    System,
    /// The user's own.
    User,
}

impl Scope {
    /// The word for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
        }
    }

    /// Where the unit's file belongs.
    #[must_use]
    pub fn unit_file(self, environment: &Environment) -> Option<PathBuf> {
        match self {
            Self::System => Some(Path::new("/etc/systemd/system").join(UNIT)),
            Self::User => {
                let base = environment.path("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
                let base = base.or_else(|| Some(environment.path("HOME")?.join(".config")))?;
                Some(base.join("systemd/user").join(UNIT))
            }
        }
    }
}

/// Whether systemd runs this machine.
#[must_use]
pub fn is_running() -> bool {
    sd_notify::booted().unwrap_or(false)
}

/// The text of the unit. Directives that give the service its own view of the mounts
/// (`ProtectSystem=`, `ProtectHome=`, `PrivateTmp=`, …) are left out on purpose: they would show
/// filesystems as read-only that are not, and Sickbay judges exactly that. `PrivateDevices=`,
/// `ProtectClock=` and `ProtectKernelLogs=` would take `/dev/nvidia*` and `/dev/kmsg` away.
#[must_use]
pub fn unit_text(scope: Scope, program: &Path, arguments: &[String]) -> String {
    let program = quote(&program.display().to_string());
    let arguments: String = arguments.iter().map(|word| format!(" {}", quote(word))).collect();
    let wanted_by = match scope {
        Scope::System => "multi-user.target",
        Scope::User => "default.target",
    };
    let own = match scope {
        Scope::System => {
            "StateDirectory=sickbay\nStateDirectoryMode=0700\nConfigurationDirectory=sickbay\n\
             CapabilityBoundingSet=CAP_SYSLOG CAP_NET_RAW CAP_SYS_PTRACE CAP_DAC_READ_SEARCH\n\
             RestrictNamespaces=yes\nRestrictSUIDSGID=yes\nRestrictRealtime=yes\nLockPersonality=yes\n\
             SystemCallArchitectures=native\nUMask=0077\n"
        }
        Scope::User => "UMask=0077\n",
    };
    format!(
        "# Written by `sickbay daemon install`; `sickbay daemon uninstall` removes it.\n\
         # Changes of your own belong into `systemctl edit {UNIT}`.\n\
         [Unit]\n\
         Description=Sickbay, the health monitor for GPU machines\n\
         Documentation=man:sickbay(1)\n\
         After=network.target\n\
         \n\
         [Service]\n\
         Type=notify\n\
         NotifyAccess=main\n\
         ExecStart={program} up --quiet{arguments}\n\
         ExecReload=/bin/kill -HUP $MAINPID\n\
         Restart=on-failure\n\
         RestartSec=2\n\
         # Wrong usage and wrong configuration do not get better by trying again.\n\
         RestartPreventExitStatus=64 75 78\n\
         WatchdogSec=60\n\
         TimeoutStopSec=10\n\
         KillMode=mixed\n\
         NoNewPrivileges=yes\n\
         {own}\
         # No ProtectSystem=, ProtectHome=, PrivateTmp=: they would show filesystems as read-only.\n\
         # No PrivateDevices=, ProtectClock=, ProtectKernelLogs=: GPUs and the kernel's log are watched.\n\
         \n\
         [Install]\n\
         WantedBy={wanted_by}\n"
    )
}

/// A word for `ExecStart=`, quoted where systemd would read more into it.
fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:=,+@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '%' => quoted.push_str("%%"),
            '$' => quoted.push_str("$$"),
            '\n' => quoted.push_str("\\n"),
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Runs `systemctl` in a scope.
///
/// # Errors
/// When it cannot be started.
pub fn systemctl(scope: Scope, arguments: &[&str]) -> io::Result<Output> {
    let mut command = Command::new("systemctl");
    if scope == Scope::User {
        command.arg("--user");
    }
    command.args(arguments).output()
}

/// What systemd says of the unit: `active`, `inactive`, `failed`, …; none where it knows no such
/// unit or does not answer.
#[must_use]
pub fn active_state(scope: Scope) -> Option<String> {
    let arguments = ["show", UNIT, "--property=LoadState,ActiveState"];
    let output = systemctl(scope, &arguments).ok().filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let value = |name: &str| {
        text.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
    };
    (value("LoadState")? != "not-found").then(|| value("ActiveState"))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_keeps_what_watching_needs() {
        let arguments = ["--config".to_owned(), "/etc/my 100% config.yaml".to_owned()];
        for scope in [Scope::System, Scope::User] {
            let text = unit_text(scope, Path::new("/usr/local/bin/sickbay"), &arguments);
            let quoted = "ExecStart=/usr/local/bin/sickbay up --quiet --config \"/etc/my 100%% config.yaml\"\n";
            assert!(text.contains(quoted), "{text}");
            assert!(text.contains("Type=notify\n") && text.contains("WatchdogSec=60\n"));
            for harmful in [
                "ProtectSystem",
                "ProtectHome",
                "PrivateDevices",
                "PrivateTmp",
                "ProtectKernelLogs",
            ] {
                let set = text.lines().any(|line| line.starts_with(harmful));
                assert!(!set, "{harmful} would blind the monitor");
            }
        }
    }

    #[test]
    fn units_go_where_systemd_looks() {
        let environment = Environment::from_pairs([("HOME", "/home/ada")]);
        let file = Scope::User.unit_file(&environment);
        assert_eq!(file, Some("/home/ada/.config/systemd/user/sickbay.service".into()));
        assert_eq!(Scope::User.unit_file(&Environment::default()), None);
    }
}
