//! The extensions of a certificate (RFC 5280 §4.2), each as a word or two.

use std::fmt::{self, Display};
use std::net::{Ipv4Addr, Ipv6Addr};

use der::Decode;
use der::oid::{AssociatedOid, ObjectIdentifier};
use serde::Serialize;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::constraints::name::GeneralSubtree;
use x509_cert::ext::pkix::name::{GeneralName, GeneralNames};
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, NameConstraints,
    SubjectAltName, SubjectKeyIdentifier,
};

use super::{escaped, hex, line};

/// Those that matter to a mesh by name, and the others by their identifiers.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Extensions {
    /// As `URI:spiffe://td/ns/a/sa/b`.
    names: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    key_usage: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    extended_key_usage: Vec<String>,
    /// `CA:TRUE`, `CA:TRUE, pathlen:0`, or `CA:FALSE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    basic_constraints: Option<String>,
    /// As `only URI:.example`, `not DNS:b.example`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    name_constraints: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject_key_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authority_key_id: Option<String>,
    /// Identifiers of extensions that are none of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    others: Vec<String>,
    /// Names of those that are critical.
    critical: Vec<String>,
    /// Names of those whose value cannot be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    malformed: Vec<String>,
    #[serde(skip)]
    is_ca: bool,
}

impl Extensions {
    pub(crate) fn of(extensions: &[Extension]) -> Self {
        let mut all = Self::default();
        for extension in extensions {
            let name = name(extension.extn_id);
            if all.read(extension, &name).is_err() {
                all.malformed.push(name.clone());
            }
            if extension.critical {
                all.critical.push(name);
            }
        }
        all
    }

    /// Whether basicConstraints say that it is a CA's.
    pub(super) fn is_ca(&self) -> bool {
        self.is_ca
    }

    /// What it is best known by.
    pub(crate) fn first_name(&self) -> Option<&String> {
        self.names.first()
    }

    fn read(&mut self, extension: &Extension, name: &str) -> der::Result<()> {
        let value = extension.extn_value.as_bytes();
        match extension.extn_id {
            SubjectAltName::OID => {
                let SubjectAltName(names) = SubjectAltName::from_der(value)?;
                self.names = shown(&names);
            }
            KeyUsage::OID => self.key_usage = usages(KeyUsage::from_der(value)?),
            ExtendedKeyUsage::OID => {
                let ExtendedKeyUsage(uses) = ExtendedKeyUsage::from_der(value)?;
                self.extended_key_usage = uses.iter().map(|id| purpose(*id)).collect();
            }
            BasicConstraints::OID => {
                let constraints = BasicConstraints::from_der(value)?;
                self.is_ca = constraints.ca;
                let length = constraints.path_len_constraint.map(|length| format!(", pathlen:{length}"));
                let ca = if constraints.ca { "CA:TRUE" } else { "CA:FALSE" };
                self.basic_constraints = Some(format!("{ca}{}", length.unwrap_or_default()));
            }
            NameConstraints::OID => {
                let constraints = NameConstraints::from_der(value)?;
                let below = |trees: Option<Vec<GeneralSubtree>>| {
                    trees.unwrap_or_default().iter().map(|tree| one_name(&tree.base)).collect::<Vec<_>>()
                };
                let permitted = below(constraints.permitted_subtrees);
                let excluded = below(constraints.excluded_subtrees);
                self.name_constraints = permitted.iter().map(|name| format!("only {name}")).collect();
                self.name_constraints.extend(excluded.iter().map(|name| format!("not {name}")));
            }
            SubjectKeyIdentifier::OID => {
                let SubjectKeyIdentifier(id) = SubjectKeyIdentifier::from_der(value)?;
                self.subject_key_id = Some(hex(id.as_bytes()));
            }
            AuthorityKeyIdentifier::OID => {
                let id = AuthorityKeyIdentifier::from_der(value)?.key_identifier;
                self.authority_key_id = id.map(|id| hex(id.as_bytes()));
            }
            _ => self.others.push(name.to_owned()),
        }
        Ok(())
    }

    fn mark(&self, name: &str) -> &'static str {
        if self.critical.iter().any(|critical| critical == name) { " (critical)" } else { "" }
    }
}

impl Display for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, name) in self.names.iter().enumerate() {
            let mark = self.mark("subjectAltName");
            line(f, if place == 0 { "names" } else { "" }, &format!("{name}{mark}"))?;
        }
        let listed = |list: &[&str], name: &str| format!("{}{}", list.join(", "), self.mark(name));
        if !self.key_usage.is_empty() {
            line(f, "usage", &listed(&self.key_usage, "keyUsage"))?;
        }
        if !self.extended_key_usage.is_empty() {
            let purposes: Vec<_> = self.extended_key_usage.iter().map(String::as_str).collect();
            line(f, "purposes", &listed(&purposes, "extendedKeyUsage"))?;
        }
        for (label, value, name) in [
            ("constraints", self.basic_constraints.as_deref(), "basicConstraints"),
            ("key id", self.subject_key_id.as_deref(), "subjectKeyIdentifier"),
            ("signer's id", self.authority_key_id.as_deref(), "authorityKeyIdentifier"),
        ] {
            if let Some(value) = value {
                line(f, label, &format!("{value}{}", self.mark(name)))?;
            }
        }
        for constraint in &self.name_constraints {
            let uri = constraint.contains(" URI:");
            let note = if uri { ": rustls peers refuse every SVID under it" } else { "" };
            line(f, "names below", &format!("{constraint}{note}{}", self.mark("nameConstraints")))?;
        }
        for other in &self.others {
            line(f, "extension", &format!("{other}{}", self.mark(other)))?;
        }
        for malformed in &self.malformed {
            line(f, "malformed", malformed)?;
        }
        Ok(())
    }
}

fn shown(names: &GeneralNames) -> Vec<String> {
    names.iter().map(one_name).collect()
}

fn one_name(name: &GeneralName) -> String {
    match name {
        GeneralName::UniformResourceIdentifier(uri) => format!("URI:{}", escaped(&uri.as_str())),
        GeneralName::DnsName(name) => format!("DNS:{}", escaped(&name.as_str())),
        GeneralName::Rfc822Name(address) => format!("email:{}", escaped(&address.as_str())),
        GeneralName::IpAddress(bytes) => {
            let bytes = bytes.as_bytes();
            match (<[u8; 4]>::try_from(bytes), <[u8; 16]>::try_from(bytes)) {
                (Ok(v4), _) => format!("IP:{}", Ipv4Addr::from(v4)),
                (_, Ok(v6)) => format!("IP:{}", Ipv6Addr::from(v6)),
                _ => format!("IP:{}", hex(bytes)),
            }
        }
        GeneralName::DirectoryName(name) => format!("directory:{}", escaped(name)),
        GeneralName::RegisteredId(id) => format!("id:{id}"),
        GeneralName::OtherName(_) | GeneralName::EdiPartyName(_) => "another kind of name".to_owned(),
    }
}

fn usages(usage: KeyUsage) -> Vec<&'static str> {
    let name = |usage| match usage {
        KeyUsages::DigitalSignature => "digitalSignature",
        KeyUsages::NonRepudiation => "nonRepudiation",
        KeyUsages::KeyEncipherment => "keyEncipherment",
        KeyUsages::DataEncipherment => "dataEncipherment",
        KeyUsages::KeyAgreement => "keyAgreement",
        KeyUsages::KeyCertSign => "keyCertSign",
        KeyUsages::CRLSign => "cRLSign",
        KeyUsages::EncipherOnly => "encipherOnly",
        KeyUsages::DecipherOnly => "decipherOnly",
    };
    usage.0.into_iter().map(name).collect()
}

fn purpose(id: ObjectIdentifier) -> String {
    match id.to_string().as_str() {
        "1.3.6.1.5.5.7.3.1" => "serverAuth".to_owned(),
        "1.3.6.1.5.5.7.3.2" => "clientAuth".to_owned(),
        "1.3.6.1.5.5.7.3.3" => "codeSigning".to_owned(),
        "1.3.6.1.5.5.7.3.4" => "emailProtection".to_owned(),
        "1.3.6.1.5.5.7.3.8" => "timeStamping".to_owned(),
        "1.3.6.1.5.5.7.3.9" => "OCSPSigning".to_owned(),
        other => other.to_owned(),
    }
}

fn name(id: ObjectIdentifier) -> String {
    match id {
        SubjectAltName::OID => "subjectAltName".to_owned(),
        KeyUsage::OID => "keyUsage".to_owned(),
        ExtendedKeyUsage::OID => "extendedKeyUsage".to_owned(),
        BasicConstraints::OID => "basicConstraints".to_owned(),
        NameConstraints::OID => "nameConstraints".to_owned(),
        SubjectKeyIdentifier::OID => "subjectKeyIdentifier".to_owned(),
        AuthorityKeyIdentifier::OID => "authorityKeyIdentifier".to_owned(),
        other => other.to_string(),
    }
}
