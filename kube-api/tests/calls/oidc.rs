//! Users of an OpenID Connect provider that is a real HTTPS server, with keys of both kinds, and who is no user of it.

use std::process::Command;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use coracle_api::auth::{Authenticator as _, Chain, Credentials, Oidc, OidcSettings};
use coracle_api::outbound::Network;
use coracle_core::{Clock, Feed};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use jiff::{SignedDuration, Timestamp};
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair, PublicKeyComponents};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256};
use serde_json::{Value, json};

use crate::cluster::{Cluster, NOW};
use crate::hooks::{Hooks, Reply};

/// A clock that is moved by hand.
struct Hand(Mutex<Timestamp>);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// An RSA key of so many bits, which only a program can make; programs differ in how they wrap it.
fn rsa(bits: u32) -> KeyPair {
    let made = Command::new("openssl")
        .args(["genpkey", "-algorithm", "RSA", "-outform", "DER", "-pkeyopt", &format!("rsa_keygen_bits:{bits}")])
        .output()
        .expect("openssl makes keys for this test");
    KeyPair::from_pkcs8(&made.stdout).or_else(|_| KeyPair::from_der(&made.stdout)).unwrap()
}

fn published(key: &KeyPair, id: &str) -> Value {
    let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(key.public_key());
    json!({"kty": "RSA", "alg": "RS256", "use": "sig", "kid": id, "n": BASE64.encode(n), "e": BASE64.encode(e)})
}

fn signed(key: &KeyPair, header: Value, claims: &Value) -> String {
    let text = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
    format!("{text}.{}", BASE64.encode(signature))
}

/// The public half of a key on a curve, and a token that the key signed.
fn elliptic(claims: &Value) -> (Value, String) {
    let chance = SystemRandom::new();
    let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &chance).unwrap();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, made.as_ref(), &chance).unwrap();
    let (x, y) = key.public_key().as_ref()[1..].split_at(32);
    let public =
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "kid": "e", "x": BASE64.encode(x), "y": BASE64.encode(y)});
    let header = json!({"alg": "ES256", "kid": "e"}).to_string();
    let text = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims.to_string()));
    let signature = key.sign(&chance, text.as_bytes()).unwrap();
    (public, format!("{text}.{}", BASE64.encode(signature)))
}

struct Provider {
    hooks: Hooks,
    issuer: String,
    keys: Arc<Mutex<Vec<Value>>>,
    clock: Arc<Hand>,
    feed: Arc<Feed>,
}

impl Provider {
    async fn start() -> Self {
        let keys = Arc::<Mutex<Vec<Value>>>::default();
        let known = keys.clone();
        let hooks = Hooks::start(move |asked| {
            let issuer = format!("https://{}", asked.headers["host"].to_str().unwrap());
            Reply::Json(match &*asked.path {
                "/.well-known/openid-configuration" => json!({"issuer": issuer, "jwks_uri": format!("{issuer}/keys")}),
                _ => json!({"keys": *known.lock().unwrap()}),
            })
        })
        .await;
        let issuer = format!("https://{}", hooks.address);
        let clock = Arc::new(Hand(Mutex::new(NOW.parse().unwrap())));
        let feed = Cluster::start().await.gateway.feed().clone();
        Self { hooks, issuer, keys, clock, feed }
    }

    /// The provider as a cluster believes it that trusts these authorities.
    fn believed(&self, authorities: &str) -> Oidc {
        let mut settings = OidcSettings::new(&self.issuer, "us");
        settings.username_prefix = Some("oidc:".to_owned());
        settings.authorities = Some(authorities.as_bytes().to_vec());
        let network = Network::new(self.feed.clone(), self.clock.clone());
        Oidc::new(settings, Arc::new(network), self.clock.clone()).unwrap()
    }

    fn claims(&self) -> Value {
        let now = self.clock.now().as_second();
        json!({"iss": self.issuer, "aud": "us", "sub": "jane", "exp": now + 600, "nbf": now})
    }
}

/// Who a token lets in as; or the refusal's code.
async fn holder(oidc: &Chain, token: &str) -> Result<Option<String>, u16> {
    let headers = HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {token}").parse().unwrap())]);
    let user = oidc.authenticate(Credentials { certificate: None, headers: &headers }).await;
    user.map(|user| user.map(|user| user.name)).map_err(|status| status.code())
}

#[tokio::test]
async fn tokens_of_both_kinds_of_keys_are_good_and_bad_ones_are_not() {
    let provider = Provider::start().await;
    let (rsa_key, (public, es256)) = (rsa(2048), elliptic(&provider.claims()));
    *provider.keys.lock().unwrap() = vec![published(&rsa_key, "r"), public];
    let oidc = Chain(vec![Arc::new(provider.believed(&provider.hooks.ca))]);
    let jane = Ok(Some("oidc:jane".to_owned()));
    let rs256 = json!({"alg": "RS256", "kid": "r"});
    let good = signed(&rsa_key, rs256.clone(), &provider.claims());
    assert_eq!(holder(&oidc, &good).await, jane);
    assert_eq!(holder(&oidc, &es256).await, jane);
    let with = |name: &str, value: Value| {
        let mut claims = provider.claims();
        claims[name] = value;
        signed(&rsa_key, rs256.clone(), &claims)
    };
    let now = provider.clock.now().as_second();
    let (text, signature) = good.rsplit_once('.').unwrap();
    let (header, body) = text.split_once('.').unwrap();
    let none = BASE64.encode(json!({"alg": "none", "kid": "r"}).to_string());
    let hs256 = BASE64.encode(json!({"alg": "HS256", "kid": "r"}).to_string());
    let public = PublicKeyComponents::<Vec<u8>>::from(rsa_key.public_key()).n;
    let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &public);
    let confused = BASE64.encode(ring::hmac::sign(&secret, format!("{hs256}.{body}").as_bytes()));
    let root = BASE64.encode({
        let mut claims = provider.claims();
        claims["sub"] = json!("root");
        claims.to_string()
    });
    for (what, token) in [
        ("no signature", format!("{none}.{body}.")),
        ("the public key as a secret", format!("{hs256}.{body}.{confused}")),
        ("other claims", format!("{header}.{root}.{signature}")),
        ("another key", signed(&rsa(2048), rs256.clone(), &provider.claims())),
        ("a key that is not published", signed(&rsa_key, json!({"alg": "RS256", "kid": "x"}), &provider.claims())),
        (
            "an RSA key as one of the other kind",
            signed(&rsa_key, json!({"alg": "ES256", "kid": "r"}), &provider.claims()),
        ),
        ("another algorithm", signed(&rsa_key, json!({"alg": "RS512", "kid": "r"}), &provider.claims())),
        ("another audience", with("aud", json!("them"))),
        ("expired", with("exp", json!(now - 1))),
        ("not yet", with("nbf", json!(now + 3600))),
        ("no name", with("sub", Value::Null)),
    ] {
        assert_eq!(holder(&oidc, &token).await, Err(401), "{what}");
    }
    assert_eq!(holder(&oidc, &with("iss", json!("https://127.0.0.1:1"))).await, Ok(None), "another issuer");
}

#[tokio::test]
async fn a_provider_changes_its_keys() {
    let provider = Provider::start().await;
    let (old, new) = (rsa(2048), rsa(2048));
    *provider.keys.lock().unwrap() = vec![published(&old, "old")];
    let oidc = Chain(vec![Arc::new(provider.believed(&provider.hooks.ca))]);
    let with_old = signed(&old, json!({"alg": "RS256", "kid": "old"}), &provider.claims());
    let with_new = signed(&new, json!({"alg": "RS256", "kid": "new"}), &provider.claims());
    assert!(holder(&oidc, &with_old).await.is_ok());
    *provider.keys.lock().unwrap() = vec![published(&new, "new")];
    assert_eq!(holder(&oidc, &with_new).await, Err(401), "the provider was asked a moment ago");
    *provider.clock.0.lock().unwrap() += SignedDuration::from_secs(10);
    assert!(holder(&oidc, &with_new).await.is_ok());
    assert_eq!(holder(&oidc, &with_old).await, Err(401), "a key that is no longer published");
}

#[tokio::test]
async fn whoever_says_to_be_the_provider_must_prove_it() {
    let (provider, other) = (Provider::start().await, Provider::start().await);
    let key = rsa(2048);
    *provider.keys.lock().unwrap() = vec![published(&key, "r")];
    let oidc = Chain(vec![Arc::new(provider.believed(&other.hooks.ca))]);
    let token = signed(&key, json!({"alg": "RS256", "kid": "r"}), &provider.claims());
    assert_eq!(holder(&oidc, &token).await, Err(401), "its certificate is of another authority");
    assert!(provider.hooks.take().is_empty());
}
