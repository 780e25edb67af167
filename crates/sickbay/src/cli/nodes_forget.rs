//! `sickbay nodes forget`: hardware that was taken out on purpose is no fault.

use std::process::ExitCode;

use clap::Args;
use reqwest::Method;
use sickbay_wire::v1::{CheckRef, ForgottenView};

use super::client::{AskError, Client};
use super::watched::NODES;
use super::{Context, Failure, Outcome, block_on, exit_code, print_json, safe};

/// Forget hardware that was taken out of a node on purpose
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sickbay nodes forget gpu-07                                  all that it had and misses now
  sickbay nodes forget gpu-07 hardware_changed                 memory, adapters and disks alone
  sickbay nodes forget gpu-07 infiniband_link --instance mlx5_1/1
  sickbay nodes forget gpu-07 gpu_fault --instance '3 xid-48'  the GPU was reset

Without CHECK: GPUs, adapters, ports, links, memory and disks that the node had before and misses. The
node is asked at once and taken as it is; what comes back is watched again. What the configuration
expects of a node is corrected there.")]
pub(crate) struct ForgetOptions {
    /// The node
    #[arg(value_name = "NODE")]
    node: String,
    /// All that is known of this check instead, whether the node misses something or not
    #[arg(value_name = "CHECK")]
    check: Option<String>,
    /// Only this instance of the check
    #[arg(long, value_name = "INSTANCE", requires = "check")]
    instance: Option<String>,
    /// Print JSON: the API's own types
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(context: &Context, options: &ForgetOptions) -> Outcome {
    let name = options.node.strip_prefix("node/").unwrap_or(&options.node);
    if let Some(problem) = sickbay_model::name_problem(name) {
        return Err(Failure::new(exit_code::USAGE, format!("the name {problem}")));
    }
    if let Some(check) = options.check.as_deref().filter(|check| !is_check(check)) {
        let message = format!("there is no check {:?}", safe(check));
        return Err(Failure::new(exit_code::USAGE, message));
    }
    let settings = context.load_config_to_ask().settings;
    let client = Client::new(context, &settings)?;
    let view = block_on(async { forget(&client, name, options).await.map_err(Failure::from) })?;
    if options.json {
        print_json(context, &view)?;
    } else {
        context.terminal.print(&told(name, &view.forgotten))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn is_check(name: &str) -> bool {
    sickbay_engine::NodeMemory::is_check(name)
}

async fn forget(
    client: &Client,
    name: &str,
    options: &ForgetOptions,
) -> Result<ForgottenView, AskError> {
    let query: Vec<(&str, String)> = [("check", &options.check), ("instance", &options.instance)]
        .into_iter()
        .filter_map(|(key, value)| Some((key, value.clone()?)))
        .collect();
    let path = format!("{NODES}/{name}/forget");
    let body = client.change_by(Method::POST, &path, &query, None::<&()>).await?;
    serde_json::from_slice(&body).map_err(|error| AskError::Strange(error.to_string()))
}

fn told(name: &str, forgotten: &[CheckRef]) -> String {
    let name = safe(name);
    if forgotten.is_empty() {
        return format!("{name} misses nothing of it: nothing was forgotten\n");
    }
    let mut text = String::new();
    for CheckRef { check, instance } in forgotten {
        let what = format!("{} {}", safe(check), safe(instance));
        text.push_str(&format!("forgotten: {}\n", what.trim_end()));
    }
    text.push_str(&format!("{name} is asked now and taken as it is\n"));
    text
}
