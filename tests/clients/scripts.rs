//! The official clients of other languages, each with a script of its own.

use std::path::Path;

use super::{ECHO, Served, command, installed, is_here};

/// Runs a script; panics with what it printed if it fails.
fn run(program: &Path, script: &Path, directory: &Path) {
    let mut command = command(program, directory);
    command.env("ECHO", Path::new(env!("CARGO_MANIFEST_DIR")).join(ECHO));
    let output = command.arg(script).output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{}\n{text}", script.display());
}

fn source(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python() {
    let python = installed("python/bin/python");
    if is_here(&python, &["-c", "import kubernetes"]) {
        Served::start().await.tour(move |directory| run(&python, &source("tour.py"), directory)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn javascript() {
    // Modules are looked for beside the script.
    let modules = installed("javascript");
    let node = Path::new("node");
    let client = modules.join("node_modules/@kubernetes/client-node/package.json");
    if is_here(node, &["-e", &format!("require({:?})", client)]) {
        let script = modules.join(format!("tour-{}.mjs", std::process::id()));
        std::fs::copy(source("tour.mjs"), &script).unwrap();
        let served = Served::start().await;
        let running = script.clone();
        served.tour(move |directory| run(node, &running, directory)).await;
        std::fs::remove_file(script).unwrap();
    }
}
