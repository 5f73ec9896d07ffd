//! Numbers as a person reads them: what the agent says in the trail, in its log and in `status`.

/// `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1.5 MiB`.
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if number < 1024 {
        return format!("{number} B");
    }
    let power = ((number.ilog2() / 10) as usize).min(UNITS.len());
    let tenths = (u128::from(number) * 10) >> (10 * power);
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[power - 1])
}

/// The two largest units: `3d 4h`, `2m 5s`, `0s`.
pub fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_a_person() {
        assert_eq!([count(0), count(999), count(1_000), count(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [bytes(1023), bytes(1024), bytes(1_610_612), bytes(u64::MAX)],
            ["1023 B", "1.0 KiB", "1.5 MiB", "16383.9 PiB"]
        );
        assert_eq!(
            [duration(59), duration(125), duration(7_260), duration(273_600)],
            ["59s", "2m 5s", "2h 1m", "3d 4h"]
        );
    }
}
