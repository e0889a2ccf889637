//! What was found.

use std::{fmt, time::Duration};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Holds,
    /// It works, and could be better.
    Hint,
    /// It does not work.
    Fault,
}

/// One thing that was found, for the operator: a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub verdict: Verdict,
    /// Where on the path.
    pub step: &'static str,
    /// The fact, and the remedy if there is anything to mend. Holds no secret.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.verdict {
            Verdict::Holds => "ok",
            Verdict::Hint => "hint",
            Verdict::Fault => "FAULT",
        };
        write!(f, "{mark:<5} {}: {}", self.step, self.text)
    }
}

/// Those so far.
pub(super) struct Findings<'a> {
    tell: &'a mut dyn FnMut(&Finding),
    worst: Verdict,
}

impl<'a> Findings<'a> {
    pub(super) fn new(tell: &'a mut dyn FnMut(&Finding)) -> Self {
        Self { tell, worst: Verdict::Holds }
    }

    pub(super) fn holds(&mut self, step: &'static str, text: impl Into<String>) {
        self.add(Verdict::Holds, step, text.into());
    }

    pub(super) fn hint(&mut self, step: &'static str, text: impl Into<String>) {
        self.add(Verdict::Hint, step, text.into());
    }

    pub(super) fn fault(&mut self, step: &'static str, text: impl Into<String>) {
        self.add(Verdict::Fault, step, text.into());
    }

    pub(super) fn worst(&self) -> Verdict {
        self.worst
    }

    fn add(&mut self, verdict: Verdict, step: &'static str, text: String) {
        self.worst = self.worst.max(verdict);
        (self.tell)(&Finding { verdict, step, text });
    }
}

/// A time as people say it, in its two largest units; to the minute, if it is more than ten.
pub(super) fn days(time: Duration) -> String {
    let seconds = match time.as_secs() {
        few @ ..600 => few,
        many => (many + 30) / 60 * 60,
    };
    let units =
        [("d", seconds / 86_400), ("h", seconds / 3600 % 24), ("m", seconds / 60 % 60), ("s", seconds % 60)];
    let said: Vec<String> = units
        .iter()
        .skip_while(|(_, count)| *count == 0)
        .take(2)
        .filter(|(_, count)| *count > 0)
        .map(|(unit, count)| format!("{count}{unit}"))
        .collect();
    if said.is_empty() { "0s".to_owned() } else { said.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_said_in_its_two_largest_units() {
        for (seconds, said) in [
            (0, "0s"),
            (59, "59s"),
            (1799, "30m"),
            (3600, "1h"),
            (3661, "1h 1m"),
            (86_399, "1d"),
            (86_400, "1d"),
            (90_061, "1d 1h"),
            (86_460, "1d"),
        ] {
            assert_eq!(days(Duration::from_secs(seconds)), said, "{seconds}");
        }
    }

    #[test]
    fn the_worst_finding_is_the_verdict() {
        let mut lines = Vec::new();
        let mut tell = |finding: &Finding| lines.push(finding.to_string());
        let mut findings = Findings::new(&mut tell);
        findings.holds("login", "in");
        findings.hint("workloads", "slow");
        assert_eq!(findings.worst(), Verdict::Hint);
        findings.fault("serving", "no");
        findings.holds("serving", "yes");
        assert_eq!(findings.worst(), Verdict::Fault);
        assert_eq!(
            lines,
            ["ok    login: in", "hint  workloads: slow", "FAULT serving: no", "ok    serving: yes"]
        );
    }
}
