//! Tokens of ServiceAccounts: signed statements that say whose they are, for whom, and how long.
//!
//! | file | what it holds |
//! |---|---|
//! | `key` | the cluster's signing key; JSON Web Signatures, of one algorithm only |
//! | `claims` | what a token says |
//! | `issuer` | makes and reads tokens; publishes the key |
//! | `holder` | who holds a token, if everything it is bound to is still there |
//! | `request` | what a token is to say, from a TokenRequest |
//!
//! A token is good only as long as its ServiceAccount, and the pod, Secret or Node that it is bound to, exist with the same uid.

mod claims;
mod holder;
mod issuer;
mod key;
mod request;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use coracle_core::rbac::quoted;
use coracle_core::{Clock, Feed, Status, User};

pub use claims::{Claims, Kubernetes, Reference};
pub use issuer::{TokenIssuer, shared_audiences};
pub use key::{KeyError, SigningKey};
pub(crate) use key::{decode, decode_bytes, unverified};
pub(crate) use request::{Asking, claims_for};

use super::authenticator::{Authenticator, Credentials, unauthorized};

/// The tokens of a running cluster: told by their holders' objects as they are now.
pub struct ServiceAccountTokens {
    issuer: TokenIssuer,
    feed: Arc<Feed>,
    clock: Arc<dyn Clock>,
}

impl ServiceAccountTokens {
    /// Tokens of an issuer, checked against a running world.
    #[must_use]
    pub fn new(issuer: TokenIssuer, feed: Arc<Feed>, clock: Arc<dyn Clock>) -> Self {
        Self { issuer, feed, clock }
    }

    /// What makes and reads them.
    #[must_use]
    pub const fn issuer(&self) -> &TokenIssuer {
        &self.issuer
    }

    /// Who holds a token that is for one of these audiences (none: for the API server), and which of them it is for; `None` if
    /// it is of another issuer, or no such token at all.
    ///
    /// # Errors
    /// Why it is not good, in upstream's words. Never shows the token.
    pub fn holder(&self, token: &str, audiences: &[String]) -> Result<Option<(User, Vec<String>)>, String> {
        let audiences = if audiences.is_empty() { self.issuer.audiences() } else { audiences };
        let now = self.clock.now();
        let Some(claims) = self.issuer.verify(token, now)? else { return Ok(None) };
        let shared = shared_audiences(&claims.audiences, audiences);
        if shared.is_empty() {
            let (has, wants) = (quoted(&claims.audiences), quoted(audiences));
            return Err(format!("token audiences {has} is invalid for the target audiences {wants}"));
        }
        holder::holder(&claims, &self.feed.world(), now).map(|user| Some((user, shared)))
    }
}

impl std::fmt::Debug for ServiceAccountTokens {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("ServiceAccountTokens").field(&self.issuer).finish()
    }
}

#[async_trait]
impl Authenticator for ServiceAccountTokens {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Option<User>, Status> {
        let Some(token) = credentials.bearer_token() else { return Ok(None) };
        match self.holder(token, &[]) {
            Ok(Some((user, _))) => Ok(Some(user)),
            // Nobody else reads what this could not.
            Ok(None) | Err(_) => Err(unauthorized()),
        }
    }
}
