//! Asks others whose a token is, and who may do what. Source: apiserver `plugin/pkg/authenticator/token/webhook`,
//! `plugin/pkg/authorizer/webhook`, `util/webhook` (retries).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use coracle_core::rbac::{Access, What};
use coracle_core::{Clock, Status, User};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::Resource;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use ring::digest::{SHA256, digest};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::authenticator::{Authenticator, Credentials, unauthorized};
use super::authorizer::{Authorizer, Decision};
use crate::outbound::{CallError, Hook, Outbound, post};

/// How often a call is made that fails for a while only, and how long the first pause is; each is half as long again as the one
/// before. Upstream adds up to a fifth by chance. Source: `DefaultRetryBackoffWithInitialDelay`.
const ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// How long a call may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long it is believed whose a token is, or that it is nobody's. Source: `--authentication-token-webhook-cache-ttl`.
const TOKEN_LIFE: SignedDuration = SignedDuration::from_mins(2);
/// How long a permission is believed. Source: `--authorization-webhook-cache-authorized-ttl`.
const ALLOWED_LIFE: SignedDuration = SignedDuration::from_mins(5);
/// How long a refusal is believed. Source: `--authorization-webhook-cache-unauthorized-ttl`.
const REFUSED_LIFE: SignedDuration = SignedDuration::from_secs(30);
/// Answers remembered at a time. Source: `authorizer/webhook`, `lruexpirecache` of 8,192.
const REMEMBERED_MAX: usize = 8_192;

/// Asks a webhook whose bearer tokens are, with TokenReviews. If it cannot be asked, the token is nobody's.
pub struct TokenWebhook(Asked<Option<User>>);

/// Asks a webhook who may do what, with SubjectAccessReviews. If it cannot be asked, it allows nothing.
///
/// It can only allow: what another authorizer allowed, it is not asked about.
pub struct AccessWebhook(Asked<Decision>);

impl TokenWebhook {
    /// Asks there.
    #[must_use]
    pub fn new(hook: Hook, outbound: Arc<dyn Outbound>, clock: Arc<dyn Clock>) -> Self {
        Self(Asked::new(hook, outbound, clock))
    }
}

impl AccessWebhook {
    /// Asks there.
    #[must_use]
    pub fn new(hook: Hook, outbound: Arc<dyn Outbound>, clock: Arc<dyn Clock>) -> Self {
        Self(Asked::new(hook, outbound, clock))
    }
}

#[async_trait]
impl Authenticator for TokenWebhook {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Option<User>, Status> {
        let Some(token) = credentials.bearer_token() else { return Ok(None) };
        let spec = TokenReviewSpec { token: token.to_owned(), audiences: None };
        let review = TokenReview { spec, ..TokenReview::default() };
        let holder = self.0.ask(token.as_bytes(), &review, |answer| {
            let status = answer.status.unwrap_or_default();
            let said = status.user.filter(|_| status.authenticated == Some(true));
            let user = said.map(|said| User {
                name: said.username.unwrap_or_default(),
                uid: said.uid.unwrap_or_default(),
                groups: said.groups.unwrap_or_default(),
                extra: said.extra.unwrap_or_default(),
            });
            (user.filter(|user| !user.name.is_empty()), TOKEN_LIFE)
        });
        holder.await.map_err(|_told| unauthorized())
    }
}

#[async_trait]
impl Authorizer for AccessWebhook {
    async fn authorize(&self, user: &User, access: &Access<'_>) -> Decision {
        let review = SubjectAccessReview { spec: question(user, access), ..SubjectAccessReview::default() };
        let Ok(key) = serde_json::to_vec(&review.spec) else { return Decision::Deny(String::new()) };
        let decision = self.0.ask(&key, &review, |answer| {
            let status = answer.status.unwrap_or_default();
            let reason = status.reason.unwrap_or_default();
            match status.allowed && status.denied != Some(true) {
                true => (Decision::Allow(reason), ALLOWED_LIFE),
                false => (Decision::Deny(reason), REFUSED_LIFE),
            }
        });
        decision.await.unwrap_or_else(|_told| Decision::Deny(String::new()))
    }
}

fn question(user: &User, access: &Access<'_>) -> SubjectAccessReviewSpec {
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let verb = some(access.verb);
    let (resource, other) = match access.what {
        What::Path(path) => (None, Some(NonResourceAttributes { path: some(path), verb })),
        What::Resource(place) => {
            let place = ResourceAttributes {
                group: some(place.group),
                resource: some(place.resource),
                subresource: some(place.subresource),
                namespace: some(place.namespace),
                name: some(place.name),
                verb,
                ..ResourceAttributes::default()
            };
            (Some(place), None)
        }
    };
    SubjectAccessReviewSpec {
        user: some(&user.name),
        uid: some(&user.uid),
        groups: Some(user.groups.clone()).filter(|groups| !groups.is_empty()),
        extra: Some(user.extra.clone()).filter(|extra| !extra.is_empty()),
        resource_attributes: resource,
        non_resource_attributes: other,
    }
}

/// Source: `webhook.DefaultShouldRetry`.
fn may_pass(error: &CallError) -> bool {
    match error {
        CallError::Failed { source, .. } => source.to_string().contains("reset by peer"),
        CallError::TimedOut { .. } => false,
        CallError::Refused { code, .. } => matches!(code, 429 | 500 | 504),
    }
}

/// A webhook, and what it answered not long ago.
struct Asked<A> {
    hook: Hook,
    outbound: Arc<dyn Outbound>,
    clock: Arc<dyn Clock>,
    /// By the digest of the question, since tokens are secrets: the answer, and until when it is believed.
    remembered: Mutex<HashMap<Vec<u8>, (A, Timestamp)>>,
}

impl<A: Clone> Asked<A> {
    fn new(hook: Hook, outbound: Arc<dyn Outbound>, clock: Arc<dyn Clock>) -> Self {
        Self { hook, outbound, clock, remembered: Mutex::default() }
    }

    /// The answer to a review, new or remembered by its key. Failures are told in the log and not remembered.
    async fn ask<R: Resource + Serialize + DeserializeOwned + Sync>(
        &self,
        key: &[u8],
        review: &R,
        read: impl FnOnce(R) -> (A, SignedDuration) + Send,
    ) -> Result<A, ()> {
        let key = digest(&SHA256, key).as_ref().to_vec();
        if let Some(answer) = self.recall(&key) {
            return Ok(answer);
        }
        let url = self.hook.uri();
        let told = |why: &dyn std::fmt::Display| tracing::warn!(url, %why, "a webhook could not be asked");
        let body = serde_json::to_vec(review).map_err(|error| told(&error))?;
        let answer = self.call(&body).await.map_err(|error| told(&error))?;
        let (answer, life) = read(serde_json::from_slice(&answer).map_err(|error| told(&error))?);
        self.remember(key, &answer, life);
        Ok(answer)
    }

    /// Calls until there is an answer, or a failure that will not pass.
    async fn call(&self, body: &[u8]) -> Result<Bytes, CallError> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..ATTEMPTS {
            match post(&*self.outbound, &self.hook, body.to_vec(), TIMEOUT).await {
                Err(error) if may_pass(&error) => {
                    tokio::time::sleep(pause).await;
                    pause = pause * 3 / 2;
                }
                answer => return answer,
            }
        }
        post(&*self.outbound, &self.hook, body.to_vec(), TIMEOUT).await
    }

    fn recall(&self, key: &[u8]) -> Option<A> {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let (answer, until) = remembered.get(key)?;
        (self.clock.now() < *until).then(|| answer.clone())
    }

    fn remember(&self, key: Vec<u8>, answer: &A, life: SignedDuration) {
        let now = self.clock.now();
        let Ok(until) = now.checked_add(life) else { return };
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED_MAX {
            remembered.retain(|_, (_, until)| now < *until);
        }
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(key, (answer.clone(), until));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

    use coracle_core::rbac::Place;
    use http::header::AUTHORIZATION;
    use http::{HeaderMap, Request, Response};
    use serde_json::{Value, json};

    use super::*;
    use crate::outbound::InProcess;

    struct Hand(AtomicI64);

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp::from_second(self.0.load(Ordering::SeqCst)).unwrap()
        }
    }

    /// A webhook, a clock, and how often the webhook was asked.
    fn webhook(
        answer: impl Fn(Value) -> Value + Send + Sync + 'static,
    ) -> (Hook, Arc<dyn Outbound>, Arc<Hand>, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let host = InProcess::default().host("hook", move |request: Request<Bytes>| {
            count.fetch_add(1, Ordering::SeqCst);
            let answer = answer(serde_json::from_slice(request.body()).unwrap());
            let code = answer.as_u64().map_or(200, |code| u16::try_from(code).unwrap());
            let response = Response::builder().status(code).body(Bytes::from(answer.to_string()));
            std::future::ready(response.unwrap())
        });
        let hook = Hook::url("https://hook/ask", None).unwrap();
        (hook, Arc::new(host), Arc::new(Hand(AtomicI64::new(1_000))), asked)
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_are_asked_about_and_answers_remembered_for_a_while() {
        let (hook, outbound, clock, asked) = webhook(|review| {
            assert_eq!(
                (&review["kind"], &review["apiVersion"]),
                (&json!("TokenReview"), &json!("authentication.k8s.io/v1"))
            );
            let status = match review["spec"]["token"].as_str().unwrap() {
                "jane" => json!({"authenticated": true, "user": {"username": "jane", "groups": ["a"]}}),
                "down" => return json!(500),
                "busy" => return json!(503),
                "nameless" => json!({"authenticated": true, "user": {}}),
                _ => json!({"authenticated": false, "user": {"username": "root"}}),
            };
            json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status})
        });
        let tokens = TokenWebhook::new(hook, outbound, clock.clone());
        let check = async |token: &str, expected: Result<Option<&str>, u16>, calls: usize| {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {token}").parse().unwrap())]);
            let told = tokens.authenticate(Credentials { certificate: None, headers: &headers }).await;
            let told = told.map(|user| user.map(|user| user.name)).map_err(|status| status.code());
            assert_eq!(told, expected.map(|name| name.map(str::to_owned)));
            assert_eq!(asked.swap(0, Ordering::SeqCst), calls, "{token}");
        };
        check("jane", Ok(Some("jane")), 1).await;
        check("jane", Ok(Some("jane")), 0).await;
        check("joe", Ok(None), 1).await;
        check("joe", Ok(None), 0).await;
        check("nameless", Ok(None), 1).await;
        check("down", Err(401), 5).await;
        check("down", Err(401), 5).await;
        check("busy", Err(401), 1).await;
        clock.0.fetch_add(120, Ordering::SeqCst);
        check("jane", Ok(Some("jane")), 1).await;
    }

    #[tokio::test(start_paused = true)]
    async fn access_is_asked_about_and_permissions_are_remembered_for_longer() {
        let (hook, outbound, clock, asked) = webhook(|review| {
            let spec = &review["spec"];
            let status = match (spec["resourceAttributes"]["resource"].as_str(), spec["user"].as_str()) {
                (Some("pods"), _) => json!({"allowed": true, "reason": "why not"}),
                (Some("nodes"), _) => json!({"allowed": true, "denied": true, "reason": "no"}),
                (Some("broken"), _) => return json!(504),
                _ => json!({"allowed": spec["nonResourceAttributes"]["path"] == "/version"}),
            };
            json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {}, "status": status})
        });
        let access = AccessWebhook::new(hook, outbound, clock.clone());
        let check = async |what: Access<'_>, allowed: bool, reason: &str, calls: usize| {
            let user = User { name: "jane".to_owned(), ..User::default() };
            let reason = reason.to_owned();
            let expected = if allowed { Decision::Allow(reason) } else { Decision::Deny(reason) };
            assert_eq!(access.authorize(&user, &what).await, expected);
            assert_eq!(asked.swap(0, Ordering::SeqCst), calls);
        };
        let of = |resource| Access::resource("get", Place { resource, ..Place::default() });
        for calls in [1, 0] {
            check(of("pods"), true, "why not", calls).await;
            check(of("nodes"), false, "no", calls).await;
            check(Access::path("get", "/version"), true, "", calls).await;
            check(of("broken"), false, "", 5).await;
        }
        clock.0.fetch_add(30, Ordering::SeqCst);
        check(of("pods"), true, "why not", 0).await;
        check(of("nodes"), false, "no", 1).await;
        clock.0.fetch_add(270, Ordering::SeqCst);
        check(of("pods"), true, "why not", 1).await;
    }
}
