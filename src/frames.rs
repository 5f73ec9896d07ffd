//! Bytes read become whole frames, one after the other.
//!
//! Owns the bytes that are read and not yet handed out, the framer's place in them, and the hash over what was handed out. It serves a
//! followed file and a pipe alike: who reads the bytes is not its business, nor is what a frame means.
//!
//! Two things may be larger than any memory: a record, and a run of zeros that stands where a file has a hole. Both go by without
//! being kept. What can be kept of a record is in a [`Cut`]; of zeros it is their number. Neither is handed out, nor accounted for,
//! before its end has been seen: who starts again reads it again from its first byte.
//!
//! What is handed out depends on the bytes alone, never on how they were read: the framer is shown windows whose places follow from
//! where the record begins.

use memchr::memchr;
use sealtrail_parsers::frame::{DAMAGED_MAX, LOOK_BACK, NO_END};
use sealtrail_parsers::{Cut, Dialect, Frame, Framer, next_record};
use sha2::{Digest, Sha256};

use crate::limits::{
    DAMAGED_LINE_BYTES_MAX, HEAD_BYTES_MAX, IDLE_BUFFER_BYTES_MAX, OVERSIZE_HEAD_BYTES_MAX, OVERSIZE_TAIL_BYTES_MAX,
    ZEROS_MIN,
};

/// The unread part of a log.
#[derive(Debug)]
pub struct Frames {
    dialect: Option<Dialect>,
    framer: Option<Framer>,
    /// Handed out or gone by: `buf[kept..start]`, kept until somebody has accounted for it. To come: `buf[start..]`.
    buf: Vec<u8>,
    kept: usize,
    start: usize,
    /// No run of zeros begins before it. Where it is not the buffer's end, one begins here, or may.
    clear: usize,
    /// Zeros at the end of what was read: they may be other bytes when they are read again.
    unsure: usize,
    /// What is here is a whole record, unless more of it comes.
    open: bool,
    /// Nothing has come for so long that nothing more of it will.
    settled: bool,
    /// Where the next frame begins in the file: `buf[start]`, but for what has gone by of it.
    offset: u64,
    owed: Option<Owed>,
    passing: Option<Passing>,
    /// The last bytes that were accounted for, up to [`HEAD_BYTES_MAX`].
    before: Vec<u8>,
    accounts: Accounts,
}

/// Bytes that belong to no record and become lines piece by piece.
#[derive(Debug, Clone, Copy)]
struct Owed {
    len: usize,
    reason: &'static str,
}

/// What is going by without being kept.
#[derive(Debug)]
struct Passing {
    /// `None`: zeros.
    cut: Option<Cut>,
    length: u64,
    /// The last of it, up to [`HEAD_BYTES_MAX`].
    last: Vec<u8>,
    hash: Sha256,
}

/// SHA-256 over what was handed out since the last seal.
#[derive(Debug, Default)]
struct Accounts {
    hash: Sha256,
    any: bool,
    /// The hash with what has gone by since. `None` where that is all there is: its own hash says the same.
    ahead: Option<Sha256>,
}

/// What stands next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// A whole record, its terminator included.
    Record {
        /// In bytes.
        len: usize,
    },
    /// Bytes that belong to no record.
    Damaged {
        /// In bytes.
        len: usize,
        /// Why.
        reason: &'static str,
    },
    /// A record larger than the limit: to be had from [`Frames::take_passed`].
    Oversize {
        /// How many bytes of it have not gone by yet.
        len: usize,
        /// Why it is no whole record.
        torn: Option<&'static str>,
    },
    /// A run of zeros, all of it gone by: to be had from [`Frames::take_passed`].
    Zeros,
    /// Nothing that is whole.
    Wait,
}

/// What went by.
#[derive(Debug)]
pub struct Passed {
    /// What was kept of a record; `None` for zeros.
    pub cut: Option<Cut>,
    /// How many bytes it had.
    pub length: u64,
    /// Over all of them.
    pub sha256: [u8; 32],
}

/// How much of a record the framer is shown at least before it goes by. While it is lost, it decides with less than that.
const WINDOW_MIN: usize = 2 * DAMAGED_MAX;

/// How much it is shown while a record goes by: a torn one ends in the same piece in which the next is noticed.
const PASSING_WINDOW: usize = DAMAGED_MAX;

const MERGED: &str = "another record begins inside it";
const ZEROS_INSIDE: &str = "zeros stand where the rest of this record should";

const _: () = assert!(LOOK_BACK < PASSING_WINDOW, "every window goes on");

impl Frames {
    /// Empty, its first byte to come standing at `offset` in the file, behind the bytes `before`.
    pub fn new(offset: u64, before: Vec<u8>) -> Self {
        Frames {
            dialect: None,
            framer: None,
            buf: Vec::new(),
            kept: 0,
            start: 0,
            clear: 0,
            unsure: 0,
            open: false,
            settled: false,
            offset,
            owed: None,
            passing: None,
            before,
            accounts: Accounts::default(),
        }
    }

    /// Says how to find frames. `at_record`: the first byte to come begins a record.
    pub fn set_dialect(&mut self, dialect: Dialect, at_record: bool) {
        self.framer = Some(if at_record { Framer::new(&dialect) } else { Framer::mid_file(&dialect) });
        self.dialect = Some(dialect);
    }

    /// How frames are found, once that is known.
    pub fn dialect(&self) -> Option<&Dialect> {
        self.dialect.as_ref()
    }

    /// Whether [`Frames::set_dialect`] was called.
    pub fn has_format(&self) -> bool {
        self.framer.is_some()
    }

    /// Lets `read` append up to `len` bytes; gives it the room and the file offset to read from.
    pub fn fill<E>(&mut self, len: usize, read: impl FnOnce(&mut [u8], u64) -> Result<usize, E>) -> Result<usize, E> {
        self.drop_kept();
        if self.passing.is_some() {
            self.buf.shrink_to(PASSING_WINDOW + len);
        }
        self.unsure = 0;
        let filled = self.buf.len();
        let at = self.read_to();
        self.buf.resize(filled + len, 0);
        let result = read(&mut self.buf[filled..], at);
        let count = *result.as_ref().unwrap_or(&0);
        self.buf.truncate(filled + count);
        if count > 0 {
            (self.open, self.settled) = (false, false);
        }
        result
    }

    /// Forgets the zeros that stand last in what was read, at the end of a file that can still grow: they may be a hole that the file
    /// system has yet to fill. The next [`Frames::fill`] reads them again. Returns how many they are.
    pub fn drop_trailing_zeros(&mut self, at_end_of_file: bool) -> usize {
        if at_end_of_file && !self.rows_hold_zeros() {
            let last = self.buf[self.clear..].iter().rposition(|byte| *byte != 0);
            let len = last.map_or(self.clear, |last| self.clear + last + 1);
            self.unsure += self.buf.len() - len;
            self.buf.truncate(len);
        }
        self.unsure
    }

    /// Whether what is left is a whole record, unless more of it comes.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Says that nothing more will come of a record that nothing ends.
    pub fn settle(&mut self) {
        self.open = false;
        self.settled = true;
    }

    /// Drops the last `len` bytes that were read: they are not of this file.
    pub fn unread(&mut self, len: usize) {
        self.buf.truncate(self.buf.len() - len.min(self.buf.len() - self.start));
        self.clear = self.clear.min(self.buf.len());
    }

    /// Drops what was read and is not handed out: it is read again, from where a record begins.
    pub fn start_over(&mut self) {
        self.account();
        self.buf.clear();
        (self.kept, self.start, self.clear, self.unsure) = (0, 0, 0, 0);
        (self.owed, self.passing, self.accounts.ahead) = (None, None, None);
        self.framer = self.dialect.as_ref().map(Framer::new);
    }

    /// Lets zeros at the front go by. They say nothing of the format, and need not wait until it is known.
    pub fn pass_zeros(&mut self) {
        if self.is_at_zeros(false) {
            self.pass_run(false);
        }
    }

    /// What stands next. `end`: nothing will be appended. It has to be handed out before the next call.
    pub fn next(&mut self, record_max: usize, end: bool) -> Next {
        if end {
            // Nothing fills them any more.
            let zeros = std::mem::take(&mut self.unsure);
            self.buf.resize(self.buf.len() + zeros, 0);
        }
        if let Some(owed) = self.owed {
            return Next::Damaged { len: owed.len.min(DAMAGED_LINE_BYTES_MAX), reason: owed.reason };
        }
        if self.is_at_zeros(end) {
            return self.pass_run(end);
        }
        self.next_frame(record_max, end)
    }

    /// What the framer finds before the next run of zeros.
    fn next_frame(&mut self, record_max: usize, end: bool) -> Next {
        let zeros_follow = self.few_zeros_at(self.clear) == ZEROS_MIN;
        loop {
            let window = if self.passing.is_some() { PASSING_WINDOW } else { record_max.max(WINDOW_MIN) };
            let shown = &self.buf[self.start..self.clear.min(self.start + window)];
            let Some(framer) = self.framer.as_mut().filter(|_| !shown.is_empty()) else { return Next::Wait };
            let is_full = shown.len() == window;
            match framer.next(shown, !is_full && (end || zeros_follow)) {
                Frame::Open { len } if self.settled && !is_full => {
                    framer.close();
                    return Next::Record { len };
                }
                Frame::Open { .. } if !is_full => {
                    self.open = true;
                    return Next::Wait;
                }
                Frame::Open { len } => {
                    // Larger than any record may be: what follows is one of its own.
                    framer.close();
                    return Next::Record { len };
                }
                Frame::Incomplete if !is_full => return Next::Wait,
                Frame::Incomplete => {
                    if let Some(len) = self.merged(window) {
                        return self.damaged(len, MERGED);
                    }
                    self.pass_record(window - LOOK_BACK, record_max);
                }
                Frame::Record { len } if len <= record_max && self.passing.is_none() => return Next::Record { len },
                Frame::Record { len } => return self.oversize(len, record_max),
                Frame::Damaged { len, reason } => {
                    let reason = if reason == NO_END && zeros_follow { ZEROS_INSIDE } else { reason };
                    return if self.passing.is_some() {
                        Next::Oversize { len, torn: Some(reason) }
                    } else {
                        self.damaged(len, reason)
                    };
                }
            }
        }
    }

    fn damaged(&mut self, len: usize, reason: &'static str) -> Next {
        self.owed = Some(Owed { len, reason });
        Next::Damaged { len: len.min(DAMAGED_LINE_BYTES_MAX), reason }
    }

    /// Before a record goes by: where another begins inside it, half a row runs on into a whole one.
    fn merged(&mut self, window: usize) -> Option<usize> {
        let dialect = self.dialect.as_ref().filter(|_| self.passing.is_none())?;
        let len = next_record(dialect, self.frame(window.min(OVERSIZE_HEAD_BYTES_MAX)))?;
        self.framer = Some(Framer::new(dialect));
        Some(len)
    }

    /// A record whose last `len` bytes are here. Where another begins in them, only what stands before it.
    fn oversize(&mut self, len: usize, record_max: usize) -> Next {
        let other = self.dialect.as_ref().and_then(|dialect| next_record(dialect, self.frame(len)));
        self.pass_record(0, record_max);
        Next::Oversize { len: other.unwrap_or(len), torn: other.map(|_| MERGED) }
    }

    fn pass_record(&mut self, len: usize, record_max: usize) {
        if self.passing.is_none() {
            let half = record_max / 2;
            let (head_max, tail_max) = (half.min(OVERSIZE_HEAD_BYTES_MAX), half.min(OVERSIZE_TAIL_BYTES_MAX));
            self.begin_passing(self.dialect.as_ref().map(|dialect| Cut::new(dialect.format, head_max, tail_max)));
        }
        self.pass(len);
        if let Some(framer) = self.framer.as_mut() {
            framer.discard(len);
        }
    }

    /// Lets the zeros at the front go by, and says so when something else follows them.
    fn pass_run(&mut self, end: bool) -> Next {
        if self.passing.is_none() {
            self.begin_passing(None);
        }
        self.pass(self.zeros_at_front());
        self.clear = self.start;
        if self.start < self.buf.len() || end { Next::Zeros } else { Next::Wait }
    }

    fn begin_passing(&mut self, cut: Option<Cut>) {
        self.account();
        self.accounts.ahead = self.accounts.any.then(|| self.accounts.hash.clone());
        self.passing = Some(Passing { cut, length: 0, last: Vec::new(), hash: Sha256::new() });
    }

    fn pass(&mut self, len: usize) {
        let Some(passing) = &mut self.passing else { return };
        let bytes = &self.buf[self.start..self.start + len];
        passing.hash.update(bytes);
        if let Some(ahead) = &mut self.accounts.ahead {
            ahead.update(bytes);
        }
        if let Some(cut) = &mut passing.cut {
            cut.push(bytes);
        }
        passing.length += len as u64;
        keep_last(&mut passing.last, bytes);
        self.start += len;
        self.kept = self.start;
    }

    /// Whether zeros are bytes of a row like any others: then only where a row should begin they are none.
    fn rows_hold_zeros(&self) -> bool {
        self.dialect.as_ref().is_some_and(|dialect| dialect.format.holds_zeros())
    }

    /// Whether the front is a run of zeros, or the middle of one. Looks at every byte once.
    fn is_at_zeros(&mut self, end: bool) -> bool {
        if let Some(passing) = &self.passing
            && passing.cut.is_none()
        {
            return true;
        }
        if self.rows_hold_zeros() {
            let zeros = if self.passing.is_some() { 0 } else { self.few_zeros_at(self.start) };
            let may_be_run = zeros > 0 && self.start + zeros == self.buf.len() && !end;
            self.clear = if zeros == ZEROS_MIN || may_be_run { self.start } else { self.buf.len() };
            return zeros == ZEROS_MIN;
        }
        while let Some(at) = memchr(0, &self.buf[self.clear..]) {
            self.clear += at;
            let zeros = self.few_zeros_at(self.clear);
            if zeros == ZEROS_MIN {
                return self.clear == self.start;
            }
            if self.clear + zeros == self.buf.len() && !end {
                // It may be the beginning of a run.
                return false;
            }
            self.clear += zeros;
        }
        self.clear = self.buf.len();
        false
    }

    /// How many zeros stand there, as far as it takes to tell a run.
    fn few_zeros_at(&self, from: usize) -> usize {
        self.buf[from..].iter().take(ZEROS_MIN).take_while(|byte| **byte == 0).count()
    }

    fn zeros_at_front(&self) -> usize {
        let mut rest = &self.buf[self.start..];
        while let Some((block, behind)) = rest.split_first_chunk()
            && *block == [0; 64]
        {
            rest = behind;
        }
        let blocks = self.buf.len() - self.start - rest.len();
        blocks + rest.iter().take_while(|byte| **byte == 0).count()
    }

    /// The next `len` bytes, of which [`Frames::next`] told.
    pub fn frame(&self, len: usize) -> &[u8] {
        &self.buf[self.start..self.start + len]
    }

    /// What stands at the front, at most `len` bytes.
    pub fn front(&self, len: usize) -> &[u8] {
        self.frame(len.min(self.buf.len() - self.start))
    }

    /// Where the next frame starts in the file.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Hands out the next `len` bytes: they are a line now.
    pub fn consume(&mut self, len: usize) {
        self.start += len;
        self.offset += len as u64;
        let left = self.owed.map(|owed| Owed { len: owed.len.saturating_sub(len), ..owed });
        self.owed = left.filter(|owed| owed.len > 0);
    }

    /// Hands out what went by, with the next `len` bytes: it is a line now.
    pub fn take_passed(&mut self, len: usize) -> Option<Passed> {
        self.pass(len);
        let Passing { cut, length, last, hash } = self.passing.take()?;
        if cut.is_none() {
            // What stands behind a hole was not there when the bytes before it were written.
            self.framer = self.dialect.as_ref().map(Framer::mid_file);
        }
        self.offset += length;
        keep_last(&mut self.before, &last);
        self.accounts.hash = self.accounts.ahead.take().unwrap_or_else(|| hash.clone());
        self.accounts.any = true;
        Some(Passed { cut, length, sha256: hash.finalize().into() })
    }

    /// Accounts for the bytes that were handed out; they are dropped after this.
    pub fn account(&mut self) {
        let bytes = &self.buf[self.kept..self.start];
        self.accounts.any |= !bytes.is_empty();
        self.accounts.hash.update(bytes);
        keep_last(&mut self.before, bytes);
        self.kept = self.start;
    }

    /// Lets the bytes that were handed out be dropped without accounting for them.
    pub fn forget(&mut self) {
        self.kept = self.start;
    }

    /// SHA-256 over the bytes that were handed out since the last call. What is going by is not among them.
    pub fn seal(&mut self) -> [u8; 32] {
        self.account();
        std::mem::take(&mut self.accounts).hash.finalize().into()
    }

    /// The last bytes that were accounted for, up to [`HEAD_BYTES_MAX`].
    pub fn before(&self) -> &[u8] {
        &self.before
    }

    /// First byte that was not read yet: where the next [`Frames::fill`] reads.
    pub fn read_to(&self) -> u64 {
        let gone_by = self.passing.as_ref().map_or(0, |passing| passing.length);
        self.offset + gone_by + (self.buf.len() - self.start) as u64
    }

    /// How many bytes were read and not handed out, zeros at the end included.
    pub fn pending(&self) -> u64 {
        self.read_to() - self.offset + self.unsure as u64
    }

    /// Whether nothing is here that was not handed out.
    pub fn is_empty(&self) -> bool {
        self.start == self.buf.len()
    }

    /// What was read last: `len` bytes, or as many as are still here.
    pub fn last_read(&self, len: usize) -> &[u8] {
        &self.buf[self.start.max(self.buf.len().saturating_sub(len))..]
    }

    /// What stands in the file before the last `fresh` bytes that were read, up to [`HEAD_BYTES_MAX`]; everything must be accounted for.
    pub fn read_before(&self, fresh: usize) -> Vec<u8> {
        let mut before = self.before.clone();
        if let Some(passing) = &self.passing {
            keep_last(&mut before, &passing.last);
        }
        keep_last(&mut before, &self.buf[self.start..self.buf.len().saturating_sub(fresh).max(self.start)]);
        before
    }

    /// Gives memory back when nothing is pending.
    pub fn rest(&mut self) {
        if self.start == self.buf.len() && self.kept == self.start && self.buf.capacity() > IDLE_BUFFER_BYTES_MAX {
            self.buf = Vec::new();
            (self.kept, self.start, self.clear) = (0, 0, 0);
        }
    }

    fn drop_kept(&mut self) {
        self.buf.drain(..self.kept);
        self.start -= self.kept;
        self.clear = self.clear.saturating_sub(self.kept);
        self.kept = 0;
    }
}

/// Appends `bytes` to the last bytes that are kept.
fn keep_last(last: &mut Vec<u8>, bytes: &[u8]) {
    let bytes = &bytes[bytes.len().saturating_sub(HEAD_BYTES_MAX)..];
    last.drain(..(last.len() + bytes.len()).saturating_sub(HEAD_BYTES_MAX));
    last.extend_from_slice(bytes);
}
