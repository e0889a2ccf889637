//! What the client does about addresses, answers and time.

mod away;
mod nodes;

use std::{
    net::{Ipv4Addr, TcpListener},
    time::Duration,
};

use futures_util::future::join_all;
use metrics_exporter_prometheus::PrometheusBuilder;
use rustify::enums::RequestMethod;
use serde_json::Value;
use tokio::time::{Instant, timeout};
use zeroize::Zeroizing;

use super::{
    PATIENCE,
    bao::{Bao, write_private},
    between::{Act, Between},
    client, config, soon,
};
use crate::vault::{VaultClient, VaultError, request::Request};

fn request() -> Request {
    let path = "pki/sign/signet-workload".to_owned();
    Request { method: RequestMethod::POST, path, body: Zeroizing::new(b"{}".to_vec()) }
}

async fn ask(client: &VaultClient, deadline: Instant) -> Result<Value, VaultError> {
    let answer = client.ask::<Value>(&request(), Some("s.secret"), deadline).await?;
    Ok(answer.data.unwrap_or_default())
}

fn good() -> Act {
    Act::answer(200, "", r#"{"request_id":"r","data":{"good":true}}"#)
}

#[tokio::test]
async fn a_request_is_what_vault_expects() {
    let vault = Between::alone(|_, _| good()).await;
    let address = format!("address = ['http://127.0.0.1:{}/a/prefix']\nnamespace = 'team/mesh'", vault.port);
    let auth = "auth.method = 'token-file'\nauth.token_file = '/none'";
    let client = VaultClient::new(config(&format!("{address}\n{auth}")), "t").unwrap();

    ask(&client, soon()).await.unwrap();

    let seen = vault.seen().remove(0);
    assert_eq!(seen.body, "{}");
    for part in [
        "POST /a/prefix/v1/pki/sign/signet-workload HTTP/1.1\r\n",
        "x-vault-namespace: team/mesh\r\n",
        "x-vault-request: true\r\n",
        "x-vault-token: s.secret\r\n",
        "content-type: application/json\r\n",
    ] {
        assert!(seen.head.contains(part), "{part} in {}", seen.head);
    }
}

/// Each once, and the second attempt is answered.
#[tokio::test]
async fn what_passes_is_tried_again_and_nothing_else() {
    let at = |status| Act::error(status, "", "as it was told");
    for (fault, attempts) in [
        (at(500), 2),
        (at(502), 2),
        (at(503), 2),
        (at(412), 2),
        (at(429), 2),
        (Act::HangUp, 2),
        (Act::Answer("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_owned()), 2),
        (at(400), 1),
        (at(403), 1),
        (at(404), 1),
        (at(405), 1),
        (at(413), 1),
        (at(501), 1),
        (Act::answer(200, "", "<html>"), 1),
    ] {
        let told = format!("{fault:?}");
        let vault = Between::alone(move |_, before| if before == 0 { fault.clone() } else { good() }).await;

        let outcome = ask(&client(&[vault.port], ""), soon()).await;

        assert_eq!(vault.seen().len(), attempts, "{told}");
        assert_eq!(outcome.is_ok(), attempts > 1, "{told}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_retry_waits_as_long_as_vault_asks_for() {
    let vault = Between::alone(|_, before| match before {
        0 => Act::error(429, "retry-after: 1\r\n", "quota"),
        _ => good(),
    })
    .await;
    let began = Instant::now();

    ask(&client(&[vault.port], ""), soon()).await.unwrap();

    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_wait_beyond_the_deadline_is_not_waited() {
    for (status, label) in [(429, "rate_limited"), (500, "failing")] {
        for seconds in [60, u64::MAX] {
            let retry_after = format!("retry-after: {seconds}\r\n");
            let vault = Between::alone(move |_, _| Act::error(status, &retry_after, "quota")).await;

            let outcome =
                timeout(PATIENCE, ask(&client(&[vault.port], ""), soon() + PATIENCE)).await.unwrap();

            assert_eq!(outcome.unwrap_err().label(), label, "{seconds} s");
            assert_eq!(vault.seen().len(), 1);
        }
    }
}

#[tokio::test]
async fn attempts_become_rare_the_more_there_were() {
    let vault = Between::alone(|_, _| Act::error(500, "", "etcd is away")).await;

    ask(&client(&[vault.port], ""), Instant::now() + Duration::from_secs(2)).await.unwrap_err();

    let attempts = vault.seen().len();
    assert!((2..20).contains(&attempts), "{attempts}");
}

#[tokio::test]
async fn whoever_runs_out_of_time_in_a_later_attempt_is_told_what_the_one_before_failed_of() {
    let vault = Between::alone(|_, before| match before {
        0 => Act::error(500, "", "etcd is away"),
        _ => Act::Silence,
    })
    .await;

    let outcome = ask(&client(&[vault.port], ""), Instant::now() + Duration::from_millis(800)).await;

    assert!(matches!(&outcome, Err(VaultError::Failing { status: 500, .. })), "{outcome:?}");
}

#[tokio::test]
async fn an_answer_is_no_longer_than_a_megabyte() {
    let body = format!(r#"{{"data":"{}"}}"#, "x".repeat(1 << 20));
    let vault = Between::alone(move |_, _| Act::answer(200, "", &body)).await;

    let outcome = ask(&client(&[vault.port], ""), soon()).await;

    assert!(matches!(&outcome, Err(VaultError::Nonsense { reason, .. }) if reason.contains("longer than")));
}

#[tokio::test]
async fn an_attempt_ends_with_its_time_or_the_callers() {
    let vault = Between::alone(|_, _| Act::Silence).await;
    for (setting, deadline) in [("timeout = '300ms'", PATIENCE), ("", Duration::from_millis(300))] {
        let began = Instant::now();
        let outcome = ask(&client(&[vault.port], setting), began + deadline).await;
        assert!(matches!(outcome, Err(VaultError::TimedOut { .. })), "{outcome:?}");
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    }
    let late = ask(&client(&[vault.port], ""), Instant::now()).await;
    assert!(matches!(late, Err(VaultError::NoTime)), "{late:?}");
}

#[tokio::test]
async fn a_token_never_follows_a_redirect() {
    let elsewhere = Between::alone(|_, _| good()).await;
    let location = format!("location: http://127.0.0.1:{}/v1/pki/sign/signet-workload\r\n", elsewhere.port);
    let standby = Between::alone(move |_, _| Act::answer(307, &location, "")).await;

    let outcome = ask(&client(&[standby.port], ""), soon()).await;

    let port = elsewhere.port.to_string();
    assert!(matches!(&outcome, Err(VaultError::Redirected { to, .. }) if to.contains(&port)), "{outcome:?}");
    assert_eq!(elsewhere.seen().len(), 0);
}

#[tokio::test]
async fn one_more_than_may_wait_is_turned_away_and_a_place_comes_back() {
    let vault = Between::alone(|_, _| Act::Silence).await;
    let client = client(&[vault.port], "concurrency = 1\nqueue = 1");
    let under_way = ask(&client, soon());
    let waits = ask(&client, Instant::now() + Duration::from_millis(200));
    let mut both = Box::pin(async { tokio::join!(under_way, waits) });
    assert!(timeout(Duration::from_millis(100), &mut both).await.is_err());

    let outcome = ask(&client, soon()).await;
    assert!(matches!(outcome, Err(VaultError::Overloaded { queue: 1 })), "{outcome:?}");

    assert!(timeout(Duration::from_millis(400), &mut both).await.is_err(), "the first goes on");
    // The one who waited had no time left; the one under way is dropped.
    drop(both);
    vault.play(|_, _| good());
    for outcome in join_all((0..2).map(|_| ask(&client, soon()))).await {
        outcome.expect("one may wait again");
    }
}

#[tokio::test]
async fn nothing_is_under_way_when_its_caller_is_gone() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let vault = Between::alone(|_, _| Act::Silence).await;
    let client = client(&[vault.port], "queue = 0\nconcurrency = 1");

    let dropped = timeout(Duration::from_millis(200), ask(&client, soon())).await;
    assert!(dropped.is_err());

    let metrics = recorder.handle().render();
    assert!(metrics.contains("t_vault_requests_in_flight 0"), "{metrics}");
}

#[tokio::test]
async fn every_outcome_is_counted() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let vault = Between::alone(|_, before| match before {
        0 => good(),
        1 => Act::error(403, "", "permission denied"),
        2 => Act::error(503, "", "Vault is sealed"),
        _ => Act::Silence,
    })
    .await;
    let client = client(&[vault.port], "concurrency = 1\nqueue = 0");
    for _ in 0..4 {
        let _outcome = ask(&client, soon()).await;
    }

    let metrics = recorder.handle().render();
    for outcome in ["answered", "denied", "sealed", "away"] {
        let line = format!("t_vault_requests_total{{outcome=\"{outcome}\"}} 1");
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
    assert!(metrics.contains("t_vault_available 0"), "{metrics}");
}

#[tokio::test]
async fn a_server_is_trusted_as_soon_as_the_pinned_file_has_its_authority() {
    let bao = Bao::start_tls().await;
    let ca_file = bao.directory.path().join("pinned.pem");
    let theirs = bao.directory.path().join("vault-ca.pem");
    let other = rcgen::generate_simple_self_signed(["other".to_owned()]).unwrap();
    std::fs::write(&ca_file, other.cert.pem()).unwrap();
    let lines = format!(
        "address = ['https://127.0.0.1:{}']\nca_file = '{}'\n\
         auth.method = 'token-file'\nauth.token_file = '/none'",
        bao.port,
        ca_file.display()
    );
    let client = VaultClient::new(config(&lines), "t").unwrap();
    let outcome = ask(&client, soon()).await;
    assert!(matches!(outcome, Err(VaultError::NotTrusted { .. })), "{outcome:?}");

    std::fs::copy(&theirs, &ca_file).unwrap();

    let trusted = async {
        while !matches!(ask(&client, soon()).await, Err(VaultError::Denied { .. })) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, trusted).await.unwrap();
}

#[tokio::test]
async fn a_file_for_tls_that_holds_something_else_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let pair = rcgen::generate_simple_self_signed(["ours".to_owned()]).unwrap();
    let (certificate, key) = (pair.cert.pem(), pair.signing_key.serialize_pem());
    for (file, ca, certificate, key) in [
        ("ca.pem", "text", certificate.as_str(), key.as_str()),
        ("ours.pem", certificate.as_str(), "text", key.as_str()),
        ("ours.key", certificate.as_str(), certificate.as_str(), "text"),
    ] {
        for (name, content) in [("ca.pem", ca), ("ours.pem", certificate), ("ours.key", key)] {
            write_private(path(name).as_ref(), content);
        }
        let lines = format!(
            "address = ['https://127.0.0.1:1']\nca_file = '{}'\nclient_certificate_file = '{}'\n\
             client_key_file = '{}'\nauth.method = 'cert'",
            path("ca.pem"),
            path("ours.pem"),
            path("ours.key")
        );
        let refused = VaultClient::new(config(&lines), "t").map(drop).unwrap_err();
        assert!(refused.to_string().contains(&format!("{} holds no ", path(file))), "{refused}");
    }
}
