//! For whom a workload's token must be before it is shown to them.

use signet_identity::jwt::Unverified;

/// What a token for Vault says in `aud`.
///
/// Whoever is shown a token can show it to somebody else who takes it. So one for Vault is for Vault, and for no CA:
/// else an operator of Vault could be any workload before the CA, and the CA any workload before Vault. A token that
/// is for neither is nobody's business here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenAudience {
    /// Must be there.
    pub vault: String,
    /// Must not.
    pub ca: String,
}

impl TokenAudience {
    /// Whether a token that claims this may be shown to Vault. That the claim is true, Vault finds out.
    ///
    /// # Errors
    /// It is for somebody else, and for whom it should be.
    pub fn check(&self, claims: &Unverified) -> Result<(), AudienceFault> {
        let names = |audience: &String| claims.audiences.contains(audience);
        if names(&self.ca) {
            return Err(AudienceFault::AlsoForCa { ca: self.ca.clone(), vault: self.vault.clone() });
        }
        if !names(&self.vault) {
            return Err(AudienceFault::NotForVault { vault: self.vault.clone() });
        }
        Ok(())
    }
}

/// Why a token is shown to nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AudienceFault {
    /// It could be replayed to a CA.
    #[error(
        "the token is for `{ca}`, the CA's audience, and is not shown to Vault, which could replay it to the CA; want \
         a token with the audience `{vault}`, and without that one"
    )]
    AlsoForCa {
        /// `ca.audience`.
        ca: String,
        /// `vault.audience`.
        vault: String,
    },
    /// Vault has no business with it.
    #[error(
        "the token is not for Vault and is not shown to it; want one with the audience `{vault}` (`vault.audience`)"
    )]
    NotForVault {
        /// `vault.audience`.
        vault: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_for_vault_is_for_vault_and_for_no_ca() {
        let rule = TokenAudience { vault: "vault".to_owned(), ca: "istio-ca".to_owned() };
        let (ca, vault) = (rule.ca.clone(), rule.vault.clone());
        let not_for_vault = Err(AudienceFault::NotForVault { vault: vault.clone() });
        let also_for_ca = Err(AudienceFault::AlsoForCa { ca, vault });
        for (audiences, verdict) in [
            (&["vault"][..], Ok(())),
            (&["other", "vault"], Ok(())),
            (&[], not_for_vault.clone()),
            (&["https://kubernetes.default.svc"], not_for_vault.clone()),
            (&["Vault"], not_for_vault),
            (&["istio-ca"], also_for_ca.clone()),
            (&["vault", "istio-ca"], also_for_ca),
        ] {
            let claims = Unverified {
                issuer: None,
                subject: None,
                audiences: audiences.iter().map(|&audience| audience.to_owned()).collect(),
                expires_at: None,
                key_id: None,
            };
            assert_eq!(rule.check(&claims), verdict, "{audiences:?}");
        }
    }
}
