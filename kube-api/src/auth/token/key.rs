//! The cluster's signing key: P-256, and JSON Web Signatures made with it. There is one algorithm, so nobody can choose another.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD as BASE64};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const ALGORITHM: &str = "ES256";
/// Characters in a line of PEM.
const PEM_LINE: usize = 64;
/// Bytes of a token that are looked at.
const TOKEN_BYTES_MAX: usize = 16 << 10;

/// The key is no good, or the system has no randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signing key cannot be made, read or used")]
pub struct KeyError;

/// A key that signs tokens.
pub struct SigningKey {
    pair: EcdsaKeyPair,
    pkcs8: Vec<u8>,
    id: String,
    random: SystemRandom,
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crit: Option<Value>,
}

impl SigningKey {
    /// A new key, from the system's randomness.
    ///
    /// # Errors
    /// If the system has none.
    pub fn generate() -> Result<Self, KeyError> {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        Self::load(pkcs8.map_err(|_| KeyError)?.as_ref())
    }

    /// A key that was made before, PKCS#8.
    ///
    /// # Errors
    /// If it is no such key.
    pub fn load(pkcs8: &[u8]) -> Result<Self, KeyError> {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &random).map_err(|_| KeyError)?;
        let id = BASE64.encode(digest(&SHA256, pair.public_key().as_ref()));
        Ok(Self { pair, pkcs8: pkcs8.to_vec(), id, random })
    }

    /// The key itself, PKCS#8, to be kept. A secret.
    #[must_use]
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// A key that was made before, PEM, as [`Self::to_pem`] gives it.
    ///
    /// # Errors
    /// If it is no such key.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let key = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).map_err(|_| KeyError)?;
        Self::load(key.secret_pkcs8_der())
    }

    /// The key itself, PEM, to be kept. A secret.
    #[must_use]
    pub fn to_pem(&self) -> String {
        let lines = STANDARD.encode(&self.pkcs8);
        let lines = lines.as_bytes().chunks(PEM_LINE).map(|line| String::from_utf8_lossy(line) + "\n");
        format!("-----BEGIN PRIVATE KEY-----\n{}-----END PRIVATE KEY-----\n", lines.collect::<String>())
    }

    /// A signed token of these claims.
    pub(crate) fn sign(&self, claims: &impl Serialize) -> Result<String, KeyError> {
        let header = Header { alg: ALGORITHM.to_owned(), kid: self.id.clone(), crit: None };
        let part = |json: Result<Vec<u8>, _>| Ok(BASE64.encode(json.map_err(|_: serde_json::Error| KeyError)?));
        let signed = format!("{}.{}", part(serde_json::to_vec(&header))?, part(serde_json::to_vec(claims))?);
        let signature = self.pair.sign(&self.random, signed.as_bytes()).map_err(|_| KeyError)?;
        Ok(format!("{signed}.{}", BASE64.encode(signature)))
    }

    /// Whether this key signed the token.
    pub(super) fn has_signed(&self, token: &str) -> bool {
        let Some((signed, signature)) = token.rsplit_once('.') else { return false };
        let Some(header) = signed.split_once('.').and_then(|(header, _)| decode::<Header>(header)) else {
            return false;
        };
        let Ok(signature) = BASE64.decode(signature) else { return false };
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.pair.public_key());
        header.alg == ALGORITHM
            && header.crit.is_none()
            && header.kid == self.id
            && key.verify(signed.as_bytes(), &signature).is_ok()
    }

    /// The public half, as a JSON Web Key.
    #[must_use]
    pub fn public(&self) -> Value {
        // An uncompressed point: 4, then both coordinates.
        let point = self.pair.public_key().as_ref();
        let (x, y) = point.get(1..).unwrap_or_default().split_at_checked(32).unwrap_or_default();
        json!({
            "use": "sig", "kty": "EC", "kid": self.id, "crv": "P-256", "alg": ALGORITHM,
            "x": BASE64.encode(x), "y": BASE64.encode(y),
        })
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "SigningKey {}", self.id)
    }
}

/// What a token says, whoever signed it; `None` if it is no token of three parts.
pub(crate) fn unverified<T: for<'a> Deserialize<'a>>(token: &str) -> Option<T> {
    let mut parts = token.split('.');
    let (Some(_), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    (token.len() <= TOKEN_BYTES_MAX).then(|| decode(claims)).flatten()
}

/// What a part of a token says.
pub(crate) fn decode<T: for<'a> Deserialize<'a>>(part: &str) -> Option<T> {
    serde_json::from_slice(&decode_bytes(part)?).ok()
}

/// What a part of a token is, such as its signature.
pub(crate) fn decode_bytes(part: &str) -> Option<Vec<u8>> {
    BASE64.decode(part).ok()
}
