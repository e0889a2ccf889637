//! A real OpenBao that keeps everything in memory, and its operator.

use std::{
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use reqwest::{Client, Method, StatusCode};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde_json::{Value, json};
use signet_runtime::tls;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// It ends when this is dropped, and also when this process is killed.
pub(crate) struct Bao {
    shell: Child,
    pub(crate) port: u16,
    url: String,
    client: Client,
    pub(crate) directory: TempDir,
}

/// What the operator asks by.
const ROOT_TOKEN: &str = "root-of-the-test";

/// Kills the server when the end of its input comes, which our own end brings too.
const SCRIPT: &str = r#""$@" >log 2>&1 </dev/null & server=$!; read -r _; kill -9 $server"#;

impl Bao {
    /// Unsealed, with a PKI as our documentation wants one.
    pub(crate) async fn start() -> Self {
        Self::started(&[]).await
    }

    /// The same over TLS, by the authority in `vault-ca.pem`.
    pub(crate) async fn start_tls() -> Self {
        Self::started(&["-dev-tls", "-dev-tls-cert-dir=."]).await
    }

    async fn started(options: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let shell = Command::new("/bin/sh")
            .current_dir(directory.path())
            .args(["-c", SCRIPT, "bao"])
            .arg(executable())
            .args(["server", "-dev", "-dev-no-store-token"])
            .arg(format!("-dev-root-token-id={ROOT_TOKEN}"))
            .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
            .args(options)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let (scheme, authority) = if options.is_empty() {
            ("http", Vec::new())
        } else {
            ("https", authority(directory.path()).await)
        };
        let tls = tls::client_config(&authority).unwrap();
        let client = Client::builder().tls_backend_preconfigured(tls).no_proxy().build().unwrap();
        let url = format!("{scheme}://127.0.0.1:{port}/v1");
        let bao = Self { shell, port, url, client, directory };
        bao.until_active().await;
        bao.set_up_pki().await;
        bao
    }

    async fn until_active(&self) {
        let end = Instant::now() + Duration::from_secs(30);
        while self.ask(Method::GET, "sys/health", &Value::Null).await.map(|(status, _)| status).ok()
            != Some(StatusCode::OK)
        {
            assert!(Instant::now() < end, "OpenBao is not active: {}", self.log());
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// What `bao write` does.
    pub(crate) async fn write(&self, path: &str, what: Value) -> Value {
        self.must(Method::POST, path, what).await
    }

    pub(crate) async fn read(&self, path: &str) -> Value {
        self.must(Method::GET, path, Value::Null).await
    }

    async fn must(&self, method: Method, path: &str, what: Value) -> Value {
        let (status, answer) = self.ask(method, path, &what).await.unwrap();
        assert!(status.is_success(), "{path}: {status} {answer}");
        answer
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        what: &Value,
    ) -> Result<(StatusCode, Value), reqwest::Error> {
        let request =
            self.client.request(method, format!("{}/{path}", self.url)).header("x-vault-token", ROOT_TOKEN);
        let request = if what.is_null() { request } else { request.body(what.to_string()) };
        let answer = request.send().await?;
        let (status, body) = (answer.status(), answer.text().await?);
        Ok((status, serde_json::from_str(&body).unwrap_or_default()))
    }

    pub(crate) async fn seal(&self) {
        self.write("sys/seal", json!({})).await;
    }

    pub(crate) async fn unseal(&self) {
        let log = self.log();
        let key = log.lines().find_map(|line| line.strip_prefix("Unseal Key: ")).unwrap();
        self.write("sys/unseal", json!({"key": key})).await;
        self.until_active().await;
    }

    /// A new token in a private file.
    pub(crate) async fn token_file(&self, token: Value) -> PathBuf {
        let made = self.write("auth/token/create", token).await;
        let path = self.directory.path().join("token");
        write_private(&path, made["auth"]["client_token"].as_str().unwrap());
        path
    }

    /// Logs in whoever has the role id and the secret id in its directory, and gives such tokens. Answers
    /// what the configuration says.
    pub(crate) async fn accept_approle(&self, token: Value) -> String {
        self.write("sys/auth/approle", json!({"type": "approle"})).await;
        let mut role = json!({"token_policies": ["signet"]});
        role.as_object_mut().unwrap().extend(token.as_object().unwrap().clone());
        self.write("auth/approle/role/signet", role).await;
        let role_id = self.read("auth/approle/role/signet/role-id").await;
        let secret_id = self.write("auth/approle/role/signet/secret-id", json!({})).await;
        let [role_id_file, secret_id_file] =
            ["role-id", "secret-id"].map(|name| self.directory.path().join(name));
        write_private(&role_id_file, role_id["data"]["role_id"].as_str().unwrap());
        write_private(&secret_id_file, secret_id["data"]["secret_id"].as_str().unwrap());
        format!(
            "auth.method = 'approle'\nauth.role_id_file = '{}'\nauth.secret_id_file = '{}'",
            role_id_file.display(),
            secret_id_file.display()
        )
    }

    /// Logs in whoever has a token for the audience `vault` by the key that this port answers with.
    pub(crate) async fn accept_jwt(&self, jwks: u16) {
        self.accept_jwt_by(json!({"jwks_url": format!("http://127.0.0.1:{jwks}/jwks")})).await;
    }

    /// The same, by this configuration of the method.
    pub(crate) async fn accept_jwt_by(&self, config: Value) {
        self.write("sys/auth/jwt", json!({"type": "jwt"})).await;
        self.write("auth/jwt/config", config).await;
        let role = json!({"role_type": "jwt", "bound_audiences": ["vault"], "user_claim": "sub",
            "token_policies": ["signet"]});
        self.write("auth/jwt/role/signet", role).await;
    }

    /// Logs in whoever the API server on this port knows as `cart` of `shop`.
    pub(crate) async fn accept_kubernetes(&self, api_server: u16) {
        self.write("sys/auth/kubernetes", json!({"type": "kubernetes"})).await;
        let host = format!("http://127.0.0.1:{api_server}");
        // Of no use over plain HTTP, and required.
        let authority = rcgen::generate_simple_self_signed(["api-server".to_owned()]).unwrap().cert.pem();
        let config =
            json!({"kubernetes_host": host, "kubernetes_ca_cert": authority, "disable_local_ca_jwt": true});
        self.write("auth/kubernetes/config", config).await;
        let role = json!({
            "bound_service_account_names": ["cart"],
            "bound_service_account_namespaces": ["shop"],
            "token_policies": ["signet"],
        });
        self.write("auth/kubernetes/role/signet", role).await;
    }

    /// An issuer of this name below the root, which lives for half a day, and longer than no leaf.
    pub(crate) async fn add_intermediate(&self, name: &str) {
        let request = json!({"common_name": name, "key_type": "ec"});
        let made = self.write("pki/issuers/generate/intermediate/internal", request).await;
        let csr = &made["data"]["csr"];
        let lines = json!({"csr": csr, "common_name": name, "ttl": "12h", "max_path_length": 1});
        let signed = self.write("pki/issuer/root/sign-intermediate", lines).await;
        let import = json!({"pem_bundle": signed["data"]["certificate"]});
        let imported = self.write("pki/issuers/import/cert", import).await;
        let id = imported["data"]["imported_issuers"][0].as_str().unwrap();
        let settings = json!({"issuer_name": name});
        self.write(&format!("pki/issuer/{id}"), settings).await;
    }

    async fn set_up_pki(&self) {
        self.write("sys/mounts/pki", json!({"type": "pki", "config": {"max_lease_ttl": "87600h"}})).await;
        let root = json!({"issuer_name": "root", "common_name": "root", "key_type": "ec", "ttl": "87600h"});
        self.write("pki/root/generate/internal", root).await;
        self.write("pki/roles/signet-workload", role()).await;
        let policy = "path \"pki/sign/*\" { capabilities = [\"update\"] }
                      path \"pki/issuer/+/sign/*\" { capabilities = [\"update\"] }
                      path \"pki/issuer/+/sign-intermediate\" { capabilities = [\"update\"] }";
        self.write("sys/policies/acl/signet", json!({"policy": policy})).await;
    }
}

impl Drop for Bao {
    fn drop(&mut self) {
        // The end of its input.
        drop(self.shell.stdin.take());
        let _end = self.shell.wait();
    }
}

/// What its certificate is from, as soon as it has made that.
async fn authority(directory: &Path) -> Vec<CertificateDer<'static>> {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let pem = std::fs::read(directory.join("vault-ca.pem")).unwrap_or_default();
        if let Ok(one) = CertificateDer::from_pem_slice(&pem) {
            return vec![one];
        }
        assert!(Instant::now() < end, "OpenBao makes no certificate");
        sleep(Duration::from_millis(20)).await;
    }
}

/// A role as `vault setup` prints it.
pub(crate) fn role() -> Value {
    json!({
        "use_csr_sans": false,
        "use_csr_common_name": false,
        "require_cn": false,
        "allow_localhost": false,
        "key_type": "ec",
        "key_bits": 256,
        "key_usage": ["DigitalSignature"],
        "basic_constraints_valid_for_non_ca": true,
        "allowed_uri_sans": ["spiffe://cluster.local/*"],
        "no_store": true,
        "max_ttl": "24h",
    })
}

pub(crate) fn write_private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// In development it takes the port after it too, for a cluster that it has none of.
fn free_port() -> u16 {
    loop {
        let one = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = one.local_addr().unwrap().port();
        if port.checked_add(1).is_some_and(|next| TcpListener::bind((Ipv4Addr::LOCALHOST, next)).is_ok()) {
            return port;
        }
    }
}

/// What `scripts/openbao` finds or builds.
fn executable() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/openbao");
    let found = Command::new(script).output().unwrap();
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
    PathBuf::from(String::from_utf8(found.stdout).unwrap().trim())
}
