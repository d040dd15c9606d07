//! Numbers as a reader wants them: grouped digits, percent that never round up to a whole that is not there.

/// `1479210` as `1,479,210`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share in percent with two decimals, with more where two would round up to 100 % what is not all of it.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    let value = 100.0 * part as f64 / whole as f64;
    let decimals = (2..=6).find(|&decimals| part == whole || !format!("{value:.decimals$}").starts_with("100"));
    format!("{value:.*} %", decimals.unwrap_or(6))
}

/// `9,893 / 10,000`.
pub(crate) fn fraction(part: u64, whole: u64) -> String {
    format!("{} / {}", grouped(part), grouped(whole))
}

/// A ratio such as `12.5x`; `inf` when nothing is left.
pub(crate) fn times(ratio: f64) -> String {
    match ratio {
        r if !r.is_finite() => "inf".to_owned(),
        r if r < 10.0 => format!("{r:.2}x"),
        r if r < 1000.0 => format!("{r:.1}x"),
        r => format!("{}x", grouped(r.round() as u64)),
    }
}

/// A percentage without decimals that say nothing: `0.5` as `50`, `0.995` as `99.5`.
pub(crate) fn short_percent(share: f64) -> String {
    let text = format!("{:.3}", 100.0 * share);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Bytes in whole mebibytes: `1,234 MiB`.
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", grouped((bytes as f64 / f64::from(1 << 20)).round() as u64))
}

/// Bytes in kilobytes of 1,000, as file managers show them: `5,917 KB`, `89.6 KB`.
pub(crate) fn kilobytes(bytes: u64) -> String {
    let value = bytes as f64 / 1000.0;
    // 99.95 would round up to a number with one decimal too many.
    if value < 99.95 { format!("{value:.1} KB") } else { format!("{} KB", grouped(value.round() as u64)) }
}

/// A measured time with three digits that say something: `0.0143 ms`, `4.27 ms`, `1,235 ms`.
pub(crate) fn milliseconds(time: f64) -> String {
    if time >= 99.95 {
        return format!("{} ms", grouped(time.round() as u64));
    }
    // A time is above 0, and no clock tells less than a millionth of a millisecond.
    let decimals = (2.0 - time.max(1e-6).log10().floor()).clamp(0.0, 8.0) as usize;
    format!("{time:.decimals$} ms")
}

/// Milliseconds as `1 h 02 min`, `3 min 20 s` or `4.2 s`.
pub(crate) fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0..60 => format!("{:.1} s", milliseconds as f64 / 1000.0),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        for (number, expected) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_479_210, "1,479,210")] {
            assert_eq!(grouped(number), expected);
        }
        for (part, whole, expected) in [
            (9893, 10_000, "98.93 %"),
            (0, 10, "0.00 %"),
            (10, 10, "100.00 %"),
            (99_999, 100_000, "99.999 %"),
            (999_999, 1_000_000, "99.9999 %"),
            (1, 0, "-"),
        ] {
            assert_eq!(percent(part, whole), expected);
        }
        for (ratio, expected) in [(1.0, "1.00x"), (12.54, "12.5x"), (1234.5, "1,235x"), (f64::INFINITY, "inf")] {
            assert_eq!(times(ratio), expected);
        }
        for (share, expected) in [(0.0, "0"), (0.5, "50"), (0.995, "99.5"), (0.9999, "99.99")] {
            assert_eq!(short_percent(share), expected);
        }
        for (bytes, expected) in [(0, "0 MiB"), (3 << 19, "2 MiB"), (1234 << 20, "1,234 MiB")] {
            assert_eq!(mebibytes(bytes), expected);
        }
        for (bytes, expected) in [(940, "0.9 KB"), (89_600, "89.6 KB"), (99_960, "100 KB"), (5_916_840, "5,917 KB")] {
            assert_eq!(kilobytes(bytes), expected);
        }
        for (time, expected) in
            [(0.014_28, "0.0143 ms"), (0.5, "0.500 ms"), (4.271, "4.27 ms"), (99.96, "100 ms"), (1234.5, "1,235 ms")]
        {
            assert_eq!(milliseconds(time), expected);
        }
        for (time, expected) in [(4200, "4.2 s"), (200_000, "3 min 20 s"), (3_720_000, "1 h 02 min")] {
            assert_eq!(duration(time), expected);
        }
    }
}
