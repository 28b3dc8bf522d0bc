//! The clients that people have, each unmodified and on a tour through a cluster of its own that serves on loopback.
//!
//! `tests/clients/install` brings what the tours need. A client that is missing fails its test in CI (`CI=true`) and is
//! skipped with a word elsewhere.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod kube_rs;
mod kubectl;
mod replay;
mod scripts;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use coracle::node::runtimes::ProcessRuntime;
use coracle::{Builder, Cluster, Node};

/// A pod that says back what it hears.
const ECHO: &str = "tests/clients/echo.yaml";

/// Where `tests/clients/install` puts clients: `clients` in cargo's target directory.
fn installed(path: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("clients").join(path)
}

/// Whether a client answers when asked for its version. Panics in CI if it does not.
fn is_here(program: &Path, asks_version: &[&str]) -> bool {
    let asked = Command::new(program).args(asks_version).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let is_here = asked.is_ok_and(|status| status.success());
    if !is_here {
        let missing = format!("{} is missing: run tests/clients/install", program.display());
        assert!(std::env::var_os("CI").is_none(), "{missing}");
        eprintln!("{missing}; this test did not run");
    }
    is_here
}

/// A cluster that serves, by default with one node that runs processes, and a directory with a kubeconfig for it.
struct Served {
    cluster: Cluster,
    directory: PathBuf,
}

impl Served {
    async fn start() -> Self {
        Self::by(|builder, _| builder.node(Node::new("local", ProcessRuntime::new().unwrap()))).await
    }

    /// As the builder is told, which knows the directory.
    async fn by(build: impl FnOnce(Builder, &Path) -> Builder) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("coracle-clients-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let builder = Cluster::builder().serve("127.0.0.1:0".parse().unwrap());
        let cluster = build(builder, &directory).start().await.unwrap();
        cluster.write_kubeconfig(&directory.join("kubeconfig")).unwrap();
        check_private(&directory.join("kubeconfig"));
        Self { cluster, directory }
    }

    /// Runs a tour that blocks, beside the cluster.
    async fn tour(self, tour: impl FnOnce(&Path) + Send + 'static) {
        let directory = self.directory.clone();
        if let Err(failure) = tokio::task::spawn_blocking(move || tour(&directory)).await {
            std::panic::resume_unwind(failure.into_panic());
        }
        self.end().await;
    }

    async fn end(self) {
        assert_eq!(self.cluster.shutdown().await.left, 0);
        std::fs::remove_dir_all(self.directory).unwrap();
    }
}

fn check_private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
}

/// A command that ends by itself if the cluster hangs, and sees nothing of the user's own files.
fn command(program: &Path, directory: &Path) -> Command {
    let mut command = Command::new("timeout");
    command
        .arg("60")
        .arg(program)
        .env("KUBECONFIG", directory.join("kubeconfig"))
        .env("KUBECACHEDIR", directory)
        .env("HOME", directory)
        .current_dir(directory)
        .stdin(Stdio::null());
    command
}
