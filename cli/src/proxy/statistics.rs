//! What Envoy counts about each secret.

use std::collections::BTreeMap;

/// By the name that statistics give a secret.
#[derive(Debug, Default)]
pub(super) struct Statistics(BTreeMap<String, Counted>);

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Counted {
    /// Version of the last update that was accepted; empty: none was, or it came without one.
    pub(super) accepted: String,
    pub(super) rejected: u64,
}

impl Statistics {
    /// From `/stats`: `sds.default.update_rejected: 1`, `sds.default.version_text: "7"`.
    pub(super) fn read(page: &str) -> Self {
        let mut all = BTreeMap::<_, Counted>::new();
        for line in page.lines() {
            let Some((name, value)) = line.strip_prefix("sds.").and_then(|line| line.split_once(": ")) else {
                continue;
            };
            if let Some(name) = name.strip_suffix(".version_text") {
                all.entry(name.to_owned()).or_default().accepted = value.trim_matches('"').to_owned();
            } else if let Some(name) = name.strip_suffix(".update_rejected") {
                all.entry(name.to_owned()).or_default().rejected = value.parse().unwrap_or_default();
            }
        }
        Self(all)
    }

    /// Of a secret. A colon in its name is an underscore in statistics.
    pub(super) fn of(&self, name: &str) -> Counted {
        self.0.get(&name.replace(':', "_")).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_have_dots_and_colons() {
        let page = "sds.spiffe_//td.test/a.version_text: \"v1\"\nsds.spiffe_//td.test/a.update_rejected: 2\nserver.live: 1\n";
        let counted = Statistics::read(page).of("spiffe://td.test/a");
        assert_eq!(counted, Counted { accepted: "v1".to_owned(), rejected: 2 });
        assert_eq!(Statistics::read(page).of("default"), Counted::default());
    }
}
