//! Bindings of roles; the roles themselves have no printer upstream either.

use jiff::Timestamp;
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleBinding, RoleRef, Subject};
use serde_json::Value;

use super::age::age;
use super::column::{AGE, NAME, field, string, text};
use super::text::plain;
use super::{Printer, printer, row};

pub(super) static ROLE_BINDING: Printer = printer!(
    RoleBinding,
    role_binding,
    [
        NAME,
        string("Role", field("rbac.v1.RoleBinding", "roleRef")),
        AGE,
        string("Users", text("Users in the roleBinding")).wide(),
        string("Groups", text("Groups in the roleBinding")).wide(),
        string("ServiceAccounts", text("ServiceAccounts in the roleBinding")).wide(),
    ]
);

fn role_binding(binding: &RoleBinding, now: Timestamp) -> Vec<Value> {
    let subjects = Subjects::of(binding.subjects.as_deref().unwrap_or_default());
    row![
        plain(&binding.metadata.name),
        role(&binding.role_ref),
        age(&binding.metadata, now),
        subjects.users,
        subjects.groups,
        subjects.service_accounts,
    ]
}

pub(super) static CLUSTER_ROLE_BINDING: Printer = printer!(
    ClusterRoleBinding,
    cluster_role_binding,
    [
        NAME,
        string("Role", field("rbac.v1.ClusterRoleBinding", "roleRef")),
        AGE,
        string("Users", text("Users in the clusterRoleBinding")).wide(),
        string("Groups", text("Groups in the clusterRoleBinding")).wide(),
        string("ServiceAccounts", text("ServiceAccounts in the clusterRoleBinding")).wide(),
    ]
);

fn cluster_role_binding(binding: &ClusterRoleBinding, now: Timestamp) -> Vec<Value> {
    let subjects = Subjects::of(binding.subjects.as_deref().unwrap_or_default());
    row![
        plain(&binding.metadata.name),
        role(&binding.role_ref),
        age(&binding.metadata, now),
        subjects.users,
        subjects.groups,
        subjects.service_accounts,
    ]
}

fn role(role: &RoleRef) -> String {
    format!("{}/{}", role.kind, role.name)
}

/// Who is bound, by kind.
struct Subjects {
    users: String,
    groups: String,
    service_accounts: String,
}

impl Subjects {
    fn of(subjects: &[Subject]) -> Self {
        let of_kind = |kind: &str| subjects.iter().filter(move |subject| subject.kind == kind).collect::<Vec<_>>();
        let names = |subjects: Vec<&Subject>| subjects.iter().map(|subject| subject.name.clone()).collect::<Vec<_>>();
        let qualified = |subject: &&Subject| format!("{}/{}", plain(&subject.namespace), subject.name);
        Self {
            users: names(of_kind("User")).join(", "),
            groups: names(of_kind("Group")).join(", "),
            service_accounts: of_kind("ServiceAccount").iter().map(qualified).collect::<Vec<_>>().join(", "),
        }
    }
}
