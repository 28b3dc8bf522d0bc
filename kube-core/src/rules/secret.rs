//! Secret. Values written as `stringData` go over into `data` with the defaults, as they do when upstream decodes.

use super::check::text;
use super::{Ruled, fill, same};
use crate::field::{Errors, Path, format};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;

const BYTES_MAX: usize = 1024 * 1024;

impl Ruled for Secret {
    fn fill_defaults(&mut self) {
        fill::text(&mut self.type_, "Opaque");
        if let Some(strings) = self.string_data.take() {
            let bytes = strings.into_iter().map(|(key, value)| (key, ByteString(value.into_bytes())));
            self.data.get_or_insert_default().extend(bytes);
        }
    }

    fn validate(&self, errors: &mut Errors) {
        let path = Path::new("data");
        let mut bytes = 0;
        for (key, value) in self.data.iter().flatten() {
            errors.invalid_each(&path.key(key), key, format::config_key(key));
            bytes += value.0.len();
        }
        if bytes > BYTES_MAX {
            errors.too_long(&path, BYTES_MAX);
        }
        validate_type(self, &path, errors);
    }

    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        const FIXED: &str = "field is immutable when `immutable` is set";
        errors.immutable(&Path::new("type"), &self.type_, &old.type_);
        if old.immutable == Some(true) {
            if self.immutable != Some(true) {
                errors.forbidden(&Path::new("immutable"), FIXED);
            }
            if !same(&self.data, &old.data) {
                errors.forbidden(&Path::new("data"), FIXED);
            }
        }
        self.validate(errors);
    }

    /// A type left out of an update is the old one.
    fn prepare_update(&mut self, old: &Self) {
        if text(&self.type_).is_empty() {
            self.type_ = old.type_.clone();
        }
    }
}

/// The keys that a Secret of a known type must have.
fn validate_type(secret: &Secret, path: &Path, errors: &mut Errors) {
    let value = |key: &str| secret.data.as_ref().and_then(|data| data.get(key));
    let required = |keys: &[&str], errors: &mut Errors| {
        for key in keys.iter().filter(|key| value(key).is_none()) {
            errors.required(&path.key(key), "");
        }
    };
    match text(&secret.type_) {
        "kubernetes.io/service-account-token" => {
            const ACCOUNT: &str = "kubernetes.io/service-account.name";
            let account = secret.metadata.annotations.as_ref().and_then(|annotations| annotations.get(ACCOUNT));
            if account.is_none_or(String::is_empty) {
                errors.required(&Path::new("metadata.annotations").key(ACCOUNT), "");
            }
        }
        "kubernetes.io/dockercfg" => validate_json(".dockercfg", value(".dockercfg"), path, errors),
        "kubernetes.io/dockerconfigjson" => {
            validate_json(".dockerconfigjson", value(".dockerconfigjson"), path, errors);
        }
        "kubernetes.io/basic-auth" if value("username").is_none() && value("password").is_none() => {
            required(&["username", "password"], errors);
        }
        "kubernetes.io/ssh-auth" if value("ssh-privatekey").is_none_or(|key| key.0.is_empty()) => {
            errors.required(&path.key("ssh-privatekey"), "");
        }
        "kubernetes.io/tls" => required(&["tls.crt", "tls.key"], errors),
        _ => {}
    }
}

/// The reason that follows the redacted value is the JSON reader's own and differs from upstream's.
fn validate_json(key: &str, value: Option<&ByteString>, path: &Path, errors: &mut Errors) {
    let Some(value) = value else { return errors.required(&path.key(key), "") };
    if let Err(error) = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&value.0) {
        errors.invalid(&path.key(key), "<secret contents redacted>", error.to_string());
    }
}
