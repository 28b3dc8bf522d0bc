//! Continue tokens: where a page ended, and the revision all pages show.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coracle_core::{Revision, Status};
use serde::{Deserialize, Serialize};

const VERSION: &str = "meta.k8s.io/v1";

/// Where a page ended. On the wire base64 of `{"v":"meta.k8s.io/v1","rv":41,"start":"default/web\u0000"}`, and how many objects
/// are left, so that no page need count them again. Source: apiserver `storage.continueToken`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The revision all pages show; `None` if that is gone and the rest is wanted as it is now.
    pub revision: Option<Revision>,
    /// The next page begins with the first key that is not before this text.
    pub start: String,
    /// How many objects follow at that revision, if that is known.
    pub left: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    #[serde(default)]
    v: String,
    #[serde(default)]
    rv: i64,
    #[serde(default)]
    start: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    left: Option<u64>,
}

impl Token {
    /// The page after the one that ended with this key.
    #[must_use]
    pub fn after(key: &str, revision: Revision, left: Option<u64>) -> Self {
        Self { revision: Some(revision), start: format!("{key}\0"), left }
    }

    /// As clients carry it.
    #[must_use]
    pub fn encode(&self) -> String {
        let rv = self.revision.map_or(-1, |revision| i64::try_from(revision.0).unwrap_or(i64::MAX));
        let wire = Wire { v: VERSION.to_owned(), rv, start: self.start.clone(), left: self.left };
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&wire).unwrap_or_default())
    }

    /// Reads what a client brings back.
    ///
    /// # Errors
    /// 400 if this server did not make it.
    pub fn decode(text: &str) -> Result<Self, Status> {
        let refuse =
            |why: String| Status::bad_request(format!("invalid continue token: continue key is not valid{why}"));
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|error| refuse(format!(": {error}")))?;
        let wire: Wire = serde_json::from_slice(&bytes).map_err(|error| refuse(format!(": {error}")))?;
        if wire.v != VERSION {
            return Err(refuse(format!(": server does not recognize this encoded version {}", wire.v)));
        }
        if wire.start.is_empty() {
            return Err(refuse(format!(": encoded start key empty (version {VERSION})")));
        }
        let revision = match u64::try_from(wire.rv) {
            Ok(0) => return Err(refuse(format!(": incorrect encoded start resourceVersion (version {VERSION})"))),
            Ok(revision) => Some(Revision(revision)),
            Err(_negative) => None,
        };
        Ok(Self { revision, start: wire.start, left: wire.left })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_the_way_to_the_client() {
        let old = Token { revision: None, start: "a".into(), left: None };
        for token in [Token::after("default/web", Revision(41), Some(7)), old] {
            assert_eq!(Token::decode(&token.encode()).unwrap(), token);
        }
    }

    #[test]
    fn made_up_tokens_are_refused() {
        for (json, end) in [
            ("{}", "server does not recognize this encoded version "),
            (r#"{"v":"meta.k8s.io/v1","rv":1}"#, "encoded start key empty (version meta.k8s.io/v1)"),
            (
                r#"{"v":"meta.k8s.io/v1","start":"a"}"#,
                "incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
            ),
        ] {
            let status = Token::decode(&URL_SAFE_NO_PAD.encode(json)).unwrap_err();
            assert_eq!(status.message(), format!("invalid continue token: continue key is not valid: {end}"));
            assert_eq!(status.code(), 400);
        }
        assert_eq!(Token::decode("?").unwrap_err().code(), 400);
    }
}
