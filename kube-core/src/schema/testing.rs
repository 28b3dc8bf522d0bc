//! Inputs for the tests of this crate.

use serde_json::Value;
use std::path::Path;

/// Every object of the public manifests beside the repository, with its file's name. Empty if they are not there.
pub(crate) fn manifests() -> Vec<(String, Value)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/manifests");
    let mut objects = Vec::new();
    for folder in std::fs::read_dir(root).into_iter().flatten().flatten() {
        for file in std::fs::read_dir(folder.path()).into_iter().flatten().flatten() {
            if file.path().extension().is_some_and(|extension| extension == "yaml") {
                let text = std::fs::read_to_string(file.path()).unwrap();
                let found: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
                let name = file.file_name().to_string_lossy().into_owned();
                objects.extend(found.into_iter().filter(Value::is_object).map(|object| (name.clone(), object)));
            }
        }
    }
    objects
}
