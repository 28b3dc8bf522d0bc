//! Temporary.
use crate::field::Errors;
use std::any::Any;
pub struct Rules {
    pub default: fn(object: &mut dyn Any),
    pub validate: fn(object: &dyn Any) -> Errors,
    pub validate_update: fn(new: &dyn Any, old: &dyn Any) -> Errors,
    pub validate_status_update: fn(new: &dyn Any, old: &dyn Any) -> Errors,
    pub prepare_create: fn(object: &mut dyn Any),
    pub prepare_update: fn(new: &mut dyn Any, old: &dyn Any),
    pub prepare_status_update: fn(new: &mut dyn Any, old: &dyn Any),
    pub spec_changed: fn(new: &dyn Any, old: &dyn Any) -> bool,
}
pub fn lookup(group: &str, version: &str, kind: &str) -> Option<&'static Rules> { None }
pub mod metadata {
    use crate::field::{Errors, Path};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
    pub type NameRule = fn(name: &str, prefix: bool) -> Vec<String>;
    pub fn dns_subdomain(_name: &str, _prefix: bool) -> Vec<String> { vec![] }
    pub fn validate(_meta: &ObjectMeta, _namespaced: bool, _name_rule: NameRule, _path: &Path, _errors: &mut Errors) {}
    pub fn validate_update(_new: &ObjectMeta, _old: &ObjectMeta, _path: &Path, _errors: &mut Errors) {}
}
