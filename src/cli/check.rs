//! `sealtrail check`: prints the plan that `run` would follow, from the same value that `run` starts from.

use clap::Args;
use serde_json::{Value, json};

use sealtrail::config::plan::Plan;
use sealtrail::config::{self, ConfigError};
use sealtrail::ship::{self, ProbeResult};

use super::{CliError, ConfigArg, Exit, print, print_json};

/// Print the plan that run would follow, or everything that is wrong with the configuration
///
/// Reads the configuration as run does, fills in every default, looks which files each source would read now, and
/// prints the result. All mistakes are told at once, each with its line and the nearest valid spelling. Secrets
/// are never printed.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    sealtrail check -c sealtrail.toml\n  \
    sealtrail check --connect           also try each destination\n  \
    sealtrail check --json | jq '.sources[].matches'\n\n\
    Exit codes:\n  \
    0  the configuration is right (warnings do not change this)\n  \
    1  it has mistakes, or with --connect a destination does not answer as it should\n  \
    2  the file cannot be read")]
pub struct CheckArgs {
    #[command(flatten)]
    config: ConfigArg,

    /// Also try each destination: reach it, be let in, and whether it would take a segment.
    #[arg(long)]
    connect: bool,

    /// Print the plan, or the mistakes, as JSON on stdout.
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn main(args: CheckArgs) -> Result<Exit, CliError> {
    let reading = match config::read_here(&args.config.config) {
        Ok(reading) => reading,
        Err(error) if args.json => return print_mistakes(&error),
        Err(error) => return Err(error.into()),
    };
    let found: Vec<_> = reading.plan.sources.iter().map(config::matches).collect();
    let warnings = config::warnings(&reading, &found);
    let answers = if args.connect { connect(&reading.plan)? } else { Vec::new() };
    if args.json {
        let mut plan = config::json(&reading, &found, &warnings);
        if args.connect {
            plan["connect"] = answers.iter().map(Answer::json).collect();
        }
        print_json(&plan)?;
    } else {
        let lines: String = answers.iter().map(Answer::line).collect();
        print(&format!("{}{lines}", config::human(&reading, &found, &warnings)))?;
    }
    Ok(if answers.iter().all(|answer| answer.result.is_ok()) { Exit::Yes } else { Exit::No })
}

/// What one destination said when it was tried.
struct Answer {
    destination: String,
    /// What was found in order, or what was not and what to do.
    result: Result<String, Problem>,
}

/// Why a destination would not take a segment.
struct Problem {
    /// At which step, and what happened.
    why: String,
    /// What to do.
    hint: String,
}

impl From<ProbeResult> for Answer {
    fn from(probe: ProbeResult) -> Self {
        let result = match probe.result {
            Ok(found) => Ok(found.checked.to_owned()),
            Err(error) => Err(Problem { why: format!("{}: {}", error.step, error.why), hint: error.hint }),
        };
        Answer { destination: probe.destination, result }
    }
}

impl Answer {
    fn json(&self) -> Value {
        match &self.result {
            Ok(checked) => json!({ "destination": self.destination, "ok": true, "checked": checked }),
            Err(problem) => {
                json!({ "destination": self.destination, "ok": false, "problem": problem.why, "hint": problem.hint })
            }
        }
    }

    fn line(&self) -> String {
        match &self.result {
            Ok(checked) => format!("\n[[destination]] {}: {checked}\n", self.destination),
            Err(Problem { why, hint }) if hint.is_empty() => {
                format!("\n[[destination]] {}: {why}\n", self.destination)
            }
            Err(Problem { why, hint }) => format!("\n[[destination]] {}: {why}\n  hint: {hint}\n", self.destination),
        }
    }
}

/// Tries each destination, in the plan's order, without writing.
fn connect(plan: &Plan) -> Result<Vec<Answer>, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::new(format!("cannot start the network side: {error}")))?;
    let probes = runtime.block_on(ship::probe(plan));
    Ok(probes.into_iter().map(Answer::from).collect())
}

fn print_mistakes(error: &ConfigError) -> Result<Exit, CliError> {
    print_json(&error.json())?;
    Ok(match error {
        ConfigError::Unreadable { .. } => Exit::CouldNotTell,
        ConfigError::Mistakes { .. } => Exit::No,
    })
}
