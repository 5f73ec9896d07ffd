//! Times as engines write them, brought to the one form that records have: `2026-11-20 20:28:31.135 UTC`.
//!
//! What has another form is handed on as it stands: a time is never guessed.

use std::fmt::Write;

use arrayvec::ArrayString;

use crate::scratch::Room;

/// No time that is written here is longer.
pub(crate) const TIME_MAX: usize = 48;

/// From ISO 8601: `2022-08-24T09:10:04.973-05:00`. A time without a zone is in `zone`; empty leaves it without one.
pub(crate) fn of_iso<'a>(text: &'a [u8], zone: &[u8], room: &mut Room<'a>) -> &'a [u8] {
    let text = text.trim_ascii();
    let Some((local, rest)) = text.split_at_checked(19).filter(|(local, _)| is_local(local)) else { return text };
    let digits = rest.iter().skip(1).take_while(|byte| byte.is_ascii_digit()).count();
    let has_fraction = matches!(rest.first(), Some(b'.' | b',')) && digits > 0;
    let (fraction, stated) = rest.split_at(if has_fraction { digits + 1 } else { 0 });
    let stated = stated.trim_ascii();
    let zone = match stated {
        b"" => zone,
        b"Z" | b"z" => b"UTC",
        stated => stated,
    };
    if local.get(10) == Some(&b' ') && (stated == zone || zone.is_empty()) && !fraction.starts_with(b",") {
        return text;
    }
    if text.len() + zone.len() >= TIME_MAX {
        return text;
    }
    let fraction = fraction.get(1..).unwrap_or_default();
    room.write(|out| {
        let (date, clock) = local.split_at(10);
        let dot: &[u8] = if fraction.is_empty() { b"" } else { b"." };
        let space: &[u8] = if zone.is_empty() { b"" } else { b" " };
        let parts = [date, b" ", clock.get(1..).unwrap_or_default(), dot, fraction, space, zone];
        parts.iter().fold(0, |len, part| len + copy(part, out.get_mut(len..).unwrap_or_default()))
    })
}

/// `20261120 20:31:42`, or `261120 20:31:42` and `261120  9:31:42` of this century.
pub(crate) fn of_compact<'a>(text: &'a [u8], room: &mut Room<'a>) -> &'a [u8] {
    let Some((day, clock)) = text.split_at_checked(text.len().wrapping_sub(9)) else { return text };
    let (century, day) = match day.len() {
        8 => day.split_at(2),
        6 => (&b"20"[..], day),
        _ => return text,
    };
    let zero: &[u8] = if clock.starts_with(b"  ") { b"0" } else { b"" };
    let parts = [century, &day[..2], b"-", &day[2..4], b"-", &day[4..], b" ", zero, clock.trim_ascii_start()];
    room.write(|out| parts.iter().fold(0, |len, part| len + copy(part, out.get_mut(len..).unwrap_or_default())))
}

/// What is counted since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Seconds,
    Milliseconds,
    Microseconds,
}

/// From milliseconds since 1970.
pub(crate) fn of_unix_ms<'a>(ms: i64, room: &mut Room<'a>) -> &'a [u8] {
    of_unix(ms, Unit::Milliseconds, room)
}

/// From a count since 1970, with as many digits of a second as it has.
pub(crate) fn of_unix<'a>(count: i64, unit: Unit, room: &mut Room<'a>) -> &'a [u8] {
    let (each, digits) = match unit {
        Unit::Seconds => (1, 0),
        Unit::Milliseconds => (1000, 3),
        Unit::Microseconds => (1_000_000, 6),
    };
    let (seconds, fraction) = (count.div_euclid(each), count.rem_euclid(each));
    let (day, seconds) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, date) = civil(day);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let clock = [hour, minute, second];
    if !(0..=9999).contains(&year) {
        return of_far_year([year, month, date], clock, (fraction, digits), room);
    }
    let mut text = *b"0000-00-00 00:00:00.000000 UTC";
    put(&mut text[..4], year);
    for (at, number) in [5, 8, 11, 14, 17].into_iter().zip([month, date, hour, minute, second]) {
        put(&mut text[at..at + 2], number);
    }
    put(&mut text[20..20 + digits], fraction);
    let end = if digits > 0 { 20 + digits } else { 19 };
    text[end..end + 4].copy_from_slice(b" UTC");
    room.write(|out| copy(&text[..end + 4], out))
}

/// Digits from the right, as many as there is room for.
fn put(room: &mut [u8], number: i64) {
    let mut left = number;
    for digit in room.iter_mut().rev() {
        // Below ten.
        *digit = b'0' + (left % 10) as u8;
        left /= 10;
    }
}

/// The same with a year of any length, the longest of twelve digits.
fn of_far_year<'a>(day: [i64; 3], clock: [i64; 3], fraction: (i64, usize), room: &mut Room<'a>) -> &'a [u8] {
    let ([year, month, date], [hour, minute, second], (fraction, digits)) = (day, clock, fraction);
    let mut text = ArrayString::<TIME_MAX>::new();
    let _ = write!(text, "{year:04}-{month:02}-{date:02} {hour:02}:{minute:02}:{second:02}");
    if digits > 0 {
        let _ = write!(text, ".{fraction:0digits$}");
    }
    let _ = text.try_push_str(" UTC");
    room.write(|out| copy(text.as_bytes(), out))
}

/// Does the text begin like the model, in which 0 stands for any digit?
#[inline]
pub(crate) fn fits(text: &[u8], model: &[u8]) -> bool {
    let like = |(byte, like): (&u8, &u8)| if *like == b'0' { byte.is_ascii_digit() } else { byte == like };
    text.len() >= model.len() && text.iter().zip(model).all(like)
}

/// `2022-08-24T09:10:04`, with a space as well.
fn is_local(text: &[u8]) -> bool {
    const FORM: &[u8; 19] = b"0000-00-00 00:00:00";
    let fits = |(byte, form): (&u8, &u8)| match form {
        b'0' => byte.is_ascii_digit(),
        b' ' => matches!(byte, b' ' | b'T' | b't'),
        form => byte == form,
    };
    text.len() == FORM.len() && text.iter().zip(FORM).all(fits)
}

/// The date of a day since 1970, in the Gregorian calendar, whose years begin here in March.
fn civil(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + i64::from(month <= 2), month, of_year - (153 * shifted + 2) / 5 + 1)
}

fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let len = from.len().min(to.len());
    to[..len].copy_from_slice(&from[..len]);
    len
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scratch;

    fn iso(text: &str) -> String {
        let mut scratch = Scratch::new();
        String::from_utf8_lossy(of_iso(text.as_bytes(), b"", &mut scratch.room(TIME_MAX))).into_owned()
    }

    fn unix(ms: i64) -> String {
        let mut scratch = Scratch::new();
        String::from_utf8_lossy(of_unix_ms(ms, &mut scratch.room(TIME_MAX))).into_owned()
    }

    #[test]
    fn every_form_becomes_the_one() {
        assert_eq!(iso("2022-08-24T09:10:04.973-05:00"), "2022-08-24 09:10:04.973 -05:00");
        assert_eq!(iso("2022-08-24T09:10:04Z"), "2022-08-24 09:10:04 UTC");
        assert_eq!(iso("2022-08-24 09:10:04.9730001"), "2022-08-24 09:10:04.9730001");
        assert_eq!(iso("2022-08-24T09:10:04,97+0530"), "2022-08-24 09:10:04.97 +0530");
        assert_eq!(iso("yesterday"), "yesterday");
        assert_eq!(unix(0), "1970-01-01 00:00:00.000 UTC");
        assert_eq!(unix(1_710_715_316_123), "2024-03-17 22:41:56.123 UTC");
        assert_eq!(unix(951_782_400_000), "2000-02-29 00:00:00.000 UTC");
        assert_eq!(unix(-1), "1969-12-31 23:59:59.999 UTC");
        assert_eq!(unix(-62_167_219_200_000), "0000-01-01 00:00:00.000 UTC");
        assert_eq!(unix(253_402_300_799_999), "9999-12-31 23:59:59.999 UTC");
        assert_eq!(unix(253_402_300_800_000), "10000-01-01 00:00:00.000 UTC");
        let of = |count, unit| {
            String::from_utf8_lossy(of_unix(count, unit, &mut Scratch::new().room(TIME_MAX))).into_owned()
        };
        assert_eq!(of(1_679_569_000_492_094, Unit::Microseconds), "2023-03-23 10:56:40.492094 UTC");
        assert_eq!(of(1_679_569_000, Unit::Seconds), "2023-03-23 10:56:40 UTC");
    }

    #[test]
    fn short_forms_and_other_counts_become_it_too() {
        for (text, expected) in [
            ("20261120 20:31:42", "2026-11-20 20:31:42"),
            ("261120 20:31:42", "2026-11-20 20:31:42"),
            ("261120  9:31:42", "2026-11-20 09:31:42"),
            ("x", "x"),
        ] {
            assert_eq!(of_compact(text.as_bytes(), &mut Scratch::new().room(TIME_MAX)), expected.as_bytes());
        }
        for (count, unit, expected) in [
            (0, Unit::Seconds, &b"1970-01-01 00:00:00 UTC"[..]),
            (1_679_569_000_492_494, Unit::Microseconds, b"2023-03-23 10:56:40.492494 UTC"),
            (4_107_542_400, Unit::Seconds, b"2100-03-01 00:00:00 UTC"),
            (i64::MAX, Unit::Seconds, b"292277026596-12-04 15:30:07 UTC"),
        ] {
            assert_eq!(of_unix(count, unit, &mut Scratch::new().room(TIME_MAX)), expected);
        }
    }
}
