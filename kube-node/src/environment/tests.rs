use serde_json::json;

use super::*;

fn world() -> World {
    let mut world = World::new(coracle_core::Kinds::builtin());
    let map = json!({"metadata": {"namespace": "ns", "name": "map"}, "data": {"k": "v", "b=d": "x"}});
    world.insert(serde_json::from_value::<ConfigMap>(map).unwrap()).unwrap();
    let secret = json!({"metadata": {"namespace": "ns", "name": "safe"}, "data": {"password": "c2VzYW1l"}});
    world.insert(serde_json::from_value::<Secret>(secret).unwrap()).unwrap();
    let service = json!({"metadata": {"namespace": "ns", "name": "my-web"},
        "spec": {"clusterIP": "10.0.0.7", "ports": [{"name": "http", "port": 80}]}});
    world.insert(serde_json::from_value::<k8s_openapi::api::core::v1::Service>(service).unwrap()).unwrap();
    world
}

fn check(container: serde_json::Value, expected: Result<&[(&str, &str)], &str>) {
    let pod = json!({"metadata": {"namespace": "ns", "name": "web", "uid": "u", "labels": {"app": "web"}},
        "spec": {"nodeName": "n1", "enableServiceLinks": false, "containers": [container]}});
    let pod: Pod = serde_json::from_value(pod).unwrap();
    let allocatable = [("cpu".to_owned(), k8s_openapi::apimachinery::pkg::api::resource::Quantity("4".into()))].into();
    let (pod_addresses, host_addresses) = (["10.1.0.2".to_owned()], ["192.168.0.1".to_owned()]);
    let around =
        Surroundings { pod_addresses: &pod_addresses, host_addresses: &host_addresses, allocatable: &allocatable };
    let container = &pod.spec.as_ref().unwrap().containers[0];
    let found = environment(&pod, container, &world(), &around, true).map(Environment::into_variables);
    let expected = expected.map(|all| all.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Vec<_>>());
    assert_eq!(found, expected.map_err(ToOwned::to_owned));
}

#[test]
fn variables_come_from_everywhere_and_may_refer_to_earlier_ones() {
    let from = |source: serde_json::Value| json!({"name": "X", "valueFrom": source});
    check(
        json!({"name": "c", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)-$(C)-$$(A)"}]}),
        Ok(&[("A", "1"), ("B", "1-$(C)-$(A)")]),
    );
    check(
        json!({"name": "c", "envFrom": [{"prefix": "P_", "configMapRef": {"name": "map"}},
            {"secretRef": {"name": "no", "optional": true}}], "env": [{"name": "P_k", "value": "mine"}]}),
        Ok(&[("P_k", "mine")]),
    );
    for (source, expected) in [
        (json!({"configMapKeyRef": {"name": "map", "key": "k"}}), Ok("v")),
        (json!({"secretKeyRef": {"name": "safe", "key": "password"}}), Ok("sesame")),
        (json!({"fieldRef": {"fieldPath": "metadata.labels['app']"}}), Ok("web")),
        (json!({"fieldRef": {"fieldPath": "status.podIP"}}), Ok("10.1.0.2")),
        (json!({"fieldRef": {"fieldPath": "status.hostIP"}}), Ok("192.168.0.1")),
        (json!({"fieldRef": {"fieldPath": "spec.nodeName"}}), Ok("n1")),
        (json!({"resourceFieldRef": {"resource": "limits.cpu"}}), Ok("4")),
        (json!({"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}), Ok("4000")),
        (json!({"configMapKeyRef": {"name": "no", "key": "k"}}), Err("configmap \"no\" not found")),
        (json!({"secretKeyRef": {"name": "no", "key": "k"}}), Err("secret \"no\" not found")),
        (json!({"configMapKeyRef": {"name": "map", "key": "no"}}), Err("couldn't find key no in ConfigMap ns/map")),
        (json!({"fieldRef": {"fieldPath": "spec.hostname"}}), Err("unsupported fieldPath: spec.hostname")),
    ] {
        let pair = expected.map(|value| [("X", value)]);
        check(json!({"name": "c", "env": [from(source)]}), pair.as_ref().map(|p| p.as_slice()).map_err(|e| *e));
    }
    check(
        json!({"name": "c", "env": [from(json!({"configMapKeyRef": {"name": "map", "key": "no", "optional": true}}))]}),
        Ok(&[]),
    );
}

#[test]
fn services_are_told_as_variables() {
    let mut environment = Environment::default();
    services::variables(&world(), "ns", true, &mut environment);
    for (name, value) in [
        ("MY_WEB_SERVICE_HOST", "10.0.0.7"),
        ("MY_WEB_SERVICE_PORT_HTTP", "80"),
        ("MY_WEB_PORT", "tcp://10.0.0.7:80"),
        ("MY_WEB_PORT_80_TCP_ADDR", "10.0.0.7"),
    ] {
        assert_eq!(environment.get(name), Some(value));
    }
}
