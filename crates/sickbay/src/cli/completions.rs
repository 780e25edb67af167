//! `sickbay completions`: what the shell completes.

use std::process::ExitCode;

use clap::Args;
use clap_complete::Shell;

use super::{Context, Outcome, command};

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sickbay completions bash > ~/.local/share/bash-completion/completions/sickbay
  sickbay completions zsh > ~/.zfunc/_sickbay
  sickbay completions fish > ~/.config/fish/completions/sickbay.fish")]
pub(crate) struct CompletionsOptions {
    /// Which shell
    shell: Shell,
}

pub(crate) fn run(context: &Context, options: &CompletionsOptions) -> Outcome {
    let mut text = Vec::new();
    clap_complete::generate(options.shell, &mut command(), "sickbay", &mut text);
    context.terminal.print(&String::from_utf8_lossy(&text))?;
    Ok(ExitCode::SUCCESS)
}
