//! A configuration as written: read and parsed, not yet understood.

use std::{cell::RefCell, collections::BTreeSet, fs, path::Path};

use toml::{Table, Value};

use super::{Environment, Faults, Section};

/// A TOML document under its environment, and all that is found wrong with it until [`Document::finish`].
#[derive(Debug)]
pub struct Document {
    table: Table,
    pub(super) environment: Environment,
    faults: RefCell<Faults>,
    known: RefCell<BTreeSet<String>>,
}

impl Document {
    /// The file at `path`; without one, the environment and the defaults alone.
    ///
    /// # Errors
    /// The one fault that the file cannot be read, or is not TOML and in which line.
    pub fn load(path: Option<&Path>, environment: Environment) -> Result<Self, Faults> {
        let Some(path) = path else { return Self::parse("configuration", "", environment) };
        let name = path.display().to_string();
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&name, &text, environment),
            Err(error) => Err(Faults::one(
                name,
                format!(
                    "cannot be read: {error} (`--config` names the file; without it, defaults and variables count)"
                ),
            )),
        }
    }

    /// A document from its text; `name` stands before its faults.
    ///
    /// # Errors
    /// The one fault that the text is not TOML, and in which line.
    pub fn parse(name: &str, text: &str, environment: Environment) -> Result<Self, Faults> {
        let table = text.parse().map_err(|error| not_toml(name, text, &error))?;
        let faults = RefCell::new(Faults::none_in(name));
        Ok(Self { table, environment, faults, known: RefCell::default() })
    }

    /// The section `[name]`; a dotted name is a nested one. A section that is absent has only defaults.
    pub fn section(&self, name: &str) -> Section<'_> {
        self.root().section(name)
    }

    /// The keys above all sections.
    pub fn root(&self) -> Section<'_> {
        Section::root(self, &self.table)
    }

    /// The sections `[[name]]`, in order. Environment variables do not reach into them.
    pub fn tables(&self, name: &str) -> Vec<Section<'_>> {
        self.root().tables(name)
    }

    /// The configuration made of this document, or every fault found in it, unknown keys and variables
    /// included.
    ///
    /// `configuration` is `None` only when a [`Section`] reported a fault while it was made.
    pub fn finish<T>(self, configuration: Option<T>) -> Result<T, Faults> {
        let known = self.known.into_inner();
        let mut faults = self.faults.into_inner();
        report_unknown(&self.table, "", &known, &mut faults);
        self.environment.report_unknown(&mut faults);
        match configuration {
            Some(configuration) if faults.is_empty() => Ok(configuration),
            _ => Err(faults),
        }
    }

    /// Whether a fault of the key at `path` was found: what stands for it then is not what was meant.
    pub fn is_faulty(&self, path: &str) -> bool {
        self.faults.borrow().has(path)
    }

    /// Adds a fault of the key at `path`, which may be one that only its use shows (a file that it names).
    pub fn fault(&self, path: &str, message: impl Into<String>) {
        self.faults.borrow_mut().push(path, message);
    }

    /// Somebody asked for `path`: it is not an unknown key.
    pub(super) fn know(&self, path: &str) {
        self.known.borrow_mut().insert(path.to_owned());
    }
}

fn not_toml(name: &str, text: &str, error: &toml::de::Error) -> Faults {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    Faults::one(name, format!("line {line} is not TOML: {}", error.message().trim()))
}

/// The path of `key` in the section at `path`.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// ` (did you mean ...?)` when one of the names known is near.
pub(super) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> String {
    let near = known.map(|known| (strsim::damerau_levenshtein(name, known), known)).min();
    match near {
        Some((distance, known)) if distance <= MOST_TYPING_ERRORS => format!(" (did you mean `{known}`?)"),
        _ => String::new(),
    }
}

/// Adds a fault for each key below `table` that nobody asked for.
fn report_unknown(table: &Table, path: &str, known: &BTreeSet<String>, faults: &mut Faults) {
    for (key, value) in table {
        let at = join(path, key);
        if !known.contains(&at) {
            faults.push(at, unknown(key, known.iter().filter_map(|known| sibling(known, path)).collect()));
            continue;
        }
        match value {
            // Of another shape than was asked for: nobody asked for what is below it.
            _ if faults.has(&at) => {}
            Value::Table(inner) => report_unknown(inner, &at, known, faults),
            Value::Array(values) => {
                for (n, inner) in
                    values.iter().enumerate().filter_map(|(n, value)| Some((n, value.as_table()?)))
                {
                    report_unknown(inner, &format!("{at}[{n}]"), known, faults);
                }
            }
            _ => {}
        }
    }
}

/// `siblings` are the keys and sections that may stand where `key` does.
fn unknown(key: &str, siblings: Vec<&str>) -> String {
    let hint = nearest(key, siblings.iter().copied());
    format!("unknown key{hint}; want one of {}", siblings.join(", "))
}

/// The name of `known` when it stands in the section at `path` itself.
fn sibling<'k>(known: &'k str, path: &str) -> Option<&'k str> {
    let name = if path.is_empty() { known } else { known.strip_prefix(path)?.strip_prefix('.')? };
    (!name.contains(['.', '['])).then_some(name)
}

/// Two slips of a finger are a typing error; three make another word.
const MOST_TYPING_ERRORS: usize = 2;
