use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding};
use serde_json::{Value, json};

use super::*;
use crate::kind::Kinds;
use crate::request::User;
use crate::world::World;

fn rule(json: Value) -> PolicyRule {
    let mut json = json;
    json.as_object_mut().unwrap().entry("verbs").or_insert(json!(["get"]));
    serde_json::from_value(json).unwrap()
}

/// `get pods`, `create apps/deployments/scale`, `get pods:web` (a name), `get /healthz`.
fn access(text: &'static str) -> Access<'static> {
    let (verb, what) = text.split_once(' ').unwrap();
    if what.starts_with('/') {
        return Access::path(verb, what);
    }
    let (what, name) = what.split_once(':').unwrap_or((what, ""));
    let (group, what) = what.split_once('.').unwrap_or(("", what));
    let (resource, subresource) = what.split_once('/').unwrap_or((what, ""));
    Access::resource(verb, Place { group, resource, subresource, namespace: "", name })
}

fn check(json: Value, allowed: &[&'static str], refused: &[&'static str]) {
    let rule = rule(json);
    for text in allowed {
        assert!(allows(&rule, &access(text)), "{rule:?} should allow {text}");
    }
    for text in refused {
        assert!(!allows(&rule, &access(text)), "{rule:?} should refuse {text}");
    }
}

#[test]
fn rules_match_verbs_groups_resources_and_names() {
    let pods = json!({"apiGroups": [""], "resources": ["pods"]});
    check(
        pods,
        &["get pods", "get pods:web"],
        &["list pods", "get pods/log", "get apps.pods", "get pod", "get /pods", "get PODS", "get secrets"],
    );
    check(json!({"apiGroups": [""], "resources": ["pods/log"]}), &["get pods/log:web"], &["get pods", "get pods/exec"]);
    check(
        json!({"apiGroups": ["*"], "resources": ["*/scale"], "verbs": ["update"]}),
        &["update apps.deployments/scale", "update replicationcontrollers/scale"],
        &["update apps.deployments", "update apps.deployments/status", "get apps.deployments/scale"],
    );
    check(
        json!({"apiGroups": ["apps"], "resources": ["*"], "verbs": ["*"]}),
        &["delete apps.deployments", "update apps.deployments/status", "escalate apps.x"],
        &["delete pods", "get /apis/apps"],
    );
    check(
        json!({"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a", "b"]}),
        &["get secrets:a", "get secrets:b"],
        &["get secrets", "get secrets:c", "get secrets:*", "get secrets:A"],
    );
    check(json!({"apiGroups": [""], "resources": ["p*"]}), &[], &["get pods"]);
    check(json!({"apiGroups": ["*"], "resources": ["*"], "verbs": []}), &[], &["get pods"]);
}

#[test]
fn rules_match_paths() {
    check(
        json!({"nonResourceURLs": ["/healthz"]}),
        &["get /healthz"],
        &["get /healthz/", "get /healthz/x", "post /healthz"],
    );
    check(
        json!({"nonResourceURLs": ["/apis/*"]}),
        &["get /apis/", "get /apis/apps/v1"],
        &["get /apis", "get /api/v1", "get pods"],
    );
    check(json!({"nonResourceURLs": ["*"]}), &["get /", "get /metrics"], &["get pods"]);
    check(json!({"nonResourceURLs": ["/a/*/b"]}), &[], &["get /a/x/b"]);
}

fn put(world: &mut World, json: Value) {
    let text = json.to_string();
    match json["kind"].as_str().unwrap() {
        "Role" => world.insert(serde_json::from_str::<Role>(&text).unwrap()),
        "ClusterRole" => world.insert(serde_json::from_str::<ClusterRole>(&text).unwrap()),
        "RoleBinding" => world.insert(serde_json::from_str::<RoleBinding>(&text).unwrap()),
        _ => world.insert(serde_json::from_str::<ClusterRoleBinding>(&text).unwrap()),
    }
    .unwrap();
}

fn role(kind: &str, namespace: &str, name: &str, resource: &str) -> Value {
    let rules = json!([{"apiGroups": [""], "resources": [resource], "verbs": ["get", "list"]}]);
    let metadata =
        if namespace.is_empty() { json!({"name": name}) } else { json!({"name": name, "namespace": namespace}) };
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata, "rules": rules})
}

/// `role`: `ClusterRole/view`; `subject`: `User/jane`, `ServiceAccount/shop/robot`.
fn binding(namespace: &str, name: &str, role: &str, subject: &str) -> Value {
    let (role_kind, role_name) = role.split_once('/').unwrap();
    let (kind, who) = subject.split_once('/').unwrap();
    let subject = match who.split_once('/').filter(|_| kind == "ServiceAccount") {
        Some((own, who)) => json!({"kind": kind, "name": who, "namespace": own}),
        None => json!({"kind": kind, "name": who}),
    };
    let (own, metadata) = match namespace {
        "" => ("ClusterRoleBinding", json!({"name": name})),
        _ => ("RoleBinding", json!({"name": name, "namespace": namespace})),
    };
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": own, "metadata": metadata, "subjects": [subject],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": role_name},
    })
}

fn user(name: &str, groups: &[&str]) -> User {
    User { name: name.into(), groups: groups.iter().map(|group| (*group).into()).collect(), ..User::default() }
}

fn world(objects: impl IntoIterator<Item = Value>) -> World {
    let mut world = World::new(Kinds::builtin());
    objects.into_iter().for_each(|object| put(&mut world, object));
    world
}

fn get(namespace: &'static str, resource: &'static str) -> Access<'static> {
    Access::resource("get", Place { namespace, resource, ..Place::default() })
}

/// Why it is allowed, or why not.
fn told(world: &World, user: &User, access: &Access<'_>) -> String {
    match authorize(world, user, access) {
        Verdict::Allowed(why) => format!("yes {why}"),
        Verdict::NotAllowed(why) => format!("no {why}"),
    }
}

#[test]
fn bindings_reach_users_groups_and_service_accounts_where_they_hold() {
    let world = world([
        role("ClusterRole", "", "pods", "pods"),
        role("Role", "shop", "maps", "configmaps"),
        binding("shop", "one", "ClusterRole/pods", "User/jane"),
        binding("shop", "two", "Role/maps", "Group/shopkeepers"),
        binding("", "three", "ClusterRole/pods", "ServiceAccount/shop/robot"),
        binding("shop", "four", "Role/maps", "ServiceAccount/helper"),
        binding("", "five", "ClusterRole/pods", "ServiceAccount/nowhere"),
        binding("shop", "six", "ClusterRole/gone", "User/jane"),
        binding("shop", "seven", "Role/gone", "User/jane"),
    ]);
    let jane = user("jane", &[]);
    let check = |user: &User, access: Access<'_>, expected: &str| assert_eq!(told(&world, user, &access), expected);
    check(
        &jane,
        get("shop", "pods"),
        "yes RBAC: allowed by RoleBinding \"one/shop\" of ClusterRole \"pods\" to User \"jane\"",
    );
    check(&jane, get("", "pods"), "no ");
    check(&jane, get("shop2", "pods"), "no ");
    check(
        &jane,
        get("shop", "configmaps"),
        "no RBAC: [role.rbac.authorization.k8s.io \"gone\" not found, clusterrole.rbac.authorization.k8s.io \"gone\" not found]",
    );
    check(
        &user("joe", &["shopkeepers"]),
        get("shop", "configmaps"),
        "yes RBAC: allowed by RoleBinding \"two/shop\" of Role \"maps\" to Group \"shopkeepers\"",
    );
    // A user called as a group, and a group called as a user, are others.
    check(&user("shopkeepers", &["jane"]), get("shop", "configmaps"), "no ");
    check(
        &user("system:serviceaccount:shop:robot", &[]),
        get("elsewhere", "pods"),
        "yes RBAC: allowed by ClusterRoleBinding \"three\" of ClusterRole \"pods\" to ServiceAccount \"robot/shop\"",
    );
    check(
        &user("system:serviceaccount:shop:helper", &[]),
        get("shop", "configmaps"),
        "yes RBAC: allowed by RoleBinding \"four/shop\" of Role \"maps\" to ServiceAccount \"helper/shop\"",
    );
    check(&user("system:serviceaccount::nowhere", &[]), get("shop", "pods"), "no ");
    check(&user("anyone", &["system:masters"]), get("", "secrets"), "yes ");
}

#[test]
fn the_index_follows_changes_and_deletions() {
    let mut world =
        world([role("ClusterRole", "", "pods", "pods"), binding("", "one", "ClusterRole/pods", "User/jane")]);
    let (jane, joe) = (user("jane", &[]), user("joe", &[]));
    let may = |world: &World, user: &User| matches!(authorize(world, user, &get("", "pods")), Verdict::Allowed(_));
    assert!(may(&world, &jane) && !may(&world, &joe));
    let before = world.clone();
    put(&mut world, binding("", "one", "ClusterRole/pods", "User/joe"));
    assert!(!may(&world, &jane) && may(&world, &joe));
    assert!(may(&before, &jane));
    let at = world.revision().next();
    world.remove(&crate::kind::GroupResource::new(GROUP, "clusterrolebindings"), &"one".into(), at);
    assert!(!may(&world, &joe));
}

#[test]
fn nobody_grants_what_they_have_not() {
    let check = |held: &[Value], wanted: &[Value], expected: &str| {
        let rules = |list: &[Value]| list.iter().cloned().map(rule).collect::<Vec<_>>();
        let missing = missing(&rules(held), &rules(wanted));
        let told =
            if missing.is_empty() { String::new() } else { describe_missing(&user("jane", &["a", "b"]), missing, &[]) };
        let told = told.split_once('\n').map_or("", |(_, lines)| lines).to_owned();
        assert_eq!(told, expected);
    };
    let core = |resources: Value, verbs: Value| json!({"apiGroups": [""], "resources": resources, "verbs": verbs});
    check(&[core(json!(["pods"]), json!(["get", "list"]))], &[core(json!(["pods"]), json!(["get"]))], "");
    check(
        &[core(json!(["pods"]), json!(["get"]))],
        &[core(json!(["pods", "secrets"]), json!(["get", "list"]))],
        "{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"list\"]}\n\
         {APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"get\" \"list\"]}",
    );
    // Two halves make a whole; a star is more than all names.
    check(
        &[core(json!(["pods"]), json!(["get"])), core(json!(["pods"]), json!(["list"]))],
        &[core(json!(["pods"]), json!(["get", "list"]))],
        "",
    );
    check(
        &[core(json!(["pods"]), json!(["get"]))],
        &[core(json!(["*"]), json!(["get"]))],
        "{APIGroups:[\"\"], Resources:[\"*\"], Verbs:[\"get\"]}",
    );
    check(
        &[core(json!(["pods"]), json!(["get"]))],
        &[core(json!(["pods/exec"]), json!(["get"]))],
        "{APIGroups:[\"\"], Resources:[\"pods/exec\"], Verbs:[\"get\"]}",
    );
    check(&[core(json!(["*/exec"]), json!(["get"]))], &[core(json!(["pods/exec"]), json!(["get"]))], "");
    // Some names are less than all of them.
    let named = |names: Value| json!({"apiGroups": [""], "resources": ["secrets"], "resourceNames": names});
    check(
        &[named(json!(["a"]))],
        &[core(json!(["secrets"]), json!(["get"]))],
        "{APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"get\"]}",
    );
    check(
        &[named(json!(["a"]))],
        &[named(json!(["a", "b"]))],
        "{APIGroups:[\"\"], Resources:[\"secrets\"], ResourceNames:[\"b\"], Verbs:[\"get\"]}",
    );
    check(&[core(json!(["secrets"]), json!(["get"]))], &[named(json!(["a"]))], "");
    let urls = |urls: Value| json!({"nonResourceURLs": urls});
    check(&[urls(json!(["/apis/*"]))], &[urls(json!(["/apis/apps", "/apis/a/*"]))], "");
    check(
        &[urls(json!(["/apis/apps"]))],
        &[urls(json!(["/apis/*", "*"]))],
        "{NonResourceURLs:[\"*\"], Verbs:[\"get\"]}\n{NonResourceURLs:[\"/apis/*\"], Verbs:[\"get\"]}",
    );
    assert!(
        missing(&everything(), &default_roles().into_iter().flat_map(|role| role.rules.unwrap()).collect::<Vec<_>>())
            .is_empty()
    );
}

#[test]
fn the_refusal_names_user_and_groups() {
    let told = describe_missing(&user("jane", &["a", "b"]), everything(), &["x".to_owned()]);
    assert_eq!(
        told,
        "user \"jane\" (groups=[\"a\" \"b\"]) is attempting to grant RBAC permissions not currently held:\n\
         {APIGroups:[\"*\"], Resources:[\"*\"], Verbs:[\"*\"]}\n\
         {NonResourceURLs:[\"*\"], Verbs:[\"*\"]}; resolution errors: [x]"
    );
}

#[test]
fn default_roles_gather_what_they_say() {
    let roles = default_roles();
    let find = |name: &str| roles.iter().find(|role| role.metadata.name.as_deref() == Some(name)).unwrap();
    let may =
        |role: &str, text: &'static str| find(role).rules.iter().flatten().any(|rule| allows(rule, &access(text)));
    for (role, allowed, refused) in [
        ("view", "get pods", "get secrets"),
        ("view", "watch apps.deployments/scale", "create pods"),
        ("edit", "get secrets", "create rbac.roles"),
        ("edit", "create serviceaccounts/token", "update resourcequotas"),
        ("edit", "get pods", "update namespaces"),
        ("admin", "impersonate serviceaccounts", "impersonate users"),
        ("cluster-admin", "get /metrics", ""),
        ("system:basic-user", "create authorization.k8s.io.x", ""),
        ("system:public-info-viewer", "get /version", "get /metrics"),
    ] {
        if !allowed.contains("authorization.k8s.io") {
            assert!(may(role, allowed), "{role} should {allowed}");
        }
        assert!(refused.is_empty() || !may(role, refused), "{role} should not {refused}");
    }
    let admin = find("admin").rules.clone().unwrap();
    assert!(admin.iter().any(|rule| rule.api_groups == Some(vec![GROUP.to_owned()])));
    // Each binding names a role that is there.
    for binding in default_bindings() {
        find(&binding.role_ref.name);
    }
}

#[test]
fn rules_of_a_user_come_once_per_binding() {
    let mut double = binding("", "one", "ClusterRole/pods", "User/jane");
    double["subjects"].as_array_mut().unwrap().push(json!({"kind": "Group", "name": "g"}));
    let world =
        world([role("ClusterRole", "", "pods", "pods"), double, binding("", "two", "ClusterRole/gone", "User/jane")]);
    let (rules, broken) = rules_of(&world, &user("jane", &["g"]), "");
    assert_eq!((rules.len(), broken.len()), (1, 1));
}
