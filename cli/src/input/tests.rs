//! Whatever people have at hand.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;
use signet_identity::testing::TestAuthority;
use signet_identity::{CertificateRequest, Clock, PrivateKey, certificate_pem};
use signet_runtime::SystemClock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

#[test]
fn the_same_certificate_is_read_in_every_form() {
    let certificate = certificate();
    let pem = certificate_pem(&certificate);
    let base64 = STANDARD.encode(&certificate);
    let (first, rest) = base64.split_at(64);
    let lines = format!("{first}\n{rest}\n");
    let secret = format!(
        "kind: Secret\nmetadata: {{name: orders, namespace: shop}}\ndata:\n  tls.crt: {}\n",
        STANDARD.encode(&pem)
    );
    let value = serde_json::Value::from(pem.as_str());
    let map =
        format!(r#"{{"kind": "ConfigMap", "metadata": {{"name": "roots"}}, "data": {{"ca.crt": {value}}}}}"#);
    let list = format!(r#"{{"kind": "List", "items": [{map}]}}"#);
    for (name, bytes, origin) in [
        ("PEM", pem.clone().into_bytes(), "it, 1st block"),
        ("PEM with text around it", format!("subject=x\n{pem}\n").into_bytes(), "it, 1st block"),
        ("DER", certificate.to_vec(), "it"),
        ("base64 of DER", base64.clone().into_bytes(), "it"),
        ("base64 in lines", lines.into_bytes(), "it"),
        ("base64 of PEM", STANDARD.encode(&pem).into_bytes(), "it, 1st block"),
        ("a Secret", secret.into_bytes(), "it, secret shop/orders, tls.crt, 1st block"),
        ("a ConfigMap", map.into_bytes(), "it, configmap roots, ca.crt, 1st block"),
        ("a list", list.into_bytes(), "it, configmap roots, ca.crt, 1st block"),
    ] {
        let items = read::items(&bytes, "it").unwrap();
        let [item] = &items[..] else { panic!("{name}: {items:?}") };
        assert_eq!((&item.kind, &item.der[..]), (&Kind::Certificate, &certificate[..]), "{name}");
        assert_eq!(item.origin, origin, "{name}");
    }
}

#[test]
fn things_are_told_apart_by_their_labels_and_by_their_shape() {
    let key = PrivateKey::generate().unwrap();
    let request = CertificateRequest::pem(&key, &"spiffe://td.test/ns/a/sa/b".parse().unwrap()).unwrap();
    let key_pem = key.to_pkcs8_pem();
    for (pem, kind) in [
        (certificate_pem(&certificate()), Kind::Certificate),
        (request.clone(), Kind::Request),
        (request.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"), Kind::Request),
        (key_pem.to_string(), Kind::PrivateKey),
    ] {
        let in_pem = &read::items(pem.as_bytes(), "it").unwrap()[0];
        let in_der = &read::items(&in_pem.der, "it").unwrap()[0];
        assert_eq!((&in_pem.kind, &in_der.kind), (&kind, &kind), "{pem}");
    }
    let other = "-----BEGIN X509 CRL-----\nAQID\n-----END X509 CRL-----\n";
    assert_eq!(read::items(other.as_bytes(), "it").unwrap()[0].kind, Kind::Other("X509 CRL".to_owned()));
}

#[test]
fn what_cannot_be_read_is_named_and_what_is_wanted() {
    let pem = certificate_pem(&certificate());
    let secret = |data: &str| format!("kind: Secret\nmetadata: {{name: s}}\ndata: {{{data}}}\n");
    for (bytes, said) in [
        (&b""[..], "it is empty"),
        (b" \n", "it is empty"),
        (b"hello", "want PEM, DER, base64 of either, or a Kubernetes Secret"),
        (&[0xff, 0xfe, 0], "neither text nor the DER"),
        (pem.split("-----END").next().unwrap().as_bytes(), "the 1st block, `CERTIFICATE`, has no end"),
        (pem.replace("MI", "M!").as_bytes(), "the 1st block, `CERTIFICATE`, is not base64"),
        (secret("a: YQ==").as_bytes(), "it is a Secret without PEM in any value"),
        (secret("a: '!'").as_bytes(), "secret s, a is not base64"),
    ] {
        let error = format!("{:#}", read::items(bytes, "it").unwrap_err());
        assert!(error.contains(said), "{error}");
    }
}

#[tokio::test]
async fn what_is_there_instead_of_a_certificate_is_named_and_no_key_is_shown() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.pem");
    let key = PrivateKey::generate().unwrap().to_pkcs8_pem().to_string();
    std::fs::write(&path, &key).unwrap();
    let error = Source::File(path).certificates().await.unwrap_err().to_string();
    assert!(error.contains("no certificate in") && error.contains("it has a private key"), "{error}");
    assert!(!error.contains(key.lines().nth(1).unwrap()), "{error}");

    let here = Source::File(directory.path().to_owned()).read().await.unwrap_err().to_string();
    assert!(here.ends_with("is a directory: name a file in it"), "{here}");
    let nowhere = Source::File("/nonexistent/a.pem".into()).read().await.unwrap_err();
    assert!(format!("{nowhere:#}").contains("cannot read /nonexistent/a.pem: No such file"), "{nowhere:#}");
}

#[test]
fn everything_is_bounded() {
    let long = std::io::Cursor::new(vec![b'a'; MAX_BYTES + 1]);
    assert!(bounded(long, "it").unwrap_err().to_string().contains("longer than 4194304 bytes"));
    let block = "-----BEGIN A-----\n-----END A-----\n";
    assert!(read::items(block.repeat(1_000).as_bytes(), "it").is_ok());
    let error = read::items(block.repeat(1_001).as_bytes(), "it").unwrap_err().to_string();
    assert!(error.contains("more than 1000 blocks"), "{error}");
}

#[tokio::test]
async fn a_document_is_fetched_and_an_error_page_is_none() {
    for (status, body, held) in
        [("200 OK", certificate_pem(&certificate()), true), ("404 Not Found", String::new(), false)]
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/chain.pem", listener.local_addr().unwrap());
        let answer =
            format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _request = stream.read(&mut [0; 1024]).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        };
        let source: Source = url.parse().unwrap();
        let (read, ()) = tokio::join!(source.certificates(), serve);
        assert_eq!(read.is_ok(), held, "{status}");
        if let Err(error) = read {
            assert!(error.to_string().contains("answered with HTTP status 404"), "{error}");
        }
    }
}

#[tokio::test]
async fn nobody_at_a_tls_address_is_said_at_once() {
    let free = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap();
    let source: Source = format!("tls://{free}").parse().unwrap();
    let error = format!("{:#}", source.read().await.unwrap_err());
    assert!(error.contains("cannot connect to tls://127.0.0.1:") && error.contains("refused"), "{error}");
}

#[test]
fn a_scheme_that_is_not_read_is_a_fault_of_the_command_line() {
    assert!("ftp://a/b".parse::<Source>().unwrap_err().contains("want http, https or tls"));
    assert!(matches!("-".parse(), Ok(Source::StandardInput)));
    assert!(matches!("a/b.pem".parse(), Ok(Source::File(_))));
}

fn certificate() -> CertificateDer<'static> {
    TestAuthority::new("td.test", SystemClock.now()).certificate().der().clone()
}
