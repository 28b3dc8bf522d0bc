//! Decisions with many bindings: `cargo bench -p coracle-core --bench rbac`.

use coracle_core::rbac::{Access, Place, authorize};
use coracle_core::{Kinds, User, World};
use divan::{Bencher, black_box};
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, RoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

fn main() {
    divan::main();
}

/// Bindings spread over 100 namespaces; each binds one user, and a group that all share.
fn world(bindings: usize) -> World {
    let mut world = World::new(Kinds::builtin());
    let named = |name: &str| ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    let rule = PolicyRule {
        verbs: vec!["get".to_owned()],
        api_groups: Some(vec![String::new()]),
        resources: Some(vec!["pods".to_owned()]),
        ..PolicyRule::default()
    };
    world.insert(ClusterRole { metadata: named("pods"), rules: Some(vec![rule]), aggregation_rule: None }).ok();
    for number in 0..bindings {
        let subject = |kind: &str, name: String| Subject { kind: kind.to_owned(), name, ..Subject::default() };
        let namespace = Some(format!("namespace-{}", number % 100));
        let binding = RoleBinding {
            metadata: ObjectMeta { namespace, ..named(&format!("binding-{number}")) },
            role_ref: RoleRef { kind: "ClusterRole".to_owned(), name: "pods".to_owned(), ..RoleRef::default() },
            subjects: Some(vec![
                subject("User", format!("user-{number}")),
                subject("Group", format!("team-{}", number % 100)),
            ]),
        };
        world.insert(binding).ok();
    }
    world
}

fn decide(bencher: Bencher<'_, '_>, bindings: usize, user: &str, verb: &str) {
    let world = world(bindings);
    let groups = vec!["team-7".to_owned(), "system:authenticated".to_owned()];
    let user = User { name: user.to_owned(), groups, ..User::default() };
    let place = Place { resource: "pods", namespace: "namespace-7", name: "web", ..Place::default() };
    bencher.bench_local(|| authorize(&world, black_box(&user), &Access::resource(verb, place)));
}

#[divan::bench(args = [10, 10_000])]
fn allowed(bencher: Bencher<'_, '_>, bindings: usize) {
    decide(bencher, bindings, "user-7", "get");
}

#[divan::bench(args = [10, 10_000])]
fn refused_after_the_bindings_of_a_whole_team(bencher: Bencher<'_, '_>, bindings: usize) {
    decide(bencher, bindings, "user-7", "delete");
}

#[divan::bench(args = [10, 10_000])]
fn take_in_a_binding(bencher: Bencher<'_, '_>, bindings: usize) {
    let all = world(bindings);
    let one = world(1);
    let object =
        one.resources().find_map(|resource| one.objects(resource).find(|object| object.namespace() != "").cloned());
    bencher.bench_local(|| {
        let mut copy = all.clone();
        object.clone().map(|object| copy.put(object));
        copy
    });
}
