//! What describes a node on the command line.

use std::path::PathBuf;

use clap::Args;
use sickbay_model::{MAX_EXPECTED_GPUS, label_key_problem, label_value_problem, sanitize_name};
use sickbay_wire::v1::NodeSpec;

use crate::config::units::SizeText;

/// A node, as `sickbay add node` takes it.
#[derive(Clone, Debug, Args)]
pub(crate) struct NodeArguments {
    /// Its name: anything that `ssh NAME` would reach, also USER@HOST
    #[arg(value_name = "NAME")]
    name: String,
    /// Where it is, if not by its name: host name, address, or alias of ~/.ssh/config
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// The user to sign in as
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// The port
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// The private key file to sign in with
    #[arg(long, value_name = "FILE")]
    identity_file: Option<PathBuf>,
    /// The hosts to jump over, separated by commas
    #[arg(long, value_name = "HOSTS")]
    jump: Option<String>,
    /// A label, for selecting and grouping; can be given often
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    label: Vec<(String, String)>,
    /// The watched node behind which it is
    #[arg(long, value_name = "NODE")]
    parent: Option<String>,
    /// How many GPUs it is known to have
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=i64::from(MAX_EXPECTED_GPUS)))]
    expect_gpus: Option<u32>,
    /// A part of the name of each GPU's model, such as H100
    #[arg(long, value_name = "MODEL")]
    expect_gpu_model: Option<String>,
    /// The least memory that it has, such as 512GiB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    expect_memory: Option<u64>,
}

impl NodeArguments {
    /// The node that is meant.
    pub(crate) fn spec(&self) -> NodeSpec {
        let (user, host) = split_user(&self.name);
        let name = sanitize_name(host.as_bytes());
        let written_as_name = name == host;
        let file = self.identity_file.as_ref();
        let file = file.map(|file| std::path::absolute(file).unwrap_or_else(|_| file.clone()));
        NodeSpec {
            // What is no name is said to be none, rather than changed in silence.
            name: if written_as_name || self.host.is_none() { name } else { self.name.clone() },
            host: self.host.clone().or_else(|| Some(host.to_owned())),
            port: self.port,
            user: self.user.clone().or_else(|| user.map(str::to_owned)),
            identity_file: file.map(|file| file.display().to_string()),
            proxy_jump: self.jump.clone(),
            labels: self.label.iter().cloned().collect(),
            parent: self.parent.clone(),
            expected_gpus: self.expect_gpus,
            expected_gpu_model: self.expect_gpu_model.clone(),
            expected_memory_bytes: self.expect_memory,
        }
    }
}

/// Splits `USER@HOST`.
pub(crate) fn split_user(text: &str) -> (Option<&str>, &str) {
    match text.rsplit_once('@') {
        Some((user, host)) if !user.is_empty() => (Some(user), host),
        _ => (None, text),
    }
}

/// `KEY=VALUE`.
pub(crate) fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    if let Some(problem) = label_key_problem(key) {
        return Err(format!("{key:?} {problem}: a to z, 0 to 9, '_', '.' and '-', at most 63"));
    }
    if let Some(problem) = label_value_problem(value) {
        return Err(format!("the value {problem}; 1 to 128 characters"));
    }
    Ok((key.to_owned(), value.to_owned()))
}

fn size(text: &str) -> Result<u64, String> {
    let SizeText(bytes) = text.parse()?;
    if bytes == 0 { Err("must be more than nothing".to_owned()) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_users() {
        assert_eq!(label("rack=7"), Ok(("rack".to_owned(), "7".to_owned())));
        assert_eq!(label("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        for wrong in ["rack", "=7", "Rack=7", "rack=", "a b=c"] {
            assert!(label(wrong).is_err(), "{wrong}");
        }
        for (text, user, host) in [
            ("gpu-07", None, "gpu-07"),
            ("ada@gpu-07", Some("ada"), "gpu-07"),
            ("ada@example.org@gpu-07", Some("ada@example.org"), "gpu-07"),
            ("@gpu-07", None, "@gpu-07"),
        ] {
            assert_eq!(split_user(text), (user, host), "{text}");
        }
    }
}
