//! One section of a configuration, asked for its keys one by one.

use std::{fmt::Debug, ops::RangeInclusive};

use toml::{Table, Value};

use super::{Document, Setting, document::join};

/// The keys of one table. Every fault is kept by the document, with the path of its key; the section goes on.
#[derive(Clone, Debug)]
pub struct Section<'d> {
    document: &'d Document,
    path: String,
    table: Option<&'d Table>,
    overridable: bool,
}

impl<'d> Section<'d> {
    pub(super) fn root(document: &'d Document, table: &'d Table) -> Self {
        Self { document, path: String::new(), table: Some(table), overridable: true }
    }

    /// The key's value. `None`: it is absent or no `T`, and the document has the fault.
    pub fn required<T: Setting>(&self, key: &str) -> Option<T> {
        match self.scalar(key) {
            Some(Ok(text)) => self.parsed(key, &text),
            Some(Err(fault)) => self.refused(key, fault),
            None => self.refused(key, "is required, and absent"),
        }
    }

    /// The key's value, or `default` when it is absent. A faulty value gives the default too, and a fault.
    pub fn optional<T: Setting>(&self, key: &str, default: T) -> T {
        self.maybe(key).unwrap_or(default)
    }

    /// The key's value, if it is there. A faulty value gives `None` too, and a fault.
    pub fn maybe<T: Setting>(&self, key: &str) -> Option<T> {
        match self.scalar(key)? {
            Ok(text) => self.parsed(key, &text),
            Err(fault) => self.refused(key, fault),
        }
    }

    /// The key's value, or `default`; outside `range` it is a fault.
    pub fn within<T>(&self, key: &str, default: T, range: RangeInclusive<T>) -> T
    where
        T: Setting + PartialOrd + Debug,
    {
        let value = self.optional(key, default);
        if !range.contains(&value) {
            self.fault(
                key,
                format!("{value:?} is out of bounds (want {:?} to {:?})", range.start(), range.end()),
            );
        }
        value
    }

    /// The values of a list, or none. From a variable: separated by commas.
    pub fn list<T: Setting>(&self, key: &str) -> Vec<T> {
        let values = match self.override_of(key) {
            Some(text) => text.map(|text| text.split(',').map(|item| Ok(item.trim().to_owned())).collect()),
            None => match self.value(key) {
                None => return Vec::new(),
                Some(Value::Array(values)) => Ok(values.iter().map(text_of).collect()),
                Some(_) => Err("want a list, in `[` and `]`".to_owned()),
            },
        };
        let values: Vec<Result<String, String>> = values.unwrap_or_else(|fault| vec![Err(fault)]);
        values
            .into_iter()
            .filter_map(|text| text.map_or_else(|f| self.refused(key, f), |t| self.parsed(key, &t)))
            .collect()
    }

    /// The section `[name]` within this one; a dotted name goes deeper.
    pub fn section(&self, name: &str) -> Section<'d> {
        let (name, deeper) = name.split_once('.').map_or((name, None), |(name, rest)| (name, Some(rest)));
        let table = match self.value(name) {
            Some(Value::Table(table)) => Some(table),
            Some(_) => self.refused(name, format!("want a section, `[{}]`", join(&self.path, name))),
            None => None,
        };
        let section = Section { table, path: join(&self.path, name), ..self.clone() };
        deeper.map_or_else(|| section.clone(), |deeper| section.section(deeper))
    }

    /// The sections `[[name]]` within this one, in order.
    pub fn tables(&self, name: &str) -> Vec<Section<'d>> {
        let at = join(&self.path, name);
        let values = match self.value(name) {
            Some(Value::Array(values)) => values.as_slice(),
            Some(_) => {
                self.refused(name, format!("want sections, each begun by `[[{at}]]`")).unwrap_or_default()
            }
            None => &[],
        };
        let numbered = values.iter().enumerate().map(|(n, value)| (format!("{at}[{n}]"), value));
        numbered.map(|(path, value)| self.element(path, value)).collect()
    }

    /// Reports a fault of `key` that only the asker can see (two keys that contradict each other, say).
    pub fn fault(&self, key: &str, message: impl Into<String>) {
        self.document.fault(&join(&self.path, key), message);
    }

    fn element(&self, path: String, value: &'d Value) -> Section<'d> {
        if !value.is_table() {
            self.document.fault(&path, "want a section");
        }
        Section { document: self.document, path, table: value.as_table(), overridable: false }
    }

    /// The text of a single value, from the variable or the file; `None`: absent from both.
    fn scalar(&self, key: &str) -> Option<Result<String, String>> {
        self.override_of(key).or_else(|| self.value(key).map(text_of))
    }

    fn override_of(&self, key: &str) -> Option<Result<String, String>> {
        self.document.know(&join(&self.path, key));
        let text = self.overridable.then(|| self.document.environment.text_of(&join(&self.path, key)))??;
        Some(text.map(str::to_owned))
    }

    fn value(&self, key: &str) -> Option<&'d Value> {
        self.document.know(&join(&self.path, key));
        self.table?.get(key)
    }

    fn parsed<T: Setting>(&self, key: &str, text: &str) -> Option<T> {
        T::parse(text).map_err(|fault| self.fault(key, fault)).ok()
    }

    fn refused<T>(&self, key: &str, fault: impl Into<String>) -> Option<T> {
        self.fault(key, fault);
        None
    }
}

/// A value as it would be written in a variable.
fn text_of(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Array(_) => Err("want one value, not a list".to_owned()),
        Value::Table(_) => Err("want one value, not a section".to_owned()),
        other => Ok(other.to_string()),
    }
}
