//! What an operator and an orchestrator see.

use bytes::Bytes;
use signet_proto::istio::v1::auth::istio_certificate_service_client::IstioCertificateServiceClient;
use tonic::{Code, Status};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::{
    connections::{head, http2},
    csr::{self, WEB},
    house::{House, ISSUER, eventually, request},
};

/// As gRPC frames it.
const EMPTY_MESSAGE: Bytes = Bytes::from_static(&[0; 5]);

#[tokio::test]
async fn a_ca_with_an_issuer_becomes_ready_and_says_that_it_is_for_development() {
    let house = House::open().await;

    let page = eventually(&house, "/readyz", "200 OK").await;

    assert!(page.contains("notice: development mode") && page.contains("authority: ready"), "{page}");
}

#[tokio::test]
async fn a_ca_without_keys_of_any_issuer_is_not_ready_and_says_why() {
    for (case, issuers, reason) in [
        ("no issuer", "", "issuer: none is configured"),
        (
            "a dead one",
            "[[issuer]]\nurl = 'https://a'\njwks_url = 'http://127.0.0.1:1/'",
            "cannot fetch http://127.0.0.1:1/",
        ),
    ] {
        let house = House::with_issuers(issuers, "").await;

        let page = eventually(&house, "/readyz", reason).await;

        assert!(page.contains("503 Service Unavailable"), "{case}: {page}");
        let status = house.ask(&csr::with_uris(&[WEB])).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{case}: the token is of neither");
    }
}

#[tokio::test]
async fn a_token_cannot_be_judged_while_its_issuer_is_away() {
    let away = format!("[[issuer]]\nurl = '{ISSUER}'\njwks_url = 'http://127.0.0.1:1/'");
    let house = House::with_issuers(&away, "").await;

    let status = house.ask(&csr::with_uris(&[WEB])).await.unwrap_err();

    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(!status.message().contains("127.0.0.1"), "{status:?}");
}

#[tokio::test]
async fn reflection_shows_what_is_served_and_nothing_else() {
    let house = House::open().await;
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(house.channel().await);

    let answers = client.server_reflection_info(tokio_stream::once(request)).await.unwrap();

    let answer = answers.into_inner().message().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(list) = answer else { panic!("{answer:?}") };
    let mut services: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    services.sort();
    let served =
        ["grpc.health.v1.Health", "istio.v1.auth.IstioCertificateService", "signet.v1.TrustBundleService"];
    assert_eq!(services, served);
}

#[tokio::test]
async fn what_is_not_served_is_unimplemented() {
    const OK_BUT_FOR_A_TOKEN: Code = Code::Unauthenticated;
    let house = House::open().await;
    let mut requests = http2(&house).await;
    for (case, path, code) in [
        ("our method", "istio.v1.auth.IstioCertificateService/CreateCertificate", OK_BUT_FOR_A_TOKEN),
        ("another method", "istio.v1.auth.IstioCertificateService/RevokeCertificate", Code::Unimplemented),
        ("no method", "istio.v1.auth.IstioCertificateService", Code::Unimplemented),
        ("too long a path", "istio.v1.auth.IstioCertificateService/CreateCertificate/1", Code::Unimplemented),
        ("a look-alike", "istio.v1.auth.IstioCertificateServiceX/CreateCertificate", Code::Unimplemented),
        ("another case", "istio.v1.auth.istiocertificateservice/CreateCertificate", Code::Unimplemented),
        ("another service", "istio.v1.auth.Certificates/CreateCertificate", Code::Unimplemented),
        ("another method of health", "grpc.health.v1.Health/List", Code::Unimplemented),
        ("nothing", "", Code::Unimplemented),
    ] {
        requests = requests.ready().await.unwrap();
        let (answer, mut body) = requests.send_request(head(&house, path), false).unwrap();
        body.send_data(EMPTY_MESSAGE, true).unwrap();

        let answer = answer.await.unwrap();

        let status = Status::from_header_map(answer.headers()).map(|status| status.code());
        assert_eq!(status, Some(code), "{case}: {answer:?}");
    }
}

#[tokio::test]
async fn what_was_issued_and_refused_is_counted() {
    let house = House::open().await;
    house.ask(&csr::with_uris(&[WEB])).await.unwrap();
    house.ask("").await.unwrap_err();
    house.bundle().await;

    for series in [
        "signet_ca_issuances_total{outcome=\"issued\"} ",
        "signet_ca_refused_total{reason=\"csr\"} ",
        "signet_ca_request_seconds_bucket{",
        "signet_ca_trust_bundle_answers_total ",
        "signet_ca_token_cache_total{result=\"miss\"} ",
        "signet_ca_issuer_key_loads_total{outcome=\"changed\"} ",
        "signet_ca_authority_expires_timestamp_seconds ",
    ] {
        eventually(&house, "/metrics", series).await;
    }
    let loaded = format!("signet_ca_issuer_keys_loaded_timestamp_seconds{{issuer=\"{ISSUER}\"}} ");
    eventually(&house, "/metrics", &loaded).await;
}

#[tokio::test]
async fn health_is_serving_until_the_ca_drains() {
    let house = House::open().await;
    let channel = house.channel().await;
    let mut watches = Vec::new();
    for service in ["", "istio.v1.auth.IstioCertificateService", "signet.v1.TrustBundleService"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let mut watch = HealthClient::new(channel.clone()).watch(request).await.unwrap().into_inner();
        assert_eq!(watch.message().await.unwrap().unwrap().status, 1, "{service:?} is SERVING");
        watches.push((service, watch));
    }

    house.stop.cancel();

    for (service, mut watch) in watches {
        assert_eq!(watch.message().await.unwrap().unwrap().status, 2, "{service:?} is NOT_SERVING");
    }
}

#[tokio::test]
async fn a_stopped_ca_takes_no_new_connection_and_comes_up_with_the_same_root() {
    let house = House::open().await;
    let (address, root) = (house.grpc, house.root());
    let token = house.token();
    let mut client = IstioCertificateServiceClient::new(house.channel().await);

    let directory = house.close().await;

    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    let status = client.create_certificate(request(&token, "", 0)).await.unwrap_err();
    assert!(matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled), "{status:?}");
    let again = std::fs::read_to_string(directory.path().join("state/root-cert.pem")).unwrap();
    assert_eq!(again, root);
}
