//! What is accepted, and how what is not is told.

use std::time::Duration;

use super::*;
use crate::workload::token::IdentitySource;

fn read(text: &str) -> Result<Config, Faults> {
    Config::read(document_of(text, &[]))
}

fn read_with(text: &str, variables: &[(&str, &str)]) -> Result<Config, Faults> {
    Config::read(document_of(text, variables))
}

fn document_of(text: &str, variables: &[(&str, &str)]) -> Document {
    let environment = Environment::of(ENVIRONMENT_PREFIX, &[CONFIG_VARIABLE], variables.iter().copied());
    Document::parse("agent.toml", text, environment).unwrap()
}

fn told(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

fn judged(text: &str) -> String {
    Config::judge(document_of(text, &[])).unwrap_err().to_string()
}

fn endpoint_of(config: &Config) -> &signet_client::CaEndpoint {
    match &config.ca.source {
        Source::Ca(endpoint) => endpoint,
        Source::Vault(_) => panic!("Vault signs"),
    }
}

#[test]
fn nothing_need_be_configured() {
    let config = read("").unwrap();
    assert_eq!(endpoint_of(&config).address, "signet-ca.signet-system.svc:15012");
    assert_eq!(endpoint_of(&config).server_name, "signet-ca.signet-system.svc");
    assert_eq!(endpoint_of(&config).spiffe_id.as_ref().unwrap().as_str(), "spiffe://cluster.local/signet/ca");
    assert_eq!(config.sockets[0].path, Path::new("/run/signet/agent.sock"));
    assert_eq!(config.sockets[0].identity, IdentitySource::StreamToken);
    assert_eq!(config.certificate.lifetime, None);
    assert!(config.operations.listen.ip().is_loopback());
}

#[test]
fn everything_can_be_configured() {
    let config = read(
        r#"
        [identity]
        trust_domain = "td.test"
        [ca]
        address = "[::1]:15012"
        server_name = "ca.test"
        anchors = "/a/root.pem"
        kind = "istio"
        cluster_id = "blue"
        [certificate]
        lifetime = "30s"
        [[socket]]
        path = "/run/a.sock"
        allowed_uids = [1337, 0]
        [[socket]]
        path = "/run/b.sock"
        mode = "0600"
        identity = "token-file"
        token_file = "/var/run/secrets/tokens/istio-token"
        allowed_uids = [1337]
        [limits]
        streams = 10
        streams_per_peer = 5
        [operations]
        listen = "127.0.0.1:1"
        [telemetry]
        log_format = "text"
        log_filter = "debug"
        "#,
    )
    .unwrap();
    let endpoint = endpoint_of(&config);
    assert_eq!((endpoint.address.as_str(), endpoint.server_name.as_str()), ("[::1]:15012", "ca.test"));
    assert_eq!((&endpoint.spiffe_id, endpoint.cluster_id.as_deref()), (&None, Some("blue")));
    assert_eq!(endpoint.trust_domain.as_str(), "td.test");
    assert_eq!(config.certificate.lifetime, Some(Duration::from_secs(30)));
    assert_eq!(config.sockets.len(), 2);
    assert!(config.sockets[1].mode.is_private());
}

#[test]
fn the_server_name_of_an_ipv6_address_has_no_brackets() {
    assert_eq!(endpoint_of(&read("[ca]\naddress = '[::1]:1'").unwrap()).server_name, "::1");
}

#[test]
fn the_environment_overrides_the_file() {
    let variables = [("SIGNET_AGENT_CA_ADDRESS", "localhost:7"), (CONFIG_VARIABLE, "agent.toml")];
    let config = read_with("[ca]\naddress = 'localhost:6'", &variables).unwrap();
    assert_eq!(endpoint_of(&config).address, "localhost:7");
}

#[test]
fn all_faults_are_told_at_once_with_what_is_wanted() {
    let told = told(
        r#"
        [ca]
        address = "localhost"
        server_name = "-"
        kind = "citadel"
        cluster_id = "a b"
        adress = "typo"
        [certificate]
        lifetime = "1s"
        [[socket]]
        mode = "rw"
        identity = "static"
        [limits]
        streams = 0
        "#,
    );
    for part in [
        "ca.address: `localhost` is no host with a port (want e.g.",
        "ca.server_name: `-` is no DNS name",
        "ca.kind: unknown `citadel` (want signet, istio, vault)",
        "ca.cluster_id: `a b` is no cluster id",
        "ca.adress: unknown key (did you mean `address`?)",
        "certificate.lifetime: is out of bounds (want `10s` to `366d`)",
        "socket[0].mode: `rw` is no mode",
        "socket[0].identity: unknown `static` (want stream-token, token-file)",
        "limits.streams: 0 is out of bounds",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
}

#[test]
fn a_token_file_gives_its_identity_to_nobody_unnamed() {
    let socket = "[[socket]]\nidentity = 'token-file'\n";
    for (name, rest, fault) in [
        ("no file", "allowed_uids = [1]", "socket[0].token_file: is required"),
        ("no uids", "token_file = '/t'", "socket[0].allowed_uids: is required with a token file"),
        (
            "open to the group",
            "token_file = '/t'\nallowed_uids = [1]\nmode = '0660'",
            "socket[0].mode: lets group",
        ),
        (
            "open to others",
            "token_file = '/t'\nallowed_uids = [1]\nmode = '0602'",
            "socket[0].mode: lets group",
        ),
    ] {
        let told = told(&format!("{socket}{rest}"));
        assert!(told.contains(fault), "{name}: {told}");
    }
    assert!(read(&format!("{socket}token_file = '/t'\nallowed_uids = [1]")).is_ok());
}

#[test]
fn a_socket_that_lets_in_its_owner_alone_belongs_to_the_one_user_who_may_connect() {
    let file = "identity = 'token-file'\ntoken_file = '/t'\n";
    for (name, keys, owner) in [
        ("a proxy's", format!("{file}allowed_uids = [1337]"), Some(1337)),
        ("a proxy's, root looks as well", format!("{file}allowed_uids = [1337, 0]"), Some(1337)),
        ("root's", format!("{file}allowed_uids = [0]"), None),
        ("by stream's tokens", "mode = '0600'\nallowed_uids = [1337]".to_owned(), Some(1337)),
        ("the agent's own", "mode = '0600'".to_owned(), None),
        ("open to all", "allowed_uids = [1337, 1338]".to_owned(), None),
    ] {
        let config = read(&format!("[[socket]]\n{keys}")).unwrap();
        assert_eq!(config.sockets[0].access().owner, owner, "{name}");
    }
    let told = told(&format!("[[socket]]\n{file}allowed_uids = [1337, 1338]"));
    assert!(told.contains("socket[0].allowed_uids: names several users"), "{told}");
}

#[test]
fn a_socket_has_one_source_and_a_path_of_its_own() {
    let both = told("[[socket]]\ntoken_file = '/t'");
    assert!(both.contains("socket[0].token_file: is used with"), "{both}");
    let twice = told("[[socket]]\n[[socket]]");
    assert!(twice.contains("socket[1].path: another `[[socket]]` has the same path"), "{twice}");
}

#[test]
fn limits_that_would_mean_nothing_on_unix_sockets_with_endless_streams_are_unknown() {
    for (key, value, accepted) in [
        ("max_connections", "1", true),
        ("preface_timeout", "'1s'", true),
        ("keep_alive", "'1s'", true),
        ("keep_alive_timeout", "'1s'", true),
        ("grace", "'1s'", true),
        ("max_streams", "1", true),
        ("max_header_list_bytes", "2048", true),
        ("max_handshakes", "1", false),
        ("handshake_timeout", "'1s'", false),
        ("max_age", "'1s'", false),
        ("request_timeout", "'1s'", false),
    ] {
        let fault = read(&format!("[limits]\n{key} = {value}")).err().map(|faults| faults.to_string());
        let unknown = fault.map(|fault| fault.contains(&format!("limits.{key}: unknown key")));
        assert_eq!(unknown, (!accepted).then_some(true), "{key}");
    }
}

#[test]
fn a_node_without_room_for_streams_is_a_fault_and_no_panic() {
    let told = told("[limits]\nstreams = 0\nstreams_per_peer = 7");
    assert!(told.contains("limits.streams: 0") && told.contains("limits.streams_per_peer: 7"), "{told}");
}

#[test]
fn missing_files_are_found_by_a_check_and_do_not_keep_an_agent_from_starting() {
    let socket = "[[socket]]\nidentity = 'token-file'\ntoken_file = '/nowhere/token'\nallowed_uids = [1]";
    let text = format!("[ca]\nanchors = '/nowhere/root.pem'\n{socket}");
    read(&text).unwrap();
    let told = judged(&text);
    for fault in [
        "ca.anchors: cannot read the CA's trust anchors /nowhere/root.pem",
        "socket[0].token_file: cannot read the token file /nowhere/token",
    ] {
        assert!(told.contains(fault), "{told}");
    }
}

#[test]
fn the_files_of_a_key_that_has_a_fault_are_not_judged() {
    let path = format!("path = '/{}'", "a".repeat(200));
    let told = judged(&format!("[[socket]]\n{path}\n[[socket]]\n{path}"));
    assert!(told.contains("socket[0].path: the path /aaa"), "{told}");
    assert!(told.contains("socket[1].path: another"), "{told}");
    assert_eq!(told.matches("socket[1].path").count(), 1, "{told}");
}

/// Vault signs, and these are the keys of `[vault]`, or more sections.
fn vault(keys: &str) -> String {
    format!("[ca]\nkind = 'vault'\n[vault]\naddress = ['https://vault.test']\nauth.method = 'jwt'\n{keys}")
}

#[test]
fn vault_alone_needs_no_ca_and_its_tokens_are_for_vault() {
    let config = read(&vault("")).unwrap();
    assert!(matches!(&config.ca.source, Source::Vault(vault) if vault.pki.role == "signet-workload"));
    let audience = config.ca.audience.unwrap();
    assert_eq!((audience.vault.as_str(), audience.ca.as_str()), ("vault", "istio-ca"));

    let config = read(&vault("audience = 'https://vault.test'")).unwrap();
    assert_eq!(config.ca.audience.unwrap().vault, "https://vault.test");
}

#[test]
fn vault_alone_is_refused_where_its_tokens_would_do_for_a_ca_or_are_not_the_workloads() {
    let role_and_files = "role_id_file = '/r'\nsecret_id_file = '/s'";
    for (name, text, fault) in [
        ("no address", "[ca]\nkind = 'vault'".to_owned(), "vault.address: is required with `ca.kind"),
        (
            "the CA's audience",
            vault("audience = 'istio-ca'"),
            "vault.audience: is `istio-ca`, as `ca.audience`",
        ),
        (
            "a CA with another audience",
            vault("audience = 'mesh'").replace("kind =", "audience = 'mesh'\nkind ="),
            "vault.audience: is `mesh`",
        ),
        (
            "a secret of the agent's",
            vault(&format!("[vault.auth]\n{role_and_files}"))
                .replace("auth.method = 'jwt'\n", "")
                .replace("[vault.auth]", "[vault.auth]\nmethod = 'approle'"),
            "vault.auth.method: takes no workload's token",
        ),
    ] {
        let told = told(&text);
        assert!(told.contains(fault) && told.contains("1 fault"), "{name}: {told}");
    }
}

#[test]
fn a_section_of_vaults_that_waits_for_its_turn_is_not_judged() {
    let waits = vault("audience = 'istio-ca'\nca_file = '/nowhere/ca.pem'").replace("'vault'", "'signet'");
    let config = read(&waits).unwrap();
    assert!(matches!(config.ca.source, Source::Ca(_)) && config.ca.audience.is_none());
    let told = judged(&waits);
    assert!(!told.contains("vault."), "{told}");
}

#[test]
fn a_check_looks_at_the_files_of_the_vault_client_and_at_no_token_of_the_agents_own() {
    let text = vault("ca_file = '/nowhere/ca.pem'\nroots_file = '/nowhere/roots.pem'");
    let told = judged(&text);
    for fault in ["vault.ca_file: cannot read /nowhere/ca.pem", "vault.roots_file: cannot read"] {
        assert!(told.contains(fault), "{told}");
    }
    assert!(!told.contains("jwt_file") && !told.contains("ca.anchors"), "{told}");
}
