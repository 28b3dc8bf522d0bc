//! A Kubernetes that a Rust program carries inside itself.
