//! Whether a process can do its work, and if not, why.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The conditions under which a process is ready, and what an operator should always be told. Cheap to clone.
///
/// Name every condition before the operations port opens: a process that has named none yet is ready.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    process: &'static str,
    /// What is missing, by condition; nothing when it holds.
    conditions: BTreeMap<&'static str, Option<String>>,
    remarks: BTreeMap<&'static str, String>,
    notices: Vec<String>,
}

/// One condition, in the hands of the part of the process that knows whether it holds.
#[derive(Clone, Debug)]
pub struct Condition {
    name: &'static str,
    readiness: Readiness,
}

impl Readiness {
    /// Of a process by its name and version.
    pub fn of(process: &'static str) -> Self {
        Self(Arc::new(Mutex::new(State {
            process,
            conditions: BTreeMap::new(),
            remarks: BTreeMap::new(),
            notices: Vec::new(),
        })))
    }

    /// Adds a condition that does not hold yet, because of `missing`.
    pub fn condition(&self, name: &'static str, missing: impl Into<String>) -> Condition {
        let condition = Condition { name, readiness: self.clone() };
        condition.not_ready(missing);
        condition
    }

    /// Says how something is that the process can do without for a while. A later remark on it takes the
    /// place of this one.
    pub fn remark(&self, subject: &'static str, remark: impl Into<String>) {
        self.state().remarks.insert(subject, remark.into());
    }

    /// Adds a notice that stands as long as the process does, such as that it runs for development only.
    pub fn notice(&self, notice: impl Into<String>) {
        self.state().notices.push(notice.into());
    }

    /// Every condition holds.
    pub fn is_ready(&self) -> bool {
        self.state().conditions.values().all(Option::is_none)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Condition {
    /// The condition holds from now on.
    pub fn ready(&self) {
        self.readiness.state().conditions.insert(self.name, None);
    }

    /// It does not, and what to do about it.
    pub fn not_ready(&self, missing: impl Into<String>) {
        self.readiness.state().conditions.insert(self.name, Some(missing.into()));
    }
}

/// The process and whether it is ready, then a line for each condition, each remark and each notice.
impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        let ready = if state.conditions.values().all(Option::is_none) { "ready" } else { "not ready" };
        writeln!(f, "{}: {ready}", state.process)?;
        for (name, missing) in &state.conditions {
            writeln!(f, "{name}: {}", missing.as_deref().unwrap_or("ready"))?;
        }
        for (subject, remark) in &state.remarks {
            writeln!(f, "{subject}: {remark}")?;
        }
        state.notices.iter().try_for_each(|notice| writeln!(f, "notice: {notice}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ready_when_every_condition_holds() {
        let readiness = Readiness::of("t");
        let (one, other) = (readiness.condition("one", "starting"), readiness.condition("other", "starting"));
        assert!(!readiness.is_ready());

        one.ready();
        assert!(!readiness.is_ready());
        other.ready();
        assert!(readiness.is_ready());

        one.not_ready("the disk is full");
        assert!(!readiness.is_ready());
    }

    #[test]
    fn it_says_what_is_missing_and_what_an_operator_should_know() {
        let readiness = Readiness::of("signet-ca 0.1.0");
        readiness.condition("audit", "the disk is full: make room");
        readiness.condition("authority", "starting").ready();
        readiness.notice("development tokens are accepted");

        let expected = "signet-ca 0.1.0: not ready\naudit: the disk is full: make room\nauthority: ready\n\
                        notice: development tokens are accepted\n";
        assert_eq!(readiness.to_string(), expected);
    }

    #[test]
    fn a_remark_is_shown_and_changes_nothing() {
        let readiness = Readiness::of("t");
        readiness.remark("ca", "no connection");
        assert_eq!(readiness.to_string(), "t: ready\nca: no connection\n");

        readiness.remark("ca", "reachable");
        assert_eq!(readiness.to_string(), "t: ready\nca: reachable\n");
    }
}
