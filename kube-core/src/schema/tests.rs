use super::*;

/// A path such as `spec.containers[].ports` in a kind, and what stands there.
fn check(kind: &str, path: &str, expected: &str) {
    let (api_version, kind) = kind.rsplit_once('/').unwrap();
    let schema = Schema::of_kind(api_version, kind).unwrap_or_else(|| panic!("no kind {api_version} {kind}"));
    let mut ty = schema.root();
    for step in path.split('.').filter(|step| !step.is_empty()) {
        let name = step.trim_end_matches("[]");
        ty = ty.member(name).unwrap_or_else(|| panic!("no {name} in {path}"));
        for _ in 0..step.matches("[]").count() {
            ty = ty.item().unwrap();
        }
    }
    let said = match ty.shape() {
        Shape::Scalar(scalar) => format!("{scalar:?}"),
        Shape::Struct(object) => format!("{}{}", object.name, if object.atomic { " atomic" } else { "" }),
        Shape::Map(map) => format!("map{}", if map.atomic { " atomic" } else { "" }),
        Shape::List(list) => match &list.kind {
            ListKind::Map(keys) => format!("list by {}", keys.join(",")),
            kind => format!("list {kind:?}"),
        },
        Shape::Any(any) => format!("any {any:?}"),
    };
    assert_eq!(said, expected, "{kind} {path}");
}

#[test]
fn shapes_of_known_fields() {
    check("v1/Pod", "", "io.k8s.api.core.v1.Pod");
    check("v1/PodList", "items[]", "io.k8s.api.core.v1.Pod");
    check("v1/Pod", "spec.containers", "list by name");
    check("v1/Pod", "spec.containers[].ports", "list by containerPort,protocol");
    check("v1/Pod", "spec.containers[].ports[].containerPort", "Int32");
    check("v1/Pod", "spec.containers[].resources.limits", "map");
    check("v1/Pod", "spec.containers[].resources.limits.cpu", "Quantity");
    check("v1/Pod", "spec.nodeSelector", "map atomic");
    check("v1/Pod", "spec.tolerations", "list Atomic");
    check("v1/Pod", "metadata.finalizers", "list Set");
    check("v1/Pod", "metadata.creationTimestamp", "Time");
    check("v1/Secret", "data.token", "Bytes");
    check("v1/Service", "spec.ports[].targetPort", "IntOrString");
    check("v1/PersistentVolume", "spec.claimRef", "io.k8s.api.core.v1.ObjectReference");
    check("v1/Endpoints", "subsets[].addresses[].targetRef", "io.k8s.api.core.v1.ObjectReference atomic");
    check("apps/v1/Deployment", "spec.selector", "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector atomic");
    check("apps/v1/ControllerRevision", "data", "any Opaque");
    check("coordination.k8s.io/v1/Lease", "spec.renewTime", "MicroTime");
    let crd = "apiextensions.k8s.io/v1/CustomResourceDefinition";
    check(crd, "spec.versions[].schema.openAPIV3Schema.properties.a.properties.b.default", "any Atomic");
}

#[test]
fn every_kind_of_the_api_is_here() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/facts/resources.tsv");
    let Ok(table) = std::fs::read_to_string(path) else { return };
    let mut missing = Vec::new();
    for line in table.lines().skip(1) {
        let (api_version, kind) = line.split('\t').nth(5).unwrap().rsplit_once('/').unwrap();
        let is_query = kind.ends_with("Options"); // read from the URL, never from a body
        if !is_query && Schema::of_kind(api_version, kind).is_none() {
            missing.push(format!("{api_version}/{kind}"));
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn patch_rules() {
    let patch = |definition: &str, field: &str| {
        let schema = Schema::builtin(definition).unwrap();
        let Shape::Struct(object) = schema.root().shape() else { panic!() };
        object.field(field).unwrap().patch.clone()
    };
    let volumes = patch("io.k8s.api.core.v1.PodSpec", "volumes");
    assert_eq!(volumes, Patch { strategy: Strategy::Merge, retain_keys: true, merge_key: Some("name".into()) });
    assert_eq!(patch("io.k8s.api.apps.v1.DeploymentSpec", "strategy").strategy, Strategy::Default);
    assert!(patch("io.k8s.api.apps.v1.DeploymentSpec", "strategy").retain_keys);
    assert_eq!(patch("io.k8s.api.policy.v1.PodDisruptionBudgetSpec", "selector").strategy, Strategy::Replace);
    assert_eq!(patch("io.k8s.api.core.v1.PodSpec", "tolerations"), Patch::default());
}

#[test]
fn every_field_is_sorted_and_every_reference_resolves() {
    let types = builtin::types();
    for shape in &types.shapes {
        let Shape::Struct(object) = shape else { continue };
        assert!(object.fields.is_sorted_by(|left, right| left.name < right.name), "{}", object.name);
        for field in &object.fields {
            assert!((field.ty.0 as usize) < types.shapes.len());
        }
    }
    assert!(types.names.len() > 750, "{}", types.names.len());
}

#[test]
fn definitions_and_kinds() {
    let pod = Schema::of_kind("v1", "Pod").unwrap();
    let definition = |path: &[&str]| path.iter().fold(pod.root(), |ty, name| ty.member(name).unwrap()).definition();
    assert_eq!(definition(&[]), Some("io.k8s.api.core.v1.Pod"));
    assert_eq!(definition(&["metadata", "creationTimestamp"]), Some("io.k8s.apimachinery.pkg.apis.meta.v1.Time"));
    assert_eq!(definition(&["metadata", "labels"]), None);
    assert!(Schema::builtin_names().is_sorted());
    let kinds = Schema::builtin_kinds();
    assert!(kinds.contains(&("apps/v1/Deployment", "io.k8s.api.apps.v1.Deployment")));
    assert!(kinds.contains(&("/v1/PodList", "io.k8s.api.core.v1.PodList")));
}

#[test]
fn docs() {
    assert!(docs::definition("io.k8s.api.core.v1.Pod").unwrap().starts_with("Pod is a collection of containers"));
    assert!(docs::field("io.k8s.api.core.v1.PodSpec", "containers").unwrap().contains("List of containers"));
    assert!(
        docs::definition("io.k8s.apimachinery.pkg.runtime.RawExtension").unwrap().contains("\n\n\ttype MyAPIObject")
    );
    assert_eq!(docs::field("io.k8s.api.core.v1.PodSpec", "nothing"), None);
}

#[test]
fn schemaless_objects_know_their_metadata() {
    let schema = Schema::schemaless();
    assert!(matches!(
        schema.root().member("metadata").unwrap().member("uid").unwrap().shape(),
        Shape::Scalar(Scalar::String)
    ));
    assert!(matches!(schema.root().member("spec").unwrap().shape(), Shape::Any(Any::Open)));
    assert!(schema.root().member("metadata").unwrap().member("nothing").is_none());
    assert!(!schema.is_builtin());
}
