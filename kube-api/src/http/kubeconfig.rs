//! The file that tells clients where the cluster is and who they are.

use std::io;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::pki::Identity;
use super::private_file;

/// How the client shows who it is.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A client certificate.
    Certificate(Identity),
    /// A bearer token.
    Token(String),
}

/// What a kubeconfig says.
#[derive(Clone, Debug)]
pub struct Kubeconfig {
    /// Name of the cluster, user and context.
    pub name: String,
    /// URL of the server, such as `https://127.0.0.1:6443`.
    pub server: String,
    /// The authority's certificate, PEM; `None` without TLS.
    pub authority: Option<String>,
    /// Who the client is.
    pub credential: Credential,
}

impl Kubeconfig {
    /// The file's text, YAML.
    ///
    /// # Errors
    /// If it cannot be encoded.
    pub fn to_yaml(&self) -> io::Result<String> {
        serde_saphyr::to_string(&self.to_value()).map_err(io::Error::other)
    }

    fn to_value(&self) -> Value {
        let name = &self.name;
        let mut cluster = json!({"server": self.server});
        if let (Some(authority), Some(fields)) = (&self.authority, cluster.as_object_mut()) {
            fields.insert("certificate-authority-data".to_owned(), STANDARD.encode(authority).into());
        }
        let user = match &self.credential {
            Credential::Token(token) => json!({"token": token}),
            Credential::Certificate(identity) => json!({
                "client-certificate-data": STANDARD.encode(&identity.certificate),
                "client-key-data": STANDARD.encode(&identity.key),
            }),
        };
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        })
    }

    /// Writes the file, readable by its owner only, in one step.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        private_file::write(path, self.to_yaml()?.as_bytes())
    }
}
