//! One key of a provider. The key says which algorithm is used, never the token: RS256 for RSA, ES256 for P-256.

use ring::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::Value;

use crate::auth::token::decode_bytes;

/// What a token says about its signature.
#[derive(Deserialize)]
pub(super) struct Header {
    alg: String,
    #[serde(default)]
    pub(super) kid: String,
    /// Extensions that a reader must understand. We understand none.
    #[serde(default)]
    crit: Option<Value>,
}

/// A JSON Web Key.
#[derive(Deserialize)]
struct Said {
    kty: String,
    #[serde(default)]
    kid: String,
    #[serde(default, rename = "use")]
    purpose: Option<String>,
    #[serde(default)]
    alg: Option<String>,
    #[serde(default)]
    crv: Option<String>,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
    #[serde(default)]
    x: String,
    #[serde(default)]
    y: String,
}

/// A key that may have signed tokens.
#[derive(Debug)]
pub(super) struct Key {
    id: String,
    public: Public,
}

#[derive(Debug)]
enum Public {
    /// Modulus and exponent.
    Rsa(Vec<u8>, Vec<u8>),
    /// An uncompressed point.
    P256(Vec<u8>),
}

impl Key {
    /// Reads a key; `None` if it is of a kind that is not known here, or not for signatures.
    pub(super) fn read(key: &Value) -> Option<Self> {
        let said = Said::deserialize(key).ok()?;
        let public = match (&*said.kty, said.crv.as_deref()) {
            ("RSA", _) => Public::Rsa(number(&said.n)?, number(&said.e)?),
            ("EC", Some("P-256")) => Public::P256([&[4], &*decode_bytes(&said.x)?, &*decode_bytes(&said.y)?].concat()),
            _ => return None,
        };
        let key = Self { id: said.kid, public };
        let fits = said.alg.is_none_or(|alg| alg == key.algorithm());
        (fits && said.purpose.is_none_or(|purpose| purpose == "sig")).then_some(key)
    }

    const fn algorithm(&self) -> &'static str {
        match self.public {
            Public::Rsa(..) => "RS256",
            Public::P256(_) => "ES256",
        }
    }

    /// Whether this is the key that a token names, or one of those it may mean by naming none.
    pub(super) fn is_meant(&self, header: &Header) -> bool {
        header.kid.is_empty() || header.kid == self.id
    }

    /// Whether this key made a signature.
    pub(super) fn has_signed(&self, header: &Header, signed: &[u8], signature: &[u8]) -> bool {
        if header.alg != self.algorithm() || header.crit.is_some() {
            return false;
        }
        match &self.public {
            Public::Rsa(n, e) => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature).is_ok()
            }
            Public::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed, signature).is_ok()
            }
        }
    }
}

/// Some providers write zeros in front, which are not taken.
fn number(text: &str) -> Option<Vec<u8>> {
    Some(decode_bytes(text)?.into_iter().skip_while(|byte| *byte == 0).collect())
}
