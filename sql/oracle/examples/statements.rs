//! Writes the statements of a folder of psql scripts, a JSON string a line: `statements FOLDER`.

use std::io::{self, Write};
use std::path::PathBuf;

use sealtrail_sql_oracle::script;

fn main() -> io::Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from).ok_or_else(|| io::Error::other("which folder?"))?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    for path in script::all(&folder)? {
        for piece in script::read(&path)?.pieces {
            writeln!(out, "{}", serde_json::Value::from(piece.text))?;
        }
    }
    out.flush()
}
