//! PEM: writing it, and reading a text that must be one block and nothing else (RFC 7468).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The one block of `text`, whose label must be among `labels`. White space around it is allowed, any
/// other text is not: what surrounds a block was signed by nobody.
pub(crate) fn only_block(text: &str, labels: &[&'static str]) -> Result<Vec<u8>, PemError> {
    let rest = text.trim_ascii().strip_prefix("-----BEGIN ").ok_or(PemError::NotPem)?;
    let (label, rest) = rest.split_once("-----").ok_or(PemError::NotPem)?;
    let label = *labels.iter().find(|expected| **expected == label).ok_or(PemError::WrongLabel)?;
    let (body, end) = rest.split_once("-----END ").ok_or(PemError::NoEnd)?;
    let after = end.strip_prefix(label).and_then(|end| end.strip_prefix("-----")).ok_or(PemError::NoEnd)?;
    if after.contains("-----BEGIN ") {
        return Err(PemError::SeveralBlocks);
    }
    if !after.is_empty() {
        return Err(PemError::Trailing);
    }
    let mut base64 = Vec::with_capacity(body.len());
    for line in body.lines() {
        base64.extend_from_slice(line.trim_ascii().as_bytes());
    }
    STANDARD.decode(base64).map_err(|_| PemError::NotBase64)
}

/// A certificate as one `CERTIFICATE` block.
pub fn certificate_pem(der: &[u8]) -> String {
    encode("CERTIFICATE", der)
}

/// One block with lines of 64 characters, ending in '\n'. Allocates once, so that a secret is not left
/// behind in a smaller buffer.
pub(crate) fn encode(label: &str, der: &[u8]) -> String {
    let frame = "-----BEGIN -----\n-----END -----\n".len() + 2 * label.len();
    let body = 4 * der.len().div_ceil(3) + der.len().div_ceil(BYTES_A_LINE);
    let mut pem = String::with_capacity(frame + body);
    pem.push_str("-----BEGIN ");
    pem.push_str(label);
    pem.push_str("-----\n");
    for line in der.chunks(BYTES_A_LINE) {
        STANDARD.encode_string(line, &mut pem);
        pem.push('\n');
    }
    pem.push_str("-----END ");
    pem.push_str(label);
    pem.push_str("-----\n");
    pem
}

/// Why a text is not the one PEM block that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// It does not begin with a block.
    #[error("it does not begin with `-----BEGIN `")]
    NotPem,
    /// The block is of another kind.
    #[error("its label is another one")]
    WrongLabel,
    /// The block is not closed by the label that opened it.
    #[error("it is not closed by an `-----END` of the same label")]
    NoEnd,
    /// A second block follows.
    #[error("it has more than one block")]
    SeveralBlocks,
    /// Something follows the block.
    #[error("it goes on after its block")]
    Trailing,
    /// What the block holds is not base64.
    #[error("its body is not base64")]
    NotBase64,
}

const BYTES_A_LINE: usize = 48;

#[cfg(test)]
mod tests {
    use super::*;

    const LABEL: &str = "CERTIFICATE REQUEST";

    #[test]
    fn what_is_written_is_read_back() {
        for length in [0, 1, 47, 48, 49, 500] {
            let der: Vec<u8> = (0..length).map(|i| i as u8).collect();
            let pem = encode(LABEL, &der);
            assert_eq!(only_block(&pem, &[LABEL]), Ok(der), "{length} bytes");
            assert_eq!(pem.len(), pem.capacity(), "{length} bytes: written without growing");
        }
    }

    #[test]
    fn other_line_lengths_and_line_ends_are_read() {
        let block = |body: &str| format!("-----BEGIN {LABEL}-----{body}-----END {LABEL}-----");
        for (name, body) in
            [("CRLF", "\r\nAQID\r\n"), ("one line", "\nAQID\n"), ("short lines", "\nAQ\nID\n")]
        {
            assert_eq!(only_block(&block(body), &[LABEL]), Ok(vec![1, 2, 3]), "{name}");
        }
        assert_eq!(only_block(&format!("\n{}\r\n \n", block("\nAQID\n")), &[LABEL]), Ok(vec![1, 2, 3]));
    }

    #[test]
    fn anything_but_one_block_is_refused() {
        let block = encode(LABEL, &[1, 2, 3]);
        let table = [
            ("nothing", String::new(), PemError::NotPem),
            ("DER", "0\u{1}\u{2}".to_owned(), PemError::NotPem),
            ("text before", format!("Subject:\n{block}"), PemError::NotPem),
            ("another label", encode("CERTIFICATE", &[1]), PemError::WrongLabel),
            ("no end", block.replace("END", "AND"), PemError::NoEnd),
            ("another end", block.replace("END CERTIFICATE", "END"), PemError::NoEnd),
            ("two blocks", format!("{block}{block}"), PemError::SeveralBlocks),
            ("text after", format!("{block}x"), PemError::Trailing),
            ("a hole", block.replace("AQID", "AQ D"), PemError::NotBase64),
            ("a header", block.replace("AQID", "Proc-Type: 4\n\nAQID"), PemError::NotBase64),
        ];
        for (name, text, refusal) in table {
            assert_eq!(only_block(&text, &[LABEL]), Err(refusal), "{name}");
        }
    }
}
