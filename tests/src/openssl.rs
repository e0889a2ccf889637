//! The machine's `openssl`, as an opinion that does not come from our own libraries.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use signet::stage::Stage;

/// Verifies a chain, leaf first, under these roots, as strictly as it can (`-x509_strict`: RFC 5280 to the letter).
pub fn verify_strictly(stage: &Stage, chain: &str, roots: &str) -> Result<()> {
    let chain = stage.write("chain.pem", chain)?;
    let roots = stage.write("roots.pem", roots)?;
    let verify = ["verify", "-x509_strict", "-purpose", "sslserver"];
    let output = run(Command::new("openssl")
        .args(verify)
        .arg("-CAfile")
        .arg(roots)
        .arg("-untrusted")
        .arg(&chain)
        .arg(&chain))?;
    ensure!(
        output.status.success(),
        "openssl refuses the chain:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// The serial of the first certificate in a PEM text, as Envoy writes it too: lower-case hex, two digits a byte.
pub fn serial(stage: &Stage, pem: &str) -> Result<String> {
    let file = stage.write("certificate.pem", pem)?;
    let output = run(Command::new("openssl").args(["x509", "-noout", "-serial", "-in"]).arg(file))?;
    let text = String::from_utf8(output.stdout)?;
    let serial = text.trim().strip_prefix("serial=").with_context(|| format!("openssl says {text:?}"))?;
    Ok(serial.to_lowercase())
}

/// Begins TLS with 127.0.0.1:`port` and shows no certificate.
pub fn connect_without_certificate(port: u16) -> Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port)).to_string();
    run(Command::new("openssl").args(["s_client", "-connect", &address]))?;
    Ok(())
}

fn run(command: &mut Command) -> Result<Output> {
    command.stdin(Stdio::null()).output().context("these tests need `openssl`: install it")
}

#[cfg(test)]
mod tests {
    use signet::stage::Stage;

    use super::*;

    /// One serial in sixteen begins with a zero, which no run of these tests may depend on.
    #[test]
    fn a_serial_is_told_by_whole_bytes() {
        let stage = Stage::set().unwrap();
        let key = stage.directory().join("key.pem");
        for expected in ["0a12", "f1a2"] {
            let made = run(Command::new("openssl")
                .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
                .args(["-subj", "/CN=anything", "-set_serial", &format!("0x{expected}"), "-keyout"])
                .arg(&key))
            .unwrap();
            let pem = String::from_utf8(made.stdout).unwrap();
            assert_eq!(serial(&stage, &pem).unwrap(), expected);
        }
    }
}
