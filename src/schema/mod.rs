//! How lines are written for a destination.

/// A way to write lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Schema {
    /// As they are sealed.
    #[default]
    Native,
}

/// Appends a line of the trail, which is given without its newline, in this schema, again without one.
pub fn render(schema: Schema, line: &[u8], out: &mut Vec<u8>) {
    match schema {
        Schema::Native => out.extend_from_slice(line),
    }
}
