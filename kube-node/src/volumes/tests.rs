use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU32, Ordering};

use k8s_openapi::api::core::v1::{ConfigMap, Container, Secret};
use serde_json::{Value, json};

use super::*;
use crate::environment::Environment;

/// A directory of this test's own, removed with it.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("volumes-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

fn world(objects: &[Value]) -> World {
    let mut world = World::new(coracle_core::Kinds::builtin());
    for object in objects {
        match object["kind"].as_str() {
            Some("Secret") => world.insert(serde_json::from_value::<Secret>(object.clone()).unwrap()),
            Some("PersistentVolumeClaim") => {
                world.insert(serde_json::from_value::<PersistentVolumeClaim>(object.clone()).unwrap())
            }
            Some("PersistentVolume") => {
                world.insert(serde_json::from_value::<PersistentVolume>(object.clone()).unwrap())
            }
            _ => world.insert(serde_json::from_value::<ConfigMap>(object.clone()).unwrap()),
        }
        .unwrap();
    }
    world
}

fn config_map(data: &Value) -> Value {
    json!({"metadata": {"namespace": "ns", "name": "map"}, "data": data})
}

fn secret() -> Value {
    json!({"kind": "Secret", "metadata": {"namespace": "ns", "name": "safe"}, "data": {"password": "c2VzYW1l"}})
}

fn planned(volume: &Value, world: &World) -> Result<Vec<Plan>, String> {
    let pod = json!({"metadata": {"namespace": "ns", "name": "web", "uid": "u", "labels": {"b": "2", "a": "1"}},
        "spec": {"containers": [{"name": "c"}], "volumes": [volume]}});
    let around = Surroundings { pod_addresses: &[], host_addresses: &[], allocatable: &BTreeMap::new() };
    plan(&serde_json::from_value(pod).unwrap(), world, &around)
}

/// Makes the volume on disk; answers each file as `path mode content`.
fn check(volume: Value, objects: &[Value], expected: Result<&[&str], &str>) {
    let directory = Directory::new();
    let mut volume = volume;
    volume["name"] = "v".into();
    let made = planned(&volume, &world(objects)).and_then(|plans| make(&directory.0, &plans));
    let found = made.map(|()| files(&volume_directory(&directory.0, "v"), ""));
    let expected = expected.map(|lines| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>());
    assert_eq!(found, expected.map_err(ToOwned::to_owned));
}

/// What a container sees: links are followed, `..` names are left out.
fn files(directory: &Path, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let path = directory.join(&name);
        if name.starts_with("..") {
        } else if path.is_dir() {
            found.extend(files(&path, &format!("{prefix}{name}/")));
        } else {
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            found.push(format!("{prefix}{name} {mode:o} {}", fs::read_to_string(&path).unwrap()));
        }
    }
    found.sort();
    found
}

#[test]
fn volumes_show_what_they_are_made_from() {
    let map = config_map(&json!({"k1": "one", "k2": "two"}));
    check(json!({"emptyDir": {}}), &[], Ok(&[]));
    check(json!({"configMap": {"name": "map"}}), std::slice::from_ref(&map), Ok(&["k1 644 one", "k2 644 two"]));
    check(
        json!({"configMap": {"name": "map", "defaultMode": 256, "items": [{"key": "k1", "path": "a/b"}, {"key": "k2", "path": "c", "mode": 288}]}}),
        std::slice::from_ref(&map),
        Ok(&["a/b 400 one", "c 440 two"]),
    );
    check(json!({"secret": {"secretName": "safe"}}), &[secret()], Ok(&["password 644 sesame"]));
    check(json!({"configMap": {"name": "no", "optional": true}}), &[], Ok(&[]));
    check(
        json!({"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}}),
        &[],
        Ok(&["labels 644 a=\"1\"\nb=\"2\""]),
    );
    let sources =
        json!([{"configMap": {"name": "map", "items": [{"key": "k1", "path": "x"}]}}, {"secret": {"name": "safe"}}]);
    check(json!({"projected": {"sources": sources}}), &[map, secret()], Ok(&["password 644 sesame", "x 644 one"]));
}

#[test]
fn what_cannot_be_made_says_why() {
    let says = |why: &str| format!("MountVolume.SetUp failed for volume \"v\" : {why}");
    for (volume, why) in [
        (json!({"configMap": {"name": "no"}}), "configmap \"no\" not found"),
        (json!({"secret": {"secretName": "no"}}), "secret \"no\" not found"),
        (
            json!({"configMap": {"name": "map", "items": [{"key": "no", "path": "x"}]}}),
            "references non-existent config key: no",
        ),
        (json!({"nfs": {"server": "s", "path": "/"}}), "volume type \"nfs\" is not supported by this node"),
        (json!({"persistentVolumeClaim": {"claimName": "no"}}), "persistentvolumeclaim \"no\" not found"),
        (
            json!({"hostPath": {"path": "/no/such/place", "type": "Directory"}}),
            "hostPath type check failed: /no/such/place is not a directory",
        ),
        (json!({"configMap": {"name": "map", "items": [{"key": "k", "path": "../x"}]}}), "invalid path \"../x\""),
    ] {
        check(volume, &[config_map(&json!({"k": "v"}))], Err(&says(why)));
    }
}

#[test]
fn a_bound_claim_is_the_place_its_volume_names() {
    let claim = json!({"kind": "PersistentVolumeClaim", "metadata": {"namespace": "ns", "name": "data"}, "spec": {"volumeName": "disk"}});
    let disk =
        json!({"kind": "PersistentVolume", "metadata": {"name": "disk"}, "spec": {"hostPath": {"path": "/srv/disk"}}});
    let plans = planned(&json!({"name": "v", "persistentVolumeClaim": {"claimName": "data"}}), &world(&[claim, disk]));
    assert_eq!(host_paths(Path::new("/pod"), &plans.unwrap())["v"], Path::new("/srv/disk"));
}

#[test]
fn an_ephemeral_volume_is_the_place_of_the_pods_own_claim() {
    let disk =
        json!({"kind": "PersistentVolume", "metadata": {"name": "disk"}, "spec": {"hostPath": {"path": "/srv/disk"}}});
    let shown = |owner: &str| {
        let owner = json!({"apiVersion": "v1", "kind": "Pod", "name": "web", "uid": owner, "controller": true});
        let claim = json!({"kind": "PersistentVolumeClaim", "metadata": {"namespace": "ns", "name": "web-v",
            "ownerReferences": [owner]}, "spec": {"volumeName": "disk"}});
        let volume = json!({"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}});
        planned(&volume, &world(&[claim, disk.clone()])).map(|plans| host_paths(Path::new("/pod"), &plans)["v"].clone())
    };
    assert_eq!(shown("u").unwrap(), Path::new("/srv/disk"));
    let why = "PVC ns/web-v was not created for pod ns/web (pod is not owner)";
    assert_eq!(shown("another").unwrap_err(), failed("v", why));
}

#[test]
fn a_change_switches_all_files_at_once() {
    let directory = Directory::new();
    let volume = json!({"name": "v", "configMap": {"name": "map"}});
    let path = volume_directory(&directory.0, "v");
    let show = |data: Value| {
        make(&directory.0, &planned(&volume, &world(&[config_map(&data)])).unwrap()).unwrap();
        (fs::read_link(path.join("..data")).unwrap().into_os_string().into_string().unwrap(), files(&path, ""))
    };
    assert_eq!(show(json!({"a": "1", "b": "1"})), ("..1".into(), vec!["a 644 1".into(), "b 644 1".into()]));
    assert_eq!(show(json!({"a": "1", "b": "1"})).0, "..1");
    assert_eq!(show(json!({"b": "2", "c": "2"})), ("..2".into(), vec!["b 644 2".into(), "c 644 2".into()]));
    assert_eq!(fs::read_link(path.join("c")).unwrap(), Path::new("..data/c"));
    assert!(!path.join("..1").exists() && fs::symlink_metadata(path.join("a")).is_err());
    remove(&directory.0).unwrap();
    remove(&directory.0).unwrap();
    assert!(!directory.0.exists());
}

#[test]
fn mounts_stay_within_their_volume() {
    let volumes = BTreeMap::from([("v".to_owned(), PathBuf::from("/vol"))]);
    let mut environment = Environment::default();
    environment.set("NAME", "web".to_owned());
    environment.set("UP", "..".to_owned());
    for (mount, expected) in [
        (json!({}), Ok("/vol")),
        (json!({"subPath": "a/b"}), Ok("/vol/a/b")),
        (json!({"subPathExpr": "logs/$(NAME)"}), Ok("/vol/logs/web")),
        (json!({"subPathExpr": "$(UP)/x"}), Err("unable to provision SubPath `../x`: must not contain '..'")),
        (json!({"subPath": "/x"}), Err("error SubPath `/x` must not be an absolute path")),
        (json!({"subPathExpr": "$(NO)"}), Err("missing value for subPathExpr \"$(NO)\"")),
        (json!({"name": "w"}), Err("cannot find volume \"w\" to mount into container")),
    ] {
        let mut all = json!({"name": "v", "mountPath": "/data"});
        all.as_object_mut().unwrap().extend(mount.as_object().unwrap().clone());
        let container: Container = serde_json::from_value(json!({"name": "c", "volumeMounts": [all]})).unwrap();
        let found = mounts::mounts(&container, &volumes, &environment);
        let found = found.map(|mounts| mounts[0].host_path.to_str().unwrap().to_owned());
        assert_eq!(found, expected.map(ToOwned::to_owned).map_err(ToOwned::to_owned));
    }
}
