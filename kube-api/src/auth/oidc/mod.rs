//! Users of an OpenID Connect provider, by the ID tokens it signs. Source: apiserver `plugin/pkg/authenticator/token/oidc`.
//!
//! | file | what it holds |
//! |---|---|
//! | `keys` | the provider's keys, fetched and looked up |
//! | `key` | one key: what it has signed |
//! | `claims` | what a token must say, and whom it means |

mod claims;
mod key;
mod keys;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use coracle_core::{Clock, Status, User};
use serde_json::Value;

use self::keys::Keys;
use super::authenticator::{Authenticator, Credentials, unauthorized};
use super::token::unverified;
use crate::outbound::Outbound;

/// Which provider is believed, and what its tokens mean.
#[derive(Clone, Debug)]
pub struct OidcSettings {
    /// The provider's URL, as tokens say it. HTTPS only. Source: `--oidc-issuer-url`.
    pub issuer: String,
    /// Tokens are good if they are for one of these. Source: `--oidc-client-id`.
    pub audiences: Vec<String>,
    /// The claim that names the user. Default `sub`; an `email` must not be said to be unverified. Source: `--oidc-username-claim`.
    pub username_claim: String,
    /// What users' names begin with here. Default: the issuer and `#`, or nothing if the claim is `email`. Source:
    /// `--oidc-username-prefix`.
    pub username_prefix: Option<String>,
    /// The claim that names the groups, one or a list. Default: none. Source: `--oidc-groups-claim`.
    pub groups_claim: Option<String>,
    /// What groups' names begin with here. Default: nothing, so that the provider may name any group, `system:masters` too.
    /// Source: `--oidc-groups-prefix`.
    pub groups_prefix: String,
    /// Claims that must be there with these values. Default: none. Source: `--oidc-required-claim`.
    pub required_claims: BTreeMap<String, String>,
    /// The authorities, PEM, that vouch for the provider's host. Default: those that the system trusts. Source: `--oidc-ca-file`.
    pub authorities: Option<Vec<u8>>,
}

impl OidcSettings {
    /// A provider whose tokens for one audience are believed.
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            audiences: vec![audience.into()],
            username_claim: "sub".to_owned(),
            username_prefix: None,
            groups_claim: None,
            groups_prefix: String::new(),
            required_claims: BTreeMap::new(),
            authorities: None,
        }
    }
}

/// Knows the users of one provider. Tokens of other issuers are left to others.
pub struct Oidc {
    settings: OidcSettings,
    keys: Keys,
    clock: Arc<dyn Clock>,
}

impl Oidc {
    /// Believes a provider. It is first called when the first of its tokens is shown.
    ///
    /// # Errors
    /// If the issuer is no HTTPS URL.
    pub fn new(settings: OidcSettings, outbound: Arc<dyn Outbound>, clock: Arc<dyn Clock>) -> Result<Self, String> {
        let keys = Keys::new(&settings.issuer, settings.authorities.as_deref(), outbound)?;
        Ok(Self { settings, keys, clock })
    }

    /// Whom a token means; `None` if it is another issuer's.
    ///
    /// # Errors
    /// Why it is not good, in words without the token.
    pub async fn holder(&self, token: &str) -> Result<Option<User>, String> {
        // Who made it is looked at first, and believed only once the signature was checked.
        let Some(said) = unverified::<Value>(token).filter(|said| said["iss"] == self.settings.issuer.as_str()) else {
            return Ok(None);
        };
        let now = self.clock.now();
        self.keys.check(token, now).await?;
        claims::holder(&said, &self.settings, now).map(Some)
    }
}

impl std::fmt::Debug for Oidc {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Oidc").field(&self.settings.issuer).finish()
    }
}

#[async_trait]
impl Authenticator for Oidc {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Option<User>, Status> {
        let Some(token) = credentials.bearer_token() else { return Ok(None) };
        self.holder(token).await.map_err(|why| {
            tracing::debug!(issuer = self.settings.issuer, why, "a token was refused");
            unauthorized()
        })
    }
}
