//! What nobody may find in anything that a process says.

use anyhow::{Result, ensure};

/// Fails if `said` has one of these secrets in it, or what looks like one: a token of Vault's, a JWT, a private key.
pub fn must_not_be_told(said: &str, secrets: &[&str]) -> Result<()> {
    for secret in secrets {
        ensure!(!said.contains(secret.trim()), "a secret is told: {}", around(said, secret.trim()));
    }
    let looks = said.split(|c: char| !c.is_ascii_alphanumeric() && !"._-".contains(c)).find(|word| {
        let vaults = ["s.", "hvs."].iter().find_map(|begin| word.strip_prefix(begin));
        word.starts_with("eyJ") || vaults.is_some_and(|rest| rest.len() >= 24 && !rest.contains('.'))
    });
    ensure!(looks.is_none(), "what looks like a token is told: {}", around(said, looks.unwrap_or_default()));
    ensure!(!said.contains("PRIVATE KEY"), "a private key is told: {}", around(said, "PRIVATE KEY"));
    Ok(())
}

/// The line that it stands in, as far as it fits.
fn around<'s>(said: &'s str, what: &str) -> &'s str {
    let line = said.lines().find(|line| line.contains(what)).unwrap_or_default();
    line.get(..400).unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_or_looks_like_it_is_found() {
        for (name, said, is_told) in [
            ("a known secret", "login with role-secret-42 failed", true),
            ("a token of Vault's", "X-Vault-Token: s.O1fpCcJw9xOcb1ECGHIAbmcv", true),
            ("one of a newer Vault", "token=hvs.CAESIJ3nO1fpCcJw9xOcb1ECGHIAbmcv", true),
            ("a JWT", "authorization: Bearer eyJhbGciOiJFUzI1NiJ9.e30.c2ln", true),
            ("a private key", "-----BEGIN PRIVATE KEY-----", true),
            ("none", "issued spiffe://cluster.local/ns/shop/sa/orders, v1.2.3, orders.example", false),
        ] {
            assert_eq!(must_not_be_told(said, &["role-secret-42"]).is_err(), is_told, "{name}");
        }
    }
}
