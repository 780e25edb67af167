//! `sickbay nodes`: many nodes at once, from lists that exist already; and what a node had.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use sickbay_wire::v1::NodeSpec;

use super::watched::watched;
use super::{
    Context, Failure, Outcome, block_on, exit_code, format, nodes_forget, nodes_import, print_json,
    safe,
};
use crate::config::Settings;

/// Hosts that serve git rather than shells.
const GIT_HOSTS: [&str; 9] = [
    "github.com",
    "ssh.github.com",
    "gitlab.com",
    "altssh.gitlab.com",
    "bitbucket.org",
    "codeberg.org",
    "git.sr.ht",
    "ssh.dev.azure.com",
    "aur.archlinux.org",
];

/// Take nodes over from lists that exist already, forget what they had
#[derive(Debug, Args)]
pub(crate) struct NodesOptions {
    #[command(subcommand)]
    command: NodesCommand,
}

#[derive(Debug, Subcommand)]
enum NodesCommand {
    /// Propose the hosts of ~/.ssh/config that are not watched yet
    #[command(after_help = "\
Examples:
  sickbay nodes discover
  sickbay nodes discover | grep gpu- | sh

Prints commands to paste; adds nothing by itself. Patterns and git hosts are left out.")]
    Discover {
        /// Print JSON: the API's own types
        #[arg(long)]
        json: bool,
    },
    Import(nodes_import::ImportOptions),
    Forget(nodes_forget::ForgetOptions),
}

pub(crate) fn run(context: &Context, options: NodesOptions) -> Outcome {
    match options.command {
        NodesCommand::Discover { json } => discover(context, json),
        NodesCommand::Import(options) => nodes_import::run(context, &options),
        NodesCommand::Forget(options) => nodes_forget::run(context, &options),
    }
}

fn discover(context: &Context, json: bool) -> Outcome {
    let settings = context.load_config_to_ask().settings;
    let (found, left_out) = from_ssh_config(&settings, None)?;
    let watched = block_on(watched(context, &settings))?;
    let (known, new): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|spec| watched.find(&spec.name).is_some());
    for remark in left_out {
        context.terminal.remark(&format!("note: {}", safe(&remark)));
    }
    if json {
        print_json(context, &new)?;
        return Ok(ExitCode::SUCCESS);
    }
    if new.is_empty() {
        context.terminal.remark(&match known.len() {
            0 => "no host is named in ~/.ssh/config".to_owned(),
            count => format!(
                "{} named in ~/.ssh/config, and watched already",
                format::count(count, "host is").replace("host iss", "hosts are")
            ),
        });
        return Ok(ExitCode::SUCCESS);
    }
    let text: String = new.iter().map(|spec| format!("sickbay add node {}\n", spec.name)).collect();
    context.terminal.print(&text)?;
    context.terminal.remark(&format!(
        "{} not watched yet; `sickbay nodes import --ssh-config` adds all of them",
        format::count(new.len(), "host")
    ));
    Ok(ExitCode::SUCCESS)
}

/// The nodes that OpenSSH's client configuration names, and what was left out. With a file that the
/// hub does not read, what it says is written into the nodes.
pub(crate) fn from_ssh_config(
    settings: &Settings,
    file: Option<&PathBuf>,
) -> Result<(Vec<NodeSpec>, Vec<String>), Failure> {
    let mut ssh = settings.hub.ssh.clone();
    let mut foreign = false;
    if let Some(file) = file {
        let file = std::path::absolute(file)?;
        if !file.is_file() {
            let message = format!("{} is no file", safe(&file.display().to_string()));
            return Err(Failure::new(exit_code::FILE, message));
        }
        foreign = !ssh.config_files.contains(&file);
        ssh.config_files = vec![file];
    }
    let hosts = sickbay_ssh::discover(&ssh).map_err(|why| Failure::new(exit_code::FILE, why))?;
    let mut specs = Vec::new();
    let mut left_out = Vec::new();
    for host in hosts {
        if is_git_host(&host.host, host.user.as_deref()) || is_git_host(&host.alias, None) {
            continue;
        }
        let spec = NodeSpec {
            name: host.alias.clone(),
            // The alias, so that the file goes on saying how it is reached.
            host: Some(if foreign { host.host } else { host.alias.clone() }),
            user: host.user.filter(|_| foreign),
            port: host.port.filter(|_| foreign),
            ..NodeSpec::default()
        };
        let mistakes = spec.clone().into_definition(sickbay_model::NodeOrigin::Added).mistakes();
        match mistakes.first() {
            None => specs.push(spec),
            Some(mistake) => left_out.push(format!("{:?} is left out: {mistake}", host.alias)),
        }
    }
    if foreign && !specs.is_empty() {
        left_out.push(
            "keys and jump hosts of this file are not taken over; name it in `ssh.config_files` for that"
                .to_owned(),
        );
    }
    Ok((specs, left_out))
}

fn is_git_host(host: &str, user: Option<&str>) -> bool {
    let host = host.to_ascii_lowercase();
    user == Some("git") || GIT_HOSTS.contains(&host.as_str()) || host.ends_with(".github.com")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_hosts_are_no_nodes() {
        for (host, user, git) in [
            ("github.com", None, true),
            ("GitHub.com", None, true),
            ("git.example.org", Some("git"), true),
            ("git.example.org", Some("ada"), false),
            ("gpu-07", None, false),
        ] {
            assert_eq!(is_git_host(host, user), git, "{host}");
        }
    }
}
