//! When a Vault counts as away, and as back.

use super::*;

#[tokio::test]
async fn whoever_is_in_a_hurry_proves_no_outage_and_whoever_was_patient_does() {
    let vault = Between::alone(|_, _| Act::Silence).await;
    for (setting, patience, is_away) in [
        ("", Duration::from_millis(100), false),
        ("", Duration::from_millis(1100), true),
        ("timeout = '100ms'", PATIENCE, true),
    ] {
        let client = client(&[vault.port], setting);
        for outcome in join_all((0..3).map(|_| ask(&client, Instant::now() + patience))).await {
            assert!(matches!(outcome, Err(VaultError::TimedOut { .. })), "{outcome:?}");
        }
        assert_eq!(client.away().is_some(), is_away, "{setting} {patience:?}");
    }
}

#[tokio::test]
async fn a_probe_whose_caller_goes_away_leaves_room_for_another() {
    let vault = Between::alone(|_, _| Act::error(503, "", "Vault is sealed")).await;
    let client = client(&[vault.port], "");
    ask(&client, soon()).await.unwrap_err();
    tokio::time::sleep(Duration::from_millis(500)).await;
    vault.play(|_, _| Act::Silence);
    assert!(timeout(Duration::from_millis(300), ask(&client, soon())).await.is_err());
    assert_eq!(vault.seen().len(), 1, "it was the probe");

    vault.play(|_, _| good());

    ask(&client, soon()).await.unwrap();
}

#[tokio::test]
async fn a_vault_that_is_away_is_asked_by_one_and_everybody_is_told_why() {
    let vault = Between::alone(|_, _| Act::error(503, "", "Vault is sealed")).await;
    let client = client(&[vault.port], "");
    assert!(matches!(ask(&client, soon()).await, Err(VaultError::Sealed { .. })));

    let outcomes = join_all((0..50).map(|_| ask(&client, soon()))).await;

    assert_eq!(vault.seen().len(), 1);
    for outcome in outcomes {
        assert!(
            matches!(&outcome, Err(VaultError::Away(cause)) if matches!(**cause, VaultError::Sealed { .. })),
            "{outcome:?}"
        );
    }
    assert!(client.away().is_some());
}

#[tokio::test]
async fn a_vault_that_is_back_is_found_by_itself() {
    let (bao, path) = (Bao::start().await, "sys/mounts".to_owned());
    let client = client(&[bao.port], "");
    let request = Request { method: RequestMethod::GET, path, body: Zeroizing::default() };
    bao.seal().await;
    let sealed = client.ask::<Value>(&request, Some("none"), soon()).await.map(drop);
    assert!(matches!(sealed, Err(VaultError::Sealed { .. })), "{sealed:?}");

    bao.unseal().await;

    let back = async {
        while !matches!(
            client.ask::<Value>(&request, Some("none"), soon()).await,
            Err(VaultError::Denied { .. })
        ) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, back).await.unwrap();
    assert!(client.away().is_none());
}

#[tokio::test]
async fn a_vault_that_nobody_runs_is_told_from_one_that_is_slow() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let outcome = ask(&client(&[nobody], ""), soon()).await;
    let told = signet_runtime::telemetry::chain(&outcome.unwrap_err()).to_string();
    assert!(told.contains("cannot reach Vault at"), "{told}");
    let (metrics, thrice) = (recorder.handle().render(), "requests_total{outcome=\"unreachable\"} 3");
    assert!(metrics.contains(thrice), "until it counts as away: {metrics}");
}
