use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use bytes::Bytes;
use coracle_core::Clock;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Oidc, OidcSettings};
use crate::auth::SigningKey;
use crate::outbound::InProcess;

const ISSUER: &str = "https://id.example.com/realm";
const START: i64 = 1_800_000_000;

struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

struct Provider {
    oidc: Oidc,
    clock: Arc<Hand>,
    key: SigningKey,
    published: Arc<Mutex<Vec<Value>>>,
    fetched: Arc<AtomicUsize>,
}

/// A provider that publishes one key and answers in process.
fn provider(change: impl FnOnce(&mut OidcSettings)) -> Provider {
    let mut settings = OidcSettings::new(ISSUER, "us");
    settings.username_prefix = Some("oidc:".to_owned());
    settings.groups_claim = Some("groups".to_owned());
    settings.groups_prefix = "oidc:".to_owned();
    change(&mut settings);
    let key = SigningKey::generate().unwrap();
    let published = Arc::new(Mutex::new(vec![key.public()]));
    let fetched = Arc::new(AtomicUsize::new(0));
    let (keys, count) = (published.clone(), fetched.clone());
    let host = InProcess::default().host("id.example.com", move |request| {
        let answer = match request.uri().path() {
            "/realm/.well-known/openid-configuration" => {
                json!({"issuer": ISSUER, "jwks_uri": "https://id.example.com/keys"})
            }
            "/keys" => {
                count.fetch_add(1, Ordering::SeqCst);
                json!({"keys": *keys.lock().unwrap()})
            }
            path => panic!("{path}"),
        };
        std::future::ready(http::Response::new(Bytes::from(answer.to_string())))
    });
    let clock = Arc::new(Hand(AtomicI64::new(START)));
    let oidc = Oidc::new(settings, Arc::new(host), clock.clone()).unwrap();
    Provider { oidc, clock, key, published, fetched }
}

fn claims() -> Value {
    json!({"iss": ISSUER, "aud": "us", "sub": "jane", "groups": ["a", "b"], "exp": START + 60, "nbf": START})
}

fn with(name: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims();
    claims[name] = value.into();
    claims
}

/// Who a token's claims mean, or what is wrong with them.
async fn check(settings: impl FnOnce(&mut OidcSettings), claims: Value, expected: &str) {
    let provider = provider(settings);
    let said = match provider.oidc.holder(&provider.key.sign(&claims).unwrap()).await {
        Ok(Some(user)) => format!("{} in {}", user.name, user.groups.join(" ")),
        Ok(None) => "another's".to_owned(),
        Err(why) => why,
    };
    assert!(said.contains(expected), "{said:?} lacks {expected:?}");
}

#[tokio::test]
async fn tokens_mean_users_if_they_say_what_they_must() {
    let as_is = |_: &mut OidcSettings| {};
    check(as_is, claims(), "oidc:jane in oidc:a oidc:b").await;
    check(as_is, with("groups", "one"), "oidc:jane in oidc:one").await;
    check(as_is, with("groups", 7), "groups claim").await;
    check(as_is, with("iss", "https://other.example.com"), "another's").await;
    check(as_is, with("aud", "them"), "expected audience").await;
    check(as_is, with("aud", json!(["them", "us"])), "oidc:jane").await;
    check(as_is, with("aud", Value::Null), "expected audience").await;
    check(as_is, with("exp", START - 1), "expired").await;
    check(as_is, with("exp", Value::Null), "expired").await;
    check(as_is, with("exp", "tomorrow"), "expired").await;
    check(as_is, with("nbf", START + 301), "before the nbf").await;
    check(as_is, with("nbf", START + 299), "oidc:jane").await;
    check(as_is, with("sub", Value::Null), "claim not present").await;
    check(|it| it.username_prefix = None, claims(), &format!("{ISSUER}#jane in")).await;
    let email = |it: &mut OidcSettings| (it.username_claim, it.username_prefix) = ("email".to_owned(), None);
    check(email, with("email", "j@example.com"), "j@example.com in").await;
    let mut unverified = with("email", "j@example.com");
    unverified["email_verified"] = json!("true");
    check(email, unverified, "email not verified").await;
    let required = |it: &mut OidcSettings| it.required_claims = [("team".to_owned(), "red".to_owned())].into();
    check(required, claims(), "required claim team not present").await;
    check(required, with("team", "blue"), "required claim team value does not match").await;
    check(required, with("team", "red"), "oidc:jane").await;
}

#[tokio::test]
async fn only_the_providers_keys_sign_and_each_by_its_own_algorithm() {
    let provider = provider(|_| {});
    let good = provider.key.sign(&claims()).unwrap();
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, body) = signed.split_once('.').unwrap();
    let header: Value = serde_json::from_slice(&BASE64.decode(header).unwrap()).unwrap();
    let again = |change: Value| {
        let mut header = header.clone();
        header.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        BASE64.encode(header.to_string())
    };
    let other = BASE64.encode(with("sub", "root").to_string());
    let public = serde_json::to_vec(&provider.key.public()).unwrap();
    let confused = format!("{}.{body}", again(json!({"alg": "HS256"})));
    let hmac = ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &public), confused.as_bytes());
    for forged in [
        format!("{}.{other}.{signature}", BASE64.encode(header.to_string())),
        format!("{}.{body}.", again(json!({"alg": "none"}))),
        format!("{}.{body}.{signature}", again(json!({"alg": "RS256"}))),
        format!("{}.{body}.{signature}", again(json!({"crit": ["b64"]}))),
        format!("{}.{body}.{signature}", again(json!({"jwk": provider.key.public()}))),
        format!("{confused}.{}", BASE64.encode(hmac)),
        SigningKey::generate().unwrap().sign(&claims()).unwrap(),
        format!("{signed}."),
        format!("{signed}.%"),
    ] {
        assert!(provider.oidc.holder(&forged).await.is_err(), "{forged}");
    }
    assert_eq!(provider.oidc.holder("no.token").await, Ok(None));
    assert!(provider.oidc.holder(&good).await.unwrap().is_some());
}

#[tokio::test]
async fn unknown_keys_are_fetched_but_not_at_will() {
    let provider = provider(|_| {});
    let fetched = || provider.fetched.load(Ordering::SeqCst);
    let later = |seconds: i64| provider.clock.0.fetch_add(seconds, Ordering::SeqCst);
    let good = provider.key.sign(&claims()).unwrap();
    assert!(provider.oidc.holder(&good).await.is_ok() && provider.oidc.holder(&good).await.is_ok());
    assert_eq!(fetched(), 1);
    let next = SigningKey::generate().unwrap();
    let rotated = next.sign(&with("exp", START + 10_000)).unwrap();
    for _ in 0..5 {
        assert!(provider.oidc.holder(&rotated).await.is_err());
    }
    assert_eq!(fetched(), 1, "just asked");
    *provider.published.lock().unwrap() = vec![next.public()];
    later(10);
    assert!(provider.oidc.holder(&rotated).await.is_ok());
    assert_eq!(fetched(), 2);
    later(10);
    assert!(provider.oidc.holder(&good).await.is_err(), "the old key is gone");
    assert_eq!(fetched(), 3);
    provider.published.lock().unwrap().clear();
    later(3_600);
    assert!(provider.oidc.holder(&rotated).await.is_err(), "a key that was taken back is forgotten in an hour");
}

#[test]
fn rsa_keys_are_read() {
    let key = |change: Value| {
        let mut key = json!({"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "1"});
        key.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        super::key::Key::read(&key).is_some()
    };
    assert!(key(json!({})) && key(json!({"use": "sig", "alg": "RS256"})));
    assert!(!key(json!({"use": "enc"})) && !key(json!({"alg": "HS256"})) && !key(json!({"kty": "oct", "k": "AQAB"})));
}

#[test]
fn providers_are_called_by_https_only() {
    let new = |issuer: &str| {
        let clock = Arc::new(Hand(AtomicI64::new(START)));
        Oidc::new(OidcSettings::new(issuer, "us"), Arc::new(InProcess::default()), clock).is_ok()
    };
    assert!(new(ISSUER) && !new("http://id.example.com") && !new("id.example.com"));
}
