//! Secrets and ConfigMaps, as `kubectl get -o yaml` and `-o json` print them (JSON is YAML).

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::{Item, read};

/// An object, or a list of them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Object {
    kind: String,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    data: BTreeMap<String, String>,
    #[serde(default)]
    string_data: BTreeMap<String, String>,
    #[serde(default)]
    items: Vec<Object>,
}

#[derive(Debug, Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    namespace: Option<String>,
    #[serde(default)]
    name: String,
}

impl Object {
    /// `None` of a text that does not look like one.
    pub(super) fn of(text: &str) -> Option<Self> {
        let looks_like_one = text.trim_start().starts_with('{')
            || text.lines().any(|line| line.starts_with("kind:") || line.starts_with("apiVersion:"));
        looks_like_one.then(|| serde_saphyr::from_str(text).ok()).flatten()
    }

    /// What stands in PEM in their values.
    pub(super) fn items(&self, origin: &str) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        self.collect(origin, &mut items)?;
        ensure!(!items.is_empty(), "{origin} is a {} without PEM in any value", self.kind);
        Ok(items)
    }

    fn collect(&self, origin: &str, items: &mut Vec<Item>) -> Result<()> {
        for object in &self.items {
            object.collect(origin, items)?;
        }
        let name = self.name();
        for (key, value) in &self.data {
            let origin = format!("{origin}, {name}, {key}");
            let text = if self.kind == "Secret" { decoded(value, &origin)? } else { value.clone() };
            items.extend(read::blocks(&text, &origin)?);
        }
        for (key, value) in &self.string_data {
            items.extend(read::blocks(value, &format!("{origin}, {name}, {key}"))?);
        }
        Ok(())
    }

    /// As `secret shop/orders`.
    fn name(&self) -> String {
        let kind = self.kind.to_lowercase();
        match &self.metadata.namespace {
            Some(namespace) => format!("{kind} {namespace}/{}", self.metadata.name),
            None => format!("{kind} {}", self.metadata.name),
        }
    }
}

/// A value of a Secret. One that is no text has no PEM in it.
fn decoded(value: &str, origin: &str) -> Result<String> {
    let bare: String = value.split_whitespace().collect();
    let bytes =
        STANDARD.decode(bare).with_context(|| format!("{origin} is not base64, as `data` of a Secret is"))?;
    Ok(String::from_utf8(bytes).unwrap_or_default())
}
