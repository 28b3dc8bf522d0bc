//! The real `kubectl`: the one on the PATH, and Debian's 1.20 as `tests/clients/install` brings it.

mod access;
mod aggregation;
mod pods;
mod tour;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use coracle::Builder;

use crate::{Served, command, is_here};

/// One `kubectl`, its kubeconfig, and the directory it works in.
struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    directory: PathBuf,
}

impl Kubectl {
    fn new(program: PathBuf, directory: &Path) -> Self {
        Self { program, kubeconfig: directory.join("kubeconfig"), directory: directory.to_owned() }
    }

    /// The command of a line. Words are separated by spaces; `~` is a space in a word.
    fn command(&self, line: &str) -> Command {
        let mut command = command(&self.program, &self.directory);
        command.env("KUBECONFIG", &self.kubeconfig);
        command.args(line.split_whitespace().map(|word| word.replace('~', " ")));
        command
    }

    /// What a command prints, both streams. Panics if it ends otherwise than expected.
    fn run(&self, line: &str, succeeds: bool) -> String {
        self.run_with(line, succeeds, "")
    }

    /// The same of a command that reads something.
    fn run_with(&self, line: &str, succeeds: bool, input: &str) -> String {
        let (stdin, mut writer) = std::io::pipe().unwrap();
        let input = input.to_owned();
        // It may end without having read everything.
        let writing = std::thread::spawn(move || drop(writer.write_all(input.as_bytes())));
        let output = self.command(line).stdin(stdin).output().unwrap();
        writing.join().unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.success(), succeeds, "kubectl {line}\n{text}");
        text
    }

    /// A command that succeeds and prints all of these.
    fn ok(&self, line: &str, expected: &[&str]) {
        let text = self.run(line, true);
        for part in expected {
            assert!(text.contains(part), "kubectl {line}\nlacks {part:?}\n{text}");
        }
    }

    /// A command that is repeated until it prints this: what it asks about comes after what was waited for.
    fn soon(&self, line: &str, expected: &str) {
        let says = || String::from_utf8_lossy(&self.command(line).output().unwrap().stdout).contains(expected);
        assert!((0..500).any(|_| says()), "kubectl {line}\nnever prints {expected:?}");
    }

    /// A command that fails and prints this.
    fn refused(&self, line: &str, expected: &str) {
        let text = self.run(line, false);
        assert!(text.contains(expected), "kubectl {line}\nlacks {expected:?}\n{text}");
    }

    /// Whether it is of this minor version or newer.
    fn is_at_least(&self, minor: u32) -> bool {
        let text = self.run("version --client -o json", true);
        let version: serde_json::Value = serde_json::from_str(&text).unwrap();
        let digits = version["clientVersion"]["minor"].as_str().unwrap().trim_end_matches('+');
        digits.parse::<u32>().unwrap() >= minor
    }
}

/// Lets the machine's `kubectl` act on a cluster of its own. It finds these files in its directory.
async fn with_kubectl(
    files: &'static [(&str, &str)],
    build: impl FnOnce(Builder, &Path) -> Builder,
    act: impl FnOnce(&Kubectl) + Send + 'static,
) {
    let program = PathBuf::from("kubectl");
    if !is_here(&program, &["version", "--client"]) {
        return;
    }
    let tour = move |directory: &Path| {
        for (name, text) in files {
            std::fs::write(directory.join(name), text).unwrap();
        }
        act(&Kubectl::new(program, directory));
    };
    Served::by(build).await.tour(tour).await;
}
