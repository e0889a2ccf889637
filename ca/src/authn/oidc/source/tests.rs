//! What an issuer's server may answer, and what is made of it.

use std::path::PathBuf;

use signet_identity::jwt::MAX_JWKS_BYTES;
use signet_runtime::telemetry::chain;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::testing::{HttpServer, ISSUER, issuer, ok};

fn url(server: &HttpServer) -> Source {
    Source::Url { url: server.base.parse().unwrap(), fetcher: Fetcher::default() }
}

fn discovery(server: &HttpServer) -> Source {
    Source::Discovery {
        base: server.base.parse().unwrap(),
        fetcher: Fetcher::default(),
        transport: Transport::Secure,
    }
}

fn document(issuer: &str, jwks_uri: &str) -> String {
    format!(r#"{{"issuer": "{issuer}", "jwks_uri": "{jwks_uri}", "response_types_supported": ["id_token"]}}"#)
}

#[tokio::test]
async fn discovery_leads_to_the_key_set() {
    let key_server = HttpServer::start(&issuer().jwks_json()).await;
    let server = HttpServer::start(&document(ISSUER, &key_server.base)).await;

    let keys = discovery(&server).document(&mut HttpClient::default(), ISSUER).await.unwrap();

    assert!(discovery(&server).keys(&keys, DevelopmentKeys::Accepted).is_ok());
    assert!(server.requests()[0].starts_with("GET /.well-known/openid-configuration HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_discovery_document_that_cannot_be_trusted_is_refused() {
    for (case, body, message) in [
        ("no JSON", "<html>".to_owned(), "is no OpenID discovery document"),
        ("no key set", format!(r#"{{"issuer": "{ISSUER}"}}"#), "is no OpenID discovery document"),
        (
            "another issuer",
            document("https://other.example", "https://k"),
            "speaks for the issuer `https://other",
        ),
        ("a slash more", document("https://issuer.example/", "https://k"), "speaks for the issuer"),
        ("keys without TLS", document(ISSUER, "http://keys.example/"), "want an https URL"),
        ("keys in a file", document(ISSUER, "file:///etc/passwd"), "want an https URL"),
    ] {
        let server = HttpServer::start(&body).await;

        let error = discovery(&server).document(&mut HttpClient::default(), ISSUER).await.unwrap_err();

        assert!(error.to_string().contains(message), "{case}: {error}");
    }
}

#[tokio::test]
async fn an_answer_that_is_no_bounded_document_is_refused() {
    let redirect = "HTTP/1.1 302 Found\r\nlocation: https://elsewhere.example/\r\ncontent-length: 0\r\n\r\n";
    for (case, response, message) in [
        ("unauthorized", "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n".to_owned(), "status 401"),
        ("a redirect", redirect.to_owned(), "status 302"),
        (
            "without length, and too long",
            "HTTP/1.0 200 OK\r\n\r\n".to_owned() + &" ".repeat(2 << 20),
            "is longer",
        ),
        ("half", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{".to_owned(), "cannot fetch"),
    ] {
        let server = HttpServer::start("").await;
        server.answer_with(response);

        let error = url(&server).document(&mut HttpClient::default(), ISSUER).await.unwrap_err();

        assert!(error.to_string().contains(message), "{case}: {error}");
    }
}

#[tokio::test]
async fn a_server_without_an_answer_is_named_once_and_with_the_remedy() {
    let source = Source::Url { url: "http://127.0.0.1:1/keys".parse().unwrap(), fetcher: Fetcher::default() };

    let error = source.document(&mut HttpClient::default(), ISSUER).await.unwrap_err();

    let error = chain(&error).to_string();
    assert_eq!(error.matches("127.0.0.1:1/keys").count(), 1, "{error}");
    assert!(error.contains("check the address") && error.contains("`ca_file`"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();

    let error = Source::Url { url, fetcher: Fetcher::default() }
        .document(&mut HttpClient::default(), ISSUER)
        .await
        .unwrap_err();

    let error = chain(&error).to_string();
    assert!(error.contains("timed out"), "{error}");
}

#[tokio::test]
async fn the_bearer_token_is_read_for_each_fetch() {
    let directory = tempfile::tempdir().unwrap();
    let token_file = directory.path().join("token");
    let (server, pem) = HttpServer::start_tls("{}").await;
    let ca_file = directory.path().join("ca.crt");
    std::fs::write(&ca_file, pem).unwrap();
    let fetcher = Fetcher { ca_file: Some(ca_file), bearer_token_file: Some(token_file.clone()) };
    for token in ["first", "second"] {
        std::fs::write(&token_file, format!("{token}\n")).unwrap();

        fetcher.get(&mut HttpClient::default(), &server.base.parse().unwrap()).await.unwrap();

        assert!(server.requests().last().unwrap().contains(&format!("authorization: Bearer {token}\r\n")));
    }
}

/// Wherever a discovery document points, and in development too.
#[tokio::test]
async fn the_bearer_token_goes_to_no_server_that_is_not_proven() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "secret").unwrap();
    let (_, pem) = HttpServer::start_tls("{}").await;
    let ca_file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(ca_file.path(), pem).unwrap();
    let server = HttpServer::start("{}").await;
    let token = || Some(file.path().to_owned());
    for (case, ca_file) in [("without TLS", Some(ca_file.path().to_owned())), ("without `ca_file`", None)] {
        let fetcher = Fetcher { ca_file, bearer_token_file: token() };

        fetcher.get(&mut HttpClient::default(), &server.base.parse().unwrap()).await.unwrap();

        assert!(!server.requests().last().unwrap().contains("authorization"), "{case}");
    }
}

#[tokio::test]
async fn a_server_is_trusted_under_the_authority_that_is_configured_and_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let ca_file = directory.path().join("ca.crt");
    let (server, own) = HttpServer::start_tls("{}").await;
    let (_, other) = HttpServer::start_tls("{}").await;
    let url = server.base.parse().unwrap();
    let client = &mut HttpClient::default();
    for (case, pem, trusted) in
        [("its own", &own, true), ("another", &other, false), ("its own again", &own, true)]
    {
        std::fs::write(&ca_file, pem).unwrap();
        let fetcher = Fetcher { ca_file: Some(ca_file.clone()), ..Fetcher::default() };

        assert_eq!(fetcher.get(client, &url).await.is_ok(), trusted, "{case}");
    }
    assert!(Fetcher::default().get(client, &url).await.is_err(), "the operating system does not know it");
}

/// A server that gives every request of a connection the same answer, the next of `answers` for each
/// connection.
async fn answers_by_connection(answers: &'static [&'static str]) -> Url {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    #[allow(clippy::disallowed_methods, reason = "ends with the connections, or with the test")]
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 4096];
            while stream.read(&mut asked).await.is_ok_and(|length| length > 0) {
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    });
    url
}

/// A client made anew would come by a second connection, which nobody accepts.
#[tokio::test]
async fn one_client_fetches_again_and_again() {
    let url = answers_by_connection(&["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"]).await;
    let (fetcher, client) = (Fetcher::default(), &mut HttpClient::default());

    for _ in 0..3 {
        assert_eq!(fetcher.get(client, &url).await.unwrap(), b"{}");
    }
}

/// One made before the operating system had its authorities would fail for ever. The old one would come by
/// the first connection again.
#[tokio::test]
async fn a_fetch_that_failed_is_followed_by_one_with_a_new_client() {
    let url = answers_by_connection(&[
        "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
    ])
    .await;
    let (fetcher, client) = (Fetcher::default(), &mut HttpClient::default());
    fetcher.get(client, &url).await.unwrap_err();

    assert_eq!(fetcher.get(client, &url).await.unwrap(), b"{}");
}

#[tokio::test]
async fn the_largest_key_set_is_fetched_and_read_and_a_byte_more_is_refused() {
    let keys = issuer().jwks_json();
    let padded = |bytes: usize| keys.clone() + &" ".repeat(bytes - keys.len());
    let server = HttpServer::start(&padded(MAX_JWKS_BYTES)).await;
    let source = url(&server);

    let document = source.document(&mut HttpClient::default(), ISSUER).await.unwrap();

    assert!(source.keys(&document, DevelopmentKeys::Accepted).is_ok());
    server.answer_with(ok(&padded(MAX_JWKS_BYTES + 1)));
    let error = source.document(&mut HttpClient::default(), ISSUER).await.unwrap_err();
    assert!(error.to_string().contains("is longer than 1048576 bytes"), "{error}");
}

#[test]
fn keys_travel_by_tls_or_within_the_machine() {
    for (url, secure, any) in [
        ("https://issuer.example/keys", true, true),
        ("http://issuer.example/keys", false, true),
        ("http://127.0.0.1:8080/", true, true),
        ("http://127.8.8.8/", true, true),
        ("http://[::1]:8080/", true, true),
        ("http://localhost/", true, true),
        ("http://localhost.example/", false, true),
        ("http://127.0.0.1.example/", false, true),
        ("file:///etc/passwd", false, false),
        ("ftp://127.0.0.1/", false, false),
    ] {
        let parsed = url.parse().unwrap();
        assert_eq!(Transport::Secure.allows(&parsed), secure, "{url}");
        assert_eq!(Transport::Any.allows(&parsed), any, "{url} in development");
    }
}

#[test]
fn files_are_judged_without_asking_a_server() {
    let missing = || Some(PathBuf::from("/nonexistent/file"));
    let empty = tempfile::NamedTempFile::new().unwrap();
    let at = |ca_file, bearer_token_file| Source::Url {
        url: "https://issuer.example".parse().unwrap(),
        fetcher: Fetcher { ca_file, bearer_token_file },
    };
    let with_ca_file = |path: &std::path::Path| at(Some(path.to_owned()), None);
    for (case, source, faults) in [
        ("no file", at(None, None), &[][..]),
        ("key file", Source::File("/nonexistent/file".into()), &[("jwks_file", "cannot read /nonexistent")]),
        ("empty key file", Source::File(empty.path().into()), &[("jwks_file", "is no usable key set")]),
        ("empty authority", with_ca_file(empty.path()), &[("ca_file", "no certificate")]),
        (
            "authority and token",
            at(missing(), missing()),
            &[("ca_file", "cannot read"), ("bearer_token_file", "cannot read")],
        ),
    ] {
        let judged = source.judge_files(DevelopmentKeys::Refused);

        let judged = judged.into_iter().map(|(key, error)| (key, error.to_string())).collect::<Vec<_>>();
        assert_eq!(judged.len(), faults.len(), "{case}: {judged:?}");
        let alike = |((key, error), (wanted, part)): (&(&str, String), &(&str, &str))| {
            key == wanted && error.contains(part)
        };
        assert!(judged.iter().zip(faults).all(alike), "{case}: {judged:?}");
    }
}
