//! `sealtrail redact test`: what is taken out of a log, each text before and after.
//!
//! It does what `run` does with the same rows. What it prints holds the secrets: it is for whoever may read the log anyway.

use std::fmt::Write as _;
use std::io::{Read, Write};

use serde_json::json;

use crate::intake::Taken;
use crate::parse::{By, Counts, ParseError, Request, each_taken};
use crate::words;

/// Shows every row of `input` out of which something is taken; answers with how many these are.
pub fn compare(
    request: &Request,
    by: By<'_>,
    as_json: bool,
    input: &mut impl Read,
    out: &mut impl Write,
) -> Result<u64, ParseError> {
    let mut rows = 0;
    let counts = each_taken(request, by, input, &mut |taken| {
        rows += 1;
        let text = if as_json { json_of(taken) } else { text_of(&request.path, taken) };
        out.write_all(text.as_bytes()).map_err(ParseError::Write)
    })?;
    if !as_json {
        out.write_all(sum(rows, &counts).as_bytes()).map_err(ParseError::Write)?;
    }
    out.flush().map_err(ParseError::Write)?;
    Ok(rows)
}

fn sum(rows: u64, counts: &Counts) -> String {
    format!("{} of {} rows hold something that is taken out\n", words::count(rows), words::count(counts.rows))
}

fn text_of(path: &str, taken: &Taken) -> String {
    let mut text = format!("{path}:{}  {}\n", taken.offset, taken.names.join(", "));
    for change in &taken.changes {
        for (sign, bytes) in [('-', &change.before), ('+', &change.after)] {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {sign} {:<20}  {}", change.what, printable(bytes));
        }
    }
    text.push('\n');
    text
}

fn json_of(taken: &Taken) -> String {
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let changes = taken
        .changes
        .iter()
        .map(|change| json!({ "what": change.what, "before": lossy(&change.before), "after": lossy(&change.after) }));

    format!("{}\n", json!({ "offset": taken.offset, "redacted": taken.names, "changes": changes.collect::<Vec<_>>() }))
}

/// On one line, and without what a terminal would obey.
fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}
