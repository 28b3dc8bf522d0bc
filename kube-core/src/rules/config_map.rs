//! ConfigMap.

use super::{Ruled, same};
use crate::field::{Errors, Path, format};
use k8s_openapi::api::core::v1::ConfigMap;

const BYTES_MAX: usize = 1024 * 1024;

impl Ruled for ConfigMap {
    fn validate(&self, errors: &mut Errors) {
        let (data, binary) = (Path::new("data"), Path::new("binaryData"));
        let mut bytes = 0;
        for (key, value) in self.data.iter().flatten() {
            errors.invalid_each(&data.key(key), key, format::config_key(key));
            if self.binary_data.as_ref().is_some_and(|binary| binary.contains_key(key)) {
                errors.invalid(&data.key(key), key, "duplicate of key present in binaryData");
            }
            bytes += value.len();
        }
        for (key, value) in self.binary_data.iter().flatten() {
            errors.invalid_each(&binary.key(key), key, format::config_key(key));
            bytes += value.0.len();
        }
        if bytes > BYTES_MAX {
            errors.too_long(&Path::new("[]"), BYTES_MAX);
        }
    }

    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        const FIXED: &str = "field is immutable when `immutable` is set";
        if old.immutable == Some(true) {
            if self.immutable != Some(true) {
                errors.forbidden(&Path::new("immutable"), FIXED);
            }
            if !same(&self.data, &old.data) {
                errors.forbidden(&Path::new("data"), FIXED);
            }
            if !same(&self.binary_data, &old.binary_data) {
                errors.forbidden(&Path::new("binaryData"), FIXED);
            }
        }
        self.validate(errors);
    }
}
