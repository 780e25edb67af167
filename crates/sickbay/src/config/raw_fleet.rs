//! The part of the config file that says which machines are watched over SSH, and how they are
//! reached; see [`super::raw`].

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::raw::section;
use super::units::{DurationText, PathText, SizeText};

section! {
    /// A machine that is watched over SSH. `name` or `host` is enough.
    RawNode {
        /// Its name in Sickbay: letters, digits, `.`, `_`, `-` and `:`. The default is `host`.
        name: String,
        /// What `ssh` would be given: a host name, an address, or an alias of `~/.ssh/config`. The default is `name`.
        host: String,
        /// The user to sign in as. The default is that of `~/.ssh/config`, else `ssh.user`.
        user: String,
        /// The port. The default is that of `~/.ssh/config`, else 22.
        #[schemars(range(min = 1, max = 65535))]
        port: u16,
        /// The private key file to sign in with. The default is those of `~/.ssh/config`, the agent's keys and the usual files.
        identity_file: PathText,
        /// The hosts to jump over, separated by commas, as `ProxyJump` has them; `none` for none.
        proxy_jump: String,
        /// For selecting and grouping: at most 32 keys (`a` to `z`, `0` to `9`, `_`, `.`, `-`) with texts of at most 128 characters. Nodes of one `rack` take turns with those of others.
        labels: BTreeMap<String, String>,
        /// The name of the node behind which it is: while that one cannot be reached, nobody knows how this one is, and nobody is told of it.
        parent: String,
        /// What it is known to consist of; less is a finding.
        expected: RawExpected,
    }
}

section! {
    /// What a node is known to consist of.
    RawExpected {
        /// How many GPUs it has.
        #[schemars(range(min = 0, max = 1024))]
        gpus: u32,
        /// A part of the name of each GPU's model, such as `H100`.
        gpu_model: String,
        /// The least memory that it has.
        #[schemars(extend("x-minimum" = "1MiB", "x-maximum" = "1000TB"))]
        memory: SizeText,
    }
}

section! {
    /// How nodes are reached over SSH, and how often what is not free is asked of them.
    RawSsh {
        /// OpenSSH's client configuration, in order; the first value found holds.
        #[schemars(length(max = 16))]
        config_files: Vec<PathText>,
        /// Files of known host keys, in order. With `accept_new`, a new key is written to the first.
        #[schemars(length(max = 16))]
        known_hosts: Vec<PathText>,
        /// Whether the key of a host that was never seen is accepted and written down. A changed key never is.
        accept_new: bool,
        /// The socket of the SSH agent. The default is that of `SSH_AUTH_SOCK`.
        agent_socket: PathText,
        /// The user to sign in as where neither the node nor `~/.ssh/config` says. The default is who runs the hub.
        user: String,
        /// How long a session may take to open.
        #[schemars(extend("x-minimum" = "1s", "x-maximum" = "2m"))]
        connect_timeout: DurationText,
        /// How often an idle session is kept alive.
        #[schemars(extend("x-minimum" = "5s", "x-maximum" = "10m"))]
        keepalive_interval: DurationText,
        /// How many sessions are opened at once: exchanging keys is work for the CPU.
        #[schemars(range(min = 1, max = 1024))]
        opening_at_once: u32,
        /// How often GPUs are asked: `nvidia-smi` is not free.
        #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1h"))]
        gpu_interval: DurationText,
        /// How often processes are scanned; on a node that is polled rarely, at every third poll.
        #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1h"))]
        process_interval: DurationText,
        /// How often filesystems are asked for their space; as rarely as processes on such a node.
        #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1h"))]
        filesystem_interval: DurationText,
        /// How often temperature sensors are read; as rarely as processes on such a node.
        #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1h"))]
        sensor_interval: DurationText,
    }
}

section! {
    /// When a node that keeps failing is not asked for a while.
    RawBreaker {
        /// How many failures in a row open it.
        #[schemars(range(min = 1, max = 100))]
        failures: u32,
        /// How long it stays open at first, until one try is made.
        #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1d"))]
        open_for: DurationText,
        /// The factor by which each failed try prolongs that.
        #[schemars(range(min = 1.0, max = 100.0))]
        growth: f64,
        /// The longest that it stays open.
        #[schemars(extend("x-minimum" = "1s", "x-maximum" = "7d"))]
        longest: DurationText,
        /// How far that is moved at random, in percent either way, so that nodes are not tried in step.
        #[schemars(range(min = 0.0, max = 50.0))]
        jitter_percent: f64,
    }
}

section! {
    /// When the hub doubts itself rather than its nodes: silence of most of the fleet at once is more likely the hub's own.
    RawDoubt {
        /// Share of the nodes asked that must fall silent within the window, in percent.
        #[schemars(range(min = 1.0, max = 100.0))]
        failed_percent: f64,
        /// With fewer nodes than this there is no fleet to compare with.
        #[schemars(range(min = 2, max = 20000))]
        least_nodes: u32,
        /// The window.
        #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1h"))]
        window: DurationText,
        /// How late the hub may run before it doubts itself.
        #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1h"))]
        lag: DurationText,
        /// By how much timeouts are stretched at most while in doubt.
        #[schemars(range(min = 1.0, max = 100.0))]
        longest_stretch: f64,
    }
}
