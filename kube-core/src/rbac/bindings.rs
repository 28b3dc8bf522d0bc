//! The index of bindings by whom they bind, so that a decision looks only at bindings that matter.
//!
//! A subject is a user name or a group; a ServiceAccount is the user `system:serviceaccount:<namespace>:<name>`.
//!
//! ```text
//! ""/u/jane              -> ClusterRoleBindings of the user jane
//! shop/g/developers      -> RoleBindings of the group developers in the namespace shop
//! ```

use std::sync::Arc;

use imbl::OrdMap;
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleBinding, RoleRef, Subject};

use crate::object::{Object, ObjectRef};

type Found = OrdMap<ObjectRef, Arc<Object>>;

/// Role bindings and cluster role bindings by namespace and subject.
#[derive(Clone, Debug, Default)]
pub struct Bindings(OrdMap<Arc<str>, Found>);

impl Bindings {
    /// Takes in the next version of an object of any kind, or its absence.
    pub(crate) fn replace(&mut self, previous: Option<&Object>, next: Option<&Arc<Object>>) {
        if let Some((previous, parts)) = previous.and_then(|object| Some((object, parts(object)?))) {
            self.remove(previous, &parts);
        }
        let Some((object, (_, subjects))) = next.and_then(|object| Some((object, parts(object)?))) else { return };
        for key in subjects.iter().filter_map(|subject| key_of(subject, object.namespace())) {
            self.0.entry(key).or_default().insert(object.reference(), object.clone());
        }
    }

    fn remove(&mut self, object: &Object, (_, subjects): &(&RoleRef, &[Subject])) {
        let place = object.reference();
        for key in subjects.iter().filter_map(|subject| key_of(subject, object.namespace())) {
            let Some(found) = self.0.get_mut(&key) else { continue };
            found.remove(&place);
            if found.is_empty() {
                self.0.remove(&key);
            }
        }
    }

    /// The bindings of a user (by name) in a namespace; those of the whole cluster if the namespace is empty.
    pub(super) fn of_user(&self, namespace: &str, user: &str) -> impl Iterator<Item = &Arc<Object>> {
        self.of(&key(namespace, 'u', user))
    }

    /// The bindings of a group.
    pub(super) fn of_group(&self, namespace: &str, group: &str) -> impl Iterator<Item = &Arc<Object>> {
        self.of(&key(namespace, 'g', group))
    }

    fn of(&self, key: &str) -> impl Iterator<Item = &Arc<Object>> + use<'_> {
        self.0.get(key).into_iter().flat_map(|found| found.values())
    }
}

/// What a binding binds; `None` if the object is no binding.
pub(super) fn parts(object: &Object) -> Option<(&RoleRef, &[Subject])> {
    if let Some(binding) = object.get::<RoleBinding>() {
        return Some((&binding.role_ref, binding.subjects.as_deref().unwrap_or_default()));
    }
    let binding = object.get::<ClusterRoleBinding>()?;
    Some((&binding.role_ref, binding.subjects.as_deref().unwrap_or_default()))
}

fn key(namespace: &str, kind: char, name: &str) -> String {
    format!("{namespace}/{kind}/{name}")
}

/// Where a binding in a namespace is found by one of its subjects. A ServiceAccount without a namespace is of the binding's.
fn key_of(subject: &Subject, namespace: &str) -> Option<Arc<str>> {
    let key = match subject.kind.as_str() {
        "User" => key(namespace, 'u', &subject.name),
        "Group" => key(namespace, 'g', &subject.name),
        "ServiceAccount" => key(namespace, 'u', &service_account(subject, namespace)?),
        _ => return None,
    };
    Some(key.into())
}

/// The user name of a ServiceAccount that is bound.
pub(super) fn service_account(subject: &Subject, namespace: &str) -> Option<String> {
    let own = subject.namespace.as_deref().filter(|namespace| !namespace.is_empty()).unwrap_or(namespace);
    (!own.is_empty()).then(|| format!("system:serviceaccount:{own}:{}", subject.name))
}
