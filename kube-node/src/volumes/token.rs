//! Tokens of service accounts, for projected volumes.

use async_trait::async_trait;
use jiff::Timestamp;

/// Gives tokens of service accounts to the pods that run as them. The cluster has one; without one, volumes that want a token
/// cannot be made.
#[async_trait]
pub trait TokenSource: Send + Sync + 'static {
    /// A token bound to a pod.
    ///
    /// # Errors
    /// Why there is none, for a `FailedMount` event.
    async fn token(&self, wish: &TokenWish) -> Result<Token, String>;
}

/// A token that is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenWish {
    /// The namespace of pod and service account.
    pub namespace: String,
    /// The service account's name.
    pub service_account: String,
    /// The pod's name.
    pub pod: String,
    /// The pod's uid.
    pub pod_uid: String,
    /// For whom it is; empty for the API server.
    pub audience: String,
    /// How long it lasts, in seconds. Default 3600.
    pub expiration_seconds: i64,
    /// The file it goes to, within its volume.
    pub path: String,
    /// The file's mode.
    pub mode: u32,
}

/// A token.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The bearer token itself.
    pub token: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for Token {
    /// Without the token itself.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Token").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}
