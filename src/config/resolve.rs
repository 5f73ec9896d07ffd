//! From what was written to what is meant: fills in every default and checks what several keys mean together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Whereabouts;
use super::bounds;
use super::destination::DestinationTable;
use super::file::{AgentTable, ClassifyTable, File, HealthTable, SealTable, SourceTable};
use super::identity;
use super::plan::{AgentPlan, DestinationKind, DestinationPlan, FilePlan, HealthPlan, Plan, SealPlan, SourcePlan};
use super::redact;
use super::section::{At, Span};
use super::text::Context;
use super::units;
use crate::shape::Classify;

/// `[agent] state_dir` when it is not written.
const STATE_DIR: &str = "/var/lib/sealtrail";

/// Folders and files of the state folder that belong to the agent.
const OWN_FOLDERS: [&str; 5] = ["journal", "keys", "cursors", "dead-letter", "lock"];

/// The plan, or `None` when it could not be made; what is wrong was noted in `context`.
pub(super) fn plan(context: &Context<'_>, file: File, sha256: String) -> Option<Plan> {
    let state_dir = file.agent.state_dir.clone();
    unique(context, file.sources.iter().map(|source| (source.title.as_str(), source.name.as_ref())));
    unique(
        context,
        file.destinations.iter().map(|destination| (destination.title.as_str(), destination.name.as_ref())),
    );
    check_bounds(context, &file.agent, &file.seal);
    check_socket(context, &file.health, state_dir.as_ref());
    check_folders(context, &file, state_dir.as_ref());
    let agent = agent(context, file.agent);
    let named = |source: &SourceTable| source.name.as_ref().map(|name| (name.value.clone(), source.format));
    let named: Vec<_> = file.sources.iter().filter_map(named).collect();
    let names: Vec<String> = named.iter().map(|(name, _)| name.clone()).collect();
    let redact = redact::plan(context, file.redact, &names);
    let identity = identity::plan(context, file.identity, &agent.name, &named);
    let sources = file.sources.into_iter().map(source).collect::<Option<Vec<_>>>();
    let seal = seal(file.seal);
    let destinations = destinations(file.destinations, &agent.state_dir, &seal);
    let health = health(file.health, &agent.state_dir);
    Some(Plan {
        sources: sources?,
        destinations: destinations?,
        classify: classify(file.classify),
        identity,
        redact,
        seal,
        health,
        agent,
        sha256,
    })
}

/// The two paths alone.
pub(super) fn whereabouts((agent, health): (AgentTable, HealthTable)) -> Whereabouts {
    let state_dir = value(agent.state_dir, || PathBuf::from(STATE_DIR));
    Whereabouts { status_socket: value(health.status_socket, || default_socket(&state_dir)), state_dir }
}

fn agent(context: &Context<'_>, table: AgentTable) -> AgentPlan {
    let name = value(table.name, || host_as_name(context.surroundings.host));
    AgentPlan {
        origin: value(table.origin, || name.clone()),
        name,
        state_dir: value(table.state_dir, || PathBuf::from(STATE_DIR)),
        journal_max_bytes: value(table.journal_max_bytes, || bounds::JOURNAL_MAX_BYTES.default),
        record_max_bytes: bytes(value(table.record_max_bytes, || bounds::RECORD_MAX_BYTES.default)),
        poll_interval: value(table.poll_interval, || bounds::POLL_INTERVAL.default),
    }
}

fn source(table: SourceTable) -> Option<SourcePlan> {
    Some(SourcePlan {
        name: table.name?.value,
        paths: table.paths.into_iter().map(|path| path.value).collect(),
        exclude: table.exclude.into_iter().map(|path| path.value).collect(),
        format: table.format.map(|name| name.format),
        inside: table.format.and_then(|name| name.inside),
        prefix: table.prefix,
        start_at: table.start_at.unwrap_or_default(),
        timezone: table.timezone,
        quiet_after: table.quiet_after.unwrap_or_default(),
        labels: table.labels,
    })
}

fn classify(table: ClassifyTable) -> Classify {
    let default = Classify::default();
    Classify {
        admin_roles: table.admin_roles.unwrap_or(default.admin_roles),
        admin_schemas: table.admin_schemas.unwrap_or(default.admin_schemas),
        admin_applications: table.admin_applications.unwrap_or(default.admin_applications),
        break_glass_roles: table.break_glass_roles.unwrap_or(default.break_glass_roles),
        break_glass_applications: table.break_glass_applications.unwrap_or(default.break_glass_applications),
        bulk_rows: table.bulk_rows.unwrap_or(default.bulk_rows),
    }
}

fn seal(table: SealTable) -> SealPlan {
    SealPlan {
        interval: value(table.interval, || bounds::SEAL_INTERVAL.default),
        heartbeat: value(table.heartbeat, || bounds::SEAL_HEARTBEAT.default),
        segment_max_bytes: value(table.segment_max_bytes, || bounds::SEGMENT_MAX_BYTES.default),
        segment_max_age: value(table.segment_max_age, || bounds::SEGMENT_MAX_AGE.default),
    }
}

fn health(table: HealthTable, state_dir: &Path) -> HealthPlan {
    HealthPlan { listen: table.listen, status_socket: value(table.status_socket, || default_socket(state_dir)) }
}

/// Without any, the closed segments are kept in a folder beside the journal.
fn destinations(tables: Vec<DestinationTable>, state_dir: &Path, seal: &SealPlan) -> Option<Vec<DestinationPlan>> {
    // An archive cannot have a segment before it is closed.
    let lag_max = bounds::LAG_MAX.default.max(seal.segment_max_age * 2);

    if tables.is_empty() {
        let kind = DestinationKind::File(FilePlan { path: state_dir.join("archive") });
        return Some(vec![DestinationPlan { lag_max, ..DestinationPlan::new("archive", kind) }]);
    }
    tables.into_iter().map(|table| destination(table, lag_max)).collect()
}

fn destination(table: DestinationTable, lag_max: Duration) -> Option<DestinationPlan> {
    Some(DestinationPlan {
        name: table.name?.value,
        required: table.required.unwrap_or(true),
        rate_limit: table.rate_limit,
        lag_max: table.lag_max.unwrap_or(lag_max),
        files: table.files,
        choice: table.choice,
        kind: table.kind?,
    })
}

/// Two of a kind with one name: says so at the second, and where the first is.
fn unique<'t>(context: &Context<'_>, tables: impl Iterator<Item = (&'t str, Option<&'t At<String>>)>) {
    let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
    for (title, name) in tables {
        let Some(name) = name else { continue };
        match seen.get(name.value.as_str()) {
            Some(first) => {
                let message = format!("{:?} is taken already, in line {}", name.value, context.line(first.start));
                context.wrong(
                    name.span.clone(),
                    title,
                    Some("name"),
                    message,
                    Some("give each its own name".to_owned()),
                );
            }
            None => {
                seen.insert(&name.value, name.span.clone());
            }
        }
    }
}

/// The rules between two numbers. Each is told at the key that was written, the agent's first.
fn check_bounds(context: &Context<'_>, agent: &AgentTable, seal: &SealTable) {
    let journal = or(&agent.journal_max_bytes, bounds::JOURNAL_MAX_BYTES.default);
    let segment = or(&seal.segment_max_bytes, bounds::SEGMENT_MAX_BYTES.default);
    let least = segment.saturating_mul(bounds::JOURNAL_SEGMENTS_MIN);
    if journal < least {
        let message = format!(
            "{} is less than {} segments of {}",
            units::show_size(journal),
            bounds::JOURNAL_SEGMENTS_MIN,
            units::show_size(segment)
        );
        let hint = format!("at least {}, or a smaller [seal] segment_max_bytes", units::show_size(least));
        let at = [
            ("[agent]", "journal_max_bytes", &agent.journal_max_bytes),
            ("[seal]", "segment_max_bytes", &seal.segment_max_bytes),
        ];
        if let Some((title, key, at)) = at.iter().find_map(|(title, key, at)| at.as_ref().map(|at| (title, key, at))) {
            context.wrong(at.span.clone(), title, Some(key), message, Some(hint));
        }
    }
    let interval = or(&seal.interval, bounds::SEAL_INTERVAL.default);
    for (key, given, default) in [
        ("heartbeat", &seal.heartbeat, bounds::SEAL_HEARTBEAT.default),
        ("segment_max_age", &seal.segment_max_age, bounds::SEGMENT_MAX_AGE.default),
    ] {
        let given_or_default = or(given, default);
        let at = given.as_ref().or(seal.interval.as_ref()).filter(|_| given_or_default < interval);
        if let Some(at) = at {
            let message = format!(
                "{} is shorter than the interval of {}",
                units::show_duration(given_or_default),
                units::show_duration(interval)
            );
            context.wrong(at.span.clone(), "[seal]", Some(key), message, Some("make it as long or longer".to_owned()));
        }
    }
}

/// The kernel takes no longer path for a socket.
fn check_socket(context: &Context<'_>, health: &HealthTable, state_dir: Option<&At<PathBuf>>) {
    let (title, key, at, socket) = match (&health.status_socket, state_dir) {
        (Some(socket), _) => ("[health]", "status_socket", socket, socket.value.clone()),
        (None, Some(state_dir)) => ("[agent]", "state_dir", state_dir, default_socket(&state_dir.value)),
        (None, None) => return,
    };
    let length = socket.as_os_str().len();
    if length > bounds::SOCKET_PATH_MAX_BYTES {
        let message =
            format!("the status socket's path would be {length} bytes long, of {}", bounds::SOCKET_PATH_MAX_BYTES);
        let hint = "set [health] status_socket = \"/run/sealtrail/status.sock\"".to_owned();
        context.wrong(at.span.clone(), title, Some(key), message, Some(hint));
    }
}

/// No two destinations in one folder, and none in the agent's own.
fn check_folders(context: &Context<'_>, file: &File, state_dir: Option<&At<PathBuf>>) {
    let state_dir = state_dir.map_or(Path::new(STATE_DIR), |at| at.value.as_path());
    let mut taken: BTreeSet<&Path> = BTreeSet::new();
    for destination in &file.destinations {
        let (Some(DestinationKind::File(FilePlan { path })), Some(span)) = (&destination.kind, &destination.folder)
        else {
            continue;
        };
        let own = path == state_dir || OWN_FOLDERS.iter().any(|own| path.starts_with(state_dir.join(own)));
        let message = if own {
            "is the agent's own folder"
        } else if !taken.insert(path) {
            "is another destination's folder already"
        } else {
            continue;
        };
        let message = format!("{} {message}", path.display());
        context.wrong(
            span.clone(),
            &destination.title,
            Some("path"),
            message,
            Some("choose another folder".to_owned()),
        );
    }
}

fn default_socket(state_dir: &Path) -> PathBuf {
    state_dir.join("status.sock")
}

/// A host's name is a valid name already, save for what a kernel takes and DNS does not.
fn host_as_name(host: &str) -> String {
    let valid = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
    let name: String = host.chars().take(bounds::NAME_MAX_BYTES).map(valid).collect();
    let name = name.trim_start_matches(['.', '-']);
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}

fn value<T>(written: Option<At<T>>, default: impl FnOnce() -> T) -> T {
    written.map_or_else(default, |at| at.value)
}

fn or<T: Copy>(written: &Option<At<T>>, default: T) -> T {
    written.as_ref().map_or(default, |at| at.value)
}

/// The bounds keep it below the largest `usize`.
fn bytes(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
