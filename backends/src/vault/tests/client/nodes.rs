//! A Vault of several nodes.

use super::*;

#[tokio::test]
async fn of_several_nodes_the_one_that_serves_is_asked_first_next_time() {
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let active = Between::alone(|_, _| good()).await;
    for passive in [
        Act::answer(307, &format!("location: http://127.0.0.1:{}/v1\r\n", active.port), ""),
        Act::error(503, "", "Vault is sealed"),
        Act::error(503, "", "node is not active"),
    ] {
        let told = format!("{passive:?}");
        let other = Between::alone(move |_, _| passive.clone()).await;
        let client = client(&[nobody, other.port, active.port], "");
        for _ in 0..3 {
            ask(&client, soon()).await.unwrap();
        }
        assert_eq!(other.seen().len(), 1, "{told}");
    }
}

#[tokio::test]
async fn of_nodes_that_all_fail_the_one_is_told_of_that_says_most() {
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let sealed = Between::alone(|_, _| Act::error(503, "", "Vault is sealed")).await;
    let standby = Between::alone(|_, _| Act::error(503, "", "node is not active")).await;
    for (ports, label) in [
        ([sealed.port, nobody], "sealed"),
        ([nobody, sealed.port], "sealed"),
        ([standby.port, nobody], "unreachable"),
        ([nobody, standby.port], "unreachable"),
    ] {
        let soon = Instant::now() + Duration::from_millis(300);
        let outcome = ask(&client(&ports, ""), soon).await.unwrap_err();
        let outcome = if let VaultError::Away(cause) = &outcome { cause } else { &outcome };
        assert_eq!(outcome.label(), label);
    }
}

#[tokio::test]
async fn what_one_node_refuses_no_other_is_asked() {
    let other = Between::alone(|_, _| good()).await;
    for status in [400, 403, 404, 501] {
        let one = Between::alone(move |_, _| Act::error(status, "", "no")).await;
        ask(&client(&[one.port, other.port], ""), soon()).await.unwrap_err();
    }
    assert_eq!(other.seen().len(), 0);
}

#[tokio::test]
async fn a_node_that_says_nothing_is_not_asked_first_again() {
    let silent = Between::alone(|_, _| Act::Silence).await;
    let active = Between::alone(|_, _| good()).await;
    let client = client(&[silent.port, active.port], "");
    let first = ask(&client, Instant::now() + Duration::from_millis(1500)).await;
    assert!(matches!(&first, Err(VaultError::TimedOut { .. })), "{first:?}");

    ask(&client, Instant::now() + Duration::from_millis(1500)).await.unwrap();

    assert_eq!(silent.seen().len(), 1);
}

/// What it lacks, storage or peers or a backend of its proxy, another node may have.
#[tokio::test]
async fn a_node_that_fails_or_hangs_up_is_left_for_the_next_one_at_once() {
    for fault in [
        Act::error(500, "", "local node not active but active cluster node not found"),
        Act::error(502, "", "no backend"),
        Act::error(503, "retry-after: 60\r\n", "no backend"),
        Act::HangUp,
        Act::Answer("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_owned()),
    ] {
        let told = format!("{fault:?}");
        let failing = Between::alone(move |_, _| fault.clone()).await;
        let serving = Between::alone(|_, _| good()).await;
        let client = client(&[failing.port, serving.port], "");

        for _ in 0..3 {
            ask(&client, soon()).await.unwrap();
        }

        assert_eq!((failing.seen().len(), serving.seen().len()), (1, 3), "{told}");
    }
}
