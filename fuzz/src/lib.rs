//! What the targets share: the promises that framing and parsing make for any bytes.

use sealtrail_parsers::{Cut, Dialect, Format, Frame, Framer, Parsed, Scratch, Value, assemble, each, each_of, parse};

/// All that a format promises: its frames do not depend on cuts, and whatever they hold, parsing them ends.
pub fn format_holds(dialect: &Dialect, data: &[u8]) {
    let whole = frames_of(dialect, data);
    let Some((_, file)) = data.split_first_chunk::<2>() else { return };
    let mut from = 0;
    for (_, end) in whole {
        parse_each_way(dialect, &file[from..end]);
        from = end;
    }
}

/// The first two bytes say how the rest is cut into pieces; whole and cut, it must give the same frames.
pub fn frames_do_not_depend_on_cuts(format: Format, data: &[u8]) {
    frames_of(&format.into(), data);
}

fn frames_of(dialect: &Dialect, data: &[u8]) -> Vec<(bool, usize)> {
    let Some((&[step, mode], file)) = data.split_first_chunk() else { return Vec::new() };
    let framer = if mode % 2 == 0 { Framer::new(dialect) } else { Framer::mid_file(dialect) };
    let whole = frames(framer.clone(), &[file]);
    let pieces: Vec<_> = file.chunks(usize::from(step) + 1).collect();
    assert_eq!(frames(framer.clone(), &pieces), whole);
    let (front, back) = file.split_at(file.len() * usize::from(mode) / 255);
    assert_eq!(frames(framer, &[front, back]), whole);
    whole
}

/// The first three bytes say what is kept of the rest and how it is handed over: it must not matter how, and what is kept is the beginning
/// and the end.
pub fn cut_does_not_depend_on_pieces(format: Format, data: &[u8]) {
    let Some((&[head, tail, step], record)) = data.split_first_chunk() else { return };
    let cut = |step: usize| {
        let mut cut = Cut::new(format, usize::from(head), usize::from(tail) + 1);
        record.chunks(step).for_each(|piece| cut.push(piece));
        cut
    };
    let (pieces, whole) = (cut(usize::from(step) + 1), cut(record.len().max(1)));
    assert_eq!(pieces.shortened(), whole.shortened());
    assert_eq!((pieces.head(), pieces.tail()), (whole.head(), whole.tail()));
    assert!(record.starts_with(whole.head()) && record.ends_with(whole.tail()));
    if let Some(shortened) = whole.shortened() {
        parse_is_total(format, &shortened);
    }
}

/// Whatever a frame holds, parsing it ends, and a place to try again lies inside it.
pub fn parse_is_total(format: Format, frame: &[u8]) {
    parse_each_way(&format.into(), frame);
}

fn parse_each_way(dialect: &Dialect, frame: &[u8]) {
    let mut scratch = Scratch::new();
    let parsed = parse(dialect, frame, &mut scratch);
    let (is_piece, is_several) = (matches!(parsed, Parsed::Piece(_)), matches!(parsed, Parsed::Several));
    check(dialect, frame, &parsed);
    drop(parsed);
    if is_several {
        each(dialect, frame, &mut scratch, &mut |row| {
            assert!(!matches!(row, Parsed::Piece(_) | Parsed::Several));
            check(dialect, frame, &row);
        });
    }
    if is_piece {
        for (frames, complete) in [(&[frame][..], true), (&[frame], false), (&[frame, frame], true)] {
            let row = assemble(dialect, frames, complete, &mut scratch);
            assert!(!matches!(row, Parsed::Piece(_)));
            if matches!(row, Parsed::Several) {
                drop(row);
                each_of(dialect, frames, &mut scratch, &mut |row, span| {
                    assert!(!matches!(row, Parsed::Piece(_) | Parsed::Several));
                    assert!(span.first <= span.last && span.last < frames.len());
                });
            }
        }
    }
}

fn check(dialect: &Dialect, frame: &[u8], parsed: &Parsed<'_>) {
    match parsed {
        Parsed::Record(record) => {
            if let Some(statement) = &record.statement {
                statement.parameters.iter().for_each(drop);
            }
            let held: usize = record.extra.iter().map(|(_, value)| size(value)).sum();
            // A key of no length and its type, two bytes of BSON, become `"":{"$minKey":1},`.
            // What CloudWatch packs with gzip unpacks to a thousand times as much at most.
            let most = if dialect.format == Format::Cloudwatch { 2000 } else { 16 };
            assert!(held <= most * frame.len() + 256);
        }
        &Parsed::Unparsed { retry_at, .. } => assert!(retry_at.is_none_or(|at| at > 0 && at < frame.len())),
        Parsed::Nothing { .. } | Parsed::Piece(_) | Parsed::Several => {}
    }
}

/// Records and damage with their ends; damage in several frames counts as one.
fn frames(mut framer: Framer, pieces: &[&[u8]]) -> Vec<(bool, usize)> {
    let (mut found, mut buf, mut at): (Vec<(bool, usize)>, Vec<u8>, usize) = Default::default();
    for (index, piece) in pieces.iter().enumerate() {
        buf.extend_from_slice(piece);
        loop {
            let (record, len) = match framer.next(&buf, index + 1 == pieces.len()) {
                Frame::Incomplete | Frame::Open { .. } => break,
                Frame::Record { len } => (true, len),
                Frame::Damaged { len, .. } => (false, len),
            };
            assert!(len > 0 && len <= buf.len());
            buf.drain(..len);
            at += len;
            if !record && found.last().is_some_and(|(record, _)| !record) {
                found.pop();
            }
            found.push((record, at));
        }
    }
    assert!(buf.is_empty(), "bytes were never handed out");
    found
}

fn size(value: &Value<'_>) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::Int(_) => 0,
    }
}
