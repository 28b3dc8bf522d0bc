//! Others who tell the cluster who asks and what they may: OpenID providers and webhooks, beside its own certificates and tokens.

use std::io;
use std::sync::Arc;

use coracle_api::auth::{AccessWebhook, Auth, Oidc, OidcSettings, TokenWebhook};
use coracle_api::outbound::{Hook, Outbound};
use coracle_core::Clock;

/// Whom the cluster asks. Nobody by default.
#[derive(Default)]
pub(crate) struct Identity {
    pub(crate) providers: Vec<OidcSettings>,
    pub(crate) tokens: Option<Hook>,
    pub(crate) access: Option<Hook>,
}

impl Identity {
    /// Adds them after what `auth` knows by itself.
    pub(crate) fn join(self, mut auth: Auth, outbound: &Arc<dyn Outbound>, clock: &Arc<dyn Clock>) -> io::Result<Auth> {
        for provider in self.providers {
            let oidc = Oidc::new(provider, outbound.clone(), clock.clone()).map_err(io::Error::other)?;
            auth = auth.with_authenticator(Arc::new(oidc));
        }
        if let Some(hook) = self.tokens {
            auth = auth.with_authenticator(Arc::new(TokenWebhook::new(hook, outbound.clone(), clock.clone())));
        }
        if let Some(hook) = self.access {
            auth = auth.with_authorizer(Arc::new(AccessWebhook::new(hook, outbound.clone(), clock.clone())));
        }
        Ok(auth)
    }
}
