//! How functions end, as containers do.

use std::fmt::Display;

use tokio::task::JoinError;

/// The end of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionExit {
    /// The exit code.
    pub code: i32,
    /// 9 if it was dropped, else zero.
    pub signal: i32,
    /// Why, for people; printed to the container's log too.
    pub message: String,
}

impl FunctionExit {
    /// An end by its own will.
    fn with(code: i32, message: impl Into<String>) -> Self {
        Self { code, signal: 0, message: message.into() }
    }
}

/// What a function may return.
pub trait IntoExit {
    /// As the end of a container.
    fn into_exit(self) -> FunctionExit;
}

/// It ended well: code 0.
impl IntoExit for () {
    fn into_exit(self) -> FunctionExit {
        FunctionExit::with(0, "")
    }
}

/// The number is the exit code.
impl IntoExit for i32 {
    fn into_exit(self) -> FunctionExit {
        FunctionExit::with(self, "")
    }
}

impl IntoExit for FunctionExit {
    fn into_exit(self) -> FunctionExit {
        self
    }
}

/// An error is code 1 and the error's text.
impl<T: IntoExit, E: Display> IntoExit for Result<T, E> {
    fn into_exit(self) -> FunctionExit {
        self.map_or_else(|error| FunctionExit::with(1, error.to_string()), IntoExit::into_exit)
    }
}

/// A task that gave no answer: it panicked (101, as a Rust program does), or it was dropped (137, as by SIGKILL).
pub(super) fn of_lost_task(error: JoinError) -> FunctionExit {
    if error.is_cancelled() {
        return FunctionExit { code: 137, signal: 9, message: String::new() };
    }
    let payload = error.into_panic();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    FunctionExit::with(101, text.map_or_else(|| "panicked".to_owned(), |text| format!("panicked: {text}")))
}
