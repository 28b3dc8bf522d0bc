//! Nobody grants what they have not: who writes a role must hold its rules, who binds a role must hold them too, unless they
//! may `escalate` or `bind`. Source: `pkg/registry/rbac/*/policybased/storage.go`.

use coracle_core::rbac::{self, Access, GROUP, Place};
use coracle_core::{AnyResource, GroupResource, Object, Status, Target, User, World};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::authorizer::{Authorizer, is_master};

/// A write of a role or binding by someone.
pub(crate) struct Write<'a> {
    pub(crate) world: &'a World,
    pub(crate) user: &'a User,
    pub(crate) target: &'a Target,
    pub(crate) metadata: &'a ObjectMeta,
    pub(crate) authorizer: &'a dyn Authorizer,
}

/// Refuses a new version of a role or binding that grants what its writer has not. Other kinds pass.
pub(crate) async fn check(write: &Write<'_>, new: &dyn AnyResource, old: Option<&Object>) -> Result<(), Status> {
    if is_master(write.user) {
        return Ok(());
    }
    if let Some(role) = new.as_any().downcast_ref::<Role>() {
        let old = old.and_then(|old| old.get::<Role>());
        let is_unchanged = old.is_some_and(|old| rules(&old.rules) == rules(&role.rules));
        return write.role(rules(&role.rules), false, is_unchanged).await;
    }
    if let Some(role) = new.as_any().downcast_ref::<ClusterRole>() {
        let old = old.and_then(|old| old.get::<ClusterRole>());
        let is_unchanged = old.is_some_and(|old| {
            rules(&old.rules) == rules(&role.rules) && old.aggregation_rule == role.aggregation_rule
        });
        let gathers = role.aggregation_rule.is_some() || old.is_some_and(|old| old.aggregation_rule.is_some());
        return write.role(rules(&role.rules), gathers, is_unchanged).await;
    }
    let any = new.as_any();
    let of_cluster = any.downcast_ref::<ClusterRoleBinding>().map(|binding| &binding.role_ref);
    let Some(role) = any.downcast_ref::<RoleBinding>().map(|binding| &binding.role_ref).or(of_cluster) else {
        return Ok(());
    };
    let is_cleaned = old.is_some_and(|old| only_cleaned(old, new));
    if is_cleaned { Ok(()) } else { write.binding(role).await }
}

/// Whether nothing changes but what the garbage collector needs to let an object go. Source: `rbacregistry.IsOnlyMutatingGCFields`.
fn only_cleaned(old: &Object, new: &dyn AnyResource) -> bool {
    let mut cleaned = new.duplicate();
    let (metadata, before) = (cleaned.metadata_mut(), old.metadata());
    metadata.owner_references.clone_from(&before.owner_references);
    metadata.finalizers.clone_from(&before.finalizers);
    metadata.managed_fields.clone_from(&before.managed_fields);
    metadata.resource_version.clone_from(&before.resource_version);
    let text = |object: &dyn AnyResource| object.encode().ok();
    text(&*cleaned).is_some_and(|cleaned| Some(cleaned) == text(old.value()))
}

impl Write<'_> {
    async fn role(&self, wanted: &[PolicyRule], gathers: bool, is_unchanged: bool) -> Result<(), Status> {
        let resource = &self.target.resource.resource;
        if is_unchanged || self.may("escalate", resource, &self.target.name).await {
            return Ok(());
        }
        if gathers && self.holds(&rbac::everything()).is_err() {
            return Err(self.refuse("must have cluster-admin privileges to use an aggregationRule"));
        }
        self.holds(wanted).map_err(|why| self.refuse(&why))
    }

    async fn binding(&self, role: &RoleRef) -> Result<(), Status> {
        let resource = if role.kind == "Role" { "roles" } else { "clusterroles" };
        if self.may("bind", resource, &role.name).await {
            return Ok(());
        }
        let namespace = &self.target.namespace;
        let Ok(wanted) = rbac::role_rules(self.world, role, namespace) else {
            return Err(Status::not_found(&GroupResource::new(GROUP, resource), &role.name));
        };
        self.holds(wanted).map_err(|why| self.refuse(&why))
    }

    async fn may(&self, verb: &str, resource: &str, name: &str) -> bool {
        let place = Place { group: GROUP, resource, namespace: &self.target.namespace, name, subresource: "" };
        self.authorizer.authorize(self.user, &Access::resource(verb, place)).await.is_allowed()
    }

    /// Whether the writer holds all of these rules; else what is missing, in words.
    fn holds(&self, wanted: &[PolicyRule]) -> Result<(), String> {
        let (held, unresolved) = rbac::rules_of(self.world, self.user, &self.target.namespace);
        let missing = rbac::missing(&held, wanted);
        if missing.is_empty() {
            return Ok(());
        }
        Err(rbac::describe_missing(self.user, missing, &unresolved))
    }

    fn refuse(&self, why: &str) -> Status {
        Status::forbidden(&self.target.resource, self.metadata.name.as_deref().unwrap_or(""), why)
    }
}

fn rules(rules: &Option<Vec<PolicyRule>>) -> &[PolicyRule] {
    rules.as_deref().unwrap_or_default()
}
