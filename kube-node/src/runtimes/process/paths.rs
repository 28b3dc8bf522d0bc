//! Puts paths of the host in the place of paths of the container: what stands for a mount namespace.

use std::path::Path;

/// Pairs of (path in the container, path on the host), longest first so that the closest mount wins.
#[derive(Clone, Debug, Default)]
pub(super) struct Paths(Vec<(String, String)>);

impl Paths {
    /// The root and relative paths cannot be told apart from other text and are left out.
    pub(super) fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let trimmed = pairs.into_iter().map(|(container, host)| (container.trim_end_matches('/').to_owned(), host));
        let mut pairs: Vec<_> =
            trimmed.filter(|(container, _)| container.len() > 1 && container.starts_with('/')).collect();
        pairs.sort_by_key(|(container, _)| std::cmp::Reverse(container.len()));
        Self(pairs)
    }

    /// The text with every mounted path in it replaced. A path begins where no path goes on before it and ends at a `/` or
    /// where no file name goes on: `/data` is in `--dir=/data/x` and `a:/data`, not in `/var/data`, `/database` or `$X/data`.
    pub(super) fn rewrite(&self, text: &str) -> String {
        let mut rewritten = String::with_capacity(text.len());
        let mut rest = text;
        let mut before = None;
        while let Some(next) = rest.chars().next() {
            let found = (next == '/' && !before.is_some_and(goes_on)).then(|| self.at_start(rest)).flatten();
            let (length, piece) = match found {
                Some((container, host)) => (container.len(), host.as_str()),
                None => (next.len_utf8(), rest.get(..next.len_utf8()).unwrap_or_default()),
            };
            rewritten.push_str(piece);
            before = rest.get(..length).and_then(|passed| passed.chars().next_back());
            rest = rest.get(length..).unwrap_or_default();
        }
        rewritten
    }

    fn at_start(&self, text: &str) -> Option<&(String, String)> {
        let ends = |rest: &str| rest.chars().next().is_none_or(|next| next == '/' || !goes_on(next));
        self.0.iter().find(|(container, _)| text.strip_prefix(container.as_str()).is_some_and(ends))
    }
}

/// Whether a path that this character is part of or ends would go on with what follows.
fn goes_on(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '/' | '.' | '-' | '_' | '~' | '}' | ')' | '+' | '@' | '%' | '*')
}

/// A path as text; what is not UTF-8 in it cannot be written in a pod either.
pub(super) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::Paths;

    fn check(text: &str, expected: &str) {
        let pairs = [("/data", "/h/data"), ("/data/deep/", "/h/deep"), ("/", "/h/root"), ("/tmp", "/data/tmp")];
        let paths = Paths::new(pairs.map(|(container, host)| (container.to_owned(), host.to_owned())));
        assert_eq!(paths.rewrite(text), expected, "{text}");
    }

    #[test]
    fn mounted_paths_are_replaced_where_they_are_whole() {
        check("/data", "/h/data");
        check("/data/", "/h/data/");
        check("/data/x", "/h/data/x");
        check("--dir=/data/x,/data:/data", "--dir=/h/data/x,/h/data:/h/data");
        check("cat '/data/a b' >/data/c; ls /data", "cat '/h/data/a b' >/h/data/c; ls /h/data");
        check("/data/deep/x /data/deeper", "/h/deep/x /h/data/deeper");
        check("/tmp/x", "/data/tmp/x");
    }

    #[test]
    fn other_text_stays() {
        for text in
            ["", "/", "data", "/database", "/data.txt", "/data-2", "/var/data", "$HOME/data", "${X}/data", "über/data"]
        {
            check(text, text);
        }
        check("https://host/data", "https://host/data");
    }
}
