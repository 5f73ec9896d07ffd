//! `sealtrail dead-letter`: lines that a destination refused, and what is to become of them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::json;

use sealtrail::disk::{Disk, RealDisk};
use sealtrail::ship::dead_letter::{DeadLetters, Order, destinations};

use super::{CliError, ConfigArg, Exit, print, print_json};

/// List the lines that destinations refused, send them again, or drop them
///
/// A line that a destination refuses by itself goes to a folder of its own, with the answer beside it. What is ordered here
/// is carried out by the running agent within seconds, or by the next one that is started, and stands in the trail as a
/// line of the agent: REPLAYED or DROPPED. The trail itself loses nothing by either.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    sealtrail dead-letter list\n  \
    sealtrail dead-letter list siem --json | jq '.[].answer'\n  \
    sealtrail dead-letter replay siem 4711 4712\n  \
    sealtrail dead-letter replay siem --all\n  \
    sealtrail dead-letter drop siem 4711\n\n\
    Exit codes:\n  \
    0  done: listed, or ordered\n  \
    1  there are none, or not the ones that were named\n  \
    2  could not tell: the folder cannot be read or written")]
pub struct DeadLetterArgs {
    #[command(subcommand)]
    command: DeadLetterCommand,
}

#[derive(Debug, Subcommand)]
enum DeadLetterCommand {
    List(ListArgs),
    Replay(OrderArgs),
    Drop(OrderArgs),
}

#[derive(Debug, Args)]
struct Place {
    #[command(flatten)]
    config: ConfigArg,

    /// The agent's state folder; without it, the one that the configuration names.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    state_dir: Option<PathBuf>,
}

/// Print the refused lines and why they were refused
#[derive(Debug, Args)]
pub struct ListArgs {
    /// The destination's name; without it, all.
    #[arg(value_name = "DESTINATION")]
    destination: Option<String>,

    #[command(flatten)]
    place: Place,

    /// Print them as JSON on stdout, with the whole answers.
    #[arg(long)]
    json: bool,
}

/// Order what is to become of refused lines
#[derive(Debug, Args)]
pub struct OrderArgs {
    /// The destination's name.
    #[arg(value_name = "DESTINATION")]
    destination: String,

    /// Numbers of lines, as list prints them.
    #[arg(value_name = "LINE", required_unless_present = "all", conflicts_with = "all")]
    lines: Vec<u64>,

    /// All lines that lie there now.
    #[arg(long)]
    all: bool,

    #[command(flatten)]
    place: Place,
}

/// Runs it.
pub fn main(args: DeadLetterArgs) -> Result<Exit, CliError> {
    match args.command {
        DeadLetterCommand::List(args) => list(&args),
        DeadLetterCommand::Replay(args) => order(&args, Order::Replay),
        DeadLetterCommand::Drop(args) => order(&args, Order::Drop),
    }
}

fn list(args: &ListArgs) -> Result<Exit, CliError> {
    let (state_dir, disk) = (args.place.state_dir()?, real_disk());
    let names = match &args.destination {
        Some(name) => vec![name.clone()],
        None => destinations(disk.as_ref(), &state_dir).map_err(|error| unreadable(&error, &state_dir))?,
    };
    let (mut text, mut all) = (String::new(), Vec::new());
    for name in names {
        let folder = DeadLetters::new(Arc::clone(&disk), &state_dir, &name);
        for (number, order) in folder.letters().map_err(|error| unreadable(&error, &state_dir))? {
            // A letter whose answer cannot be read is listed all the same.
            let answer = String::from_utf8_lossy(&folder.answer(number).unwrap_or_default()).into_owned();
            let order = order.map(|order| if order == Order::Replay { "replay" } else { "drop" });
            let ordered = order.map(|order| format!("  ({order} is ordered)")).unwrap_or_default();
            let why = answer.lines().next().unwrap_or_default();
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name}  {number}  {}{ordered}", why.replace(char::is_control, " "));
            all.push(json!({ "destination": name, "line": number, "ordered": order, "answer": answer }));
        }
    }
    let none = all.is_empty();
    if args.json {
        print_json(&all.into())?;
    } else {
        print(if none { "no dead letters\n" } else { &text })?;
    }
    Ok(if none { Exit::No } else { Exit::Yes })
}

fn order(args: &OrderArgs, order: Order) -> Result<Exit, CliError> {
    let state_dir = args.place.state_dir()?;
    let folder = DeadLetters::new(real_disk(), &state_dir, &args.destination);
    let there = folder.letters().map_err(|error| unreadable(&error, &state_dir))?;
    let lines = wanted(args, &there)?;
    for number in &lines {
        folder.order(*number, order).map_err(|error| {
            CliError::new(format!("cannot order line {number} in {}: {error}", state_dir.display()))
                .hint("run it as root, or as the account that runs sealtrail")
        })?;
    }
    let what = if order == Order::Replay { "sent again" } else { "dropped" };
    let count = if lines.len() == 1 { "1 line".to_owned() } else { format!("{} lines", lines.len()) };
    print(&format!(
        "{count} to be {what}: the running agent does it within seconds, or the next one that is started\n"
    ))?;
    Ok(Exit::Yes)
}

fn wanted(args: &OrderArgs, there: &BTreeMap<u64, Option<Order>>) -> Result<Vec<u64>, CliError> {
    let missing = args.lines.iter().find(|line| !there.contains_key(line));
    let hint = "`sealtrail dead-letter list` prints what there is";
    match missing {
        _ if there.is_empty() => {
            Err(CliError::new(format!("no dead letters of {:?}", args.destination)).hint(hint).no())
        }
        Some(line) => {
            Err(CliError::new(format!("line {line} is no dead letter of {:?}", args.destination)).hint(hint).no())
        }
        None if args.all => Ok(there.keys().copied().collect()),
        None => Ok(args.lines.clone()),
    }
}

impl Place {
    fn state_dir(&self) -> Result<PathBuf, CliError> {
        match &self.state_dir {
            Some(state_dir) => Ok(state_dir.clone()),
            None => Ok(sealtrail::config::whereabouts(&self.config.config)?.state_dir),
        }
    }
}

fn real_disk() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
}

fn unreadable(error: &io::Error, state_dir: &std::path::Path) -> CliError {
    CliError::new(format!("cannot read {}: {error}", state_dir.join("dead-letter").display()))
        .hint("run it as root, or as the account that runs sealtrail")
}
