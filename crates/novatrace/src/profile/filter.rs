//! Which categories are recorded: globs in a list.

/// Chooses categories by globs, such as `"io.*,-io.read"`.
///
/// Globs stand between commas; `*` is any number of characters, `?` is one. A `-` before a glob
/// takes its categories out. The last glob that matches a category decides; what none matches is in
/// if the first glob takes out, and out otherwise. The empty list is everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Filter {
    globs: Vec<(bool, Box<str>)>,
}

impl Filter {
    pub(crate) fn new(list: &str) -> Self {
        let globs = list.split(',').map(str::trim).filter(|glob| !glob.is_empty() && *glob != "-");
        let globs = globs.map(|glob| match glob.strip_prefix('-') {
            Some(glob) => (false, glob.trim().into()),
            None => (true, glob.into()),
        });
        Self { globs: globs.collect() }
    }

    pub(crate) fn admits(&self, category: &str) -> bool {
        let last = self.globs.iter().rev().find(|(_, glob)| matches(glob, category));
        match last {
            Some(&(admits, _)) => admits,
            None => self.globs.first().is_none_or(|&(admits, _)| !admits),
        }
    }
}

/// Whether `text` is of the form that `glob` says, with `*` and `?`; in time of the product of their lengths at most.
#[must_use]
pub fn matches(glob: &str, text: &str) -> bool {
    let (glob, text): (Vec<char>, Vec<char>) = (glob.chars().collect(), text.chars().collect());
    let (mut at, mut in_text) = (0, 0);
    // Where to go on if the last `*` has to swallow one character more.
    let mut again = None;
    while in_text < text.len() {
        if glob.get(at) == Some(&'*') {
            again = Some((at + 1, in_text));
            at += 1;
        } else if glob.get(at).is_some_and(|&one| one == '?' || one == text[in_text]) {
            at += 1;
            in_text += 1;
        } else if let Some((after, swallowed)) = again {
            again = Some((after, swallowed + 1));
            (at, in_text) = (after, swallowed + 1);
        } else {
            return false;
        }
    }
    glob[at..].iter().all(|&one| one == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (glob, text, expected) in [
            ("io", "io", true),
            ("io", "iox", false),
            ("io.*", "io.read", true),
            ("io.*", "io", false),
            ("*", "", true),
            ("*a*b", "xaybab", true),
            ("*a*b", "xayba", false),
            ("?o", "io", true),
            ("?", "", false),
            ("ä*", "äß", true),
        ] {
            assert_eq!(matches(glob, text), expected, "{glob} {text}");
        }
    }

    #[test]
    fn the_last_glob_that_matches_decides() {
        let admitted = |list: &str| {
            let filter = Filter::new(list);
            ["io.read", "io.write", "net"].map(|category| filter.admits(category))
        };
        assert_eq!(admitted(""), [true, true, true]);
        assert_eq!(admitted("io.*"), [true, true, false]);
        assert_eq!(admitted("io.*, -io.read"), [false, true, false]);
        assert_eq!(admitted("-io.*"), [false, false, true]);
        assert_eq!(admitted("-io.*,io.read"), [true, false, true]);
        assert_eq!(admitted("-"), [true, true, true]);
    }
}
