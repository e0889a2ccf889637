//! `tls://HOST:PORT`: a TLS server, whatever it speaks within.

use std::fmt;
use std::str::FromStr;

/// Where it listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsAddress {
    host: String,
    port: u16,
}

impl TlsAddress {
    /// A DNS name or an IP address, without brackets.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for TlsAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.strip_prefix("tls://").and_then(|rest| rest.rsplit_once(':'));
        let parsed = parts.and_then(|(host, port)| Some((host, port.parse().ok()?)));
        match parsed {
            Some((host, port)) if !host.is_empty() => {
                Ok(Self { host: host.trim_matches(['[', ']']).to_owned(), port })
            }
            _ => Err(format!("`{text}` is no TLS endpoint: give e.g. tls://orders.shop.svc:8443")),
        }
    }
}

impl fmt::Display for TlsAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "tls://[{host}]:{port}") } else { write!(f, "tls://{host}:{port}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_written() {
        for text in ["tls://orders.shop.svc:8443", "tls://127.0.0.1:1", "tls://[::1]:443"] {
            assert_eq!(text.parse::<TlsAddress>().unwrap().to_string(), text);
        }
        assert_eq!("tls://[::1]:443".parse::<TlsAddress>().unwrap().host(), "::1");
    }

    #[test]
    fn what_is_no_address_is_refused_with_an_example() {
        for text in ["tls://orders", "tls://:443", "tls://orders:70000", "https://orders:443", "orders:443"] {
            assert!(text.parse::<TlsAddress>().unwrap_err().contains("tls://orders.shop.svc:8443"), "{text}");
        }
    }
}
