//! Makes and reads tokens; publishes the key by which others can read them. Source: `pkg/serviceaccount/jwt.go`,
//! `openidmetadata.go`.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::claims::Claims;
use super::key::{KeyError, SigningKey, unverified};

/// How far clocks may differ. Source: go-jose `jwt.DefaultLeeway`.
pub(super) const LEEWAY_SECONDS: i64 = 60;

/// Makes and reads tokens.
#[derive(Debug)]
pub struct TokenIssuer {
    key: SigningKey,
    name: String,
    audiences: Vec<String>,
}

impl TokenIssuer {
    /// An issuer of this name (a URL), whose tokens are by default for the issuer itself: the API server.
    #[must_use]
    pub fn new(key: SigningKey, name: impl Into<String>) -> Self {
        let name = name.into();
        Self { key, audiences: vec![name.clone()], name }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The audiences that mean the API server.
    #[must_use]
    pub fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// A token that says this.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn issue(&self, claims: &Claims) -> Result<String, KeyError> {
        self.key.sign(claims)
    }

    /// What a token of this issuer says; `None` if it is of another issuer, or no token at all.
    ///
    /// # Errors
    /// Why it is not good, in words without the token.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Option<Claims>, &'static str> {
        #[derive(Deserialize)]
        struct Issuer {
            iss: String,
        }
        // Who made it is looked at first, and believed only once the signature was checked.
        if unverified::<Issuer>(token).is_none_or(|said| said.iss != self.name) {
            return Ok(None);
        }
        if !self.key.has_signed(token) {
            return Err("the signature of the token cannot be verified");
        }
        let claims: Claims = unverified(token).ok_or("service account token claims could not be validated")?;
        let now = now.as_second();
        if claims.expires_at_seconds.saturating_add(LEEWAY_SECONDS) < now {
            return Err("service account token has expired");
        }
        let begins = claims.not_before_seconds.max(claims.issued_at_seconds);
        if begins.saturating_sub(LEEWAY_SECONDS) > now {
            return Err("service account token is not valid yet");
        }
        Ok(Some(claims))
    }

    /// The document at `/.well-known/openid-configuration`; the keys are at this URL.
    #[must_use]
    pub fn configuration(&self, keys_url: &str) -> Value {
        json!({
            "issuer": self.name,
            "jwks_uri": keys_url,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        })
    }

    /// The document at `/openid/v1/jwks`.
    #[must_use]
    pub fn keys(&self) -> Value {
        json!({"keys": [self.key.public()]})
    }
}

/// What is in both lists, in the first one's order.
#[must_use]
pub fn shared_audiences(one: &[String], other: &[String]) -> Vec<String> {
    one.iter().filter(|audience| other.contains(audience)).cloned().collect()
}
