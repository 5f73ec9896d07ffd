//! Rows of one source as the agent's intake takes them, without files and journal.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sealtrail::clock::HostClock;
use sealtrail::config::plan::{AgentPlan, QuietAfter, SourcePlan, StartAt};
use sealtrail::frames::Frames;
use sealtrail::intake::Intake;
use sealtrail::redact::Redact;
use sealtrail::shape::Classify;
use sealtrail_parsers::Dialect;

/// Of one source, with what is the default where nothing else is said.
pub fn intake(source: &str, dialect: &Dialect, timezone: Option<&str>, record_max_bytes: usize) -> Intake {
    let agent = AgentPlan {
        name: "db1".to_owned(),
        origin: String::new(),
        state_dir: PathBuf::new(),
        journal_max_bytes: 0,
        record_max_bytes,
        poll_interval: Duration::ZERO,
    };
    let source = SourcePlan {
        name: source.to_owned(),
        paths: Vec::new(),
        exclude: Vec::new(),
        format: Some(dialect.format),
        prefix: dialect.prefix.clone(),
        inside: None,
        start_at: StartAt::Beginning,
        timezone: timezone.map(str::to_owned),
        quiet_after: QuietAfter::Off,
        labels: BTreeMap::new(),
    };
    Intake::new(Arc::new(HostClock), &agent, &Classify::default(), &Redact::default(), &[source])
}

/// The frames of a log that begins here.
pub fn frames(dialect: &Dialect, log: &[u8]) -> Frames {
    let mut frames = Frames::new(0, Vec::new());
    frames.set_dialect(dialect.clone(), true);
    let read = |room: &mut [u8], _| {
        room.copy_from_slice(log);
        Ok::<_, ()>(log.len())
    };
    frames.fill(log.len(), read).unwrap();
    frames
}
