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
/// filesystems as read-only that are not, and Sickbay judges exactly that. `PrivateDevices=` and
/// `ProtectClock=` would take `/dev/nvidia*` away.
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
             CapabilityBoundingSet=CAP_NET_RAW CAP_NET_BIND_SERVICE CAP_SYS_PTRACE \
             CAP_DAC_READ_SEARCH\n\
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
         After=network.target\n\
         # Ten failures in ten minutes are enough; `sickbay daemon start` tries again.\n\
         StartLimitIntervalSec=600\n\
         StartLimitBurst=10\n\
         \n\
         [Service]\n\
         Type=notify\n\
         NotifyAccess=main\n\
         ExecStart={program} up --quiet{arguments}\n\
         ExecReload=/bin/kill -HUP $MAINPID\n\
         Restart=on-failure\n\
         RestartSec=2\n\
         # Wrong usage, a port or data in use, no permission and a wrong configuration\n\
         # do not get better by trying again.\n\
         RestartPreventExitStatus=64 75 77 78\n\
         WatchdogSec=60\n\
         TimeoutStopSec=10\n\
         KillMode=mixed\n\
         NoNewPrivileges=yes\n\
         {own}\
         # No ProtectSystem=, ProtectHome=, PrivateTmp=: they would show filesystems as read-only.\n\
         # No PrivateDevices=, ProtectClock=: they would take the GPUs' devices away.\n\
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

/// The directory of a user's service manager, where the environment does not name it: `sudo -u`
/// and `su` leave the variable out.
fn runtime_dir(
    environment: &Environment,
    user: u32,
    exists: impl Fn(&Path) -> bool,
) -> Option<PathBuf> {
    if environment.is_set("XDG_RUNTIME_DIR") {
        return None;
    }
    Some(PathBuf::from(format!("/run/user/{user}"))).filter(|directory| exists(directory))
}

/// How systemd has the unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnitStatus {
    /// `active`, `inactive`, `failed`, …
    pub state: String,
    /// Its main process, while it runs.
    pub pid: Option<u32>,
    /// What its main process exited with, if it exited.
    pub exit_status: Option<u8>,
    /// Names this run of the unit in the journal.
    pub invocation: Option<String>,
}

impl UnitStatus {
    /// What `systemctl show` printed; none where systemd knows no such unit.
    fn parse(text: &str) -> Option<Self> {
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            line.filter(|value| !value.is_empty())
        };
        if matches!(value("LoadState"), None | Some("not-found")) {
            return None;
        }
        // The kernel's CLD_EXITED: else it was killed, and the status is a signal.
        let exited = value("ExecMainCode") == Some("1");
        Some(Self {
            state: value("ActiveState")?.to_owned(),
            pid: value("MainPID").and_then(|pid| pid.parse().ok()).filter(|&pid| pid != 0),
            exit_status: value("ExecMainStatus")
                .filter(|_| exited)
                .and_then(|code| code.parse().ok()),
            invocation: value("InvocationID").map(str::to_owned),
        })
    }
}

/// A service manager that can be asked.
#[derive(Clone, Debug)]
pub struct Manager {
    scope: Scope,
    runtime_dir: Option<PathBuf>,
}

impl Manager {
    /// The manager of a scope.
    #[must_use]
    pub fn new(scope: Scope, environment: &Environment) -> Self {
        let user = rustix::process::getuid().as_raw();
        let runtime_dir = match scope {
            Scope::System => None,
            Scope::User => runtime_dir(environment, user, Path::exists),
        };
        Self { scope, runtime_dir }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        if self.scope == Scope::User {
            command.arg("--user");
        }
        if let Some(directory) = &self.runtime_dir {
            command.env("XDG_RUNTIME_DIR", directory);
        }
        command.arg("--no-pager");
        command
    }

    /// Runs `systemctl`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn systemctl(&self, arguments: &[&str]) -> io::Result<Output> {
        self.command("systemctl").args(arguments).output()
    }

    /// How it has the unit; none where it knows no such unit.
    ///
    /// # Errors
    /// Why it does not answer.
    pub fn unit(&self) -> Result<Option<UnitStatus>, String> {
        let properties =
            "--property=LoadState,ActiveState,MainPID,ExecMainCode,ExecMainStatus,InvocationID";
        let output =
            self.systemctl(&["show", UNIT, properties]).map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
        Ok(UnitStatus::parse(&String::from_utf8_lossy(&output.stdout)))
    }

    /// What one run of the unit logged last, as far as the journal may be read.
    #[must_use]
    pub fn logged(&self, invocation: &str) -> String {
        // The user's units are found in the journal by what they ran as, not by `--user`.
        let run = format!("_SYSTEMD_INVOCATION_ID={invocation}");
        let arguments = ["--no-pager", "--quiet", "--output=cat", "--lines=20", &run];
        let output = Command::new("journalctl").args(arguments).output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        text.unwrap_or_default()
    }
}

/// Whether a process runs the file that is at this path now, not one that was replaced since.
#[must_use]
pub fn runs_file(pid: u32, program: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let file =
        |path: &Path| Some(std::fs::metadata(path).ok()?).map(|meta| (meta.dev(), meta.ino()));
    let now = file(program);
    now.is_some() && file(Path::new(&format!("/proc/{pid}/exe"))) == now
}

/// Whether a user's services go on after the user has logged out.
#[must_use]
pub fn lingers(environment: &Environment) -> bool {
    let user = environment.get("USER").or_else(|| environment.get("LOGNAME"));
    user.is_some_and(|user| {
        !user.contains('/') && Path::new("/var/lib/systemd/linger").join(user).exists()
    })
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
            for harmful in
                ["ProtectSystem", "ProtectHome", "PrivateDevices", "PrivateTmp", "ProtectClock"]
            {
                let set = text.lines().any(|line| line.starts_with(harmful));
                assert!(!set, "{harmful} would blind the monitor");
            }
        }
    }

    #[test]
    fn the_service_may_do_what_the_command_may() {
        let text = unit_text(Scope::System, Path::new("/usr/local/bin/sickbay"), &[]);
        let held = text.lines().find(|line| line.starts_with("CapabilityBoundingSet=")).unwrap();
        for needed in
            ["CAP_NET_RAW", "CAP_NET_BIND_SERVICE", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"]
        {
            assert!(held.contains(needed), "{held}");
        }
        assert!(!text.contains("Documentation="), "nothing installs the manual page");
    }

    #[test]
    fn a_hub_that_cannot_start_is_not_started_for_ever() {
        let text = unit_text(Scope::System, Path::new("/usr/local/bin/sickbay"), &[]);
        let number = |name: &str| -> u64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            line.unwrap_or_else(|| panic!("no {name}")).parse().unwrap()
        };
        // A round takes the pause and the start itself. systemd's own limit, 5 in 10 s, is never
        // met with that.
        let round = number("RestartSec") + 10;
        assert!(number("StartLimitBurst") * round < number("StartLimitIntervalSec"));
        let never = text.lines().find(|line| line.starts_with("RestartPreventExitStatus="));
        assert_eq!(never, Some("RestartPreventExitStatus=64 75 77 78"));
    }

    #[test]
    fn what_systemctl_shows_is_read() {
        let shown = "LoadState=loaded\nActiveState=failed\nMainPID=0\nExecMainCode=1\n\
                     ExecMainStatus=75\nInvocationID=0af1\n";
        let unit = UnitStatus::parse(shown).unwrap();
        assert_eq!((unit.state.as_str(), unit.pid, unit.exit_status), ("failed", None, Some(75)));
        assert_eq!(unit.invocation.as_deref(), Some("0af1"));
        let killed = shown.replace("Code=1", "Code=2").replace("PID=0", "PID=42");
        let unit = UnitStatus::parse(&killed).unwrap();
        assert_eq!((unit.pid, unit.exit_status), (Some(42), None), "a signal is no exit status");
        for text in ["", "LoadState=not-found\nActiveState=inactive\n", "LoadState=loaded\n"] {
            assert_eq!(UnitStatus::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_users_manager_is_found_without_a_login() {
        let none = Environment::default();
        assert_eq!(runtime_dir(&none, 1000, |_| true), Some("/run/user/1000".into()));
        assert_eq!(runtime_dir(&none, 1000, |_| false), None);
        let told = Environment::from_pairs([("XDG_RUNTIME_DIR", "/run/else")]);
        assert_eq!(runtime_dir(&told, 1000, |_| true), None, "what is told holds");
    }

    #[test]
    fn a_replaced_program_is_noticed() {
        let own = std::env::current_exe().unwrap();
        assert!(runs_file(std::process::id(), &own));
        let directory = tempfile::tempdir().unwrap();
        let other = directory.path().join("sickbay");
        std::fs::copy(&own, &other).unwrap();
        assert!(!runs_file(std::process::id(), &other));
        assert!(!runs_file(std::process::id(), &directory.path().join("absent")));
    }

    #[test]
    fn units_go_where_systemd_looks() {
        let environment = Environment::from_pairs([("HOME", "/home/ada")]);
        let file = Scope::User.unit_file(&environment);
        assert_eq!(file, Some("/home/ada/.config/systemd/user/sickbay.service".into()));
        assert_eq!(Scope::User.unit_file(&Environment::default()), None);
    }
}
