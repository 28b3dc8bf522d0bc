//! The keys of a provider: fetched when first needed, when a token names one that is not known, and when they are old.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::header::ACCEPT;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::Mutex;

use super::key::{Header, Key};
use crate::auth::token::{decode, decode_bytes};
use crate::outbound::{Hook, Outbound, full, read_whole, root_cause};

/// However many bad tokens are shown, the provider is asked no more often.
const PAUSE: SignedDuration = SignedDuration::from_secs(10);
/// A key that the provider no longer has is not believed for longer, if the provider can be reached.
const AGE_MAX: SignedDuration = SignedDuration::from_hours(1);
/// How long the provider may take for one document.
const TIMEOUT: Duration = Duration::from_secs(10);
const DOCUMENT_BYTES_MAX: usize = 1 << 20;

/// The keys as they were fetched last.
pub(super) struct Keys {
    issuer: String,
    authorities: Option<Vec<u8>>,
    outbound: Arc<dyn Outbound>,
    known: ArcSwapOption<Known>,
    /// When the provider was asked last. Whoever holds this asks.
    asked: Mutex<Option<Timestamp>>,
}

struct Known {
    keys: Vec<Key>,
    since: Timestamp,
}

impl Keys {
    pub(super) fn new(issuer: &str, authorities: Option<&[u8]>, outbound: Arc<dyn Outbound>) -> Result<Self, String> {
        Hook::url(issuer, authorities)?;
        let (issuer, authorities) = (issuer.to_owned(), authorities.map(<[u8]>::to_vec));
        Ok(Self { issuer, authorities, outbound, known: ArcSwapOption::empty(), asked: Mutex::new(None) })
    }

    /// Whether one of the keys signed a token.
    pub(super) async fn check(&self, token: &str, now: Timestamp) -> Result<(), String> {
        const UNREADABLE: &str = "oidc: malformed jwt";
        let (signed, signature) = token.rsplit_once('.').ok_or(UNREADABLE)?;
        let header: Header = signed.split_once('.').and_then(|(header, _)| decode(header)).ok_or(UNREADABLE)?;
        let signature = decode_bytes(signature).ok_or(UNREADABLE)?;
        let knows = |known: &Known| known.keys.iter().any(|key| key.is_meant(&header));
        let mut known = self.known.load_full();
        if !known.as_ref().is_some_and(|known| knows(known) && now.duration_since(known.since) < AGE_MAX) {
            let fetched = self.refresh(known.as_ref(), now).await;
            known = self.known.load_full();
            if known.is_none() {
                return fetched.and(Err("oidc: authenticator not initialized".to_owned()));
            }
        }
        let keys = known.as_ref().map(|known| known.keys.as_slice()).unwrap_or_default();
        let good = keys.iter().filter(|key| key.is_meant(&header));
        let mut good = good.filter(|key| key.has_signed(&header, signed.as_bytes(), &signature));
        good.next().map(drop).ok_or_else(|| "oidc: failed to verify signature".to_owned())
    }

    /// Fetches the keys, unless someone else just did, or tried to. Old ones stay if that fails.
    async fn refresh(&self, seen: Option<&Arc<Known>>, now: Timestamp) -> Result<(), String> {
        let mut asked = self.asked.lock().await;
        let newer = self.known.load_full();
        let changed = newer.as_ref().map(Arc::as_ptr) != seen.map(Arc::as_ptr);
        if changed || asked.is_some_and(|asked| now.duration_since(asked) < PAUSE) {
            return Ok(());
        }
        *asked = Some(now);
        let fetched = tokio::time::timeout(TIMEOUT * 2, self.fetch()).await;
        let keys = fetched.unwrap_or_else(|_elapsed| Err("oidc: the provider did not answer in time".to_owned()));
        let keys =
            keys.inspect_err(|why| tracing::warn!(issuer = self.issuer, why, "a provider's keys are not to be had"))?;
        self.known.store(Some(Arc::new(Known { keys, since: now })));
        Ok(())
    }

    async fn fetch(&self) -> Result<Vec<Key>, String> {
        let url = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let configuration = self.get(&url).await?;
        let said = configuration.get("issuer").unwrap_or(&Value::Null);
        if *said != self.issuer {
            return Err(format!(
                "oidc: issuer did not match the issuer returned by provider, expected {:?} got {said}",
                self.issuer
            ));
        }
        let url =
            configuration.get("jwks_uri").and_then(Value::as_str).ok_or("oidc: the provider names no jwks_uri")?;
        let keys = self.get(url).await?;
        Ok(keys.get("keys").and_then(Value::as_array).into_iter().flatten().filter_map(Key::read).collect())
    }

    async fn get(&self, url: &str) -> Result<Value, String> {
        let hook = Hook::url(url, self.authorities.as_deref())?;
        let about = |why: &dyn std::fmt::Display| format!("Get {url:?}: {why}");
        let request = http::Request::get(hook.uri()).header(ACCEPT, "application/json").body(full(Bytes::new()));
        let request = request.map_err(|error| about(&error))?;
        let response = self.outbound.send(&hook.peer, request).await.map_err(|error| about(&root_cause(error)))?;
        if response.status() != http::StatusCode::OK {
            return Err(about(&response.status()));
        }
        let body = read_whole(response.into_body(), DOCUMENT_BYTES_MAX).await.map_err(|error| about(&error))?;
        serde_json::from_slice(&body).map_err(|error| about(&error))
    }
}
