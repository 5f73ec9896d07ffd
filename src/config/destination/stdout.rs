//! `type = "stdout"`: the agent's standard output.

use serde_json::json;

use super::{Type, batch_max_bytes, timeout};
use crate::config::plan::{DestinationKind, StdoutPlan};
use crate::config::section::Section;
use crate::config::show::{Row, row};
use crate::config::units::{show_duration, show_size};

pub(super) const TYPE: Type =
    Type { name: "stdout", takes_lines: true, lines_max: None, keys: &["batch_max_bytes", "timeout"], tls: &[], read };

fn read(section: &mut Section<'_, '_>) -> Option<DestinationKind> {
    let plan = StdoutPlan { batch_max_bytes: batch_max_bytes(section), timeout: timeout(section) };
    Some(DestinationKind::Stdout(plan))
}

pub(super) fn rows(plan: &StdoutPlan) -> Vec<Row> {
    vec![
        row("batch_max_bytes", json!(show_size(plan.batch_max_bytes as u64))),
        row("timeout", json!(show_duration(plan.timeout))),
    ]
}
