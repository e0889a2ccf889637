//! Bytes, by what they look like.

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use der::asn1::AnyRef;
use der::{Decode, Reader, SliceReader, Tag, Tagged};
use rustls_pki_types::pem;

use super::{Item, Kind, kubernetes};

/// Everything in `bytes`, which came from `origin`.
pub(super) fn items(bytes: &[u8], origin: &str) -> Result<Vec<Item>> {
    ensure!(!bytes.trim_ascii().is_empty(), "{origin} is empty");
    if let Some(kind) = shape(bytes) {
        return Ok(vec![Item::alone(kind, bytes.to_vec(), origin)]);
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        bail!("{origin} is neither text nor the DER of a certificate, a CSR or a key");
    };
    if let Some(items) = of_text(text, origin)? {
        return Ok(items);
    }
    // A PEM block whose first and last line were cut off, or a value of a Secret as it stands there.
    let bare: String = text.split_whitespace().collect();
    if let Ok(decoded) = STANDARD.decode(bare) {
        if let Some(kind) = shape(&decoded) {
            return Ok(vec![Item::alone(kind, decoded, origin)]);
        }
        if let Ok(text) = std::str::from_utf8(&decoded)
            && let Some(items) = of_text(text, origin)?
        {
            return Ok(items);
        }
    }
    bail!(
        "{origin} has nothing that is known: want PEM, DER, base64 of either, or a Kubernetes Secret or ConfigMap"
    )
}

/// `None`: neither PEM nor an object of Kubernetes.
fn of_text(text: &str, origin: &str) -> Result<Option<Vec<Item>>> {
    // First, for the values of an object have PEM in them.
    if let Some(object) = kubernetes::Object::of(text) {
        return object.items(origin).map(Some);
    }
    if text.contains(BEGIN) { blocks(text, origin).map(Some) } else { Ok(None) }
}

/// The PEM blocks of a text, whatever stands around them.
pub(super) fn blocks(text: &str, origin: &str) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(BEGIN) {
        let from = rest.get(at..).unwrap_or_default();
        let place = ordinal(items.len() + 1);
        let label = from.get(BEGIN.len()..).and_then(|from| from.split("-----").next()).unwrap_or_default();
        let end = format!("-----END {label}-----");
        let length = from.find(&end).map(|at| at + end.len());
        let length =
            length.with_context(|| format!("{origin}: the {place} block, `{label}`, has no end `{end}`"))?;
        let (block, after) = from.split_at_checked(length).unwrap_or((from, ""));
        let kind = kind(label);
        // Its body matters only if the label is known; some others have headers in it.
        let der = if let Kind::Other(_) = kind {
            Vec::new()
        } else {
            decoded(block, label)
                .with_context(|| format!("{origin}: the {place} block, `{label}`, is not base64"))?
        };
        items.push(Item {
            kind,
            der,
            document: origin.to_owned(),
            origin: format!("{origin}, {place} block"),
        });
        ensure!(items.len() <= MAX_ITEMS, "{origin} has more than {MAX_ITEMS} blocks");
        rest = after;
    }
    Ok(items)
}

fn decoded(block: &str, label: &str) -> Option<Vec<u8>> {
    // As Microsoft's tools label it.
    let block = if label == "NEW CERTIFICATE REQUEST" { block.replace("NEW ", "") } else { block.to_owned() };
    let (_, der) = pem::from_buf(&mut block.as_bytes()).ok()??;
    Some(der)
}

fn kind(label: &str) -> Kind {
    match label {
        "CERTIFICATE" => Kind::Certificate,
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => Kind::Request,
        "PUBLIC KEY" => Kind::PublicKey,
        "PRIVATE KEY" | "EC PRIVATE KEY" | "RSA PRIVATE KEY" => Kind::PrivateKey,
        other => Kind::Other(other.escape_debug().to_string()),
    }
}

/// What DER is, by its outermost tags; `None` if it is none of ours.
fn shape(bytes: &[u8]) -> Option<Kind> {
    let parts = parts(bytes)?;
    let tags: Vec<_> = parts.iter().map(Tagged::tag).collect();
    match tags[..] {
        [Tag::Sequence, Tag::Sequence, Tag::BitString] => {
            // A CertificationRequestInfo ends in its attributes, [0]; a certificate has [3] there, or a key.
            let signed = inside(parts.first()?.value())?;
            let requests =
                signed.first()?.tag() == Tag::Integer && signed.last()?.tag().is_context_specific();
            Some(if requests { Kind::Request } else { Kind::Certificate })
        }
        [Tag::Sequence, Tag::BitString] => Some(Kind::PublicKey),
        [Tag::Integer, Tag::Sequence | Tag::OctetString | Tag::Integer, ..] => Some(Kind::PrivateKey),
        _ => None,
    }
}

/// The elements of the one SEQUENCE that `der` is.
fn parts(der: &[u8]) -> Option<Vec<AnyRef<'_>>> {
    let sequence = AnyRef::from_der(der).ok()?;
    if sequence.tag() != Tag::Sequence {
        return None;
    }
    inside(sequence.value())
}

fn inside(content: &[u8]) -> Option<Vec<AnyRef<'_>>> {
    let mut reader = SliceReader::new(content).ok()?;
    let mut parts = Vec::new();
    while !reader.is_finished() && parts.len() < MAX_PARTS {
        parts.push(AnyRef::decode(&mut reader).ok()?);
    }
    Some(parts)
}

/// 1st, 2nd, 3rd, 4th.
pub(super) fn ordinal(number: usize) -> String {
    let ending = match (number % 10, number % 100) {
        (1, tens) if tens != 11 => "st",
        (2, tens) if tens != 12 => "nd",
        (3, tens) if tens != 13 => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

const BEGIN: &str = "-----BEGIN ";
/// Of one input: several times the roots of an operating system.
const MAX_ITEMS: usize = 1_000;
/// Of a certificate or a key: real ones have about ten.
const MAX_PARTS: usize = 32;
