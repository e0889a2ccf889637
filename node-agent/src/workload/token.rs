//! Proof by token: from the stream itself, or from a file.

use std::path::PathBuf;

use signet_client::{Token, TokenError};
use tonic::metadata::MetadataMap;

/// Where the identity of a socket's workloads comes from. One source per socket, and no other is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentitySource {
    /// Each stream brings its own token in its metadata.
    StreamToken,
    /// All streams are the workload whose token is in this file, which is read whenever a token is needed.
    ///
    /// Whoever can connect gets that identity, so such a socket is private and names its peers.
    TokenFile(PathBuf),
}

/// The one token in a stream's metadata, under whichever names and in whichever forms proxies send it.
///
/// The same token twice is one token; two that differ are refused, since nobody can tell which one is meant.
pub(crate) fn stream_token(metadata: &MetadataMap) -> Result<Option<Token>, TokenFault> {
    let mut found: Option<(&'static str, Token)> = None;
    for (header, values) in presented(metadata) {
        for value in values {
            let token = parse(&value).map_err(|fault| TokenFault::Malformed { header, fault })?;
            match &found {
                Some((first, known)) if *known != token => {
                    return Err(TokenFault::Several { first, second: header });
                }
                Some(_) => {}
                None => found = Some((header, token)),
            }
        }
    }
    Ok(found.map(|(_, token)| token))
}

/// Each header's values. gRPC clients send a `-bin` value in base64; a proxy whose configuration holds the
/// token as a static header sends it as it is. A JWT has dots, and base64 has none, which tells them apart.
fn presented(metadata: &MetadataMap) -> impl Iterator<Item = (&'static str, Vec<Vec<u8>>)> {
    let binary = BINARY_HEADERS.into_iter().map(|header| {
        let values = metadata.get_all_bin(header).iter().map(|value| {
            value.to_bytes().map_or_else(|_| value.as_encoded_bytes().to_vec(), |bytes| bytes.to_vec())
        });
        (header, values.collect())
    });
    let text = TEXT_HEADERS.into_iter().map(|header| {
        (header, metadata.get_all(header).iter().map(|value| value.as_bytes().to_vec()).collect())
    });
    binary.chain(text)
}

/// `Bearer ` may stand before the token, and white space around it: proxies send a file as it is.
fn parse(value: &[u8]) -> Result<Token, TokenError> {
    let value = value.trim_ascii();
    let (scheme, rest) =
        value.split_at(value.iter().position(u8::is_ascii_whitespace).unwrap_or(value.len()));
    let bare = if scheme.eq_ignore_ascii_case(SCHEME) { rest.trim_ascii() } else { value };
    let text = str::from_utf8(bare)
        .map_err(|error| TokenError::IllegalCharacter { position: error.valid_up_to() })?;
    Token::new(text)
}

/// Why a stream's metadata holds no token that could be used. The text is shown to the proxy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenFault {
    /// Different tokens.
    #[error(
        "the stream has two different tokens, under `{first}` and `{second}`; configure the proxy to send one"
    )]
    Several {
        /// Where the first one was.
        first: &'static str,
        /// Where the other one was.
        second: &'static str,
    },
    /// No token at all.
    #[error("the value of `{header}` is no token: {fault}")]
    Malformed {
        /// Where it was.
        header: &'static str,
        /// What is wrong with it.
        fault: TokenError,
    },
}

/// As Istio sends it since 1.2, and as 1.1 misspelt it.
const BINARY_HEADERS: [&str; 2] = ["istio_sds_credentials_header-bin", "istio_sds_credentail_header-bin"];
/// As everybody else does.
const TEXT_HEADERS: [&str; 1] = ["authorization"];
/// RFC 6750 §2.1; the case of a scheme does not matter (RFC 9110 §11.1).
const SCHEME: &[u8] = b"Bearer";

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};
    use signet_client::MAX_TOKEN_BYTES;

    use super::*;

    const JWT: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln";
    /// `JWT` in base64, as gRPC sends binary metadata.
    const JWT_BINARY: &str = "ZXlKaGJHY2lPaUpTVXpJMU5pSjkuZXlKemRXSWlPaUpoSW4wLmMybG4";

    fn metadata(headers: &[(&'static str, &str)]) -> MetadataMap {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        MetadataMap::from_headers(map)
    }

    #[test]
    fn a_token_is_found_under_every_name_and_in_every_form() {
        let [new, old] = BINARY_HEADERS;
        let wanted = Token::new(JWT).unwrap();
        let padded = format!("{JWT_BINARY}=");
        let bearer = format!("Bearer {JWT}");
        let lower_case = format!("bearer {JWT}");
        for (name, headers) in [
            ("binary", vec![(new, JWT_BINARY)]),
            ("binary, padded", vec![(new, padded.as_str())]),
            ("binary, as 1.1 spelt it", vec![(old, JWT_BINARY)]),
            ("text under the binary name", vec![(new, JWT)]),
            ("bearer text under the binary name", vec![(old, bearer.as_str())]),
            ("authorization", vec![("authorization", bearer.as_str())]),
            ("authorization, another case", vec![("authorization", lower_case.as_str())]),
            ("authorization without a scheme", vec![("authorization", JWT)]),
            ("the same token everywhere", vec![(new, JWT_BINARY), (old, JWT), ("authorization", &bearer)]),
            ("the same token twice under one name", vec![(new, JWT_BINARY), (new, JWT_BINARY)]),
        ] {
            let token = stream_token(&metadata(&headers)).unwrap();
            assert_eq!(token.as_ref(), Some(&wanted), "{name}");
        }
    }

    #[test]
    fn a_newline_at_the_end_of_the_proxys_token_file_is_no_part_of_it() {
        let mut map = MetadataMap::new();
        let value = tonic::metadata::MetadataValue::from_bytes(format!("{JWT}\n").as_bytes());
        map.insert_bin(BINARY_HEADERS[0], value);
        assert_eq!(stream_token(&map).unwrap(), Some(Token::new(JWT).unwrap()));
    }

    #[test]
    fn a_stream_without_these_headers_has_no_token() {
        assert!(stream_token(&metadata(&[("x-token", JWT)])).unwrap().is_none());
    }

    #[test]
    fn two_different_tokens_are_refused_and_both_places_named() {
        let [new, old] = BINARY_HEADERS;
        for headers in [[(new, JWT_BINARY), ("authorization", "other")], [(new, JWT), (old, "an.other.one")]]
        {
            let fault = stream_token(&metadata(&headers)).unwrap_err().to_string();
            assert!(headers.iter().all(|(name, _)| fault.contains(name)), "{fault}");
        }
        let twice = metadata(&[("authorization", "one"), ("authorization", "two")]);
        assert!(matches!(stream_token(&twice), Err(TokenFault::Several { .. })));
    }

    #[test]
    fn what_can_be_no_token_is_refused() {
        let long = "a".repeat(MAX_TOKEN_BYTES + 1);
        for (name, value) in [
            ("empty", ""),
            ("a scheme alone", "Bearer "),
            ("another scheme", "Basic dXNlcjpwYXNz"),
            ("too long", long.as_str()),
        ] {
            let fault = stream_token(&metadata(&[("authorization", value)]));
            assert!(matches!(fault, Err(TokenFault::Malformed { .. })), "{name}: {fault:?}");
        }
        let garbage = metadata(&[(BINARY_HEADERS[0], "AAECAwQ=")]);
        assert!(matches!(stream_token(&garbage), Err(TokenFault::Malformed { .. })), "binary garbage");
    }
}
