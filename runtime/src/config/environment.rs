//! The variables of the environment that override a configuration file.

use std::{cell::RefCell, collections::BTreeMap, collections::BTreeSet, ffi::OsString};

use super::{document::nearest, faults::Faults};

/// Overrides by environment: `SIGNET_CA_ISSUING_MAX_LIFETIME` stands for `max_lifetime` in `[issuing]`.
///
/// A value is written as in the file, without quotes; a list is separated by commas. Keys inside an array of
/// tables (`[[issuer]]`) have no variable. A variable with our prefix that names no key is a fault: a typing
/// error must not be silent.
#[derive(Debug)]
pub struct Environment {
    prefix: String,
    values: BTreeMap<String, OsString>,
    known: RefCell<BTreeSet<String>>,
}

impl Environment {
    /// The variables of this process that begin with `prefix`, but for those in `others`, which mean
    /// something else (the path of the file itself, for example).
    #[allow(clippy::disallowed_methods, reason = "this is where the environment is read")]
    pub fn of_process(prefix: &str, others: &[&str]) -> Self {
        Self::of(prefix, others, std::env::vars_os())
    }

    /// The same for variables that come from elsewhere.
    pub fn of<N, V>(prefix: &str, others: &[&str], variables: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        let ours = |(name, value): (N, V)| {
            let name = name.into().into_string().ok()?;
            (name.starts_with(prefix) && !others.contains(&name.as_str())).then(|| (name, value.into()))
        };
        let values = variables.into_iter().filter_map(ours).collect();
        Self { prefix: prefix.to_owned(), values, known: RefCell::default() }
    }

    /// The text that overrides the key at `path`, or why it is no text. From now on the variable is known.
    pub(super) fn text_of(&self, path: &str) -> Option<Result<&str, String>> {
        let name = format!("{}{}", self.prefix, path.replace('.', "_").to_uppercase());
        let value = self.values.get(&name).map(|value| value.to_str());
        let text = value.map(|text| text.ok_or_else(|| format!("the variable {name} is not UTF-8")));
        self.known.borrow_mut().insert(name);
        text
    }

    /// Adds a fault for each variable that nobody asked for.
    pub(super) fn report_unknown(&self, faults: &mut Faults) {
        let known = self.known.borrow();
        for name in self.values.keys().filter(|name| !known.contains(*name)) {
            let hint = nearest(name, known.iter().map(String::as_str));
            faults.push(format!("environment variable {name}"), format!("names no setting{hint}"));
        }
    }
}
