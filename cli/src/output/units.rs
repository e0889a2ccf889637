//! Times and durations, as people read them and as scripts do.

use std::time::{Duration, SystemTime};

use humantime::{format_duration, format_rfc3339_millis, format_rfc3339_seconds};
use serde::Serializer;
use tonic::Code;

/// `2026-11-28T05:50:12Z`: what certificates can express.
pub(crate) fn moment(at: SystemTime) -> String {
    format_rfc3339_seconds(at).to_string()
}

/// `2026-11-28T05:50:12.345Z`: when something happened.
pub(crate) fn precise_moment(at: SystemTime) -> String {
    format_rfc3339_millis(at).to_string()
}

/// To two or three digits: `4.1 ms`, `7.2 s`, `23h 59m`, `6days 23h`.
pub(crate) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    let nearest = seconds.round() as u64;
    match nearest {
        _ if duration.as_secs() == 0 && seconds < 0.01 => format!("{:.1} ms", seconds * 1e3),
        _ if duration.as_secs() == 0 => format!("{:.0} ms", seconds * 1e3),
        ..10 => format!("{seconds:.1} s"),
        10..120 => format!("{seconds:.0} s"),
        whole @ 120..DAY => format_duration(Duration::from_secs(whole - whole % 60)).to_string(),
        whole @ DAY..LONG => format_duration(Duration::from_secs(whole - whole % 3600)).to_string(),
        whole => format!("{} days", whole / DAY),
    }
}

/// Somebody else's words, without what could garble a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}

/// `text` in lines of at most [`WIDTH`] characters, each further one indented as the first begins. What stands between
/// backticks is somebody's to copy, and stays whole.
pub(crate) fn wrapped(indent: usize, text: &str) -> String {
    let (mut lines, mut length) = (String::new(), indent);
    let (mut ticks, mut word) = (0, String::new());
    for part in text.split_whitespace() {
        let space = if word.is_empty() { "" } else { " " };
        word.push_str(space);
        word.push_str(part);
        ticks += part.matches('`').count();
        if ticks % 2 == 1 {
            continue;
        }
        let word = std::mem::take(&mut word);
        let needed = word.chars().count() + 1;
        if length > indent && length + needed > WIDTH {
            lines.push_str(&format!("\n{:indent$}", ""));
            length = indent;
        } else if length > indent {
            lines.push(' ');
        }
        lines.push_str(&word);
        length += needed;
    }
    // Backticks that nothing closes.
    if !word.is_empty() {
        lines.push_str(&format!(" {word}"));
    }
    lines
}

/// The name of a status as gRPC writes it: `PERMISSION_DENIED`.
pub(crate) fn status_name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

/// `serialize_with` of a time.
pub(crate) fn json_moment<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&moment(*at))
}

/// `serialize_with` of a time that needs more than whole seconds.
pub(crate) fn json_precise_moment<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&precise_moment(*at))
}

/// `serialize_with` of a duration: seconds, to the microsecond.
pub(crate) fn json_seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((duration.as_secs_f64() * 1e6).round() / 1e6)
}

/// The same of one that may not be known; such a field is also skipped.
pub(crate) fn json_seconds_if_known<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => json_seconds(duration, serializer),
        None => serializer.serialize_none(),
    }
}

/// What every terminal shows.
const WIDTH: usize = 100;
const DAY: u64 = 24 * 3600;
/// From here on hours say nothing.
const LONG: u64 = 30 * DAY;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_two_or_three_digits() {
        for (milliseconds, shown) in [
            (4.13, "4.1 ms"),
            (340.4, "340 ms"),
            (7_210.0, "7.2 s"),
            (59_900.0, "60 s"),
            (86_390_000.0, "23h 59m"),
            (3_599_600.0, "1h"),
            (604_799_000.0, "6days 23h"),
            (7_776_000_000.0, "90 days"),
        ] {
            assert_eq!(span(Duration::from_secs_f64(milliseconds / 1e3)), shown);
        }
    }

    #[test]
    fn somebody_elses_words_move_no_cursor() {
        assert_eq!(printable("a\u{1b}[2Jb\r\nc"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}c");
    }

    #[test]
    fn long_text_is_wrapped_under_its_beginning_and_no_command_is_broken() {
        let text = format!("{} `two words` `never closed", ["word"; 18].join(" "));
        let shown = format!("    {}", wrapped(4, &text));
        let lines: Vec<_> = shown.lines().collect();
        assert_eq!(lines.len(), 2, "{shown}");
        assert!(lines.iter().all(|line| line.starts_with("    ") && line.len() <= WIDTH), "{shown}");
        assert_eq!(lines[1], "    `two words` `never closed", "{shown}");
    }
}
