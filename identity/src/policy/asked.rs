//! The names that a refused CSR asked for, as far as a log should repeat them.

use std::fmt;

/// What is kept of the names in a refused CSR: the first four, each escaped and cut to 256 bytes, and how
/// many there were. A refusal is logged and audited, and its sender chose every byte of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedNames {
    shown: Vec<String>,
    count: usize,
}

impl AskedNames {
    pub(super) fn of(names: &[String]) -> Self {
        Self { shown: names.iter().take(MAX_SHOWN).map(|name| excerpt(name)).collect(), count: names.len() }
    }
}

/// As `"spiffe://a/b", "spiffe://c/d" and 14 more`.
impl fmt::Display for AskedNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, name) in self.shown.iter().enumerate() {
            let separator = if place == 0 { "" } else { ", " };
            write!(f, "{separator}\"{name}\"")?;
        }
        match self.count - self.shown.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// What could garble a line is escaped first, so that the bound holds for what is written.
fn excerpt(name: &str) -> String {
    let mut excerpt = String::new();
    for character in name.chars().map(char::escape_debug) {
        if excerpt.len() + character.len() > MAX_NAME_BYTES {
            return excerpt + "…";
        }
        excerpt.extend(character);
    }
    excerpt
}

const MAX_SHOWN: usize = 4;
const MAX_NAME_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_as_far_as_they_fit() {
        let long = "a".repeat(300);
        let cut = format!("\"{}…\"", "a".repeat(256));
        for (case, names, shown) in [
            ("one", vec!["spiffe://a/b"], "\"spiffe://a/b\""),
            ("four", vec!["a", "b", "c", "d"], "\"a\", \"b\", \"c\", \"d\""),
            ("six", vec!["a", "b", "c", "d", "e", "f"], "\"a\", \"b\", \"c\", \"d\" and 2 more"),
            ("a line break and a quote", vec!["a\n\""], "\"a\\n\\\"\""),
            ("too long", vec![&long], &cut),
        ] {
            let names: Vec<_> = names.into_iter().map(str::to_owned).collect();
            assert_eq!(AskedNames::of(&names).to_string(), shown, "{case}");
        }
    }
}
