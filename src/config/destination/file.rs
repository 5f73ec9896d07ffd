//! `type = "file"`: a folder of closed segments.

use serde_json::json;

use super::Type;
use crate::config::plan::{DestinationKind, FilePlan};
use crate::config::section::Section;
use crate::config::show::{Row, row, text};

pub(super) const TYPE: Type =
    Type { name: "file", takes_lines: false, lines_max: None, keys: &["path"], tls: &[], read };

fn read(section: &mut Section<'_, '_>) -> Option<DestinationKind> {
    section.require("path", "path = \"/srv/sealtrail\": a folder");
    let path = section.absolute("path")?.value;
    Some(DestinationKind::File(FilePlan { path }))
}

pub(super) fn rows(plan: &FilePlan) -> Vec<Row> {
    vec![row("path", json!(text(&plan.path)))]
}
