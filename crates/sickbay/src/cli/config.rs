//! `sickbay config`: make, check and show the configuration.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{Context, Failure, Outcome, Paint, exit_code, format, print_json, safe};
use crate::config::{
    Settings, commented, default_config_file, is_root, load, schema, show, starter_file,
    variables_reference,
};

/// Make, check and show the configuration
#[derive(Debug, Args)]
pub(crate) struct ConfigOptions {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Write a config file with every field, its meaning and its default
    #[command(after_help = "\
Examples:
  sickbay config init               at the default place
  sickbay config init ./hub.yaml    somewhere else
  sickbay config init --print       on the terminal")]
    Init {
        /// Where to; the default place if not given
        file: Option<PathBuf>,
        /// Print it instead
        #[arg(long)]
        print: bool,
        /// Replace a file that is there
        #[arg(long)]
        force: bool,
    },
    /// Look for mistakes; reports all of them, each with line and column
    #[command(after_help = "\
Examples:
  sickbay config check
  sickbay config check ./hub.yaml

Exit codes: 0 no mistakes, 78 mistakes.")]
    Check {
        /// Which file; the one in use if not given
        file: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the configuration in force: file, environment and defaults together
    #[command(after_help = "\
Examples:
  sickbay config show
  sickbay config show --defaults    every field with its meaning, range and default
  sickbay config show --variables   every environment variable
  sickbay config show --json

Secrets are shown as ***.")]
    Show {
        /// Print the defaults, each field under its meaning and range
        #[arg(long)]
        defaults: bool,
        /// Print the environment variables and what they set
        #[arg(long, conflicts_with = "defaults")]
        variables: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON schema, for editors
    #[command(after_help = "\
Examples:
  sickbay config schema > sickbay.schema.json

Then put this line on top of the config file:
  # yaml-language-server: $schema=sickbay.schema.json")]
    Schema,
}

pub(crate) fn run(context: &Context, options: ConfigOptions) -> Outcome {
    match options.command {
        ConfigCommand::Init { file, print, force } => init(context, file, print, force),
        ConfigCommand::Check { file, json } => check(context, file, json),
        ConfigCommand::Show { defaults, variables, json } => {
            if variables {
                context.terminal.print(&variables_reference())?;
                return Ok(ExitCode::SUCCESS);
            }
            let settings = match defaults {
                true => Settings::defaults(&context.environment, is_root()),
                false => context.load_config(Vec::new())?.settings,
            };
            let raw = show(&settings);
            if json {
                print_json(context, &raw)?;
            } else if defaults {
                context.terminal.print(&commented(&raw).map_err(Failure::internal)?)?;
            } else {
                let yaml = serde_saphyr::to_string(&raw).map_err(Failure::internal)?;
                context.terminal.print(&yaml)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        ConfigCommand::Schema => {
            print_json(context, &schema())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn init(context: &Context, file: Option<PathBuf>, print: bool, force: bool) -> Outcome {
    let defaults = Settings::defaults(&context.environment, is_root());
    let text = starter_file(&defaults).map_err(Failure::internal)?;
    if print {
        context.terminal.print(&text)?;
        return Ok(ExitCode::SUCCESS);
    }
    let file = file
        .or_else(|| context.config_flag.clone())
        .or_else(|| default_config_file(&context.environment, is_root()))
        .ok_or_else(|| {
            Failure::new(
                exit_code::USAGE,
                "there is no default place for a config: HOME is not set",
            )
            .hint("name a file: sickbay config init FILE")
        })?;
    write_new(&file, &text, force)?;
    context.terminal.remark(&format!("wrote {}", file.display()));
    Ok(ExitCode::SUCCESS)
}

fn write_new(file: &Path, text: &str, force: bool) -> Result<(), Failure> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::AlreadyExists => {
            Failure::new(exit_code::FILE, format!("{} exists already", file.display()))
                .hint("replace it with --force, or name another file")
        }
        ErrorKind::PermissionDenied => {
            Failure::new(exit_code::DENIED, format!("may not write {}", file.display()))
        }
        _ => Failure::new(exit_code::FILE, format!("cannot write {}: {error}", file.display())),
    };
    if let Some(directory) = file.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        std::fs::create_dir_all(directory).map_err(failed)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).mode(0o600);
    match force {
        true => options.create(true).truncate(true),
        false => options.create_new(true),
    };
    let mut opened = options.open(file).map_err(failed)?;
    opened.write_all(text.as_bytes()).map_err(failed)
}

fn check(context: &Context, file: Option<PathBuf>, json: bool) -> Outcome {
    let mut sources = context.sources(Vec::new());
    sources.file = file.or(sources.file);
    let looked_at = sources.config_file();
    let result = load(&sources);
    if json {
        return check_json(context, looked_at.as_deref(), &result);
    }
    let loaded = result?;
    let what = match &looked_at {
        Some(file) => safe(&file.display().to_string()).into_owned(),
        None => "there is no config file; the defaults".to_owned(),
    };
    let verb = if looked_at.is_some() { "is" } else { "are" };
    let good = context.terminal.paint(Paint::Good, "in order");
    let mut text = format!("{what} {verb} {good}\n");
    for remark in &loaded.remarks {
        text.push_str(&format!("note: {}\n", safe(remark)));
    }
    context.terminal.print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn check_json(
    context: &Context,
    file: Option<&Path>,
    result: &Result<crate::config::Loaded, crate::config::Mistakes>,
) -> Outcome {
    let (mistakes, remarks, code) = match result {
        Ok(loaded) => (Vec::new(), loaded.remarks.clone(), 0),
        Err(mistakes) => {
            let list = mistakes.list.iter().map(|mistake| {
                serde_json::json!({
                    "at": mistake.origin.to_string(),
                    "field": mistake.path,
                    "problem": mistake.problem,
                    "allowed": mistake.allowed,
                    "nearest": mistake.nearest,
                })
            });
            (list.collect(), Vec::new(), exit_code::CONFIG)
        }
    };
    let summary = format::count(mistakes.len(), "mistake");
    let file = file.map(|file| file.display().to_string());
    let answer = serde_json::json!({
        "file": file, "summary": summary, "mistakes": mistakes, "remarks": remarks,
    });
    print_json(context, &answer)?;
    Ok(ExitCode::from(code))
}
