//! Text in quotes in which every quote is written twice: the quoting of csvlog's columns, pgAudit's fields and
//! parameter lists.

use memchr::memchr;

use crate::near;
use crate::scratch::Room;

/// Finds the closing quote in what follows an opening one. Says where it stands, and whether doubled quotes stand
/// before it.
#[inline]
pub(crate) fn end(text: &[u8]) -> Option<(usize, bool)> {
    let (mut at, mut doubled) = (0, false);
    loop {
        at += near::find(b'"', text.get(at..)?)?;
        let run = run(&text[at..]);
        if run % 2 == 1 {
            return Some((at + run - 1, doubled || run > 1));
        }
        doubled = true;
        at += run;
    }
}

/// How many quotes stand at the start.
pub(crate) fn run(text: &[u8]) -> usize {
    text.iter().take_while(|byte| **byte == b'"').count()
}

/// Copies text with every doubled quote made one.
pub(crate) fn unescape<'a>(raw: &[u8], room: &mut Room<'a>) -> &'a [u8] {
    room.write(|out| {
        let mut len = 0;
        single(raw, |part| {
            let part = &part[..part.len().min(out.len() - len)];
            out[len..len + part.len()].copy_from_slice(part);
            len += part.len();
        });
        len
    })
}

/// The same in memory of its own.
pub(crate) fn to_vec(raw: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(raw.len());
    single(raw, |part| text.extend_from_slice(part));
    text
}

/// Hands out `raw` in parts, of every run of quotes the first half.
fn single(raw: &[u8], mut each: impl FnMut(&[u8])) {
    let mut rest = raw;
    while let Some(quote) = memchr(b'"', rest) {
        let run = run(&rest[quote..]);
        each(&rest[..quote + run.div_ceil(2)]);
        rest = &rest[quote + run..];
    }
    each(rest);
}
