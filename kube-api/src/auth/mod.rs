//! Who asks, and what they may do.
//!
//! | file | what it holds |
//! |---|---|
//! | `authenticator` | tells who a caller is: client certificates, tokens known beforehand, one after the other |
//! | `token` | tokens of ServiceAccounts: made, verified, published |
//! | `oidc` | users of an OpenID Connect provider |
//! | `webhook` | asks others who asks, and who may do what |
//! | `authorizer` | tells who may do what, by roles and bindings; the words of a refusal |
//! | `node` | what nodes may do |
//! | `impersonation` | standing for someone else |
//! | `escalation` | nobody grants what they have not |
//! | `reviews` | questions about all this, asked as objects that are answered and never kept |

pub mod authenticator;
pub mod authorizer;
pub(crate) mod escalation;
pub(crate) mod impersonation;
pub mod node;
pub mod oidc;
pub(crate) mod reviews;
pub mod token;
pub mod webhook;

use std::sync::Arc;

use coracle_core::Feed;

pub use authenticator::{Authenticator, Chain, ClientCertificates, Credentials, StaticTokens};
pub use authorizer::{Authorizer, Authorizers, Decision, Rbac, forbidden, is_master};
pub use node::Nodes;
pub use oidc::{Oidc, OidcSettings};
pub use token::{ServiceAccountTokens, SigningKey, TokenIssuer};
pub use webhook::{AccessWebhook, TokenWebhook};

/// What answers reviews, gives tokens, and guards roles. Give the same to the pipeline and to the HTTP server.
#[derive(Clone)]
pub struct Auth {
    /// Who may do what.
    pub authorizer: Arc<dyn Authorizer>,
    /// Who asks, over the network.
    pub authenticator: Arc<dyn Authenticator>,
    /// Tokens of ServiceAccounts; `None` if the cluster gives none.
    pub tokens: Option<Arc<ServiceAccountTokens>>,
}

impl Auth {
    /// What nodes may do, roles and bindings; client certificates; no tokens.
    #[must_use]
    pub fn new(feed: Arc<Feed>) -> Self {
        let authorizer = Authorizers(vec![Arc::new(Nodes::new(feed.clone())), Arc::new(Rbac::new(feed))]);
        Self { authorizer: Arc::new(authorizer), authenticator: Arc::new(ClientCertificates), tokens: None }
    }

    /// Also with another way to tell who asks, after those there are.
    #[must_use]
    pub fn with_authenticator(mut self, authenticator: Arc<dyn Authenticator>) -> Self {
        self.authenticator = Arc::new(Chain(vec![self.authenticator, authenticator]));
        self
    }

    /// Also with another one that may allow what those there are do not.
    #[must_use]
    pub fn with_authorizer(mut self, authorizer: Arc<dyn Authorizer>) -> Self {
        self.authorizer = Arc::new(Authorizers(vec![self.authorizer, authorizer]));
        self
    }

    /// Also with tokens of ServiceAccounts.
    #[must_use]
    pub fn with_tokens(mut self, tokens: Arc<ServiceAccountTokens>) -> Self {
        self = self.with_authenticator(tokens.clone());
        self.tokens = Some(tokens);
        self
    }
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Auth").field("gives_tokens", &self.tokens.is_some()).finish_non_exhaustive()
    }
}
